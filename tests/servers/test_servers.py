"""The real servers start, answer, and do not outlive those who started them. Peers only; nothing of headrace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import duck, process
from tests.servers.postgres import Postgres
from tests.servers.s3 import S3Client, S3Error
from tests.servers.seaweed import SeaweedFS, remove_sockets

ROOT = Path(__file__).resolve().parents[2]


def test_objects(seaweed: SeaweedFS) -> None:
    location = f"s3://{seaweed.bucket}/servers/a b+c=é.bin"
    seaweed.s3.put(location, b"0123456789")
    assert seaweed.s3.get(location) == b"0123456789"
    assert seaweed.s3.head(location)["content-length"] == "10"
    assert list(seaweed.s3.list(f"s3://{seaweed.bucket}/servers/")) == [(location, 10)]
    seaweed.s3.delete(location)
    with pytest.raises(S3Error, match="404"):
        seaweed.s3.get(location)
    wrong = S3Client(seaweed.endpoint, seaweed.access_key, "wrong")
    with pytest.raises(S3Error, match="403"):
        wrong.get(location)


def test_a_table_of_pyiceberg_is_read_by_duckdb(seaweed: SeaweedFS) -> None:
    import pyarrow as pa

    rows = pa.table({"id": pa.array(range(1000), pa.int64())})
    catalog = seaweed.pyiceberg()
    catalog.create_namespace_if_not_exists("servers")
    catalog.create_table("servers.numbers", rows.schema).append(rows)
    assert catalog.load_table("servers.numbers").scan().to_arrow().num_rows == 1000
    with duck.connect(seaweed) as connection:
        assert connection.sql("select sum(id) from warehouse.servers.numbers").fetchall() == [(499500,)]


def test_vended_credentials(seaweed_vended: SeaweedFS) -> None:
    import pyarrow as pa

    catalog = seaweed_vended.pyiceberg(**{"header.X-Iceberg-Access-Delegation": "vended-credentials"})
    catalog.create_namespace("servers")
    table = catalog.create_table("servers.vended", pa.schema([("id", pa.int64())]))
    vended = table.io.properties
    assert vended["s3.access-key-id"] != seaweed_vended.access_key
    assert vended["s3.session-token"]


def test_postgres_serves_a_sql_catalog(postgres: Postgres, tmp_path: Path) -> None:
    from pyiceberg.catalog.sql import SqlCatalog

    catalog = SqlCatalog("sql", uri=postgres.sqlalchemy_uri, warehouse=f"file://{tmp_path}")
    try:
        catalog.create_namespace("servers")
        assert ("servers",) in catalog.list_namespaces()
    finally:
        catalog.engine.dispose()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_dies_with_its_starter(tmp_path: Path, ending: signal.Signals) -> None:
    source = (
        "import sys, time; from pathlib import Path; from tests.servers.seaweed import SeaweedFS\n"
        "server = SeaweedFS.start(Path(sys.argv[1])); print(server.pid, server.base_port, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", source, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid, base_port = map(int, starter.stdout.readline().split())
        os.kill(pid, 0)
        starter.send_signal(ending)
    deadline = time.monotonic() + 10
    while _runs(pid):
        assert time.monotonic() < deadline, f"server {pid} outlived its starter"
        time.sleep(0.05)
    remove_sockets(base_port)


def test_a_detached_server_is_found_again_with_its_data(tmp_path: Path) -> None:
    first = SeaweedFS.start(tmp_path, tables=False, detached=True)
    try:
        first.s3.put(f"s3://{first.bucket}/kept", b"kept")
        again = SeaweedFS.attach(tmp_path)
        assert again is not None
        assert (again.pid, again.endpoint) == (first.pid, first.endpoint)
        assert again.s3.get(f"s3://{again.bucket}/kept") == b"kept"
    finally:
        first.stop(grace_s=0.0)
    assert SeaweedFS.attach(tmp_path) is None


def test_a_server_that_ends_while_starting_says_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = process.spawn([sys.executable, "-c", "import sys; sys.exit('no such luck')"], log=log)
    with pytest.raises(RuntimeError, match="no such luck"):
        process.wait_ready(child, [process.free_ports(1)], log=log)


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
