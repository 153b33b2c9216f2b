"""Frames that hold every kind of column, made by PyArrow: somebody else's producer."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import pyarrow as pa
import pytest
from headrace.dataframe import MetaflowDataFrame

MOMENT = datetime.datetime(2026, 11, 23, 12, 30, 15, 123456)
LONG = "longer than the twelve bytes of a view: ‽"


def everything() -> pa.Table:
    """Three rows, the middle one null, of every type that Iceberg and most that Arrow has."""
    zoned = MOMENT.replace(tzinfo=datetime.UTC)
    small, tiny = decimal.Decimal("1234.50"), decimal.Decimal("-0.01")
    wide = decimal.Decimal("1" * 50 + ".125")
    struct = pa.struct({"x": pa.int64(), "y": pa.string_view()})
    columns: dict[str, tuple[pa.DataType, list[Any]]] = {
        "bool": (pa.bool_(), [True, None, False]),
        "int8": (pa.int8(), [-1, None, 3]),
        "int32": (pa.int32(), [-(2**31), None, 3]),
        "int64": (pa.int64(), [-(2**63), None, 2**63 - 1]),
        "uint64": (pa.uint64(), [0, None, 2**64 - 1]),
        "float16": (pa.float16(), [0.5, None, -2.0]),
        "float32": (pa.float32(), [0.5, None, -2.0]),
        "float64": (pa.float64(), [0.1, None, float("inf")]),
        "decimal": (pa.decimal128(15, 2), [small, None, tiny]),
        "decimal256": (pa.decimal256(60, 3), [wide, None, decimal.Decimal("0.000")]),
        "date": (pa.date32(), [datetime.date(2026, 11, 23), None, datetime.date(1, 1, 1)]),
        "time": (pa.time64("us"), [datetime.time(23, 59, 59, 999999), None, datetime.time(0, 0)]),
        "timestamp": (pa.timestamp("us"), [MOMENT, None, datetime.datetime(1, 1, 1)]),
        "timestamptz": (pa.timestamp("us", "UTC"), [zoned, None, zoned]),
        "nanoseconds": (pa.timestamp("ns"), [MOMENT, None, datetime.datetime(1969, 12, 31, 23, 59, 59)]),
        "duration": (pa.duration("ms"), [datetime.timedelta(days=-3, milliseconds=7), None, datetime.timedelta(0)]),
        "string": (pa.string_view(), ["short", None, LONG]),
        "large_string": (pa.large_string(), ["", None, "x" * 100]),
        "binary": (pa.binary_view(), [b"\x00\xff", None, b""]),
        "fixed": (pa.binary(16), [bytes(range(16)), None, b"\xff" * 16]),
        "list": (pa.list_(pa.int32()), [[1, None, 3], None, []]),
        "list_of_strings": (pa.large_list(pa.string_view()), [["a", LONG], None, [None]]),
        "struct": (struct, [{"x": 1, "y": "a"}, None, {"x": None, "y": None}]),
        "map": (pa.map_(pa.string(), pa.int64()), [[("a", 1), ("b", None)], None, []]),
        "null": (pa.null(), [None, None, None]),
    }
    return pa.table({name: pa.array(values, kind) for name, (kind, values) in columns.items()})


@pytest.fixture
def table() -> pa.Table:
    return everything()


@pytest.fixture
def frame(table: pa.Table) -> MetaflowDataFrame:
    return MetaflowDataFrame.from_arrow(table)
