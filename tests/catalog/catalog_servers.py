"""Servers for the catalog tests: SeaweedFS, PostgreSQL, and a scripted HTTP server for what neither can be made to do.

Each is a context manager that yields what a catalog needs to reach it. Stand-ins for the engine are here too: an HTTP
transport and a store of local files, in the shape of `_engine.pyi`.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from headrace.errors import ObjectNotFound, UnreachableError

Answer = tuple[int, Mapping[str, str], Any]


def urllib_transport(method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float) -> Any:
    """The engine's `http_request` by http.client: no retry, any status is an answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


class LocalStore:
    """The engine's Store, for local files only."""

    def __init__(self, properties: Mapping[str, str], refresh: object = None) -> None:
        self.properties = properties

    def read(self, location: str, start: int | None = None, end: int | None = None) -> bytes:
        try:
            return _path(location).read_bytes()[start or 0 : end]
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ObjectNotFound("no such object", location=location) from error

    def list(self, prefix: str) -> list[tuple[str, int]]:
        root = prefix.rstrip("/")
        found = [path for path in _path(root).rglob("*") if path.is_file()]
        return sorted((f"{root}/{path.relative_to(_path(root)).as_posix()}", path.stat().st_size) for path in found)


def _path(location: str) -> Path:
    return Path(location.removeprefix("file://"))


class ScriptedServer:
    """Answers requests by a function and keeps what it was asked: (method, path with query, headers, body)."""

    def __init__(self, answer: Callable[[str, str, Mapping[str, str], bytes], Answer]) -> None:
        self.answer = answer
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.requests.append((self.command, self.path, headers, body))
                status, extra, content = server.answer(self.command, self.path, headers, body)
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {"content-length": str(len(data)), **extra}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_POST = do_HEAD = do_DELETE = handle_one

            def log_message(self, format: str, *values: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _free_base(count: int) -> int:
    while True:
        base = random.randrange(11000, 22000, 10)
        held = [socket.socket() for _ in range(2 * count)]
        try:
            for i, each in enumerate(held):
                each.bind(("127.0.0.1", base + i % count + i // count * 10000))
        except OSError:
            continue
        else:
            return base
        finally:
            for each in held:
                each.close()


def _wait(ports: list[int], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    for port in ports:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)


ROLE = "arn:aws:iam::000000000000:role/vend"
_IAM = {
    "sts": {
        "tokenDuration": "1h",
        "maxSessionLength": "12h",
        "issuer": "test",
        "signingKey": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
    },
    "policy": {"defaultEffect": "Deny", "storeType": "memory"},
    "policies": [
        {
            "name": "all",
            "document": {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": ["s3:*", "s3tables:*"], "Resource": ["*"]}],
            },
        }
    ],
    "roles": [
        {
            "roleName": "vend",
            "roleArn": ROLE,
            "attachedPolicies": ["all"],
            "trustPolicy": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Federated": "iceberg-catalog"},
                        "Action": ["sts:AssumeRoleWithCredentials"],
                    }
                ],
            },
        }
    ],
}


@contextmanager
def seaweedfs(folder: Path) -> Iterator[dict[str, str]]:
    """SeaweedFS with vended credentials; yields properties for a REST catalog."""
    base = _free_base(6)
    (folder / "iam.json").write_text(json.dumps(_IAM))
    ports = ("s3.port", "s3.port.iceberg", "master.port", "volume.port", "filer.port", "admin.port")
    command = [
        *(str(Path(sys.executable).with_name("weed")), "mini", f"-dir={folder}/weed", "-ip=127.0.0.1"),
        *("-ip.bind=127.0.0.1", "-admin.ui=false", "-webdav=false", "-s3.port.lance=0", "-master.telemetry=false"),
        *("-tableBucket=warehouse", f"-s3.iam.config={folder}/iam.json", f"-s3.externalUrl=http://127.0.0.1:{base}"),
        f"-s3.iceberg.credentialRole={ROLE}",
        *(f"-{name}={base + offset}" for offset, name in enumerate(ports)),
    ]
    (folder / "weed").mkdir()
    environment = dict(os.environ, AWS_ACCESS_KEY_ID="testkey", AWS_SECRET_ACCESS_KEY="testsecret", S3_BUCKET="data")
    log = folder / "weed.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        _wait([base, base + 1, base + 5], process, log)
        yield {
            "type": "rest",
            "uri": f"http://127.0.0.1:{base + 1}",
            "warehouse": "s3://warehouse",
            "credential": "testkey:testsecret",
            "scope": "catalog",
            "s3.endpoint": f"http://127.0.0.1:{base}",
            "s3.region": "us-east-1",
            "s3.access-key-id": "testkey",
            "s3.secret-access-key": "testsecret",
        }
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """PostgreSQL with password authentication; yields the URI of an empty database."""
    tools = Path(subprocess.check_output(["pg_config", "--bindir"], text=True).strip())
    port = _free_base(1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "password").write_text("pg-secret")
    user: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses root
        user = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
        shutil.chown(folder, "nobody", "nogroup")
        shutil.chown(folder / "password", "nobody", "nogroup")
    data = str(folder / "data")
    initdb = [*user, str(tools / "initdb"), "-D", data, "-U", "test", "-A", "scram-sha-256"]
    initdb += [f"--pwfile={folder / 'password'}", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd="/")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    control = [*user, str(tools / "pg_ctl"), "-D", data, "-w", "-s"]
    subprocess.run([*control, "-l", str(folder / "log"), "-o", options, "start"], check=True, cwd="/")
    try:
        yield f"postgresql://test:pg-secret@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, cwd="/")
