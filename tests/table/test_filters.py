"""Random filters over random tables in many files, row groups and partitions: exactly the rows that SQL gives.

DuckDB filters the whole table, as PyIceberg reads it; headrace prunes by partition, file and row group first. A seed
names each case.
"""

from __future__ import annotations

import datetime
import random
from decimal import Decimal
from typing import Any

import duckdb
import numpy
import pyarrow
import pytest
from pyiceberg import transforms
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
)

from tests.table.compare import rows
from tests.table.warehouse import Warehouse

SCHEMA = Schema(
    NestedField(1, "id", LongType()),
    NestedField(2, "small", IntegerType()),
    NestedField(3, "ratio", DoubleType()),
    NestedField(4, "single", FloatType()),
    NestedField(5, "money", DecimalType(9, 2)),
    NestedField(6, "name", StringType()),
    NestedField(7, "ds", DateType()),
    NestedField(8, "moment", TimestampType()),
    NestedField(9, "flag", BooleanType()),
    NestedField(10, "point", StructType(NestedField(11, "x", LongType()))),
)
EPOCH = datetime.datetime(2025, 12, 30)
NAMES = ["x", "a", "ab", "a much longer name than a view holds", "b'c", "zz", "späte"]


def cell(name: str, rng: random.Random, at: int) -> Any:
    """A random value; `id` and `moment` grow with the row, so that files and row groups differ in bounds."""
    return {
        "id": lambda: at * 3 + rng.randrange(5),
        "small": lambda: rng.randrange(-5, 6),
        "ratio": lambda: rng.choice([0.0, -0.0, 1.5, -2.25, float("nan"), float("inf"), float("-inf"), at / 8]),
        "single": lambda: rng.choice([0.5, -1.25, float("nan"), at / 4]),
        "money": lambda: Decimal(rng.randrange(-300, 300)).scaleb(-2),
        "name": lambda: rng.choice(NAMES),
        "ds": lambda: (EPOCH + datetime.timedelta(days=at // 40)).date(),
        "moment": lambda: EPOCH + datetime.timedelta(minutes=at * 31, microseconds=rng.randrange(3)),
        "flag": lambda: rng.random() < 0.5,
        "point": lambda: {"x": rng.choice([None, rng.randrange(5)])},
    }[name]()


def literal(name: str, rng: random.Random) -> str:
    """A literal near the data, in text that headrace and DuckDB share."""
    value = cell(name if name != "point.x" else "small", rng, rng.randrange(200))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value) if numpy.isfinite(value) else "2.5"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, datetime.datetime):
        return f"timestamp '{value}'"
    if isinstance(value, datetime.date):
        return f"date '{value}'"
    return str(value)


def condition(rng: random.Random, depth: int) -> str:
    """A random filter of comparisons, sets, ranges, prefixes and null tests under and, or, not."""
    if depth and rng.random() < 0.6:
        if rng.random() < 0.2:
            return f"not ({condition(rng, depth - 1)})"
        return f"({condition(rng, depth - 1)} {rng.choice(['and', 'and', 'or'])} {condition(rng, depth - 1)})"
    name = rng.choice(
        ["id", "id", "small", "ratio", "single", "money", "name", "ds", "ds", "moment", "flag", "point.x"]
    )
    kind = rng.choice(["compare"] * 5 + ["in", "between", "null", "prefix"])
    if kind == "in":
        return (
            f"{name} {rng.choice(['', 'not '])}in ({', '.join(literal(name, rng) for _ in range(rng.randint(1, 6)))})"
        )
    if kind == "between":
        return f"{name} between {literal(name, rng)} and {literal(name, rng)}"
    if kind == "null":
        return f"{name} is {rng.choice(['', 'not '])}null"
    if kind == "prefix":
        return f"name {rng.choice(['', 'not '])}like '{rng.choice(['a', 'ab', 'z', 'q'])}%'"
    return f"{name} {rng.choice(['=', '!=', '<', '<=', '>', '>='])} {literal(name, rng)}"


SPECS = {
    "unpartitioned": PartitionSpec(),
    "by day and bucket": PartitionSpec(
        PartitionField(7, 1000, transforms.DayTransform(), "day"),
        PartitionField(1, 1001, transforms.BucketTransform(3), "bucket"),
    ),
    "by name and truncated id": PartitionSpec(
        PartitionField(6, 1000, transforms.IdentityTransform(), "name"),
        PartitionField(1, 1001, transforms.TruncateTransform(200), "about"),
    ),
    "by prefix and money": PartitionSpec(
        PartitionField(6, 1000, transforms.TruncateTransform(1), "prefix"),
        PartitionField(9, 1001, transforms.IdentityTransform(), "flag"),
    ),
}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("spec", SPECS)
def test_random_filters_keep_exactly_the_rows_of_sql(warehouse: Warehouse, spec: str, version: int) -> None:
    seed = list(SPECS).index(spec) * 10 + version
    rng = random.Random(seed)
    data = pyarrow.Table.from_pylist(
        [{f.name: None if rng.random() < 0.1 else cell(f.name, rng, at) for f in SCHEMA.fields} for at in range(200)],
        schema=SCHEMA.as_arrow(),
    )
    properties = {"write.parquet.row-group-limit": "20", "write.parquet.page-row-limit": "5"}
    table = warehouse.create(SCHEMA, version=version, partition_spec=SPECS[spec], properties=properties)
    for start in range(0, 200, 70):
        table.append(data.slice(start, 70))
    whole = warehouse.check(table)
    assert rows(whole) == rows(data)

    ours, partial, pruned = warehouse.table(table), 0, 0
    with duckdb.connect() as connection:
        connection.register("arrow", table.scan().to_arrow())
        connection.execute("create table whole as from arrow")  # Arrow itself would filter by PyArrow's rules for NaN
        for _ in range(50):
            text = condition(rng, 3)
            columns = rng.choice([None, ["id"], ["name", "money"], ["point", "moment", "flag"]])
            plan = ours.scan(text, columns=columns)
            found = rows(plan.load())
            selected = ", ".join(columns) if columns else "*"
            sql = text.replace("single", "single::double").replace("ratio", "ratio::double")
            expected = rows(connection.sql(f"select {selected} from whole where {sql}").to_arrow_table())
            assert found == expected, f"seed {seed}: {text}"
            partial += 0 < len(found) < 200
            pruned += plan.num_files < ours.scan().num_files
    assert partial > 15, "the filters should tell rows apart"
    assert pruned > 3, "the filters should prune files"


@pytest.mark.parametrize("limit", [0, 1, 69, 70, 71, 199, 1000])
def test_a_limit_gives_the_first_rows_in_the_order_of_the_files(warehouse: Warehouse, limit: int) -> None:
    table = warehouse.create(Schema(NestedField(1, "id", LongType())))
    for start in range(0, 200, 70):
        table.append(pyarrow.table({"id": range(start, min(start + 70, 200))}))
    ours = warehouse.table(table)
    whole = rows(ours.load(), ordered=True)

    assert rows(ours.load(limit=limit), ordered=True) == whole[:limit]
    kept = [each for each in whole if each[0] % 2 == 0 or each[0] > 100]
    even = " or ".join(["id > 100", *(f"id = {each}" for each in range(0, 101, 2))])
    assert rows(ours.load(even, limit=limit), ordered=True) == kept[:limit]


def test_parameters_are_values_and_never_text(warehouse: Warehouse) -> None:
    table = warehouse.written(pyarrow.table({"name": ["x", "' or true or name = '", "y"]}))
    found = warehouse.table(table).load("name = :name", params={"name": "' or true or name = '"})
    assert rows(found) == [("' or true or name = '",)]
