"""To and from PyArrow, Polars, DuckDB and PyTorch, and Parquet files as the source."""

from __future__ import annotations

import pathlib
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from headrace.dataframe import MetaflowDataFrame
from headrace.errors import ColumnNotFound, InvalidArgument, MetaflowDataFrameException, ObjectNotFound


class Requesting:
    """Hands a frame over as a consumer that asks for ``schema`` would get it."""

    def __init__(self, frame: MetaflowDataFrame, schema: pa.Schema) -> None:
        self._frame, self._schema = frame, schema

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        return self._frame.__arrow_c_stream__(self._schema.__arrow_c_schema__())


def test_capsules_round_trip(frame: MetaflowDataFrame, table: pa.Table) -> None:
    assert pa.table(frame).equals(table)
    assert pa.schema(frame) == table.schema
    reader = pa.RecordBatchReader.from_stream(frame)
    assert MetaflowDataFrame.from_arrow(reader).to_arrow("view").equals(table)
    assert list(MetaflowDataFrame.from_arrow(table.to_batches()[0])) == list(frame)
    assert list(MetaflowDataFrame.from_arrow(frame)) == list(frame)


def test_every_stream_is_a_new_one(frame: MetaflowDataFrame) -> None:
    assert [pa.table(frame).num_rows for _ in range(3)] == [3, 3, 3]


def test_a_requested_schema_is_honoured_where_it_can_be(frame: MetaflowDataFrame) -> None:
    part = frame[["string", "int8", "list_of_strings"]]
    lists = pa.large_list(pa.large_string())
    wanted = pa.schema({"string": pa.large_string(), "int8": pa.int64(), "list_of_strings": lists})
    got = pa.table(Requesting(part, wanted))
    assert got.schema.types == wanted.types
    assert got.to_pylist() == pa.table(part).to_pylist()
    impossible = pa.schema({"string": pa.int32(), "int8": pa.int8(), "list_of_strings": lists})
    assert pa.table(Requesting(part, impossible)).to_pylist() == pa.table(part).to_pylist()


def test_memory_is_shared() -> None:
    frame = MetaflowDataFrame.from_arrow(pa.table({"n": np.arange(1000)}))
    address = frame["n"].to_numpy().__array_interface__["data"][0]
    assert frame.to_arrow()["n"].chunk(0).buffers()[1].address == address
    assert frame.to_polars()["n"].to_numpy(allow_copy=False).__array_interface__["data"][0] == address


def test_polars(frame: MetaflowDataFrame, table: pa.Table) -> None:
    with pytest.raises(MetaflowDataFrameException, match="256 bits: 'decimal256'"):
        frame.to_polars()
    made = frame.drop("decimal256").to_polars()
    assert made.schema["string"] == pl.String
    assert made.schema["decimal"] == pl.Decimal(15, 2)
    assert made.n_chunks() == 1
    for name in ("int64", "decimal", "date", "timestamp", "timestamptz", "string", "binary", "list", "struct"):
        assert made[name].to_list() == table[name].to_pylist(), name


def test_maps_in_polars(frame: MetaflowDataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = pa.map_(pa.string(), pa.int64())
    nested = pa.array([[[("a", 1)]], None], pa.list_(maps))
    inner = pa.array([{"m": [("b", 2)]}, {"m": None}], pa.struct({"m": maps}))
    lists = frame[["map"]].to_polars(strict_map_type=False, assemble=True)
    assert lists["map"].to_list() == [[{"key": "a", "value": 1}, {"key": "b", "value": None}], None, []]
    deep = MetaflowDataFrame.from_arrow(pa.table({"l": nested, "s": inner})).to_polars(strict_map_type=False)
    assert deep["l"].to_list() == [[[{"key": "a", "value": 1}]], None]
    assert deep["s"].to_list() == [{"m": [{"key": "b", "value": 2}]}, {"m": None}]
    assert frame[["map"]].to_polars()["map"].to_list() == [{"a": 1, "b": None}, None, {}]
    monkeypatch.delattr(pl, "Map")
    with pytest.raises(MetaflowDataFrameException, match="no map type: 'map'"):
        frame[["int64", "map"]].to_polars()


def test_from_polars_of_many_chunks() -> None:
    parts = [pl.DataFrame({"s": ["a"], "n": [1]}), pl.DataFrame({"s": ["b"], "n": [2]})]
    chunked = pl.concat(parts, rechunk=False)
    frame = MetaflowDataFrame.from_polars(chunked)
    assert list(frame) == [("a", 1), ("b", 2)]
    assert frame["n"].to_numpy(as_view=True).tolist() == [1, 2]
    assert list(MetaflowDataFrame.from_columns([chunked["n"]])) == [(1,), (2,)]


def test_duckdb_reads_a_frame(frame: MetaflowDataFrame) -> None:
    connection = duckdb.connect()
    connection.register("frame_of_ours", pa.RecordBatchReader.from_stream(frame[["string", "int64", "decimal"]]))
    rows = connection.execute("select count(string), max(int64), sum(decimal)::varchar from frame_of_ours").fetchall()
    assert rows == [(2, 2**63 - 1, "1234.49")]


def tensors(**columns: Any) -> dict[str, Any]:
    return MetaflowDataFrame.from_arrow(pa.table(columns)).to_torch_tensors()


def test_tensors_share_memory() -> None:
    columns = {"n": np.arange(10), "x": np.arange(10, dtype="f4"), "l": pa.array([[n, n + 1] for n in range(10)])}
    frame = MetaflowDataFrame.from_arrow(pa.table(columns))
    made = frame.to_torch_tensors()
    address = frame["x"].to_numpy().__array_interface__["data"][0]
    del frame
    assert made["x"].data_ptr() == address
    assert made["n"].dtype == torch.int64
    assert made["n"].sum().item() == 45
    assert made["l"].shape == (10, 2)
    assert made["l"][3].tolist() == [3, 4]


def test_tensors_of_booleans_slices_and_nothing() -> None:
    truths = tensors(b=[True, False])["b"]
    assert truths.dtype == torch.bool
    assert truths.tolist() == [True, False]
    assert tensors(n=pa.array(range(10)).slice(3, 2))["n"].tolist() == [3, 4]
    assert tensors(n=pa.array([], pa.int64()))["n"].shape == (0,)
    column = MetaflowDataFrame.from_arrow(pa.table({"n": [1.5]}))["n"]
    assert torch.from_dlpack(column).tolist() == [1.5]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("int64", "null_value"),
        ("string", "numbers only"),
        ("decimal", "float64"),
        ("timestamp", "astype"),
        ("list", "pad_value"),
        ("struct", "numbers only"),
        ("map", "numbers only"),
    ],
)
def test_what_is_no_tensor_is_refused_by_name(frame: MetaflowDataFrame, name: str, advice: str) -> None:
    with pytest.raises(MetaflowDataFrameException, match=f"'{name}'") as raised:
        frame[[name]].to_torch_tensors()
    assert advice in str(raised.value)


def test_from_parquet(tmp_path: pathlib.Path, table: pa.Table) -> None:
    plain = table.select(["bool", "int64", "decimal", "date", "timestamptz", "large_string", "list"])
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path in paths:
        pq.write_table(plain, path)
    frame = MetaflowDataFrame.from_parquet(paths)
    assert frame.num_rows == frame.metrics["rows"] == 6
    for name in plain.column_names:
        assert frame[name].to_pylist() == plain[name].to_pylist() * 2
    part = MetaflowDataFrame.from_parquet(str(paths[0]), columns=["int64", "bool"], num_threads=1)
    assert part.schema == ["int64", "bool"]
    with pytest.raises(ColumnNotFound, match="did you mean 'int64'"):
        MetaflowDataFrame.from_parquet(str(paths[0]), columns=["int46"])
    with pytest.raises(InvalidArgument):
        MetaflowDataFrame.from_parquet([])
    with pytest.raises(ObjectNotFound):
        MetaflowDataFrame.from_parquet(str(tmp_path / "none.parquet"))
