"""Answers that a Hive Metastore's clients lost: the rows are there exactly once, with locks and without."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import headrace
import pyarrow
import pytest
from headrace.catalog import Catalog
from headrace.catalog.hive import HiveCatalog
from headrace.errors import MetaflowTableCommitStateUnknownException, MetaflowTableConflict, UnreachableError

from tests.commit.conftest import hive, make, rows
from tests.commit.lossy_thrift import ALTER, FAULTS, LossyThrift
from tests.commit.readers import check
from tests.servers.hive_metastore import HiveMetastore
from tests.table.compare import rows as values

LOCK_FREE = {"engine.hive.lock-enabled": "false"}


@pytest.fixture(params=["buffered", "framed"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def proxy(any_metastore: HiveMetastore, transport: str) -> Iterator[LossyThrift]:
    with LossyThrift(any_metastore.port, framed=transport == "framed") as proxy:
        yield proxy


@pytest.fixture
def plain(any_metastore: HiveMetastore, tmp_path: Path) -> Catalog:
    """The metastore without the proxy."""
    return hive(any_metastore.uri, tmp_path)


def through(proxy: LossyThrift, transport: str, uri: str | None = None) -> Catalog:
    options = {"hive.thrift.transport": transport, "hive.lock-heartbeat-interval-ms": "2000"}
    return headrace.load_catalog("lossy", uri=uri or proxy.uri, **options)


@pytest.mark.parametrize("locks", [True, False], ids=["locks", "lock-free"])
@pytest.mark.parametrize("fault", FAULTS)
def test_one_lost_answer(
    plain: Catalog, proxy: LossyThrift, transport: str, name: str, fault: str, locks: bool
) -> None:
    made = make(plain, name, partition_by="ds", **({} if locks else LOCK_FREE))
    made.append(pyarrow.concat_tables([rows(0, 2, "a"), rows(2, 2, "b")]))
    table = headrace.Table(name, catalog=through(proxy, transport))
    proxy.faults = [(ALTER, fault)]
    done = table.overwrite_partitions(rows(4, 2, "b"))
    assert proxy.faults == []
    assert done.snapshot_id == table.snapshot.snapshot_id
    assert len(table.refresh().metadata.snapshots) == 2
    assert values(check(made)) == values(pyarrow.concat_tables([rows(0, 2, "a"), rows(4, 2, "b")]))
    assert ("lock" in proxy.calls) == locks


@pytest.mark.parametrize("method", ["lock", "check_lock", "unlock", "get_table_req"])
@pytest.mark.parametrize("fault", ["drop before", "drop after"])
def test_lost_answers_around_a_commit(
    plain: Catalog, proxy: LossyThrift, transport: str, name: str, fault: str, method: str
) -> None:
    make(plain, name)
    table = headrace.Table(name, catalog=through(proxy, transport))
    proxy.faults = [(method, fault)]
    table.append(rows(0, 3))
    table.append(rows(3, 3))  # no lock was left behind
    assert values(check(table)) == values(rows(0, 6))


def test_a_metastore_that_never_answers_leaves_every_file(
    plain: Catalog, proxy: LossyThrift, transport: str, name: str
) -> None:
    quick = make(plain, name, **{"commit.retry.num-retries": "1", "commit.retry.min-wait-ms": "1"})
    table = headrace.Table(name, catalog=through(proxy, transport))
    staged = table.stage(rows(0, 3))
    proxy.faults = [(ALTER, "drop before")] * 2
    with pytest.raises(MetaflowTableCommitStateUnknownException, match="not known"):
        table.commit(staged)
    assert quick.refresh().snapshot is None
    assert table.commit(staged).snapshot_id is not None
    assert quick.commit(staged).snapshot_id == table.snapshot.snapshot_id
    assert values(check(quick)) == values(rows(0, 3))


def test_another_metastore_takes_over(plain: Catalog, proxy: LossyThrift, transport: str, name: str) -> None:
    make(plain, name).append(rows(0, 3))
    if transport == "buffered":
        table = headrace.Table(name, catalog=through(proxy, transport, f"thrift://127.0.0.1:9, {proxy.uri}"))
        assert table.load().num_rows == 3
    gone = LossyThrift(1)  # accepts, and reaches nothing
    with gone:
        catalog = through(proxy, transport, f"{gone.uri},{proxy.uri}")
        assert headrace.Table(name, catalog=catalog).load().num_rows == 3
        with pytest.raises(UnreachableError, match="breaks them"):
            headrace.Table(name, catalog=through(proxy, transport, gone.uri))
    with pytest.raises(UnreachableError, match=r"thrift://127\.0\.0\.1:9: "):
        headrace.Table(name, catalog=through(proxy, transport, "thrift://127.0.0.1:9"))


def test_a_table_that_lost_its_lock_is_not_altered(
    plain: Catalog, name: str, monkeypatch: pytest.MonkeyPatch, metastores: Callable[[str], HiveMetastore]
) -> None:
    from headrace.catalog.hive_lock import HiveLock

    table = make(plain, name, **{"commit.retry.num-retries": "0"})
    entered = HiveLock.__enter__

    def enter(lock: HiveLock) -> HiveLock:
        entered(lock)
        lock._metastore.unlock(lock._id or 0)  # as the metastore does when no heartbeat comes
        lock._done.wait(3)  # a heartbeat is sent every 2 s
        return lock

    monkeypatch.setattr(HiveLock, "__enter__", enter)
    with pytest.raises(MetaflowTableConflict, match="let go of the lock"):
        table.append(rows(0, 3))
    monkeypatch.undo()
    assert table.refresh().snapshot is None
    table.append(rows(0, 3))
    assert values(check(table)) == values(rows(0, 3))


@pytest.mark.parametrize("locks", [True, False], ids=["locks", "lock-free"])
def test_ctrl_c_while_the_metastore_alters(
    plain: Catalog, name: str, locks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alter that Ctrl-C left under way takes effect later: nobody else's commit may come in between."""
    made = make(plain, name, **({} if locks else LOCK_FREE))
    made.append(rows(0, 2))
    assert isinstance(plain, HiveCatalog)
    real = plain.metastore.alter_table
    late: list[threading.Thread] = []

    def interrupted(*request: Any) -> None:
        def send() -> None:
            time.sleep(0.4)
            with contextlib.suppress(Exception):
                real(*request)

        late.append(threading.Thread(target=send))
        late[0].start()
        raise KeyboardInterrupt

    monkeypatch.setattr(plain.metastore, "alter_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        headrace.Table(name, catalog=plain).append(rows(2, 2))
    monkeypatch.undo()
    made.append(rows(4, 2))
    late[0].join()
    assert values(check(made)) == values(rows(0, 6))


def test_ctrl_c_while_the_metastore_locks(plain: Catalog, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(plain, name)
    assert isinstance(plain, HiveCatalog)
    real = plain.metastore.lock

    def interrupted(request: Any, timeout_s: float) -> None:
        real(request)  # granted, and nobody is told its id
        raise KeyboardInterrupt

    monkeypatch.setattr(plain.metastore, "lock", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made.append(rows(0, 2))
    monkeypatch.undo()
    assert plain.metastore.show_locks(*name.split(".")) == []
    made.append(rows(0, 2))
    assert values(check(made)) == values(rows(0, 2))
