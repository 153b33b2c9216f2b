"""Tables described in a few words: types by name or by annotation, partitions and sort orders as short text.

    {"id": "long", "tags": "list<string>"}     a dataclass with annotations
    partition_by=["ds", "day(ts)", "bucket(16, id)"]     sort_by=["id", "ts desc nulls last"]

Must not know: Arrow, catalogs. Neighbours: `types.py` has the types, `partitioning.py` specs and orders.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import types
import typing
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.errors import HeadraceError, InvalidArgument
from headrace.iceberg.partitioning import (
    FIRST_PARTITION_FIELD_ID,
    PartitionField,
    PartitionSpec,
    SortField,
    SortOrder,
    Transform,
)
from headrace.iceberg.schema import Schema, assign_ids
from headrace.iceberg.types import ListType, MapType, NestedField, StructType, Type, parse_primitive

_ANNOTATIONS: dict[Any, str] = {
    bool: "boolean",
    int: "long",
    float: "double",
    str: "string",
    bytes: "binary",
    datetime.date: "date",
    datetime.time: "time",
    datetime.datetime: "timestamp",
    uuid.UUID: "uuid",
}
_SUFFIXES = {"bucket": "bucket", "truncate": "trunc", "void": "null"}


def schema_of(definition: Any) -> Schema:
    """A schema, numbered anew, of a dict of type names, a dataclass, or another schema's fields.

    Examples
    --------
    >>> schema_of({"id": "long", "tags": "list<string>"}).highest_field_id
    3
    """
    if isinstance(definition, Schema):
        fields: Sequence[NestedField] = definition.fields
    elif isinstance(definition, Mapping):
        fields = [_field(str(name), parse_type_text(kind)) for name, kind in definition.items()]
    elif dataclasses.is_dataclass(definition):
        fields = _annotated(definition)
    else:
        hint = 'give a frame, an Arrow schema, a dataclass or a dict such as {"id": "long"}'
        raise InvalidArgument(f"a schema is expected, found {type(definition).__name__}", hint=hint)
    return Schema(assign_ids(fields))


def _field(name: str, kind: Type, required: bool = False) -> NestedField:
    return NestedField(0, name, kind, required)


def parse_type_text(text: Any) -> Type:
    """A type by its text: a primitive's name, "list<T>", "map<K, V>", "struct<a: T, b: U>"; a Type as it is.

    Raises
    ------
    InvalidArgument
        No such type; with the nearest name.
    """
    if not isinstance(text, str):
        if isinstance(text, Type):
            return text
        raise InvalidArgument(f"a type is a name such as 'long', found {text!r}")
    match = re.fullmatch(r"\s*(list|map|struct)\s*<(.*)>\s*", text, re.DOTALL)
    if match is None:
        try:
            return parse_primitive(text.strip())
        except HeadraceError as error:
            raise InvalidArgument(error.message, hint=error.hint) from None
    kind, parts = match[1], _split(match[2])
    if kind == "list" and len(parts) == 1:
        return ListType(_field("element", parse_type_text(parts[0])))
    if kind == "map" and len(parts) == 2:
        return MapType(_field("key", parse_type_text(parts[0]), True), _field("value", parse_type_text(parts[1])))
    if kind == "struct" and all(":" in each for each in parts):
        named = [each.partition(":") for each in parts]
        return StructType(tuple(_field(name.strip(), parse_type_text(inner)) for name, _, inner in named))
    raise InvalidArgument(f"type {text!r}: expected list<T>, map<K, V> or struct<name: T, ...>")


def _split(text: str) -> list[str]:
    """Text between commas that are not inside brackets."""
    parts, depth = [""], 0
    for each in text:
        depth += (each in "<(") - (each in ">)")
        if each == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += each
    return parts


def _annotated(definition: Any) -> list[NestedField]:
    cls = definition if isinstance(definition, type) else type(definition)
    hints = typing.get_type_hints(cls)
    fields = []
    for each in dataclasses.fields(cls):
        kind, required = _annotation(hints[each.name], each.name)
        fields.append(_field(each.name, kind, required))
    return fields


def _annotation(hint: Any, name: str) -> tuple[Type, bool]:
    """(type, required) of an annotation: `X | None` is not required."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        others = [each for each in arguments if each is not type(None)]
        if len(others) == 1:
            return _annotation(others[0], name)[0], False
    if hint in _ANNOTATIONS:
        return parse_primitive(_ANNOTATIONS[hint]), True
    if origin in (list, Sequence) and len(arguments) == 1:
        kind, required = _annotation(arguments[0], name)
        return ListType(_field("element", kind, required)), True
    if origin in (dict, Mapping) and len(arguments) == 2:
        key, (kind, required) = _annotation(arguments[0], name)[0], _annotation(arguments[1], name)
        return MapType(_field("key", key, True), _field("value", kind, required)), True
    if dataclasses.is_dataclass(hint):
        return StructType(tuple(_annotated(hint))), True
    hint_text = "use int, float, str, bool, bytes, date, time, datetime, UUID, list, dict, a dataclass, or X | None"
    raise InvalidArgument(f"field {name!r}: annotation {hint!r} has no Iceberg type", hint=hint_text)


def partition_spec(
    partition_by: str | Sequence[str] | None, schema: Schema, known: PartitionSpec | None = None, last_id: int = 0
) -> PartitionSpec:
    """A partition spec of short texts: "ds", "day(ts)", "bucket(16, id)", "truncate(4, name)".

    `known` is a spec whose fields keep their ids where they are the same; others count on from `last_id`.
    """
    texts = [partition_by] if isinstance(partition_by, str) else list(partition_by or [])
    kept = {(each.source_ids, str(each.transform)): each for each in (known.fields if known else ())}
    fields: list[PartitionField] = []
    next_id = max(last_id, FIRST_PARTITION_FIELD_ID - 1)
    for text in texts:
        transform, column = _transform(text)
        source = schema.find_field(column)
        found = kept.get(((source.field_id,), str(transform)))
        if found is None:
            next_id += 1
            suffix = _SUFFIXES.get(transform.name, transform.name)
            name = column if transform.name == "identity" else f"{column}_{suffix}"
            found = PartitionField((source.field_id,), next_id, name.replace(".", "_"), transform)
        fields.append(found)
    return PartitionSpec(tuple(fields))


def in_place(wanted: PartitionSpec, known: PartitionSpec) -> PartitionSpec:
    """The same partitions with every field of a known spec at its place: what is not wanted any more becomes void.

    Format version 1 tells partition fields apart by their position (spec: "Partition Evolution").
    """
    by_content = {(each.source_ids, str(each.transform)): each for each in wanted.fields}
    kept = [by_content.pop((each.source_ids, str(each.transform)), None) for each in known.fields]
    taken = {each.name for each in by_content.values()}
    fields = []
    for old, same in zip(known.fields, kept, strict=True):
        name = f"{old.name}_{old.field_id}" if same is None and old.name in taken else old.name
        fields.append(old if same else dataclasses.replace(old, name=name, transform=Transform("void")))
    return PartitionSpec((*fields, *by_content.values()))


def sort_order(sort_by: str | Sequence[str] | None, schema: Schema) -> SortOrder:
    """A sort order of short texts: "id", "ts desc", "bucket(8, id) asc nulls last"."""
    texts = [sort_by] if isinstance(sort_by, str) else list(sort_by or [])
    fields = []
    for text in texts:
        pattern = r"(.*?)(?:\s+(asc|desc))?(?:\s+nulls\s+(first|last))?\s*"
        match = re.fullmatch(pattern, text.strip(), re.IGNORECASE)
        if match is None or not match[1]:
            raise InvalidArgument(f"sort_by {text!r}: expected such as 'id', 'ts desc nulls last'")
        transform, column = _transform(match[1])
        direction = (match[2] or "asc").lower()
        nulls = (match[3] or ("first" if direction == "asc" else "last")).lower()
        fields.append(SortField((schema.find_field(column).field_id,), transform, direction, f"nulls-{nulls}"))
    return SortOrder(tuple(fields), 1 if fields else 0)


def _transform(text: str) -> tuple[Transform, str]:
    """(transform, column) of "day(ts)", "bucket(16, id)", or a column alone."""
    match = re.fullmatch(r"\s*([a-z]+)s?\(\s*(?:(\d+)\s*,)?\s*([^,()]+?)\s*\)\s*", text, re.IGNORECASE)
    if match is None:
        return Transform("identity"), text.strip()
    name = match[1].lower().removesuffix("s")
    try:
        return Transform.parse(name if match[2] is None else f"{name}[{match[2]}]"), match[3]
    except HeadraceError as error:
        raise InvalidArgument(f"partition_by {text!r}: {error.message}") from None
