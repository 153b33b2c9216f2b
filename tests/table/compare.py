"""Rows of any reader in one canonical form, so that PyIceberg, DuckDB and headrace can be compared value by value.

Arrow layouts differ between readers (string, large_string, string_view; uuid as extension, text or bytes): values do
not. Types are compared by `plain_type`, which keeps everything but the layout. Knows nothing of servers.
"""

from __future__ import annotations

import math
import uuid
from typing import Any

import pyarrow

Row = tuple[Any, ...]


def rows(data: Any, *, ordered: bool = False) -> list[Row]:
    """Rows of anything that PyArrow takes as a table, as comparable tuples; sorted unless ``ordered``."""
    table = data if isinstance(data, pyarrow.Table) else pyarrow.table(data)
    columns = [values(table.column(at)) for at in range(table.num_columns)]
    found = list(zip(*columns, strict=True)) if columns else [()] * table.num_rows
    return found if ordered else sorted(found, key=repr)


def values(column: pyarrow.ChunkedArray) -> list[Any]:
    """Values of one column as comparable Python objects."""
    column_type = column.type
    if pyarrow.types.is_timestamp(column_type) or pyarrow.types.is_time(column_type):
        unit = "nanosecond" if column_type.unit == "ns" else "microsecond"
        scale = {"s": 1_000_000, "ms": 1000}.get(column_type.unit, 1)
        width = pyarrow.int32() if column_type.bit_width == 32 else pyarrow.int64()
        raw = column.cast(width).to_pylist()
        return [None if each is None else (unit, each * scale) for each in raw]
    return [plain(each) for each in column.to_pylist()]


def plain(value: Any) -> Any:
    """One value: NaN equal to itself, containers as tuples, UUIDs as bytes."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else value
    if isinstance(value, uuid.UUID):
        return value.bytes
    if isinstance(value, dict):
        return tuple((name, plain(each)) for name, each in value.items())
    if isinstance(value, list | tuple):
        return tuple(plain(each) for each in value)
    return value


def plain_type(arrow: pyarrow.DataType) -> pyarrow.DataType:
    """The type without what is layout only: offset widths, views, extension names, names of list items."""
    types = pyarrow.types
    if isinstance(arrow, pyarrow.BaseExtensionType):
        return plain_type(arrow.storage_type)
    if types.is_large_string(arrow) or types.is_string_view(arrow):
        return pyarrow.string()
    if types.is_large_binary(arrow) or types.is_binary_view(arrow):
        return pyarrow.binary()
    if types.is_map(arrow):
        return pyarrow.map_(plain_type(arrow.key_type), plain_type(arrow.item_type))
    if types.is_list(arrow) or types.is_large_list(arrow):
        return pyarrow.list_(plain_type(arrow.value_type))
    if types.is_struct(arrow):
        fields = [arrow.field(at) for at in range(arrow.num_fields)]
        return pyarrow.struct([pyarrow.field(each.name, plain_type(each.type)) for each in fields])
    return arrow


def plain_schema(data: Any) -> list[tuple[str, pyarrow.DataType]]:
    """Names and plain types of the columns."""
    table = data if isinstance(data, pyarrow.Table) else pyarrow.table(data)
    return [(field.name, plain_type(field.type)) for field in table.schema]


def assert_same(found: Any, expected: Any) -> None:
    """Same columns in order, same plain types, same rows in any order."""
    ours, theirs = pyarrow.table(found), pyarrow.table(expected)
    assert plain_schema(ours) == plain_schema(theirs)
    assert rows(ours) == rows(theirs)
