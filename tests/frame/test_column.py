"""Columns: values as Python objects, NumPy arrays, DLPack tensors, and what is inside of nested ones."""

from __future__ import annotations

import datetime
import gc
import zoneinfo
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from headrace.column import (
    BinaryMetaflowColumn,
    ListMetaflowColumn,
    MapMetaflowColumn,
    MetaflowColumn,
    PrimitiveMetaflowColumn,
    StructMetaflowColumn,
)
from headrace.dataframe import MetaflowDataFrame
from headrace.errors import ColumnNotFound, InvalidArgument, MetaflowDataFrameException

DTYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "M8[s]", "M8[us]", "M8[ns]", "m8[ms]"]


def column(values: Any, kind: pa.DataType | None = None) -> Any:
    return MetaflowDataFrame.from_arrow(pa.table({"c": pa.array(values, kind)}))["c"]


def address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def test_values_are_those_of_pyarrow(frame: MetaflowDataFrame, table: pa.Table) -> None:
    for each in frame.drop(["map", "nanoseconds"]).columns:
        expected = table[each.name].to_pylist()
        assert each.to_pylist() == expected, each.name
        assert [type(value) for value in each] == [type(value) for value in expected]
        assert list(each.values(1)) == expected[1:]


def test_values_of_slices(frame: MetaflowDataFrame) -> None:
    for each in frame.columns:
        for offset, length in ((1, 2), (2, 1), (0, 1), (3, 0)):
            part = frame.slice(offset, length)[each.name]
            assert part.to_pylist() == each.to_pylist()[offset : offset + length], each.name


def test_nanoseconds_that_are_whole_microseconds(frame: MetaflowDataFrame) -> None:
    moment = datetime.datetime(2026, 11, 23, 12, 30, 15, 123456)
    assert frame["nanoseconds"].to_pylist() == [moment, None, datetime.datetime(1969, 12, 31, 23, 59, 59)]


def test_maps_are_dicts_unless_their_keys_are_nested(frame: MetaflowDataFrame) -> None:
    assert frame["map"].to_pylist() == [{"a": 1, "b": None}, None, {}]
    nested = column([[({"x": 1}, 2)]], pa.map_(pa.struct({"x": pa.int64()}), pa.int64()))
    assert nested.to_pylist() == [[({"x": 1}, 2)]]


def test_zones() -> None:
    moment = datetime.datetime(2026, 7, 1, 12, tzinfo=datetime.UTC)
    zones: dict[str, datetime.tzinfo] = {
        "Europe/Berlin": zoneinfo.ZoneInfo("Europe/Berlin"),
        "-03:30": datetime.timezone(-datetime.timedelta(hours=3, minutes=30)),
    }
    for name, zone in zones.items():
        (value,) = column([moment], pa.timestamp("us", name)).to_pylist()
        assert value == moment
        assert value.utcoffset() == moment.astimezone(zone).utcoffset()


@pytest.mark.parametrize("date", ["0001-01-01", "1600-02-29", "1900-03-01", "1969-12-31", "2000-02-29", "9999-12-31"])
def test_calendar(date: str) -> None:
    day = datetime.date.fromisoformat(date)
    assert column([day]).to_pylist() == [day]
    moment = datetime.datetime(day.year, day.month, day.day, 23, 59, 59, 999999)
    assert column([moment], pa.timestamp("us")).to_pylist() == [moment]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (2_932_897, pa.date32()),
        (-719_163, pa.date32()),
        (2**62, pa.timestamp("us")),
        (1_001, pa.timestamp("ns")),
        (2**62, pa.duration("s")),
    ],
)
def test_what_datetime_cannot_hold_is_a_typed_error(value: int, kind: pa.DataType) -> None:
    number = pa.int32() if pa.types.is_date32(kind) else pa.int64()
    with pytest.raises(InvalidArgument, match="to_numpy"):
        column(pa.array([value], number).cast(kind)).to_pylist()


def test_classes_and_kinds(frame: MetaflowDataFrame) -> None:
    classes = {
        "int64": PrimitiveMetaflowColumn,
        "string": PrimitiveMetaflowColumn,
        "decimal": PrimitiveMetaflowColumn,
        "binary": BinaryMetaflowColumn,
        "fixed": BinaryMetaflowColumn,
        "list": ListMetaflowColumn,
        "list_of_strings": ListMetaflowColumn,
        "struct": StructMetaflowColumn,
        "map": MapMetaflowColumn,
    }
    for name, kind in classes.items():
        each = frame[name]
        assert type(each) is kind
        assert each.is_binary == (kind is BinaryMetaflowColumn)
        assert each.is_array_type == (kind is ListMetaflowColumn)
        assert each.is_scalar_type == (kind in (PrimitiveMetaflowColumn, BinaryMetaflowColumn))
        assert (each.null_count, len(each), each.field_id) == (1, 3, -1)
        assert each.split() == [each]
        assert each.is_same_chunking(frame["bool"])
        assert each.size > 0


def test_field_ids() -> None:
    field = pa.field("c", pa.int64(), metadata={"PARQUET:field_id": "7"})
    assert MetaflowDataFrame.from_arrow(pa.table([[1]], schema=pa.schema([field])))["c"].field_id == 7


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_views_share_addresses_and_keep_the_frame_alive(dtype: str) -> None:
    values = (np.arange(1_000_000) % 100).astype(dtype)
    frame = MetaflowDataFrame.from_arrow(pa.table({"c": values.copy(), "x": values}))
    start = pa.table(frame)["c"].chunk(0).buffers()[1].address
    view = frame["c"].to_numpy(as_view=True)
    assert view.dtype == values.dtype
    assert address(view) == start
    assert address(np.asarray(frame["c"])) == start
    assert not view.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 0
    part = frame.slice(10, 5)["c"].to_numpy(as_view=True)
    assert address(part) == start + 10 * values.itemsize
    del frame
    gc.collect()
    assert np.array_equal(view, values)
    assert np.array_equal(part, values[10:15])


def test_numpy_of_nulls(frame: MetaflowDataFrame) -> None:
    assert frame["float32"].to_numpy().dtype == "f4"
    for name in ("float16", "float32", "float64"):
        assert np.isnan(frame[name].to_numpy()).tolist() == [False, True, False]
    for name in ("date", "timestamp", "timestamptz", "nanoseconds", "duration"):
        assert np.isnat(frame[name].to_numpy()).tolist() == [False, True, False]
    assert frame["date"].to_numpy().dtype == "M8[s]"
    assert frame["date"].to_numpy().astype("M8[D]").tolist() == frame["date"].to_pylist()
    assert frame["float64"].to_numpy(null_value=9).tolist() == [0.1, 9, np.inf]
    assert frame["string"].to_numpy().tolist() == frame["string"].to_pylist()
    assert frame["string"].to_numpy(null_value="none")[1] == "none"


def test_integers_and_booleans_have_no_value_for_null(frame: MetaflowDataFrame) -> None:
    for name in ("int8", "int64", "uint64", "bool"):
        with pytest.raises(MetaflowDataFrameException, match="null_value"):
            frame[name].to_numpy()
    assert frame["int64"].to_numpy(null_value=-5).tolist() == [-(2**63), -5, 2**63 - 1]
    assert frame["bool"].to_numpy(null_value=True).tolist() == [True, True, False]
    filled = frame["int32"].to_numpy(null_value=np.nan, as_type="float64")
    assert np.isnan(filled).tolist() == [False, True, False]
    assert frame["int64"].to_pylist()[1] is None  # the frame's own values were not touched


def test_decimals_as_floats() -> None:
    values = column([1, 2, None], pa.decimal128(9, 2))
    assert values.to_numpy(null_value=0, as_type="float64").tolist() == [1, 2, 0]
    assert values.to_numpy(as_type="float32").dtype == "float32"


def test_numpy_of_booleans() -> None:
    truths = [bool(n % 3) for n in range(100)]
    assert column(truths).to_numpy().tolist() == truths
    sliced = MetaflowDataFrame.from_arrow(pa.table({"c": truths})).slice(13, 50)["c"]
    assert sliced.to_numpy().tolist() == truths[13:63]


@pytest.mark.parametrize(
    ("values", "kind", "as_type", "reason"),
    [
        ([1, None], pa.int64(), None, "nulls"),
        ([1.0, None], pa.float64(), None, "nulls"),
        ([True], pa.bool_(), None, "another width"),
        ([datetime.date(2026, 1, 1)], pa.date32(), None, "another width"),
        ([1], pa.int64(), "int32", "not int32"),
        (["a"], pa.string(), None, "no dtype"),
    ],
)
def test_a_view_that_would_be_a_copy_is_refused(values: Any, kind: pa.DataType, as_type: Any, reason: str) -> None:
    with pytest.raises(MetaflowDataFrameException, match=reason):
        column(values, kind).to_numpy(as_view=True, as_type=as_type)


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 3)])
def test_lists_of_one_length_are_views(kind: pa.DataType) -> None:
    lists = column([[1, 2, 3], [4, 5, 6]], kind)
    view = lists.to_numpy(as_view=True)
    assert view.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert address(view) == address(lists.flatten().to_numpy(as_view=True))
    assert lists.is_tensor()
    assert lists.tensor_shape() == [3]
    assert lists.to_numpy(shape=(3,), as_view=True).shape == (2, 3)


def test_lists_of_lists_and_slices_of_them() -> None:
    nested = column([[[1, 2, 3], [4, 5, 6]]], pa.list_(pa.list_(pa.int64())))
    assert nested.tensor_shape() == [2, 3]
    assert nested.to_numpy().shape == (1, 2, 3)
    assert column([[1, 2, 3, 4]]).to_numpy(shape=(2, 2)).tolist() == [[[1, 2], [3, 4]]]
    for kind in (pa.list_(pa.int64()), pa.list_(pa.int64(), 2)):
        frame = MetaflowDataFrame.from_arrow(pa.table({"c": pa.array([[n, n + 1] for n in range(10)], kind)}))
        part = frame.slice(4, 3)["c"]
        assert part.to_numpy(as_view=True).tolist() == [[4, 5], [5, 6], [6, 7]]
        assert part.flatten().to_pylist() == [4, 5, 5, 6, 6, 7]


def test_lists_padded_and_cut() -> None:
    lists = column([[1, 2, 3, 4], None, [5], []], pa.list_(pa.int64()))
    assert not lists.is_tensor()
    padded = lists.to_numpy(shape=(3,), pad_value=0, null_value=-1)
    assert padded.tolist() == [[1, 2, 3], [-1, -1, -1], [5, 0, 0], [0, 0, 0]]
    floats = lists.to_numpy(shape=2, pad_value=0.5, null_value=0, as_type="float32")
    assert floats.tolist() == [[1, 2], [0, 0], [5, 0.5], [0.5, 0.5]]
    inner = column([[1, None], [3]], pa.list_(pa.int64()))
    assert inner.to_numpy(shape=(2,), pad_value=0, null_value=9).tolist() == [[1, 9], [3, 0]]


def test_lists_that_have_no_such_shape() -> None:
    lists = column([[1, 2, 3, 4], None, [5], []], pa.list_(pa.int64()))
    refused: list[tuple[dict[str, Any], str]] = [
        ({}, "differ in length"),
        ({"shape": (3,)}, "1 null rows"),
        ({"shape": (3,), "null_value": 0}, "2 rows .* fewer than 3"),
        ({"shape": (3,), "null_value": 0, "pad_value": 0, "as_view": True}, "padded or cut"),
    ]
    for arguments, message in refused:
        with pytest.raises(MetaflowDataFrameException, match=message):
            lists.to_numpy(**arguments)
    with pytest.raises(MetaflowDataFrameException, match="no tensor"):
        lists.tensor_shape()
    with pytest.raises(MetaflowDataFrameException, match="not a list of numbers"):
        column([["a"], ["b", "c"]]).to_numpy(shape=(2,), pad_value="")
    with pytest.raises(InvalidArgument):
        lists.to_numpy(shape=(-1,))


def test_flatten_leaves_out_what_a_null_hides() -> None:
    hidden = pa.ListArray.from_arrays(pa.array([0, 2, 4]), pa.array([1, 2, 3, 4]), mask=pa.array([True, False]))
    assert column(hidden).flatten().to_pylist() == [3, 4]
    assert column(hidden).to_pylist() == [None, [3, 4]]
    assert column([[1, 2], None, [5, 6]], pa.list_(pa.int64(), 2)).flatten().to_pylist() == [1, 2, 5, 6]


def test_structs(frame: MetaflowDataFrame) -> None:
    struct = frame["struct"]
    assert struct.fields == ["x", "y"]
    assert struct["x"].to_pylist() == [1, None, None]
    inside = struct.as_dataframe()
    assert inside.schema == ["x", "y"]
    assert list(inside) == [(1, "a"), (None, None), (None, None)]
    with pytest.raises(ColumnNotFound, match="known: x, y"):
        struct["zzz"]


def test_a_null_struct_hides_its_fields() -> None:
    hidden = pa.StructArray.from_arrays([pa.array([1, 2])], ["x"], mask=pa.array([True, False]))
    assert column(hidden)["x"].to_pylist() == [None, 2]


def test_maps(frame: MetaflowDataFrame) -> None:
    assert frame["map"].map_keys().to_pylist() == [["a", "b"], None, []]
    assert frame["map"].map_values().to_pylist() == [[1, None], None, []]
    assert frame.slice(0, 1)["map"].map_keys().to_pylist() == [["a", "b"]]


def test_capsules_of_columns(frame: MetaflowDataFrame, table: pa.Table) -> None:
    for each in frame.columns:
        assert pa.array(each).to_pylist() == table[each.name].to_pylist()
    schema, array = frame["string"].__arrow_c_array__(pa.large_string().__arrow_c_schema__())
    assert pa.Array._import_from_c_capsule(schema, array).type == pa.large_string()


def test_dlpack_shares_memory_and_is_read_only() -> None:
    numbers = column([1.5, 2.5, 3.5])
    lent = np.from_dlpack(numbers)
    assert address(lent) == address(numbers.to_numpy(as_view=True))
    assert not lent.flags.writeable
    copied = np.from_dlpack(numbers, copy=True)
    assert address(copied) != address(lent)
    del numbers
    gc.collect()
    assert lent.tolist() == copied.tolist() == [1.5, 2.5, 3.5]
    matrix = np.from_dlpack(column([[1, 2, 3], [4, 5, 6]]))
    assert matrix.tolist() == [[1, 2, 3], [4, 5, 6]]
    truths = np.from_dlpack(column([True, False, True]))
    assert truths.dtype == bool
    assert truths.tolist() == [True, False, True]


def test_dlpack_refuses_what_it_cannot_say(frame: MetaflowDataFrame) -> None:
    for name in ("int64", "string", "date", "timestamp", "list"):
        with pytest.raises(BufferError):
            np.from_dlpack(frame[name])
    with pytest.raises(BufferError):
        column([datetime.date(2026, 1, 1)]).__dlpack__()
    with pytest.raises(BufferError):
        column([1]).__dlpack__(dl_device=(2, 0))
    with pytest.raises(BufferError):
        column([True]).__dlpack__(copy=False)


@pytest.mark.parametrize("version", [None, (1, 0)])
def test_capsules_nobody_takes_free_their_tensor(version: tuple[int, int] | None) -> None:
    released: list[bool] = []

    class Values(np.ndarray):
        def __del__(self) -> None:
            released.append(True)

    numbers: MetaflowColumn = column(np.arange(1000).view(Values))
    capsule = numbers.__dlpack__(max_version=version)
    del numbers
    gc.collect()
    assert released == []
    del capsule
    gc.collect()
    assert released == [True]
