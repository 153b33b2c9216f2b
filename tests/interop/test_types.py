"""Every type and every nesting, in each format version, both ways: what one side writes the other reads, types exact.

Spark 3.5 has no time of day and no nanoseconds; those are compared with other readers in tests/table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import headrace
import pyarrow
import pytest

from tests.interop.sides import Sides
from tests.table.compare import rows
from tests.table.test_types import NESTED_ROWS, PRIMITIVES, primitive_table

WITHOUT_SPARK = ("clock",)
NESTED = {
    "id": "long",
    "point": "struct<x: double, inner: struct<name: string>>",
    "numbers": "list<int>",
    "orders": "list<struct<sku: string>>",
    "counts": "map<string, long>",
    "matrix": "list<list<double>>",
    "by_day": "map<date, list<string>>",
    "deep": "map<string, struct<a: list<map<int, decimal(9, 2)>>, b: timestamptz>>",
}
SPARK_TYPES = {
    "flag": "boolean",
    "small": "int",
    "large": "bigint",
    "single": "float",
    "double": "double",
    "money": "decimal(9, 2)",
    "wider": "decimal(18, 4)",
    "widest": "decimal(38, 10)",
    "day": "date",
    "at": "timestamp_ntz",
    "instant": "timestamp",
    "text": "string",
    "blob": "binary",
}


def primitives() -> pyarrow.Table:
    return primitive_table()[1].drop_columns(list(WITHOUT_SPARK))


def nested(sides: Sides, name: str) -> pyarrow.Table:
    """Rows for `NESTED`, in the types that the table `name` has."""
    schema = pyarrow.table(sides.ours(name).load()).schema
    found: list[dict[str, Any]] = [dict(each) for each in NESTED_ROWS]
    found[0]["deep"] = [("k", {"a": [[(1, None)], [], None], "b": None}), ("l", None)]
    return pyarrow.Table.from_pylist(found, schema=schema)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_primitive_types_of_ours(sides: Sides, version: int) -> None:
    name, data = sides.name(), primitives()
    types = {each: str(kind) for each, (kind, _) in PRIMITIVES.items() if each not in WITHOUT_SPARK}
    properties = {"format-version": str(version)}
    headrace.Table.create(name, types, properties=properties, catalog=sides.catalog).append(data)

    assert rows(sides.check(name)) == rows(data)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_nested_types_of_ours(sides: Sides, version: int) -> None:
    name = sides.name()
    table = headrace.Table.create(name, NESTED, properties={"format-version": str(version)}, catalog=sides.catalog)
    data = nested(sides, name)
    table.append(data)

    assert rows(sides.check(name)) == rows(data)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("codec", ["zstd", "snappy", "gzip", "uncompressed"])
def test_primitive_types_of_sparks(sides: Sides, version: int, codec: str) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in SPARK_TYPES.items())
    name = sides.made(columns, version=version, properties={"write.parquet.compression-codec": codec})
    data = primitives().select(list(SPARK_TYPES))
    copy = sides.name()
    headrace.Table.create(copy, data, catalog=sides.catalog).append(data)
    sides.sql(f"insert into {{t}} select * from rest.{copy}", name)

    assert rows(sides.check(name)) == rows(data)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_nested_types_of_sparks(sides: Sides, version: int) -> None:
    source = sides.name()
    ours = headrace.Table.create(source, NESTED, catalog=sides.catalog)
    data = nested(sides, source)
    ours.append(data)
    name = sides.made("like_columns int", version=version)
    sides.sql(f"create or replace table {{t}} using iceberg as select * from rest.{source}", name)

    assert rows(sides.check(name)) == rows(data)


def test_bounds_of_ours_never_hide_a_row(sides: Sides) -> None:
    """Spark prunes files by the bounds that we write: each value is found by its own equality, and no other."""
    name, data = sides.name(), primitives()
    types = {each: str(kind) for each, (kind, _) in PRIMITIVES.items() if each not in WITHOUT_SPARK}
    table = headrace.Table.create(name, types, catalog=sides.catalog)
    table.commit([table.stage(data.slice(at, 1)) for at in range(data.num_rows)])  # a file a row
    for column, literal in LITERALS.items():
        values = data[column].to_pylist()
        for value in set(values) - {None}:
            if isinstance(value, float) and not math.isfinite(value):
                continue
            found = sides.by_spark(name, column, f"{column} = {literal(value)}")
            assert found.num_rows == values.count(value), (column, value)


def _moment(kind: str) -> Callable[[Any], str]:
    return lambda value: f"{kind} '{value:%Y-%m-%d %H:%M:%S.%f}'"


LITERALS: dict[str, Callable[[Any], str]] = {
    "small": lambda value: f"int('{value}')",
    "large": lambda value: f"bigint('{value}')",
    "single": lambda value: f"float('{value}')",
    "double": lambda value: f"double('{value}')",
    "money": lambda value: f"cast('{value:f}' as decimal(9, 2))",
    "widest": lambda value: f"cast('{value:f}' as decimal(38, 10))",
    "day": lambda value: f"date '{value.isoformat()}'",
    "at": _moment("timestamp_ntz"),
    "instant": _moment("timestamp"),
    "text": lambda value: f"decode(X'{value.encode().hex()}', 'UTF-8')",
    "blob": lambda value: f"X'{value.hex()}'",
}
