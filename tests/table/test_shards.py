"""Shards: together exactly the plan's rows, of nearly equal weight, cut at row groups, the same every time."""

from __future__ import annotations

import itertools
import pickle
import random
import time
from typing import Any

import numpy
import pyarrow
import pytest
from headrace import _engine
from headrace.errors import InvalidArgument

from tests.table.warehouse import Warehouse

ROW_GROUP_BYTES = 8 << 20
SCHEMA = pyarrow.schema(
    [
        pyarrow.field("location", pyarrow.string(), False),
        *(pyarrow.field(name, pyarrow.int64(), False) for name in ("file_size", "record_count", "start", "length")),
        pyarrow.field("spec_id", pyarrow.int32(), False),
        pyarrow.field("sequence_number", pyarrow.int64(), False),
        pyarrow.field("first_row_id", pyarrow.int64()),
        pyarrow.field("split_offsets", pyarrow.list_(pyarrow.field("item", pyarrow.int64()))),
        pyarrow.field("partition", pyarrow.struct([]), False),
    ],
    metadata={"partition-specs": "[]"},
)


def file_list(sizes: list[int], offsets: list[list[int] | None]) -> Any:
    """A file list of the engine's, a row for ten bytes."""
    count = len(sizes)
    columns: list[Any] = [
        [f"s3://bucket/{at}.parquet" for at in range(count)],
        sizes,
        [size // 10 for size in sizes],
        [0] * count,
        sizes,
        [0] * count,
        [0] * count,
        [None] * count,
        offsets,
        [{}] * count,
    ]
    arrays = [pyarrow.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, SCHEMA) as writer:
        writer.write_batch(pyarrow.RecordBatch.from_arrays(arrays, schema=SCHEMA))
    return _engine.FileList.from_bytes(sink.getvalue().to_pybytes())


def row_groups(size: int) -> list[int]:
    """Where row groups of a file of this size begin, as Parquet has it."""
    return [4, *range(ROW_GROUP_BYTES, size, ROW_GROUP_BYTES)]


def parts(files: Any) -> list[tuple[str, int, int, int]]:
    rows = pyarrow.table(files).select(["location", "start", "length", "record_count"]).to_pylist()
    return [(row["location"], row["start"], row["start"] + row["length"], row["record_count"]) for row in rows]


def check_union(whole: Any, shards: list[Any]) -> None:
    """The shards' parts, end to end, are the whole's files: nothing twice, nothing missing."""
    found = [part for shard in shards for part in parts(shard)]
    expected = parts(whole)
    joined = [(location, list(group)) for location, group in itertools.groupby(found, key=lambda part: part[0])]
    assert [location for location, _ in joined] == [location for location, *_ in expected]
    for (_, pieces), (_, start, end, rows) in zip(joined, expected, strict=True):
        assert pieces[0][1] == start
        assert pieces[-1][2] == end
        assert all(before[2] == after[1] for before, after in itertools.pairwise(pieces))
        assert sum(piece[3] for piece in pieces) == rows


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("by", ["bytes", "rows"])
def test_shards_together_are_the_plan_and_none_is_much_larger_than_the_others(seed: int, by: str) -> None:
    chance = random.Random(seed)
    sizes = [int(chance.lognormvariate(17, 2)) + 1 for _ in range(chance.randrange(1, 60))]
    known = chance.random() < 0.7
    offsets: list[list[int] | None] = [row_groups(size) if known else None for size in sizes]
    whole, count = file_list(sizes, offsets), chance.randrange(1, 40)
    shards = whole.split(count, by)
    assert len(shards) == count
    check_union(whole, shards)
    assert [parts(shard) for shard in whole.split(count, by)] == [parts(shard) for shard in shards]
    mean = sum(sizes) / count
    if mean >= ROW_GROUP_BYTES:
        assert max(shard.total_bytes for shard in shards) <= 2 * mean
        assert min(shard.total_bytes for shard in shards) > 0
    if known:
        for location, start, _, _ in (part for shard in shards for part in parts(shard)):
            at = int(location.removeprefix("s3://bucket/").removesuffix(".parquet"))
            assert start == 0 or start in row_groups(sizes[at]), "cut where a row group begins"


def test_a_shard_is_split_again() -> None:
    whole = file_list([100 << 20, 3 << 20], [row_groups(100 << 20), row_groups(3 << 20)])
    halves = whole.split(2, "bytes")
    quarters = [quarter for half in halves for quarter in half.split(2, "bytes")]
    check_union(whole, quarters)
    assert max(quarter.total_bytes for quarter in quarters) <= 2 * (103 << 20) / 4


def test_files_without_rows_and_lists_without_files() -> None:
    assert [len(shard) for shard in file_list([], []).split(3, "rows")] == [0, 0, 0]
    whole = file_list([5, 5, 5, 5], [None] * 4)  # no row each
    shards = whole.split(2, "rows")
    check_union(whole, shards)
    assert [len(shard) for shard in shards] == [2, 2]


def test_a_million_files_are_split_in_seconds() -> None:
    whole = file_list([1 << 20] * 1_000_000, [None] * 1_000_000)
    started = time.monotonic()
    shards = whole.split(1000, "bytes")
    assert time.monotonic() - started < 10
    assert {len(shard) for shard in shards} == {1000}


@pytest.fixture(scope="module")
def large(warehouse: Warehouse) -> tuple[Any, pyarrow.Table]:
    """Two files, of 10 and 2 row groups."""
    random = numpy.random.default_rng(1)
    data = pyarrow.table({"id": numpy.arange(120_000), "value": random.random(120_000)})
    table = warehouse.create(data.schema, properties={"write.parquet.row-group-limit": "10000"})
    table.append(data.slice(0, 100_000))
    table.append(data.slice(100_000))
    return table, data


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 12, 30])
def test_n_shards_are_exactly_the_table(
    warehouse: Warehouse, large: tuple[Any, pyarrow.Table], n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, data = large
    for name in ("credential", "s3.access-key-id", "s3.secret-access-key"):  # what no pickle takes along
        variable = f"HEADRACE_CATALOG__SEAWEED__{name.replace('.', '__').replace('-', '_')}".upper()
        monkeypatch.setenv(variable, warehouse.server.catalog_properties[name])
    plan = warehouse.table(table).scan()
    shards = [pickle.loads(pickle.dumps(shard)) for shard in plan.shards(n)]
    assert [(shard.index, shard.count) for shard in shards] == [(at, n) for at in range(n)]
    assert sum(shard.rows for shard in shards) == plan.rows
    loaded = [pyarrow.table(shard.load()) for shard in shards]
    assert pyarrow.concat_tables(loaded).sort_by("id").equals(data)
    assert pyarrow.concat_tables(loaded).equals(pyarrow.table(plan.load())), "in the plan's order"
    again = [pyarrow.table(shard.load()) for shard in plan.shards(n)]
    assert all(one.equals(other) for one, other in zip(loaded, again, strict=True))
    largest = max(each.num_rows for each in loaded)
    assert largest <= max(2 * data.num_rows / n, 10_000)
    if n == 12:
        assert {each.num_rows for each in loaded} == {10_000}, "a row group each"


def test_shards_of_a_target_size(warehouse: Warehouse, large: tuple[Any, pyarrow.Table]) -> None:
    table, data = large
    plan = warehouse.table(table).scan()
    assert [len(shard.load()) for shard in plan.shards(target_size=40_000, by="rows")] == [40_000] * 3
    by_bytes = plan.shards(target_size=plan.bytes // 4)
    assert len(by_bytes) in (4, 5)
    assert sum(len(shard.load()) for shard in by_bytes) == data.num_rows


def test_shards_of_a_filter(warehouse: Warehouse, large: tuple[Any, pyarrow.Table]) -> None:
    table, _ = large
    plan = warehouse.table(table).scan("id >= 55000 and id < 105500")
    rows = [row for shard in plan.shards(5) for row in pyarrow.table(shard.load(["id"]))["id"].to_pylist()]
    assert sorted(rows) == list(range(55_000, 105_500))


def test_shards_that_cannot_be(warehouse: Warehouse, large: tuple[Any, pyarrow.Table]) -> None:
    plan = warehouse.table(large[0]).scan()
    with pytest.raises(InvalidArgument, match="either n or target_size"):
        plan.shards()
    with pytest.raises(InvalidArgument, match="either n or target_size"):
        plan.shards(2, target_size=3)
    with pytest.raises(InvalidArgument, match="positive"):
        plan.shards(0)
    with pytest.raises(InvalidArgument, match='"bytes" or "rows"'):
        plan.shards(2, by="files")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="limit"):
        plan.with_limit(3).shards(2)
