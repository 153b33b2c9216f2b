"""To and from pandas: dtypes, values, shared memory, copy-on-write."""

from __future__ import annotations

import datetime
import gc
import pathlib
import weakref
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from headrace.dataframe import MetaflowDataFrame
from headrace.errors import ColumnNotFound, InvalidArgument

BACKENDS = ("auto", "numpy", "pyarrow")


def frame_of(**columns: Any) -> MetaflowDataFrame:
    return MetaflowDataFrame.from_arrow(pa.table(columns))


def test_dtypes_of_auto_with_nulls(frame: MetaflowDataFrame) -> None:
    expected = {
        "bool": "bool[pyarrow]",
        "int8": "int8[pyarrow]",
        "int64": "int64[pyarrow]",
        "uint64": "uint64[pyarrow]",
        "float16": "float16",
        "float32": "float32",
        "float64": "float64",
        "decimal": "decimal128(15, 2)[pyarrow]",
        "date": "datetime64[s]",
        "time": "time64[us][pyarrow]",
        "timestamp": "datetime64[us]",
        "timestamptz": "datetime64[us, UTC]",
        "nanoseconds": "datetime64[ns]",
        "duration": "timedelta64[ms]",
        "string": "str",
        "large_string": "str",
        "binary": "large_binary[pyarrow]",
        "list": "list<item: int32>[pyarrow]",
        "struct": "struct<x: int64, y: large_string>[pyarrow]",
        "map": "map<large_string, int64>[pyarrow]",
    }
    made = frame[list(expected)].to_pandas()
    assert {name: str(dtype) for name, dtype in made.dtypes.items()} == expected
    assert made.isna().all(axis=1).tolist() == [False, True, False]


def test_dtypes_of_auto_without_nulls(frame: MetaflowDataFrame) -> None:
    names = ["bool", "int8", "int64", "uint64", "date", "timestamptz"]
    made = frame.take([1, 0, 1])[names].to_pandas()
    expected = ["bool", "int8", "int64", "uint64", "datetime64[s]", "datetime64[us, UTC]"]
    assert [str(dtype) for dtype in made.dtypes] == expected
    assert made["bool"].tolist() == [True, False]
    assert made["int64"].tolist() == [-(2**63), 2**63 - 1]


def test_values_of_auto_are_exact(frame: MetaflowDataFrame, table: pa.Table) -> None:
    made = frame.to_pandas()
    for name in ("bool", "int64", "uint64", "decimal", "decimal256", "string", "large_string", "binary", "time"):
        got = [None if pd.isna(value) else value for value in made[name]]
        assert got == table[name].to_pylist(), name
    assert made["date"].tolist() == [pd.Timestamp("2026-11-23"), pd.NaT, pd.Timestamp("0001-01-01")]
    assert made["timestamptz"][0] == pd.Timestamp("2026-11-23 12:30:15.123456", tz="UTC")
    assert made["map"][0] == [("a", 1), ("b", None)]


def test_strings_have_pandas_kernels() -> None:
    words = pa.array(["b", None, "a longer one than a view", "b"], pa.string_view())
    text = frame_of(s=words, n=[1, 2, 3, 4]).to_pandas()
    assert text["s"].str.upper().tolist()[0] == "B"
    assert (text["s"] == "b").tolist() == [True, False, False, True]
    assert text.sort_values("s")["n"].tolist() == [3, 1, 4, 2]
    assert text.groupby("s")["n"].sum().to_dict() == {"a longer one than a view": 3, "b": 5}
    assert text.merge(text, on="s").shape[0] == 6


@pytest.mark.parametrize("offset", [0, 1, 1000])
def test_long_string_columns_convert_exactly(offset: int) -> None:
    # More rows than one task takes, lengths around every branch of the copy: inline, short, long.
    lengths = np.random.default_rng(7).choice([0, 1, 5, 11, 12, 13, 20, 31, 32, 33, 64, 500], 300_001)
    words = ["é" * (n // 2) + "x" * (n % 2) for n in range(501)]
    values = [None if n == 5 else words[n] for n in lengths.tolist()]
    raw = [None if value is None else value.encode() for value in values]
    frame = frame_of(s=pa.array(values, pa.string_view()), b=pa.array(raw, pa.binary_view())).slice(offset)
    made = frame.to_arrow()
    made.validate(full=True)
    assert made.schema.types == [pa.large_string(), pa.large_binary()]
    assert made["s"].to_pylist() == values[offset:]
    assert made["b"].to_pylist() == raw[offset:]
    assert frame.to_arrow("view").schema.types == [pa.string_view(), pa.binary_view()]


def test_what_lies_under_a_null_view_is_not_read() -> None:
    views = np.zeros((2, 4), dtype="uint32")
    views[0] = [0xFFFFFFF0, 0, 99, 99]  # a null whose view points nowhere
    views[1, 0] = 2
    views[1, 1:].view("uint8")[:2] = (104, 105)
    array = pa.Array.from_buffers(pa.string_view(), 2, [pa.py_buffer(b"\x02"), pa.py_buffer(views.tobytes())])
    assert frame_of(s=array).to_arrow()["s"].to_pylist() == [None, "hi"]


def test_numbers_share_the_frames_memory() -> None:
    frame = frame_of(n=np.arange(1000), t=pa.array(range(1000), pa.timestamp("us", "UTC")))
    made = frame.to_pandas()
    assert np.shares_memory(made["n"].to_numpy(), frame["n"].to_numpy())
    assert np.shares_memory(made["t"].array._ndarray, frame["t"].to_numpy())
    del frame
    gc.collect()
    assert made["n"].sum() == 499_500


def test_writing_copies_the_column_and_never_touches_the_frame() -> None:
    moments = pa.array(range(5), pa.timestamp("us", "UTC"))
    frame = frame_of(n=np.arange(5), x=np.arange(5.0), t=moments, b=[True] * 5)
    before = list(frame)
    made = frame.to_pandas()
    made.loc[0, "n"] = 100
    made.loc[made["x"] > 2, "x"] = -1.0
    made.iloc[0, 2] = pd.Timestamp("2026-01-01", tz="UTC")
    made.loc[0, "b"] = False
    assert made["n"].tolist() == [100, 1, 2, 3, 4]
    assert made["x"].tolist() == [0, 1, 2, -1, -1]
    assert made["b"].tolist() == [False, True, True, True, True]
    assert list(frame) == before


def test_writing_into_what_outlives_the_first_dataframe() -> None:
    frame = frame_of(n=np.arange(5), x=np.arange(5.0))
    before = list(frame)
    made = frame.to_pandas()
    part, renamed = made[["n", "x"]], made.rename(columns={"n": "m"})
    del made
    gc.collect()
    part.loc[1, "n"] = 7
    renamed.loc[1, "m"] = 8
    series = renamed["x"]
    del renamed, part
    gc.collect()
    series.iloc[0] = 9.0
    assert series.tolist() == [9, 1, 2, 3, 4]
    assert list(frame) == before


def test_a_dataframe_that_is_gone_frees_the_frames_memory() -> None:
    made = frame_of(n=np.arange(1000), t=pa.array(range(1000), pa.timestamp("us", "UTC"))).to_pandas()
    lenders = [weakref.ref(_owner(made["n"].to_numpy())), weakref.ref(_owner(made["t"].array._ndarray))]
    assert all(lender() is not None for lender in lenders)
    del made
    gc.collect()
    assert all(lender() is None for lender in lenders)


def _owner(array: Any) -> Any:
    """What a chain of views ends in."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array


def test_numpy_backend_is_what_read_parquet_gives(tmp_path: pathlib.Path, table: pa.Table) -> None:
    plain = table.drop_columns(["float16", "string", "binary", "list_of_strings", "struct", "duration"])
    pq.write_table(plain, tmp_path / "t.parquet")
    got = MetaflowDataFrame.from_arrow(pq.read_table(tmp_path / "t.parquet")).to_pandas(dtype_backend="numpy")
    pd.testing.assert_frame_equal(got, pd.read_parquet(tmp_path / "t.parquet"))


def test_pyarrow_backend_is_arrow_throughout(frame: MetaflowDataFrame) -> None:
    made = frame.to_pandas(dtype_backend="pyarrow")
    assert all(isinstance(dtype, pd.ArrowDtype) for dtype in made.dtypes)
    assert made["string"].tolist()[2].startswith("longer")


@pytest.mark.parametrize("backend", BACKENDS)
def test_categories(backend: str) -> None:
    frame = frame_of(s=["b", None, "a", "b"], n=[1, 2, 1, 1], k=[1.5, 2.5, 3.5, 4.5])
    made = frame.to_pandas(dtype_backend=backend, categories=["s", "n"])
    assert made["s"].cat.categories.tolist() == ["b", "a"]
    assert made["s"].cat.codes.tolist() == [0, -1, 1, 0]
    assert made["n"].tolist() == [1, 2, 1, 1]
    assert list(made.columns) == ["s", "n", "k"]
    assert (made["s"] == "b").tolist() == [True, False, False, True]
    with pytest.raises(ColumnNotFound, match="known: k, n, s"):
        frame.to_pandas(categories=["zzz"])
    with pytest.raises(InvalidArgument, match="list of column names"):
        frame.to_pandas(categories="s")


def test_dictionaries_are_categories_and_plain_values() -> None:
    codes = pa.DictionaryArray.from_arrays(pa.array([1, None, 0, 1], pa.int8()), ["a", "b"])
    repeated = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), ["a", "a", None, "b"])
    frame = frame_of(c=codes, r=repeated)
    made = frame.to_pandas()
    assert made["c"].cat.codes.tolist() == [1, -1, 0, 1]
    assert made["c"].cat.categories.tolist() == ["a", "b"]
    assert made["c"].cat.categories.dtype == "str"
    assert made["r"].cat.codes.tolist() == [0, 0, -1, 1]
    assert frame["c"].to_pylist() == ["b", None, "a", "b"]
    assert frame["c"].to_numpy().tolist() == ["b", None, "a", "b"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_decimals_as_floats(frame: MetaflowDataFrame, backend: str) -> None:
    made = frame[["decimal"]].to_pandas(dtype_backend=backend, decimals="float64")
    assert made["decimal"].tolist()[0] == 1234.5
    assert str(made["decimal"].dtype) == ("double[pyarrow]" if backend == "pyarrow" else "float64")
    assert made["decimal"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize("backend", BACKENDS)
def test_names_that_occur_twice_and_empty_frames(backend: str) -> None:
    twice = MetaflowDataFrame.from_arrow(pa.table([[1, 2], [3, 4]], names=["a", "a"]))
    made = twice.to_pandas(dtype_backend=backend)
    assert list(made.columns) == ["a", "a"]
    assert made.iloc[1].tolist() == [2, 4]
    assert twice[[]].to_pandas(dtype_backend=backend).shape == (2, 0)
    empty = frame_of(s=pa.array([], pa.string_view()), n=pa.array([], pa.int64())).to_pandas(dtype_backend=backend)
    assert empty.shape == (0, 2)
    assert pd.api.types.is_string_dtype(empty["s"].dtype)
    assert pd.api.types.is_integer_dtype(empty["n"].dtype)


def test_bad_options_are_refused(frame: MetaflowDataFrame) -> None:
    with pytest.raises(InvalidArgument, match="dtype_backend"):
        frame.to_pandas(dtype_backend="arrow")
    with pytest.raises(InvalidArgument, match="decimals"):
        frame.to_pandas(decimals="float")
    with pytest.raises(InvalidArgument, match="strings"):
        frame.to_arrow(strings="utf8")


def test_from_pandas_leaves_the_index_out_and_keeps_types() -> None:
    moments = pd.to_datetime(["2026-01-01", None, "2026-01-03"])
    source = pd.DataFrame(
        {
            "n": [1, 2, 3],
            "s": ["a", None, "c"],
            "t": moments,
            "z": moments.tz_localize("UTC"),
            "i": pd.array([1, None, 3], dtype="Int64"),
            "c": pd.Categorical(["x", "y", "x"]),
        },
        index=[10, 20, 30],
    )
    frame = MetaflowDataFrame.from_pandas(source)
    assert frame.schema == ["n", "s", "t", "z", "i", "c"]
    assert frame["s"].to_pylist() == ["a", None, "c"]
    assert frame["i"].to_pylist() == [1, None, 3]
    assert frame["c"].to_pylist() == ["x", "y", "x"]
    assert frame["z"].to_pylist()[0] == datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    assert frame.to_pandas().index.tolist() == [0, 1, 2]
    assert frame.to_arrow().to_pandas().index.tolist() == [0, 1, 2]
