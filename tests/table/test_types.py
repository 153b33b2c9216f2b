"""Every Iceberg type, with nulls and edges, in format v1 and v2: headrace, PyIceberg and DuckDB agree."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from typing import Any

import pyarrow
import pytest
from pyiceberg import types
from pyiceberg.schema import Schema

from tests.table.compare import rows
from tests.table.warehouse import Warehouse

UTC = datetime.UTC
INSTANT = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901)
PRIMITIVES: dict[str, tuple[types.IcebergType, list[Any]]] = {
    "flag": (types.BooleanType(), [True, False]),
    "small": (types.IntegerType(), [-(2**31), 2**31 - 1]),
    "large": (types.LongType(), [-(2**63), 2**63 - 1]),
    "single": (types.FloatType(), [1.5, math.nan, math.inf, -math.inf, -0.0]),
    "double": (types.DoubleType(), [1.1, math.nan, -math.inf, 5e-324]),
    "money": (types.DecimalType(9, 2), [decimal.Decimal("-9999999.99"), decimal.Decimal("0.01")]),
    "wider": (types.DecimalType(18, 4), [decimal.Decimal("-99999999999999.9999")]),
    "widest": (types.DecimalType(38, 10), [decimal.Decimal("9" * 28 + "." + "9" * 10), decimal.Decimal("-1E-10")]),
    "day": (types.DateType(), [datetime.date(1, 1, 1), datetime.date(9999, 12, 31), datetime.date(1969, 12, 31)]),
    "clock": (types.TimeType(), [datetime.time(0), datetime.time(23, 59, 59, 999999)]),
    "at": (types.TimestampType(), [INSTANT, datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)]),
    "instant": (types.TimestamptzType(), [INSTANT.replace(tzinfo=UTC)]),
    "text": (types.StringType(), ["", "a", "exactly 12 b", "more than 12 bytes", "späte Gäste \N{SNOWMAN}", "\0"]),
    "key": (types.UUIDType(), [uuid.UUID(int=1).bytes, uuid.UUID(int=2**128 - 1).bytes]),
    "fixed": (types.FixedType(5), [b"12345", b"\0\0\0\0\0"]),
    "blob": (types.BinaryType(), [b"", b"\xff\x00", bytes(range(256))]),
}
NESTED = Schema(
    types.NestedField(1, "id", types.LongType(), required=True),
    types.NestedField(
        2,
        "point",
        types.StructType(
            types.NestedField(3, "x", types.DoubleType()),
            types.NestedField(
                4, "inner", types.StructType(types.NestedField(5, "name", types.StringType(), required=True))
            ),
        ),
    ),
    types.NestedField(6, "numbers", types.ListType(7, types.IntegerType(), element_required=False)),
    types.NestedField(
        8,
        "orders",
        types.ListType(9, types.StructType(types.NestedField(10, "sku", types.StringType())), element_required=False),
    ),
    types.NestedField(11, "counts", types.MapType(12, types.StringType(), 13, types.LongType(), value_required=False)),
    types.NestedField(
        14,
        "matrix",
        types.ListType(15, types.ListType(16, types.DoubleType(), element_required=False), element_required=False),
    ),
    types.NestedField(
        17,
        "by_day",
        types.MapType(
            18,
            types.DateType(),
            19,
            types.ListType(20, types.StringType(), element_required=False),
            value_required=False,
        ),
    ),
)
NESTED_ROWS: list[dict[str, Any]] = [
    {
        "id": 1,
        "point": {"x": 1.0, "inner": {"name": "a"}},
        "numbers": [1, None, 3],
        "orders": [{"sku": "s1"}, {"sku": None}, None],
        "counts": [("a", 1), ("b", None)],
        "matrix": [[1.0, math.nan], [], None],
        "by_day": [(datetime.date(2026, 1, 1), ["x", None])],
    },
    {"id": 2, "point": None, "numbers": None, "orders": None, "counts": None, "matrix": None, "by_day": None},
    {
        "id": 3,
        "point": {"x": None, "inner": None},
        "numbers": [],
        "orders": [],
        "counts": [],
        "matrix": [],
        "by_day": [(datetime.date(2026, 1, 2), None), (datetime.date(2026, 1, 3), [])],
    },
]


def primitive_table() -> tuple[Schema, pyarrow.Table]:
    """Every primitive type: its edge values in turn, then nulls."""
    schema = Schema(
        *(types.NestedField(at, name, kind) for at, (name, (kind, _)) in enumerate(PRIMITIVES.items(), start=1))
    )
    length = max(len(edges) for _, edges in PRIMITIVES.values())
    columns = {
        name: [edges[at % len(edges)] for at in range(length)] + [None] for name, (_, edges) in PRIMITIVES.items()
    }
    return schema, pyarrow.table(columns, schema=schema.as_arrow())


@pytest.mark.parametrize("version", [1, 2])
def test_every_primitive_type_with_nulls_and_edges(warehouse: Warehouse, version: int) -> None:
    schema, data = primitive_table()
    table = warehouse.create(schema, version=version)
    table.append(data)

    ours = warehouse.check(table)

    assert rows(ours) == rows(data)
    assert ours.schema.field("instant").type == pyarrow.timestamp("us", tz="UTC")
    assert ours.schema.field("money").type == pyarrow.decimal128(9, 2)


@pytest.mark.parametrize("version", [1, 2])
def test_nested_types_with_nulls_at_every_level(warehouse: Warehouse, version: int) -> None:
    table = warehouse.create(NESTED, version=version)
    table.append(pyarrow.Table.from_pylist(NESTED_ROWS, schema=table.schema().as_arrow()))

    ours = warehouse.check(table)

    assert ours.num_rows == 3


@pytest.mark.parametrize(
    "columns",
    [["numbers"], ["point.x"], ["point.inner.name", "id"], ["by_day", "counts"], ["matrix", "orders"]],
)
def test_projections_of_nested_types(warehouse: Warehouse, columns: list[str]) -> None:
    table = warehouse.create(NESTED)
    table.append(pyarrow.Table.from_pylist(NESTED_ROWS, schema=table.schema().as_arrow()))

    ours = pyarrow.table(warehouse.table(table).load(columns=columns))

    theirs = table.scan(selected_fields=tuple(columns)).to_arrow()
    assert ours.column_names == list(dict.fromkeys(each.split(".")[0] for each in columns))
    assert rows(ours) == rows(theirs.select(ours.column_names))


def test_a_v3_table_without_deletes(warehouse: Warehouse) -> None:
    data = pyarrow.table({"id": [1, 2, 3], "name": ["a", None, "c"]})
    with warehouse.duckdb_writer() as connection:
        name = warehouse.fresh_name()
        connection.execute(f"create table writable.{name} (id bigint, name varchar) with ('format-version' = '3')")
        connection.execute(f"insert into writable.{name} values (1, 'a'), (2, null), (3, 'c')")
    table = warehouse.theirs.load_table(name)
    assert table.metadata.format_version == 3

    ours = pyarrow.table(warehouse.table(table).load())

    assert rows(ours) == rows(data) == rows(warehouse.by_duckdb(table))
