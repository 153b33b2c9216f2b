"""Frames to and from buffers, files and records; validated; worked on in processes."""

from __future__ import annotations

import datetime
import decimal
import io
import itertools
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import numpy
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest
from headrace import MetaflowDataFrame, errors, project_struct_fields, promote_struct_field, sparse_to_dense


def frame(rows: int = 10) -> MetaflowDataFrame:
    return MetaflowDataFrame.from_arrow(
        pyarrow.table({"id": range(rows), "name": [f"n{at}" if at % 3 else None for at in range(rows)]})
    )


def pylist(data: Any) -> list[dict[str, Any]]:
    return pyarrow.table(data).to_pylist()


def test_buffers() -> None:
    whole, out = frame(), io.BytesIO()
    size = whole.to_buffer(out)
    assert size == len(out.getvalue())
    room = bytearray(size + 5)
    assert whole.to_buffer(memoryview(room)) == size
    assert pylist(MetaflowDataFrame.from_buffer(memoryview(room))) == pylist(whole)
    assert pylist(MetaflowDataFrame.from_buffer(io.BytesIO(out.getvalue()))) == pylist(whole)
    assert len(MetaflowDataFrame.from_buffer(memoryview(b""))) == 0
    with pytest.raises(errors.MetaflowDataFrameBufferNotLargeEnough, match=f"{size:,}"):
        whole.to_buffer(memoryview(bytearray(10)))
    with pytest.raises(errors.MetaflowDataFrameBufferException):
        whole.to_buffer(memoryview(bytes(size)))
    with pytest.raises(errors.MetaflowDataFrameInvalidBuffer):
        MetaflowDataFrame.from_buffer(memoryview(b"no frame at all, whatever it says"))


def test_parquet_files(tmp_path: Path) -> None:
    whole, path = frame(1000), str(tmp_path / "x.parquet")
    whole.to_parquet(path, "ZSTD")
    found = pyarrow.parquet.ParquetFile(path)
    assert found.metadata.row_group(0).column(0).compression == "ZSTD"
    assert pyarrow.parquet.read_table(path).to_pylist() == pylist(whole)
    assert pylist(MetaflowDataFrame.from_parquet(path)) == pylist(whole)
    frame(0).to_parquet(path)
    assert pyarrow.parquet.read_table(path).num_rows == 0
    with pytest.raises(errors.InvalidArgument, match="snappy"):
        whole.to_parquet(path, "SNAPY")
    with pytest.raises(errors.ParquetEncodingException, match="folder"):
        whole.to_parquet(str(tmp_path / "absent" / "x.parquet"))


def test_parquet_sets(tmp_path: Path) -> None:
    whole = MetaflowDataFrame.from_columns([numpy.random.default_rng(1).random(300_000)], ["x"])
    template = str(tmp_path / "part-{index}.parquet")
    urls, rows = whole.to_parquet_set(template, max_file_size=500_000, return_num_rows=True)
    assert len(urls) > 2
    assert urls[0] == str(tmp_path / "part-00000000.parquet")
    assert sum(rows) == 300_000
    assert [pyarrow.parquet.ParquetFile(url).metadata.num_rows for url in urls] == rows
    assert (MetaflowDataFrame.from_parquet(urls)["x"].to_numpy() == whole["x"].to_numpy()).all()
    assert frame(0).to_parquet_set(template) == []
    with pytest.raises(errors.MetaflowDataFrameException, match="index"):
        whole.to_parquet_set(str(tmp_path / "x.parquet"))


def test_parquet_on_s3(seaweed: Any) -> None:
    properties, whole = seaweed.storage_properties, frame(50)
    whole.to_parquet("s3://data/fastdata/one.parquet", properties=properties)
    urls = whole.to_parquet_set("s3://data/fastdata/set-{index}.parquet", properties=properties)
    for url in ("s3://data/fastdata/one.parquet", *urls):
        assert pylist(MetaflowDataFrame.from_parquet(url, properties=properties)) == pylist(whole)


def test_parquet_with_iceberg_ids_is_read_by_them(tmp_path: Path) -> None:
    columns = [{"id": 7, "name": "id", "type": "long"}, {"id": 9, "name": "name", "type": "string"}]
    path = str(tmp_path / "x.parquet")
    frame(5).to_parquet(path, iceberg_schema=columns)
    assert pyarrow.parquet.ParquetFile(path).schema_arrow.field("name").metadata[b"PARQUET:field_id"] == b"9"
    wanted = [{"id": 9, "name": "title", "type": "string"}, {"id": 7, "name": "key", "type": "double"},
              {"id": 11, "name": "price", "type": "decimal(9, 2)"}, {"id": 12, "name": "day", "type": "date"},
              {"id": 13, "name": "tags", "type": {"type": "list", "element": "string", "element-id": 14}}]  # fmt: skip
    read = MetaflowDataFrame.from_parquet_with_schema([path], wanted)
    assert read.schema == ["title", "key", "price", "day", "tags"]
    assert pylist(read)[1] == {"title": "n1", "key": 1.0, "price": None, "day": None, "tags": None}
    assert pyarrow.table(read).schema.field("price").type == pyarrow.decimal128(9, 2)


def test_files_of_several_schemas_become_one(tmp_path: Path) -> None:
    old, new = str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"id": pyarrow.array([1], pyarrow.int32())}), old)
    pyarrow.parquet.write_table(pyarrow.table({"more": ["x"], "id": [2]}), new)
    wanted = [{"name": "id", "type": "long"}, {"name": "more", "type": "string"}]
    read = MetaflowDataFrame.from_parquet_with_schema([old, new], wanted)
    assert pylist(read) == [{"id": 1, "more": None}, {"id": 2, "more": "x"}]
    assert pylist(MetaflowDataFrame.from_parquet_with_schema([old])) == [{"id": 1}]
    with pytest.raises(errors.MetaflowTableTypeMismatch, match="'more'"):
        MetaflowDataFrame.from_parquet_with_schema([new], [{"name": "more", "type": "long"}])


def test_frames_of_other_libraries_with_a_schema() -> None:
    columns = [{"name": "b", "type": "int"}, {"name": "a", "type": "string"}]
    data = {"a": ["x", None], "b": [1, 2], "c": [0, 0]}
    for made in (
        MetaflowDataFrame.from_pandas(pandas.DataFrame(data), iceberg_schema=columns),
        MetaflowDataFrame.from_polars(polars.DataFrame(data), iceberg_schema=columns),
        MetaflowDataFrame.from_polars(polars.DataFrame(data), pyarrow.schema({"b": "int32", "a": "large_string"})),
    ):
        assert pylist(made) == [{"b": 1, "a": "x"}, {"b": 2, "a": None}]
        assert made["b"].type == "int32"
    with pytest.raises(errors.MetaflowDataFrameException, match="schema"):
        MetaflowDataFrame.from_pandas(pandas.DataFrame({"b": ["no"], "a": ["x"]}), iceberg_schema=columns)


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    frame(3).to_csv(str(path))
    assert path.read_text() == "id,name\n0,\n1,n1\n2,n2\n"
    out = io.StringIO()
    frame(4).to_csv(fileobj=out, header=False, delimiter=";", row_filter=lambda row: row[0] != 2)
    assert out.getvalue() == "0;\n1;n1\n3;\n"
    whole = frame(120_000)
    whole.to_csv(str(path), max_parallel=3)
    assert pandas.read_csv(path)["id"].tolist() == list(range(120_000))
    with pytest.raises(errors.InvalidArgument):
        whole.to_csv()


AVRO = {
    "type": "record", "name": "r", "namespace": "n",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "text", "type": ["null", "string"]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "kind", "type": {"type": "enum", "name": "k", "symbols": ["A", "B"]}},
        {"name": "inner", "type": {"type": "record", "name": "i", "fields": [{"name": "k", "type": "k"}]}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "m", "type": {"type": "map", "values": "int"}},
    ],
}  # fmt: skip


def avro_record(at: int) -> dict[str, Any]:
    moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(hours=at)
    return {"id": at, "text": None if at else "x", "at": moment, "price": decimal.Decimal("1.50"), "kind": "A",
            "inner": {"k": "B"}, "tags": ["t"] * at, "m": {"a": at}}  # fmt: skip


def test_avro() -> None:
    records, out = [avro_record(at) for at in range(4)], io.BytesIO()
    fastavro.writer(out, AVRO, records)
    made = MetaflowDataFrame.from_avro(out.getvalue())
    assert [dict(each, m=dict(each["m"])) for each in pylist(made)] == records
    bare = io.BytesIO()
    fastavro.schemaless_writer(bare, AVRO, records[2])
    (row,) = pylist(MetaflowDataFrame.from_avro(bare.getvalue(), AVRO))
    assert row["id"] == 2
    with pytest.raises(errors.MetaflowDataFrameException, match="avro_schema"):
        MetaflowDataFrame.from_avro(bare.getvalue())
    with pytest.raises(errors.MetaflowDataFrameException, match="cannot be read"):
        MetaflowDataFrame.from_avro(out.getvalue()[:-7])


def test_protobuf() -> None:
    from google.protobuf import duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
    from google.protobuf.descriptor_pb2 import EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto

    packed = FieldDescriptorProto(name="a", number=1, type=FieldDescriptorProto.TYPE_INT64)
    packed.options.packed = True
    first, second = pylist(MetaflowDataFrame.from_protobuf([packed, FieldDescriptorProto()]))
    assert (first["name"], first["number"], first["type"]) == ("a", 1, "TYPE_INT64")
    assert first["options"]["packed"] is True
    assert (second["name"], second["type"], second["options"]) == (None, None, None)
    kind = EnumDescriptorProto(name="k", value=[EnumValueDescriptorProto(name=each) for each in "xy"])
    (row,) = pylist(MetaflowDataFrame.from_protobuf([kind]))
    assert [each["name"] for each in row["value"]] == ["x", "y"]
    stamp = timestamp_pb2.Timestamp(seconds=5, nanos=1000)
    assert pylist(MetaflowDataFrame.from_protobuf([stamp])) == [{"seconds": 5, "nanos": 1000}]
    assert pylist(MetaflowDataFrame.from_protobuf([wrappers_pb2.Int32Value(value=3)])) == [{"value": 3}]
    with pytest.raises(errors.MetaflowDataFrameException, match=r"Timestamp and Duration"):
        MetaflowDataFrame.from_protobuf([stamp, duration_pb2.Duration()])
    with pytest.raises(errors.UnsupportedError, match="lies in itself"):
        MetaflowDataFrame.from_protobuf([struct_pb2.Struct()])
    with pytest.raises(errors.InvalidArgument):
        MetaflowDataFrame.from_protobuf([])


def test_work_in_processes_shares_the_frame_and_keeps_order() -> None:
    whole, offset = frame(1001), 5
    found = whole.parallel_map(lambda part: (os.getpid(), part["id"].to_pylist()[0] + offset, len(part)), 4)
    assert len({pid for pid, *_ in found} - {os.getpid()}) == 4
    assert [first for _, first, _ in found] == [5, 256, 507, 758]
    assert sum(count for *_, count in found) == 1001
    assert frame(0).parallel_map(len) == []
    assert whole.parallel_map_args(lambda part, at: (at, len(part)), itertools.count(), 2) == [(0, 501), (1, 500)]
    assert whole.parallel_map_args(lambda pair: (len(pair[0]), pair[1]), ["a", "b"], 2) == [(501, "a"), (500, "b")]
    parts = whole.parallel_map(lambda part: part.drop("name"), 3)
    assert pylist(MetaflowDataFrame.stack(parts)) == pylist(whole.drop("name"))


def test_what_fails_in_a_process_is_told() -> None:
    def fail(part: MetaflowDataFrame) -> None:
        raise KeyError("no such thing")

    with pytest.raises(errors.MetaflowDataFrameException, match="no such thing"):
        frame().parallel_map(fail, 2)
    with pytest.raises(errors.MetaflowDataFrameException, match="signal 9"):
        frame().parallel_map(lambda part: os.kill(os.getpid(), signal.SIGKILL), 2)
    with pytest.raises(errors.MetaflowDataFrameException, match="max_parallel"):
        frame().parallel_map(len, 0)


@dataclass
class Row:
    id: int
    name: str | None


@dataclass
class Other:
    id: str
    absent: float


def test_schemas_are_validated() -> None:
    whole = frame()
    assert whole.validate_schema(Row, strict=True, check_types=True) is whole
    assert whole.validate_schema(Row).to_pandas().shape == (10, 2)
    with pytest.raises(errors.MetaflowDataFrameException) as wrong:
        whole.validate_schema(Other, strict=True, check_types=True)
    for each in ("column 'absent' is missing", "'name' is not expected", "'id' is int64, not str"):
        assert each in str(wrong.value)
    with pytest.raises(errors.MetaflowDataFrameException, match="dataclass"):
        whole.validate_schema(dict)
    assert str(MetaflowDataFrame[Row]).endswith("Row]")


STRUCTS = pyarrow.array(
    [[{"a": 1, "b": "x", "c": 1.0}, {"a": 2, "b": None, "c": 2.0}], None, [], [None, {"a": 3, "b": "z", "c": 3.0}]]
)


def test_fields_of_structs_in_lists() -> None:
    column = MetaflowDataFrame.from_arrow(pyarrow.table({"s": STRUCTS}).slice(0))["s"]
    assert promote_struct_field(column, "a").to_pylist() == [[1, 2], None, [], [None, 3]]
    projected = project_struct_fields(column, ["c", "a"])
    assert projected.name == "s"
    assert projected.to_pylist() == [[{"c": 1.0, "a": 1}, {"c": 2.0, "a": 2}], None, [], [None, {"c": 3.0, "a": 3}]]
    with pytest.raises(errors.ColumnNotFound, match="did you mean"):
        promote_struct_field(column, "A")
    with pytest.raises(errors.MetaflowDataFrameException, match="no lists of structs"):
        promote_struct_field(frame()["id"], "a")
    sliced = MetaflowDataFrame.from_arrow(pyarrow.table({"s": STRUCTS})).slice(2)["s"]
    assert promote_struct_field(sliced, "b").to_pylist() == [[], [None, "z"]]


def lists(values: list[Any], kind: pyarrow.DataType) -> Any:
    return MetaflowDataFrame.from_arrow(pyarrow.table({"x": pyarrow.array(values, pyarrow.list_(kind))}))["x"]


def test_sparse_to_dense() -> None:
    values = lists([[2.0, 3.0], [], None, [5.0]], pyarrow.float32())
    flat = lists([[0, 3], [], None, [2]], pyarrow.int32())
    made = sparse_to_dense(flat, values, (2, 2), -1)
    assert made.dtype == numpy.float32
    assert made.tolist() == [[[2, -1], [-1, 3]], [[-1, -1], [-1, -1]], [[-1, -1], [-1, -1]], [[-1, -1], [5, -1]]]
    pairs = lists([[0, 0, 1, 1], [], None, [1, 0]], pyarrow.int64())
    assert (sparse_to_dense(pairs, values, (2, 2), -1, flat_indices=False) == made).all()
    with pytest.raises(errors.MetaflowDataFrameException, match="outside of shape"):
        sparse_to_dense(flat, values, (3,), 0)
    with pytest.raises(errors.MetaflowDataFrameException, match="row 0"):
        sparse_to_dense(flat, values, (2, 2), 0, flat_indices=False)
    with pytest.raises(errors.MetaflowDataFrameException, match="null_value"):
        sparse_to_dense(lists([[0]], pyarrow.int32()), lists([[None]], pyarrow.int64()), (2,), 0)
    filled = sparse_to_dense(lists([[1]], pyarrow.int32()), lists([[None]], pyarrow.int64()), (2,), 0, null_value=9)
    assert filled.tolist() == [[0, 9]]
    with pytest.raises(errors.MetaflowDataFrameException, match="integers"):
        sparse_to_dense(values, values, (2,), 0)
