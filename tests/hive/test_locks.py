"""The metastore's lock: waited for in bounds, kept alive, and an error that says who has it."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import headrace
import pytest
from headrace.catalog.hive import HiveCatalog
from headrace.catalog.hive_lock import HiveLock, LockTimes
from headrace.errors import CatalogError, ConfigurationError, MetaflowTableConflict, TableLocked, UnreachableError

from tests.commit.conftest import hive, make, rows
from tests.commit.lossy_thrift import LossyThrift
from tests.servers.hive_metastore import HiveMetastore


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """For answers while a lock is given back: else 10 s."""
    monkeypatch.setattr("headrace.catalog.hive_lock._CLEANING_S", 2.0)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"db.locks{abs(hash(request.node.nodeid)) % 10**9}"


@pytest.fixture
def table(any_metastore: HiveMetastore, tmp_path: Path, name: str) -> headrace.Table:
    return make(hive(any_metastore.uri, tmp_path), name)


def asked(table: headrace.Table, agent: str | None = "spark-7") -> int:
    """A lock that somebody else asks for; its id."""
    metastore = metastore_of(table)
    types, (database, name) = metastore.types, table._access.name.split(".")
    component = types.LockComponent(
        type=types.LockType.EXCLUSIVE, level=types.LockLevel.TABLE, dbname=database, tablename=name
    )
    request = types.LockRequest(component=[component], user="ann", hostname="host-9", agentInfo=agent)
    return int(metastore.lock(request).lockid)


def metastore_of(table: headrace.Table) -> Any:
    catalog = table._access.catalog
    assert isinstance(catalog, HiveCatalog)
    return catalog.metastore


def impatient(uri: str, name: str, **more: str) -> headrace.Table:
    options = {"hive.lock-timeout-ms": "1000", "hive.lock-check-max-wait-ms": "100"} | more
    return headrace.Table(name, catalog=headrace.load_catalog("hms", uri=uri, **options))


def test_who_holds_the_lock_is_told(table: headrace.Table, any_metastore: HiveMetastore) -> None:
    held, waiting = asked(table), asked(table, "flink")
    started = time.monotonic()
    with pytest.raises(TableLocked) as locked:  # and not tried again: it was waited for as long as was asked
        impatient(any_metastore.uri, table._access.name).append(rows(0, 2))
    assert 1 <= time.monotonic() - started < 10
    told = str(locked.value)
    assert (
        f"did not grant a lock on the table in 1 s: before it comes lock {held} of ann@host-9 (spark-7, held," in told
    )
    assert f"lock {waiting} of ann@host-9 (flink, waiting, last heard of " in told
    assert "hive.txn.timeout" in told
    assert "hive.lock-timeout-ms" in told
    assert locked.value.table == table._access.name
    assert isinstance(locked.value, MetaflowTableConflict)
    assert len(metastore_of(table).show_locks(*table._access.name.split("."))) == 2  # ours was given back
    with pytest.raises(TableLocked):
        impatient(any_metastore.uri, table._access.name).set_properties({"a": "b"})
    for each in (held, waiting):
        metastore_of(table).unlock(each)
    impatient(any_metastore.uri, table._access.name).append(rows(0, 2))
    assert table.refresh().load().num_rows == 2


@pytest.mark.parametrize("method", ["lock", "check_lock", "unlock", "show_locks"])
def test_a_metastore_that_does_not_answer(table: headrace.Table, any_metastore: HiveMetastore, method: str) -> None:
    """As one does whose own database hangs: nothing waits for longer than was asked, and nothing is half done."""
    held = asked(table) if method != "unlock" else None
    with LossyThrift(any_metastore.port) as proxy:
        other = impatient(proxy.uri, table._access.name)
        proxy.faults = [(method, "never")]
        started = time.monotonic()
        if method == "unlock":
            other.append(rows(0, 2))
        else:
            with pytest.raises((CatalogError, UnreachableError, TableLocked), match=r"lock"):
                other.append(rows(0, 2))
        assert time.monotonic() - started < 12
        assert proxy.faults == []
    if held is not None:
        metastore_of(table).unlock(held)
    for each in metastore_of(table).show_locks(*table._access.name.split(".")):  # else it ends when nobody is heard of
        metastore_of(table).unlock(each.lockid)
    table.refresh().append(rows(2, 2))
    assert table.refresh().load().num_rows == (4 if method == "unlock" else 2)


def test_a_heartbeat_that_is_not_answered_ends_with_the_commit(table: headrace.Table) -> None:
    database, name = table._access.name.split(".")
    with LossyThrift(int(metastore_of(table)._connections.addresses[0].port)) as proxy:
        catalog = headrace.load_catalog("hms", uri=proxy.uri)
        assert isinstance(catalog, HiveCatalog)
        proxy.faults = [("heartbeat", "never")]
        started = time.monotonic()
        with HiveLock(catalog.metastore, database, name, LockTimes(heartbeat_s=0.1)) as lock:
            while proxy.faults:
                time.sleep(0.05)
            lock.ensure_held()
        assert time.monotonic() - started < 8


@pytest.fixture
def impatient_table(impatient_metastore: HiveMetastore, tmp_path: Path, name: str) -> headrace.Table:
    return make(hive(impatient_metastore.uri, tmp_path), name)


def test_heartbeats_keep_a_lock(impatient_table: headrace.Table) -> None:
    metastore, names = metastore_of(impatient_table), impatient_table._access.name.split(".")
    with HiveLock(metastore, *names, LockTimes(heartbeat_s=0.5)) as lock:
        time.sleep(4.5)  # it lets go after 3 s of silence
        lock.ensure_held()
        assert [each.state for each in metastore.show_locks(*names)] == [metastore.types.LockState.ACQUIRED]
    with HiveLock(metastore, *names, LockTimes(heartbeat_s=4.0)) as lock:
        time.sleep(4.5)
        with pytest.raises(MetaflowTableConflict, match="let go of the lock"):
            lock.ensure_held()


def test_a_dead_writers_lock_is_waited_out(impatient_table: headrace.Table) -> None:
    asked(impatient_table)
    asked(impatient_table)  # and one that died while it waited
    impatient_table.append(rows(0, 2))
    assert impatient_table.refresh().load().num_rows == 2


def test_waiting_keeps_a_lock_alive(impatient_table: headrace.Table) -> None:
    metastore, names = metastore_of(impatient_table), impatient_table._access.name.split(".")
    order: list[int] = []

    def wait(number: int) -> None:
        with HiveLock(metastore, *names, LockTimes(timeout_s=30)):
            order.append(number)

    with HiveLock(metastore, *names, LockTimes(heartbeat_s=0.5)):
        waiting = threading.Thread(target=wait, args=(1,))
        waiting.start()
        time.sleep(4.5)
        assert len(metastore.show_locks(*names)) == 2
        assert order == []
    waiting.join(20)
    assert order == [1]


def test_properties() -> None:
    assert LockTimes.of({}) == LockTimes(600.0, 0.02, 1.0, 60.0)
    given = {"hive.lock-timeout-ms": "1500", "hive.lock-check-min-wait-ms": "5", "hive.lock-check-max-wait-ms": "50"}
    given |= {"iceberg.hive.lock-heartbeat-interval-ms": "2000", "iceberg.hive.lock-timeout-ms": "7"}
    assert LockTimes.of(given) == LockTimes(1.5, 0.005, 0.05, 2.0)
    for wrong in ("0", "-1", "soon"):
        with pytest.raises(ConfigurationError, match=r"hive\.lock-timeout-ms"):
            LockTimes.of({"hive.lock-timeout-ms": wrong})
