"""Avro records as a frame, through fastavro and PyArrow, which are the user's. Must not know: Iceberg's own Avro files,
which the engine reads."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.errors import MetaflowDataFrameException
from headrace.handoff import required

if TYPE_CHECKING:
    from headrace.dataframe import MetaflowDataFrame

MAGIC = b"Obj\x01"
"""What an Avro file begins with (Avro specification, "Object Container Files")."""
_PLAIN = {"boolean": "bool_", "int": "int32", "long": "int64", "float": "float32", "double": "float64",
          "bytes": "large_binary", "string": "large_string", "null": "null"}  # fmt: skip


def from_avro(data: bytes, avro_schema: Mapping[str, Any] | None) -> MetaflowDataFrame:
    """See `MetaflowDataFrame.from_avro`."""
    from headrace.dataframe import MetaflowDataFrame

    fastavro, pyarrow = required("fastavro", "from_avro()"), required("pyarrow", "from_avro()")
    stream = io.BytesIO(data)
    if not bytes(data[:4]) == MAGIC and avro_schema is None:
        raise MetaflowDataFrameException(
            "the bytes are no Avro file, which would have its schema in it", hint="avro_schema=... for a bare record"
        )
    try:
        if bytes(data[:4]) == MAGIC:
            reader = fastavro.reader(stream)
            schema: Any = reader.writer_schema
            records = list(reader)
        else:
            schema = dict(avro_schema or {})
            records = [fastavro.schemaless_reader(stream, schema, None)]
    except Exception as error:  # fastavro raises whatever its decoder met
        raise MetaflowDataFrameException(f"Avro data cannot be read: {type(error).__name__}: {error}") from error
    if not isinstance(schema, Mapping) or schema.get("type") != "record":
        raise MetaflowDataFrameException(f"a row is a record, the schema is of {schema!r:.80}")
    named: dict[str, Any] = {}
    kind = _type(pyarrow, schema, named, "")
    return MetaflowDataFrame.from_arrow(pyarrow.Table.from_pylist(records, schema=pyarrow.schema(list(kind))))


def _type(pyarrow: Any, schema: Any, named: dict[str, Any], space: str) -> Any:
    """The Arrow type of an Avro schema; a union with null is its other branch."""
    if isinstance(schema, list):
        others = [each for each in schema if each != "null"]
        if len(others) != 1:
            raise MetaflowDataFrameException(f"a union of several types has no column type: {schema!r:.120}")
        return _type(pyarrow, others[0], named, space)
    if isinstance(schema, str):
        if schema in _PLAIN:
            return getattr(pyarrow, _PLAIN[schema])()
        return named[schema] if schema in named else named[f"{space}.{schema}"]
    return _annotated(pyarrow, schema, named, schema.get("namespace", space))


def _annotated(pyarrow: Any, schema: Mapping[str, Any], named: dict[str, Any], space: str) -> Any:
    logical, kind = schema.get("logicalType"), schema["type"]
    if logical == "decimal":
        return pyarrow.decimal128(schema["precision"], schema.get("scale", 0))
    made: Any
    if logical in ("date", "time-millis", "time-micros", "uuid"):
        made = {
            "date": pyarrow.date32(), "time-millis": pyarrow.time32("ms"), "time-micros": pyarrow.time64("us"),
            "uuid": pyarrow.large_string(),
        }[logical]  # fmt: skip
    elif isinstance(logical, str) and logical.removeprefix("local-").startswith("timestamp-"):
        unit = {"millis": "ms", "micros": "us", "nanos": "ns"}[logical.rpartition("-")[2]]
        made = pyarrow.timestamp(unit, tz=None if logical.startswith("local-") else "UTC")
    elif kind == "record":
        made = pyarrow.struct([(each["name"], _type(pyarrow, each["type"], named, space)) for each in schema["fields"]])
    elif kind == "array":
        made = pyarrow.large_list(_type(pyarrow, schema["items"], named, space))
    elif kind == "map":
        made = pyarrow.map_(pyarrow.large_string(), _type(pyarrow, schema["values"], named, space))
    elif kind == "enum":
        made = pyarrow.large_string()
    elif kind == "fixed":
        made = pyarrow.binary(schema["size"])
    else:
        made = _type(pyarrow, kind, named, space)
    if "name" in schema:
        named[str(schema["name"])] = named[f"{space}.{schema['name']}"] = made
    return made
