"""Iceberg data files without a table: files whose columns carry field ids, lists of them, and loads by schema.

Types are written as the format's JSON has them (`field(1, "id", "long")`), so that a file's schema and the table's are
two values that a test can put side by side. Knows the engine's requests, and nothing of catalogs or snapshots.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from headrace import _engine
from headrace.filters import as_filter, bind
from headrace.iceberg import Schema

Json = dict[str, Any]


def field(number: int, name: str, kind: str | Json, *, required: bool = False, default: Any = None) -> Json:
    """A field of a struct; `default` is its initial default."""
    made: Json = {"id": number, "name": name, "type": kind, "required": required}
    return made if default is None else {**made, "initial-default": default}


def struct(*fields: Json) -> Json:
    return {"type": "struct", "fields": list(fields)}


def list_of(number: int, element: str | Json, *, required: bool = False) -> Json:
    return {"type": "list", "element-id": number, "element": element, "element-required": required}


def map_of(key_number: int, key: str | Json, number: int, value: str | Json) -> Json:
    ids = {"key-id": key_number, "value-id": number, "value-required": False}
    return {"type": "map", "key": key, "value": value, **ids}


PRIMITIVE = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "timestamp_ns": pa.timestamp("ns"),
    "string": pa.string(),
    "binary": pa.binary(),
    "uuid": pa.binary(16),
    "unknown": pa.null(),
}


def arrow_type(kind: str | Json, ids: bool = True) -> pa.DataType:
    """A type as a writer of the table has it in Arrow."""
    if isinstance(kind, str):
        if made := re.fullmatch(r"decimal\((\d+), (\d+)\)", kind):
            return pa.decimal128(int(made[1]), int(made[2]))
        if made := re.fullmatch(r"fixed\[(\d+)\]", kind):
            return pa.binary(int(made[1]))
        return PRIMITIVE[kind]
    if kind["type"] == "struct":
        return pa.struct([arrow_field(each, ids) for each in kind["fields"]])
    if kind["type"] == "list":
        element = field(kind["element-id"], "element", kind["element"], required=kind["element-required"])
        return pa.list_(arrow_field(element, ids))
    key = field(kind["key-id"], "key", kind["key"], required=True)
    value = field(kind["value-id"], "value", kind["value"])
    return pa.map_(arrow_field(key, ids), arrow_field(value, ids))


def arrow_field(each: Json, ids: bool = True) -> pa.Field:
    metadata = {"PARQUET:field_id": str(each["id"])} if ids else None
    return pa.field(each["name"], arrow_type(each["type"], ids), nullable=not each["required"], metadata=metadata)


def write(path: Path, schema: Json, rows: Sequence[Json], *, ids: bool = True, **options: Any) -> Path:
    """A data file of a schema, with or without field ids."""
    arrow = pa.schema([arrow_field(each, ids) for each in schema["fields"]])
    pq.write_table(pa.Table.from_pylist(list(rows), schema=arrow), path, **options)
    return path


def file_list(
    paths: Sequence[Path],
    *,
    specs: Sequence[Json] = (),
    spec_ids: Sequence[int] | None = None,
    partitions: pa.StructArray | None = None,
    parts: Sequence[tuple[int, int]] | None = None,
) -> _engine.FileList:
    """The engine's list of these files: whole, or the parts (start, length) of each."""
    sizes = [path.stat().st_size for path in paths]
    parts = parts or [(0, size) for size in sizes]
    count = len(paths)
    columns = {
        "location": pa.array([str(path) for path in paths], pa.string()),
        "file_size": pa.array(sizes, pa.int64()),
        "record_count": pa.array([pq.ParquetFile(path).metadata.num_rows for path in paths], pa.int64()),
        "start": pa.array([start for start, _ in parts], pa.int64()),
        "length": pa.array([length for _, length in parts], pa.int64()),
        "spec_id": pa.array(spec_ids or [0] * count, pa.int32()),
        "sequence_number": pa.array([0] * count, pa.int64()),
        "first_row_id": pa.array([None] * count, pa.int64()),
        "partition": partitions if partitions is not None else pa.array([{}] * count, pa.struct([])),
    }
    batch = pa.record_batch(columns).replace_schema_metadata({"partition-specs": json.dumps(list(specs))})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return _engine.FileList.from_bytes(sink.getvalue().to_pybytes())


def load(
    files: _engine.FileList,
    schema: Json,
    filter: str | None = None,
    *,
    table_schema: Json | None = None,
    name_mapping: Sequence[Json] | None = None,
    params: Mapping[str, Any] | None = None,
    **options: Any,
) -> pa.Table:
    """Loads files by a projected schema; `table_schema` is the whole one, which filters are bound to."""
    request: Json = {"schema": schema, **options}
    if table_schema is not None:
        request["table_schema"] = table_schema
    if name_mapping is not None:
        request["name_mapping"] = list(name_mapping)
    expression = as_filter(filter, params)
    whole = Schema.from_json({"schema-id": 0, **(table_schema or schema)})
    bound = None if expression is None else bind(expression, whole).to_engine_json()
    table = pa.table(_engine.load(_engine.Store({}), files, json.dumps(request), bound))
    table.validate(full=True)
    assert all(column.num_chunks == 1 for column in table.columns)
    return table
