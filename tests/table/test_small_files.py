"""Small files whose rows the table counts: one request each, opened where they are decoded; the same rows as ever."""

from __future__ import annotations

from typing import Any

import numpy
import pyarrow
import pytest

from tests.table.compare import assert_same
from tests.table.warehouse import Warehouse

ROWS = 4000
SMALL_FILES = 12
LARGE_ROWS = 400_000
"""Of random numbers: a file of more than the 4 MiB that come whole."""


def data(rows: int, seed: int) -> pyarrow.Table:
    random = numpy.random.default_rng(seed)
    words = numpy.array(["short", "a word that is too long for a view", "x"])
    return pyarrow.table(
        {
            "id": seed * 1_000_000 + numpy.arange(rows),
            "value": pyarrow.array(random.random(rows), mask=random.random(rows) < 0.2),
            "more": random.random(rows),
            "flag": random.random(rows) < 0.5,
            "word": words[random.integers(0, 3, rows)],
            "text": [None if at % 7 == 0 else f"a text of its own {seed} {at}" for at in range(rows)],
            "place": pyarrow.array([{"x": at, "name": f"x{at}"} for at in range(rows)]),
        }
    )


def set_property(table: Any, name: str, value: str) -> None:
    with table.transaction() as transaction:
        transaction.set_properties({name: value})


def requests(frame: Any) -> int:
    return int(frame.metrics["fetch"]["requests"])


@pytest.fixture(scope="module")
def small(warehouse: Warehouse) -> Any:
    table = warehouse.create(data(2, 0).schema)
    for seed in range(SMALL_FILES):
        table.append(data(ROWS, seed))
    return table


@pytest.mark.parametrize("strings", ["view", "large_string"])
@pytest.mark.parametrize("memory_limit", [None, 64 << 20])
def test_each_comes_in_one_request(warehouse: Warehouse, small: Any, strings: str, memory_limit: int | None) -> None:
    frame = warehouse.table(small).scan().load(strings=strings, memory_limit=memory_limit)
    assert requests(frame) == SMALL_FILES
    assert_same(pyarrow.table(frame), small.scan().to_arrow())


def test_categories_and_shards(warehouse: Warehouse, small: Any) -> None:
    plan = warehouse.table(small).scan()
    frame = plan.load(categories=["word"])
    assert requests(frame) == SMALL_FILES
    assert frame["word"].to_pylist() == plan.load()["word"].to_pylist()
    assert sorted(at for shard in plan.shards(5) for at in shard.load()["id"].to_pylist()) == sorted(
        plan.load()["id"].to_pylist()
    )


def test_some_columns_a_filter_or_a_limit_open_footers_first(warehouse: Warehouse, small: Any) -> None:
    whole = warehouse.table(small).scan().load()
    some = warehouse.table(small).scan(columns=["id", "text"]).load()
    assert some["text"].to_pylist() == whole["text"].to_pylist()
    few = warehouse.table(small).scan("value > 0.9").load()
    assert few.num_rows == sum(value is not None and value > 0.9 for value in whole["value"].to_pylist())
    assert warehouse.table(small).scan(limit=ROWS + 1).load()["id"].to_pylist() == whole["id"].to_pylist()[: ROWS + 1]


def test_large_files_and_files_of_several_row_groups_among_them(warehouse: Warehouse) -> None:
    table = warehouse.create(data(2, 0).schema)
    for seed in range(3):
        table.append(data(ROWS, seed))
        table.append(data(LARGE_ROWS, 10 + seed))
    check(warehouse, table)
    set_property(table, "write.parquet.row-group-limit", "1000")
    table.append(data(ROWS, 20))  # what is counted is right, but there are four row groups
    set_property(table, "write.parquet.row-group-limit", "1000000")
    table.append(data(ROWS, 21))
    check(warehouse, table)


def check(warehouse: Warehouse, table: Any) -> None:
    ours, theirs = pyarrow.table(warehouse.table(table).scan().load()), table.scan().to_arrow()
    assert ours.num_rows == theirs.num_rows
    assert_same(ours, theirs)


def test_row_deletes_among_them(warehouse: Warehouse) -> None:
    table = warehouse.create(data(2, 0).schema, properties={"write.delete.mode": "merge-on-read"})
    for seed in range(3):
        table.append(data(ROWS, seed))
    warehouse.table(table).delete("id >= 1000010 and id < 1000020")
    ids = warehouse.table(table).load()["id"].to_pylist()
    assert len(ids) == 3 * ROWS - 10
    assert not [at for at in ids if 1000010 <= at < 1000020]


def test_lineage_and_places_of_small_files(warehouse: Warehouse, small: Any) -> None:
    names = [*small.schema().as_arrow().names, "_file", "_pos"]
    frame = warehouse.table(small).scan(columns=names).load()
    assert frame["_pos"].to_pylist() == list(range(ROWS)) * SMALL_FILES
    assert len(set(frame["_file"].to_pylist())) == SMALL_FILES


def test_a_file_that_is_gone_is_named(warehouse: Warehouse) -> None:
    table = warehouse.create(data(2, 0).schema)
    for seed in range(3):
        table.append(data(ROWS, seed))
    gone = warehouse.table(table).files()["location"].to_pylist()[1]
    warehouse.server.s3.delete(gone)
    with pytest.raises(FileNotFoundError, match=gone.rsplit("/", 1)[1]):
        warehouse.table(table).load()
