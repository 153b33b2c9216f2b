"""Answers of the store lost, late, cut or given twice, on every kind of request of a commit: the rows are there once."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator

import headrace
import numpy
import pyarrow
import pytest
from headrace.catalog import Catalog
from headrace.errors import HeadraceError

from tests import soak
from tests.commit import readers
from tests.commit.conftest import make, rows
from tests.commit.lossy import FAULTS, LossyProxy
from tests.commit.reachable import stray
from tests.commit.readers import check
from tests.servers import duck
from tests.table.compare import rows as values
from tests.table.warehouse import Warehouse
from tests.writing.proxy import Cut, Delay, Fault, Lose, Proxy, Refuse, Twice

PATIENCE_S = 1.0
"""The client's: a `Delay` beyond it is a lost answer that takes effect while the client tries again."""
LOST: dict[str, Fault] = {
    "lost before": Lose(False),
    "lost after": Lose(True),
    "late": Delay(0.3),
    "too late": Delay(1.5 * PATIENCE_S),
    "twice": Twice(),
    "500": Refuse(500, "InternalError"),
    "503": Refuse(503, "SlowDown"),
}
WRITES: dict[str, Callable[[str, str], bool]] = {
    "data": lambda how, path: how == "PUT" and ".parquet" in path and "partNumber" not in path,
    "manifest": lambda how, path: how == "PUT" and ".avro" in path and "/snap-" not in path,
    "manifest list": lambda how, path: how == "PUT" and "/snap-" in path,
}
PARTS: dict[str, Callable[[str, str], bool]] = {
    "begin": lambda how, path: how == "POST" and "uploads" in path,
    "part": lambda how, path: how == "PUT" and "partNumber" in path,
    "end": lambda how, path: how == "POST" and "uploadId" in path,
}
READS: dict[str, Callable[[str, str], bool]] = {
    "data": lambda how, path: how == "GET" and ".parquet" in path,
    "manifest": lambda how, path: how == "GET" and ".avro" in path and "/snap-" not in path,
    "manifest list": lambda how, path: how == "GET" and "/snap-" in path,
}


@pytest.fixture
def store(warehouse: Warehouse) -> Iterator[Proxy]:
    with Proxy(warehouse.server.endpoint) as proxy:
        yield proxy


def through(warehouse: Warehouse, store: Proxy, **more: str) -> Catalog:
    patience = {"s3.endpoint": store.endpoint, "s3.request-timeout": str(PATIENCE_S)}
    return headrace.load_catalog("lossy", **{**warehouse.server.catalog_properties, **patience, **more})


def once(fault: Fault, asked: Callable[[str, str], bool], hit: list[str]) -> Callable[[str, str], Fault | None]:
    """The fault for the first such request."""

    def rule(method: str, path: str) -> Fault | None:
        if hit or not asked(method, path):
            return None
        hit.append(path)
        return fault

    return rule


@pytest.mark.parametrize("fault", LOST)
def test_one_lost_answer_to_a_write(warehouse: Warehouse, store: Proxy, name: str, fault: str) -> None:
    plain = make(warehouse.ours, name, partition_by="ds")
    plain.append(pyarrow.concat_tables([rows(0, 2, "a"), rows(2, 2, "b")]))
    table = headrace.Table(name, catalog=through(warehouse, store))
    for asked in WRITES.values():
        for act in (
            lambda: table.append(rows(4, 2, "b")),
            lambda: table.delete("id = 1 or id = 4"),
            lambda: table.overwrite_partitions(rows(6, 2, "a")),
            lambda: table.upsert(rows(5, 2, "c"), on=["id"]),
            lambda: table.overwrite(pyarrow.concat_tables([rows(0, 2, "a"), rows(2, 2, "b")])),
        ):
            hit: list[str] = []
            store.rule = once(LOST[fault], asked, hit)
            before = len(table.metadata.snapshots)
            act()
            assert hit, "no such request"
            assert len(table.metadata.snapshots) == before + 1
        found = sorted(pyarrow.table(plain.refresh().load())["id"].to_pylist())
        assert found == [0, 1, 2, 3]
    assert values(check(plain)) == values(pyarrow.concat_tables([rows(0, 2, "a"), rows(2, 2, "b")]))
    assert stray(plain) == set()


@pytest.mark.parametrize("fault", [*LOST, "cut"])
def test_one_lost_answer_to_a_read(warehouse: Warehouse, store: Proxy, name: str, fault: str) -> None:
    plain = make(warehouse.ours, name, partition_by="ds")
    table = headrace.Table(name, catalog=through(warehouse, store))
    for first in (0, 10, 20):
        table.append(rows(first, 10))
    for number, kind in enumerate(READS):
        hit: list[str] = []
        store.rule = once(Cut() if fault == "cut" else LOST[fault], READS[kind], hit)
        table.delete(f"id = {number * 10 + 1}")
        assert hit, "no such request"
    left = [each for each in range(30) if each not in (1, 11, 21)]
    assert sorted(check(plain)["id"].to_pylist()) == left
    assert stray(plain) == set()


@pytest.mark.parametrize("fault", LOST)
def test_one_lost_answer_of_an_upload_in_parts(warehouse: Warehouse, store: Proxy, name: str, fault: str) -> None:
    count = 2_400_000  # two parts of what does not compress
    found = numpy.random.default_rng(1).integers(0, 2**62, count)
    plain = headrace.Table.create(name, {"v": "long"}, catalog=warehouse.ours)
    table = headrace.Table(name, catalog=through(warehouse, store))
    for asked in PARTS.values():
        hit: list[str] = []
        store.rule = once(LOST[fault], asked, hit)
        table.append(pyarrow.table({"v": found}))
        assert hit, "no such request"
    location = plain.refresh()._access.loaded().metadata_location
    with duck.connect(readers.server) as connection:
        read = connection.sql(f"select count(*), sum(v)::hugeint from iceberg_scan('{location}')").fetchall()
    assert read == [(len(PARTS) * count, len(PARTS) * int(found.astype(object).sum()))]
    assert stray(plain) == set()


def test_files_of_a_write_that_fails_are_gone(warehouse: Warehouse, store: Proxy, name: str) -> None:
    plain = make(warehouse.ours, name, partition_by="ds")
    plain.append(pyarrow.concat_tables([rows(0, 2, "a"), rows(2, 2, "b")]))
    table = headrace.Table(name, catalog=through(warehouse, store, **{"s3.retry.num-retries": "1"}))
    for asked, fault in itertools.product(WRITES.values(), (Lose(True), Refuse(403, "AccessDenied"))):
        store.rule = lambda how, path, asked=asked, fault=fault: fault if asked(how, path) else None
        for act in (
            lambda: table.append(rows(4, 2, "b")),
            lambda: table.delete("id = 1 or id = 2"),
            lambda: table.upsert(rows(1, 2, "c"), on=["id"]),
        ):
            with pytest.raises(HeadraceError):
                act()
            assert stray(plain) == set()
    assert values(check(plain)) == values(pyarrow.concat_tables([rows(0, 2, "a"), rows(2, 2, "b")]))


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_whatever_is_lost_rows_are_there_once(warehouse: Warehouse, store: Proxy, name: str) -> None:
    """The store and the catalog lose answers at random; an error is a typed one, and the commit is whole or nothing."""
    tally: Counter[str] = Counter()
    with LossyProxy(warehouse.server.rest_uri) as catalog:
        for number, seed in enumerate(soak.seeds(otherwise_s=20)):
            chance = random.Random(seed)
            plain = make(warehouse.ours, f"{name}x{number}", partition_by="ds")
            opened = through(warehouse, store, uri=catalog.uri, **{"s3.retry.num-retries": "3"})
            table = headrace.Table(f"{name}x{number}", catalog=opened)
            held: dict[int, str] = {}
            for step in range(12):
                store.rule = lambda how, path, chance=chance: (
                    chance.choice([*LOST.values()]) if chance.random() < 0.15 else None
                )
                catalog.faults = chance.choices(FAULTS, k=chance.randrange(3))
                table = table.refresh()
                wanted, act = operation(table, held, chance, step * 10)
                began = time.monotonic()
                try:
                    act()
                    tally["commits"] += 1
                    acknowledged = True
                except HeadraceError as error:
                    tally[type(error).__name__] += 1
                    acknowledged = False
                assert time.monotonic() - began < 120, "it hangs"
                store.rule = lambda how, path: None
                catalog.faults = []
                found = state(plain)
                assert found == wanted or (not acknowledged and found == held), f"{held} -> {wanted}: {found}"
                held = found
            check(plain)
            stray(plain)  # nothing that is reached is gone; what an unknown outcome left may lie there
            tally["tables"] += 1
            print(dict(tally), flush=True)
    assert tally["commits"]


def operation(
    table: headrace.Table, held: dict[int, str], chance: random.Random, first: int
) -> tuple[dict[int, str], Callable[[], object]]:
    """A random write, and what the table holds after it."""
    new = dict.fromkeys(range(first, first + 3), chance.choice("ab"))
    ds = new[first]
    kind = chance.choice(["append", "append", "overwrite_partitions", "delete"])
    if kind == "append":
        return held | new, lambda: table.append(rows(first, 3, ds))
    if kind == "overwrite_partitions":
        stay = {key: value for key, value in held.items() if value != ds}
        return stay | new, lambda: table.overwrite_partitions(rows(first, 3, ds))
    gone = chance.randrange(first + 1)
    return {key: value for key, value in held.items() if key != gone}, lambda: table.delete(f"id = {gone}")


def state(table: headrace.Table) -> dict[int, str]:
    """What the table holds, read without faults; no row twice."""
    found = pyarrow.table(table.refresh().load())
    ids = found["id"].to_pylist()
    assert len(set(ids)) == len(ids), "doubled rows"
    return dict(zip(ids, found["ds"].to_pylist(), strict=True))
