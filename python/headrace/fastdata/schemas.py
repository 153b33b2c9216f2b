"""Columns as the Fast Data surface describes them: dicts as `Table.schema` gives them, as a Schema and as Arrow types.

    [{"name": "id", "type": "long"}, {"name": "tags", "type": {"type": "list", "element": "string"}}]

Ids may be left out. Must not know: frames, files. Neighbours: `iceberg` has the types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.errors import InvalidArgument, UnsupportedError
from headrace.handoff import required
from headrace.iceberg import NestedField, PrimitiveType, Schema
from headrace.iceberg.definitions import parse_type_text
from headrace.iceberg.schema import assign_ids
from headrace.iceberg.types import DecimalType, FixedType, ListType, MapType, StructType, Type, walk

ARROW_FORMATS = {
    "boolean": "b",
    "int": "i",
    "long": "l",
    "float": "f",
    "double": "g",
    "date": "tdD",
    "time": "ttu",
    "timestamp": "tsu:",
    "timestamptz": "tsu:UTC",
    "timestamp_ns": "tsn:",
    "timestamptz_ns": "tsn:UTC",
    "string": "U",
    "binary": "Z",
    "uuid": "w:16",
}
"""Arrow format strings of Iceberg's types without parameters."""


def parse(columns: Sequence[Mapping[str, Any]], schema_id: int = 0) -> Schema:
    """A schema of columns as dicts: with their ids where all have one, else numbered.

    Raises
    ------
    InvalidArgument
        A dict that describes no column, or a type that does not exist.
    """
    if isinstance(columns, Mapping | str) or not all(isinstance(each, Mapping) for each in columns):
        raise InvalidArgument(
            "a schema is a list of columns as dicts",
            hint="table.schema, or [{'name': 'id', 'type': 'long'}]",
        )
    fields = tuple(_field(each, each.get("name")) for each in columns)
    complete = all(each.field_id > 0 for each in walk(fields))
    return Schema(fields if complete else assign_ids(fields), schema_id)


def _field(column: Mapping[str, Any], name: Any, kind: str = "type") -> NestedField:
    if not isinstance(name, str) or column.get(kind) is None:
        raise InvalidArgument(f"a column has a name and a type, found {dict(column)!r:.120}")
    return NestedField(_id(column, "id"), name, _type(column[kind]), bool(column.get("required", False)))


def _type(described: Any) -> Type:
    if not isinstance(described, Mapping):
        return parse_type_text(described)
    kind = described.get("type")
    if kind == "list":
        required = bool(described.get("element-required", False))
        return ListType(NestedField(_id(described, "element-id"), "element", _type(described.get("element")), required))
    if kind == "map":
        key = NestedField(_id(described, "key-id"), "key", _type(described.get("key")), True)
        required = bool(described.get("value-required", False))
        return MapType(key, NestedField(_id(described, "value-id"), "value", _type(described.get("value")), required))
    if kind == "struct" and isinstance(described.get("fields"), Sequence):
        return StructType(tuple(_field(each, each.get("name")) for each in described["fields"]))
    raise InvalidArgument(f"a type is a name, a list, a map or a struct, found {dict(described)!r:.120}")


def _id(described: Mapping[str, Any], key: str) -> int:
    found = described.get(key)
    return found if isinstance(found, int) else 0


def arrow_format(kind: Type) -> str | None:
    """The Arrow format string of a type; None for nested ones."""
    if isinstance(kind, DecimalType):
        return f"d:{kind.precision},{kind.scale}"
    if isinstance(kind, FixedType):
        return f"w:{kind.length}"
    return ARROW_FORMATS.get(kind.name) if isinstance(kind, PrimitiveType) else None


def pyarrow_schema(columns: Sequence[Mapping[str, Any]]) -> Any:
    """The same as a `pyarrow.Schema`, for those who convert with PyArrow."""
    pyarrow = required("pyarrow", "iceberg_schema=")
    return pyarrow.schema([_arrow_field(pyarrow, each) for each in parse(columns).fields])


def pyarrow_type(pyarrow: Any, kind: Type) -> Any:
    """The PyArrow type of a type."""
    if isinstance(kind, ListType):
        return pyarrow.large_list(_arrow_field(pyarrow, kind.element))
    if isinstance(kind, MapType):
        return pyarrow.map_(pyarrow_type(pyarrow, kind.key.field_type), pyarrow_type(pyarrow, kind.value.field_type))
    if isinstance(kind, StructType):
        return pyarrow.struct([_arrow_field(pyarrow, each) for each in kind.fields])
    if isinstance(kind, DecimalType):
        return pyarrow.decimal128(kind.precision, kind.scale)
    if isinstance(kind, FixedType):
        return pyarrow.binary(kind.length)
    if not isinstance(kind, PrimitiveType) or kind.name not in ARROW_FORMATS:
        raise UnsupportedError(f"type {kind} has no Arrow type")
    made = {
        "boolean": pyarrow.bool_, "int": pyarrow.int32, "long": pyarrow.int64, "float": pyarrow.float32,
        "double": pyarrow.float64, "date": pyarrow.date32, "string": pyarrow.large_string,
        "binary": pyarrow.large_binary,
    }  # fmt: skip
    if kind.name in made:
        return made[kind.name]()
    if kind.name == "uuid":
        return pyarrow.binary(16)
    if kind.name == "time":
        return pyarrow.time64("us")
    unit = "ns" if kind.name.endswith("_ns") else "us"
    return pyarrow.timestamp(unit, tz="UTC" if kind.name.startswith("timestamptz") else None)


def _arrow_field(pyarrow: Any, field: NestedField) -> Any:
    return pyarrow.field(field.name, pyarrow_type(pyarrow, field.field_type), nullable=not field.required)
