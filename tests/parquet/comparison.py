"""Whether a frame holds what PyArrow reads: the layout that a frame promises, and values bit by bit.

Knows Arrow arrays only, and no file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from headrace import _engine


def read(*paths: str | Path, **options: Any) -> pa.Table:
    """The engine's frame of some files, as a PyArrow table."""
    store = _engine.Store({})
    return pa.table(_engine.read_parquet(store, [str(path) for path in paths], json.dumps(options)))


def frame_type(theirs: pa.DataType) -> pa.DataType:
    """The layout that a frame gives a type of PyArrow's: views, large lists, plain values."""
    kind = pa.types
    if kind.is_dictionary(theirs) or kind.is_run_end_encoded(theirs):
        return frame_type(theirs.value_type)
    if kind.is_string(theirs) or kind.is_large_string(theirs):
        return pa.string_view()
    if kind.is_binary(theirs) or kind.is_large_binary(theirs):
        return pa.binary_view()
    if kind.is_map(theirs):
        return pa.map_(frame_type(theirs.key_type), frame_type(theirs.item_type))
    if is_list(theirs):
        return pa.large_list(frame_type(theirs.value_type))
    if kind.is_struct(theirs):
        return pa.struct([pa.field(each.name, frame_type(each.type)) for each in theirs])
    if isinstance(theirs, pa.BaseExtensionType):
        return frame_type(theirs.storage_type)
    return theirs


def is_list(data_type: pa.DataType) -> bool:
    """Any of the layouts of a list."""
    kind = pa.types
    tests = (kind.is_list, kind.is_large_list, kind.is_fixed_size_list, kind.is_list_view, kind.is_large_list_view)
    return any(test(data_type) for test in tests)


def assert_same(ours: pa.Table, theirs: pa.Table, types: Mapping[str, pa.DataType] | None = None) -> None:
    """Same names, one contiguous chunk a column, the promised types, the same nulls and values to the last bit.

    `types` names columns whose promised type is not `frame_type` of PyArrow's.
    """
    ours.validate(full=True)
    assert ours.schema.names == theirs.schema.names
    assert ours.num_rows == theirs.num_rows
    for index, field in enumerate(theirs.schema):
        column = ours.column(index)
        assert column.num_chunks == 1, f"{field.name} has {column.num_chunks} chunks"
        promised = (types or {}).get(field.name, frame_type(field.type))
        assert bare(column.type) == bare(promised), f"{field.name}: {column.type}, expected {promised}"
        assert_values(column.chunk(0), joined(theirs.column(index)), field.name)


def bare(data_type: pa.DataType) -> pa.DataType:
    """A type without the names of list and map members and without nullability."""
    kind = pa.types
    if kind.is_map(data_type):
        return pa.map_(bare(data_type.key_type), bare(data_type.item_type))
    if is_list(data_type):
        return type_of_list(data_type)(pa.field("element", bare(data_type.value_type)))
    if kind.is_struct(data_type):
        return pa.struct([pa.field(each.name, bare(each.type)) for each in data_type])
    return data_type


def type_of_list(data_type: pa.DataType) -> Any:
    """The constructor of the same list layout."""
    return pa.large_list if pa.types.is_large_list(data_type) else pa.list_


def joined(column: pa.ChunkedArray) -> pa.Array:
    """One array of a chunked one."""
    made = column.combine_chunks()
    if isinstance(made, pa.ChunkedArray):
        return made.chunk(0) if made.num_chunks else pa.array([], made.type)
    return made


def assert_values(ours: pa.Array, theirs: pa.Array, place: str) -> None:
    """Same length, nulls and values, level by level."""
    ours, theirs = plain(ours), plain(theirs)
    assert len(ours) == len(theirs), f"{place}: {len(ours)} values, expected {len(theirs)}"
    assert ours.is_null().equals(theirs.is_null()), f"{place}: nulls differ"
    data_type = ours.type
    if pa.types.is_map(data_type):
        ours, theirs = entries(ours), entries(theirs)
        data_type = ours.type
    if is_list(data_type):
        assert pc.list_value_length(ours).cast(pa.int64()).equals(pc.list_value_length(theirs).cast(pa.int64())), place
        assert_values(ours.flatten(), theirs.flatten(), f"{place}[]")
        return
    if pa.types.is_struct(data_type):
        for field, left, right in zip(data_type, ours.flatten(), theirs.flatten(), strict=True):
            assert_values(left, right, f"{place}.{field.name}")
        return
    left, right = bits(ours.drop_null()), bits(theirs.drop_null())
    assert left.equals(right), f"{place}: {first_difference(left, right)}"


def plain(array: pa.Array) -> pa.Array:
    """Extension storage, dictionary and run-end values spelled out, views as large strings."""
    kind = pa.types
    if isinstance(array, pa.ExtensionArray):
        return plain(array.storage)
    if kind.is_dictionary(array.type):
        return plain(array.dictionary_decode())
    if kind.is_run_end_encoded(array.type):
        return plain(pc.run_end_decode(array))
    if array.type in (pa.string(), pa.string_view()):
        return array.cast(pa.large_string())
    if array.type in (pa.binary(), pa.binary_view()):
        return array.cast(pa.large_binary())
    return array


def entries(array: pa.MapArray) -> pa.Array:
    """A map as a list of structs."""
    if array.offset:  # the constructors below take no slices
        array = array.take(pa.array(range(len(array)), pa.int64()))
    pairs = pa.StructArray.from_arrays([array.keys, array.items], names=["key", "value"])
    return pa.ListArray.from_arrays(array.offsets, pairs, mask=array.is_null())


def bits(array: pa.Array) -> pa.Array:
    """Floats as the integers of their bits: a NaN equals itself, zeros of either sign differ."""
    widths = {pa.float16(): pa.uint16(), pa.float32(): pa.uint32(), pa.float64(): pa.uint64()}
    return array.view(widths[array.type]) if array.type in widths else array


def first_difference(ours: pa.Array, theirs: pa.Array) -> str:
    """Where two arrays part."""
    if ours.type != theirs.type:
        return f"type {ours.type}, expected {theirs.type}"
    if pa.types.is_temporal(ours.type):  # Python's own datetimes end in the year 9999
        width = pa.int32() if ours.type.bit_width == 32 else pa.int64()
        ours, theirs = ours.cast(width), theirs.cast(width)
    for row, (left, right) in enumerate(zip(ours, theirs, strict=False)):
        if not left.equals(right):
            return f"value {row} is {str(left)[:80]}, expected {str(right)[:80]}"
    return f"{len(ours)} values, expected {len(theirs)}"
