"""`estimate()` against what a load takes: within 15 % on tables of five kinds, in both layouts of strings."""

from __future__ import annotations

from typing import Any

import numpy
import pyarrow
import pytest

from tests.servers import tpch
from tests.table.warehouse import Warehouse

ROWS = 200_000


def wide_floats() -> pyarrow.Table:
    random = numpy.random.default_rng(2)
    masks = [random.random(ROWS) < 0.1 if at % 2 else None for at in range(40)]
    return pyarrow.table({f"c{at}": pyarrow.array(random.random(ROWS), mask=mask) for at, mask in enumerate(masks)})


def strings() -> pyarrow.Table:
    random = numpy.random.default_rng(3)
    words = numpy.array([f"word number {at} of a vocabulary" for at in range(5000)])
    return pyarrow.table(
        {
            "unique": [f"a text of its own {at:x}" * (1 + at % 3) for at in random.integers(0, 1 << 60, ROWS).tolist()],
            "word": words[random.integers(0, 5000, ROWS)],
            "code": numpy.array(["AB", "CDE", "F"])[random.integers(0, 3, ROWS)],
            "holes": [None if at % 5 == 0 else f"some are null {at}" for at in range(ROWS)],
        }
    )


def lists() -> pyarrow.Table:
    random = numpy.random.default_rng(4)
    lengths = random.integers(0, 40, ROWS)
    offsets = pyarrow.array(numpy.concatenate([[0], numpy.cumsum(lengths)]), pyarrow.int32())
    values = pyarrow.array(random.random(int(lengths.sum()), dtype=numpy.float32))
    texts = pyarrow.array([f"tag {at}" for at in range(2 * ROWS)])
    tags = pyarrow.ListArray.from_arrays(pyarrow.array(numpy.arange(0, 2 * ROWS + 1, 2), pyarrow.int32()), texts)
    return pyarrow.table(
        {"id": numpy.arange(ROWS), "vector": pyarrow.ListArray.from_arrays(offsets, values), "tags": tags}
    )


def mixed() -> pyarrow.Table:
    random = numpy.random.default_rng(5)
    number = pyarrow.array(random.integers(0, 1 << 40, ROWS))
    maybe = pyarrow.array(random.random(ROWS) < 0.5, mask=random.random(ROWS) < 0.3)
    return pyarrow.table(
        {
            "price": number.cast(pyarrow.decimal128(20, 0)),
            "at": number.cast(pyarrow.timestamp("us")),
            "day": pyarrow.array(random.integers(0, 20_000, ROWS), pyarrow.int32()).cast(pyarrow.date32()),
            "flag": random.random(ROWS) < 0.5,
            "maybe": maybe,
            "place": pyarrow.array([{"x": at, "y": at / 2} for at in range(ROWS)]),
        }
    )


@pytest.fixture(scope="module")
def tables(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    made = {name: warehouse.written(make()) for name, make in MAKERS.items()}
    files = tpch.generate(tmp_path_factory.mktemp("tpch"), "lineitem", scale=0.1)
    tpch.append(warehouse.theirs, "db.estimated_lineitem", files)
    return made | {"lineitem": warehouse.theirs.load_table("db.estimated_lineitem")}


MAKERS = {"wide floats": wide_floats, "strings": strings, "lists": lists, "mixed": mixed}


@pytest.mark.parametrize("layout", ["view", "large_string"])
@pytest.mark.parametrize("name", [*MAKERS, "lineitem"])
def test_an_estimate_is_within_15_percent(warehouse: Warehouse, tables: dict[str, Any], name: str, layout: str) -> None:
    plan = warehouse.table(tables[name]).scan()
    size = plan.load(strings=layout).size
    assert plan.estimate(strings=layout) == pytest.approx(size, rel=0.15)
    first = plan.schema.fields[0].name
    assert plan.estimate([first], strings=layout) == pytest.approx(plan.load([first], strings=layout).size, rel=0.15)


def test_an_estimate_of_shards_adds_up(warehouse: Warehouse, tables: dict[str, Any]) -> None:
    plan = warehouse.table(tables["lineitem"]).scan()
    shards = plan.shards(3)
    assert sum(shard.estimate() for shard in shards) == pytest.approx(plan.estimate(), rel=0.01)
    for shard in shards:
        assert shard.estimate() == pytest.approx(shard.load().size, rel=0.15)


def test_an_estimate_of_many_files_reads_few(warehouse: Warehouse) -> None:
    data = pyarrow.table({"id": numpy.arange(1000), "name": [f"a name longer than a view {at}" for at in range(1000)]})
    table = warehouse.create(data.schema)
    for _ in range(20):
        table.append(data)
    plan = warehouse.table(table).scan()
    assert plan.num_files == 20
    assert plan.estimate() == pytest.approx(plan.load().size, rel=0.15)


def test_an_estimate_of_a_filter_is_an_upper_bound_and_of_a_limit_its_share(
    warehouse: Warehouse, tables: dict[str, Any]
) -> None:
    table = warehouse.table(tables["mixed"])
    filtered = table.scan("day < '1980-01-01'")
    assert filtered.estimate() >= filtered.load().size
    assert table.scan(limit=1000).estimate() == pytest.approx(table.load(limit=1000).size, rel=0.15)


def test_an_estimate_of_nothing(warehouse: Warehouse) -> None:
    assert warehouse.table(warehouse.create(pyarrow.schema({"id": pyarrow.int64()}))).scan().estimate() == 0
