"""nginx on loopback: plain objects over HTTP and, with a certificate made here, over TLS. Knows nothing of headrace.

It answers GET /bucket/key as an S3 with public objects would, from files, by sendfile where there is no TLS. The
system's own nginx service and its configuration are not used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

from tests.servers import process

MISSING = "no nginx"
_CONFIGURATION = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_processes 2;
events {{ worker_connections 512; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000;
    default_type application/octet-stream;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    root {root};
    server {{ listen 127.0.0.1:{plain}; }}
    server {{
        listen 127.0.0.1:{secure} ssl;
        ssl_certificate {folder}/certificate.pem;
        ssl_certificate_key {folder}/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
    }}
}}
"""


class Nginx:
    """A running server of the files under ``root``, with a folder of its own for everything that it writes."""

    def __init__(self, folder: Path, port: int, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self.endpoint, self.tls_endpoint = f"http://127.0.0.1:{port}", f"https://127.0.0.1:{port + 1}"
        self.authority = folder / "certificate.pem"

    @classmethod
    def start(cls, folder: Path, root: Path) -> Self:
        """Serve ``root``. Raises FileNotFoundError where nginx, or openssl, is not installed."""
        folder, program, port = folder.resolve(), find(), process.free_ports(2)
        folder.mkdir(parents=True, exist_ok=True)
        _make_certificate(folder)
        # As root its workers would become another account, which may not read a cache folder under /root.
        user = "user root;" if os.geteuid() == 0 else ""
        text = _CONFIGURATION.format(folder=folder, root=root.resolve(), plain=port, secure=port + 1, user=user)
        (folder / "nginx.conf").write_text(text)
        log = folder / "output.log"
        command: list[str | Path] = [program, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"]
        child = process.spawn(command, log=log)
        process.wait_ready(child, [port, port + 1], log=log)
        return cls(folder, port, child)

    def stop(self) -> None:
        process.stop(self._child, grace_s=5.0)


def find() -> Path:
    """The program; Debian puts it where a user's PATH does not look. Raises FileNotFoundError where it is not."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise FileNotFoundError(MISSING)
    return Path(found)


def _make_certificate(folder: Path) -> None:
    """A certificate for 127.0.0.1, signed by its own key, an authority and a server's at once."""
    if (folder / "certificate.pem").exists() and (folder / "key.pem").exists():
        return
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "3650", "-subj", "/CN=headrace benchmarks", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run(command, check=True, capture_output=True)
