"""Connections to a metastore: over TLS, down, slow, gone between calls, replaced by another."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import headrace
import pytest
from headrace.errors import ConfigurationError, MetaflowTableNotFound, UnreachableError
from headrace.metastore import Metastore

from tests.commit.lossy_thrift import LossyThrift
from tests.hive.tables import HiveTables, put
from tests.servers.hive_metastore import HiveMetastore


class TlsProxy:
    """TLS before a metastore; a context manager."""

    def __init__(self, port: int, folder: Path) -> None:
        self._port = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.uri = f"thrift://127.0.0.1:{self.port}"
        self.accepted = 0

    def __enter__(self) -> TlsProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError), contextlib.ExitStack() as held:
            held.callback(client.close)
            inside = held.enter_context(self._context.wrap_socket(client, server_side=True))
            self.accepted += 1
            server = held.enter_context(socket.create_connection(("127.0.0.1", self._port)))
            threading.Thread(target=_pump, args=(server, inside), daemon=True).start()
            _pump(inside, server)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for 127.0.0.1 that vouches for itself."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "30", "-subj", "/CN=tests", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(folder / "server.key"), "-out", str(folder / "server.pem")]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def tls(any_metastore: HiveMetastore, certificate: Path) -> Iterator[TlsProxy]:
    with TlsProxy(any_metastore.port, certificate) as proxy:
        yield proxy


def test_over_tls(tls: TlsProxy, certificate: Path, tables: HiveTables) -> None:
    made = tables.make({"id": "bigint"}, {"ds": "string"})
    put(made.partition("1"), {"id": [1]})
    options = {"hive.metastore.use.SSL": "true", "hive.metastore.truststore.path": str(certificate / "server.pem")}
    table = headrace.Table(made.full_name, catalog=headrace.load_catalog("tls", uri=tls.uri, **options))
    for _ in range(3):
        assert table.load("ds = '1'").num_rows == 1
    assert tls.accepted == 1  # the connection was kept, whatever TLS sends of its own in between


def test_whom_tls_does_not_trust(tls: TlsProxy, certificate: Path, any_metastore: HiveMetastore) -> None:
    secure = {"hive.metastore.use.SSL": "true"}
    with pytest.raises(UnreachableError, match="certificate verify failed") as refused:
        Metastore(secure | {"uri": tls.uri}).get_all_databases()
    assert "hive.metastore.use.SSL" in str(refused.value)
    trusted = secure | {"hive.metastore.truststore.path": str(certificate / "server.pem")}
    with pytest.raises(UnreachableError, match=r"(?i)certificate|mismatch|not valid"):
        Metastore(trusted | {"uri": tls.uri.replace("127.0.0.1", "localhost")}).get_all_databases()
    with pytest.raises(UnreachableError, match="no connection"):  # plain on the other side
        Metastore(trusted | {"uri": any_metastore.uri}).get_all_databases()
    with pytest.raises(UnreachableError, match=r"may want TLS \(hive\.metastore\.use\.SSL\)"):  # plain on ours
        Metastore({"uri": tls.uri, "hive.thrift.timeout-ms": "2000"}).get_all_databases()
    (certificate / "store.jks").write_bytes(b"\xfe\xed\xfe\xed" * 8)
    for path in ("store.jks", "absent.pem"):
        with pytest.raises(ConfigurationError, match=r"hive\.metastore\.truststore\.path"):
            Metastore(trusted | {"uri": tls.uri, "hive.metastore.truststore.path": str(certificate / path)})


def test_a_metastore_that_is_gone_between_calls(tables: HiveTables) -> None:
    port = tables.catalog.metastore._connections.addresses[0].port
    made = tables.make({"id": "bigint"}, {"ds": "string"})
    put(made.partition("1"), {"id": [1]})
    with LossyThrift(port) as proxy:
        at = int(proxy.uri.rpartition(":")[2])
        table = headrace.Table(made.full_name, catalog=headrace.load_catalog("x", uri=proxy.uri))
        assert table.scan().num_files == 1
        plan = table.scan()
        proxy.faults = [("get_partition_names", "drop before"), ("get_partitions_by_names", "drop after")]
        assert table.scan().num_files == 1  # a call that only reads is made again
        assert proxy.faults == []
    started = time.monotonic()
    with pytest.raises(UnreachableError, match=rf"thrift://127\.0\.0\.1:{at}") as gone:
        table.scan()
    assert time.monotonic() - started < 10
    assert "check property 'uri', and that the metastore runs" in str(gone.value)
    assert plan.load().num_rows == 1  # a plan needs no metastore


def test_a_slow_metastore(tables: HiveTables) -> None:
    port = tables.catalog.metastore._connections.addresses[0].port
    made = tables.make({"id": "bigint"}, {"ds": "string"})
    made.partition("1")
    with LossyThrift(port) as proxy:
        catalog = headrace.load_catalog("slow", uri=proxy.uri, **{"hive.thrift.timeout-ms": "500"})
        table = headrace.Table(made.full_name, catalog=catalog)
        proxy.faults = [("get_partitions_by_names", "never")]
        started = time.monotonic()
        with pytest.raises(UnreachableError, match=r"get_partitions_by_names at .*: no answer in time") as slow:
            table.scan()
        assert time.monotonic() - started < 5
        assert "see hive.thrift.timeout-ms" in str(slow.value)
        assert table.scan().num_files == 0


def test_several_batches_come_over_several_connections(tables: HiveTables, monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.metastore import client

    monkeypatch.setattr(client, "FEWEST_A_CALL", 2)
    made = tables.make({"id": "bigint"}, {"n": "int"})
    made.partitions([(str(n),) for n in range(23)])
    for n in range(23):
        put(made.location / f"n={n}", {"id": [n]})
    port = tables.catalog.metastore._connections.addresses[0].port
    with LossyThrift(port) as proxy:
        table = headrace.Table(made.full_name, catalog=headrace.load_catalog("x", uri=proxy.uri))
        proxy.faults = [("get_partitions_by_names", "drop after")]
        plan = table.scan("n < 20")
        assert proxy.calls.count("get_partitions_by_names") == 4 + 1
        assert sorted(plan.load()["n"].to_pylist()) == list(range(20))
        proxy.faults = [("get_partitions_by_names", "never")]
        slow = headrace.load_catalog("x", uri=proxy.uri, **{"hive.thrift.timeout-ms": "500"})
        with pytest.raises(UnreachableError, match="no answer in time"):
            headrace.Table(made.full_name, catalog=slow).scan()


def test_a_table_that_is_dropped_meanwhile(tables: HiveTables) -> None:
    made = tables.make({"id": "bigint"}, {"ds": "string"})
    put(made.partition("1"), {"id": [1]})
    table = headrace.Table(made.full_name, catalog=tables.catalog)
    plan = table.scan()
    tables.catalog.drop_table(made.full_name)
    assert plan.load().num_rows == 1  # its files are there
    for filter in (None, "ds = '1'"):
        with pytest.raises(MetaflowTableNotFound, match="the table is gone") as gone:
            table.scan(filter)
        assert gone.value.table == made.full_name
    (made.location / "ds=1" / "part-0").unlink()
    with pytest.raises(headrace.errors.ObjectNotFound, match="part-0"):
        plan.load()
    whole = tables.make({"id": "bigint"}, kind="MANAGED_TABLE")
    put(whole.location, {"id": [1]})
    table = headrace.Table(whole.full_name, catalog=tables.catalog)
    assert table.scan().num_files == 1
    tables.catalog.drop_table(whole.full_name)
    (whole.location / "part-0").unlink()
    with pytest.raises(MetaflowTableNotFound, match="the table is gone"):
        table.scan()


def test_what_a_plan_asks(tables: HiveTables) -> None:
    """Two calls, whatever the number of partitions; equal values of text keys are the metastore's to find."""
    made = tables.make({"id": "bigint"}, {"ds": "string", "h": "int"})
    made.partitions([(f"d{day}", str(hour)) for day in range(20) for hour in range(10)])
    put(made.location / "ds=d3" / "h=4", {"id": [1]})
    with LossyThrift(tables.catalog.metastore._connections.addresses[0].port) as proxy:
        table = headrace.Table(made.full_name, catalog=headrace.load_catalog("x", uri=proxy.uri))
        proxy.calls.clear()
        plan = table.scan("h = 4 and ds < 'd5'")
        assert proxy.calls == ["get_partition_names", "get_partitions_by_names"]
        assert plan.report["partitions"]["total"] == 200
        assert plan.num_files == 1
        proxy.calls.clear()
        assert table.scan("ds = 'd3' and h > 3").num_files == 1
        assert proxy.calls == ["get_partition_names_ps", "get_partitions_by_names"]
        proxy.calls.clear()
        assert table.scan("ds = 'absent'").num_files == 0
        assert proxy.calls == ["get_partition_names_ps", "get_table_req"]  # is it there at all?


def test_a_metastore_from_before_get_table_req(tables: HiveTables, metastore: HiveMetastore) -> None:
    if tables.catalog.metastore._connections.addresses[0].port != metastore.port:
        port, served = tables.catalog.metastore._connections.addresses[0].port, False  # 4: get_table is gone
    else:
        port, served = metastore.port, True
    made = tables.make({"id": "bigint"})
    put(made.location, {"id": [1]})
    with LossyThrift(port) as proxy:
        proxy.faults = [("get_table_req", "unknown")]
        catalog = headrace.load_catalog("old", uri=proxy.uri)
        if served:
            for _ in range(2):
                assert headrace.Table(made.full_name, catalog=catalog).load().num_rows == 1
            assert proxy.calls == ["get_table", "get_table"]  # it is asked for the other once
        else:
            with pytest.raises(headrace.errors.CatalogError, match="does not serve get_table"):
                headrace.Table(made.full_name, catalog=catalog)


def test_names_in_any_case(tables: HiveTables) -> None:
    made = tables.make({"id": "bigint"}, {"ds": "string"})
    put(made.partition("1"), {"ID": [1]})
    table = headrace.Table(made.full_name.upper(), catalog=tables.catalog)
    assert table.load("DS = '1' and iD = 1", ["Id"]).num_rows == 1
