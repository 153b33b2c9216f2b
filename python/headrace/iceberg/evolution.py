"""Changes of a schema, and the rules that keep old files readable: ids stay, types only widen.

Pure: a builder that takes a schema and gives the next. Must not know: tables, commits. Neighbours: `schema.py`;
`headrace.writing` commits what this makes. Spec: Iceberg table spec, "Schema Evolution".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from headrace.errors import ColumnNotFound, InvalidArgument, UnsupportedError
from headrace.iceberg.definitions import parse_type_text
from headrace.iceberg.schema import Schema, assign_ids
from headrace.iceberg.types import (
    DecimalType,
    ListType,
    MapType,
    NestedField,
    PrimitiveType,
    StructType,
    Type,
    children,
    walk,
)

_WIDENINGS = {("int", "long"), ("float", "double")}
_WIDENINGS_V3 = {("date", "timestamp"), ("date", "timestamp_ns")}
Place = tuple[Literal["first", "after", "before"], str | None]


class SchemaChange:
    """Collects changes of a schema, each checked when it is asked for.

    Names are full names: "a.b" is field b of struct a, "tags.element.x" lies inside a list.

    Parameters
    ----------
    schema : Schema
        What is current.
    last_column_id : int
        The highest id ever given: new fields count on from it.
    format_version : int
        Of the table.
    in_use : mapping of int to str
        Fields that must not go, by id, with what uses them.
    """

    def __init__(self, schema: Schema, last_column_id: int, format_version: int, in_use: dict[int, str]) -> None:
        self.schema = schema
        self.last_column_id = last_column_id
        self._version = format_version
        self._in_use = in_use

    def add(
        self,
        name: str,
        type: str | Type,
        *,
        doc: str | None = None,
        after: str | None = None,
        first: bool = False,
    ) -> SchemaChange:
        """Add an optional column; old rows read as null in it."""
        parent, _, own = name.rpartition(".")
        if self._find(name) is not None:
            raise InvalidArgument(f"column {name!r} exists already")
        kind = parse_type_text(type)
        (field,) = assign_ids([NestedField(0, own, kind, False, doc)], self.last_column_id + 1)
        for each in walk((field,)):
            if isinstance(each.type, PrimitiveType) and each.type.format_version > self._version:
                message = f"column {name!r}: type {each.type} needs format version {each.type.format_version}"
                raise UnsupportedError(message)
        self.last_column_id = max(each.field_id for each in walk((field,)))
        self._siblings(parent, lambda fields: (*fields, field))
        if first or after is not None:
            self.move(name, first=first, after=after)
        return self

    def drop(self, name: str) -> SchemaChange:
        """Drop a column; its id is never given again."""
        field = self._field(name)
        for each in walk((field,)):
            if each.field_id in self._in_use:
                raise InvalidArgument(f"column {name!r} cannot be dropped: {self._in_use[each.field_id]} uses it")
        parent = self._parent(name)
        self._siblings(parent, lambda fields: tuple(each for each in fields if each.field_id != field.field_id))
        gone = {each.field_id for each in walk((field,))}
        kept = tuple(each for each in self.schema.identifier_field_ids if each not in gone)
        self.schema = replace(self.schema, identifier_field_ids=kept)
        return self

    def rename(self, name: str, new_name: str) -> SchemaChange:
        """Give a column another name (the last part of its full name)."""
        field, parent = self._field(name), self._parent(name)
        full = f"{parent}.{new_name}" if parent else new_name
        if (other := self._find(full)) is not None and other.field_id != field.field_id:
            raise InvalidArgument(f"column {full!r} exists already")
        return self._change(field, lambda each: replace(each, name=new_name))

    def promote(self, name: str, type: str | Type) -> SchemaChange:
        """Widen a column's type: int to long, float to double, a decimal to more digits; in v3 date to timestamp."""
        field, kind = self._field(name), parse_type_text(type)
        if field.type != kind and not self._widens(field.type, kind):
            hint = "int to long, float to double, decimal(P, S) to a larger P"
            raise InvalidArgument(f"column {name!r}: {field.type} cannot become {kind}", hint=hint)
        return self._change(field, lambda each: replace(each, type=kind))

    def doc(self, name: str, text: str | None) -> SchemaChange:
        """Describe a column."""
        return self._change(self._field(name), lambda each: replace(each, doc=text))

    def make_optional(self, name: str) -> SchemaChange:
        """Allow nulls in a column."""
        return self._change(self._field(name), lambda each: replace(each, required=False))

    def move(
        self, name: str, *, first: bool = False, after: str | None = None, before: str | None = None
    ) -> SchemaChange:
        """Reorder columns: exactly one of `first`, `after`, `before`; among the fields of one struct."""
        if sum([first, after is not None, before is not None]) != 1:
            raise InvalidArgument("give one of first=True, after= and before=")
        field, parent = self._field(name), self._parent(name)
        target = None if first else self._field(str(after or before))

        def reorder(fields: tuple[NestedField, ...]) -> tuple[NestedField, ...]:
            rest = [each for each in fields if each.field_id != field.field_id]
            at = 0
            if target is not None:
                ids = [each.field_id for each in rest]
                if target.field_id not in ids:
                    raise InvalidArgument(f"{name!r} and {after or before!r} are not fields of the same struct")
                at = ids.index(target.field_id) + (1 if after is not None else 0)
            return (*rest[:at], field, *rest[at:])

        self._siblings(parent, reorder)
        return self

    def _widens(self, old: Type, new: Type) -> bool:
        if isinstance(old, DecimalType) and isinstance(new, DecimalType):
            return old.scale == new.scale and new.precision > old.precision
        pair = (str(old), str(new))
        return pair in _WIDENINGS or (self._version > 2 and pair in _WIDENINGS_V3)

    def _find(self, name: str) -> NestedField | None:
        try:
            return self.schema.find_field(name)
        except ColumnNotFound:
            return None

    def _field(self, name: str) -> NestedField:
        return self.schema.find_field(name)

    def _parent(self, name: str) -> str:
        """The full name of the struct that a field lies in; "" at the top, also for a column with dots in its name."""
        return "" if name in self.schema.names else name.rpartition(".")[0]

    def _change(self, field: NestedField, change: Callable[[NestedField], NestedField]) -> SchemaChange:
        def visit(each: NestedField) -> NestedField:
            inner = replace(each, type=_mapped(each.type, visit))
            return change(inner) if each.field_id == field.field_id else inner

        self.schema = replace(self.schema, fields=tuple(visit(each) for each in self.schema.fields))
        return self

    def _siblings(self, parent: str, change: Callable[[tuple[NestedField, ...]], tuple[NestedField, ...]]) -> None:
        """Change the fields of one struct."""
        if not parent:
            self.schema = replace(self.schema, fields=change(self.schema.fields))
            return
        struct = self._field(parent)
        kind = struct.type
        if not isinstance(kind, StructType):
            hint = "fields inside a list are named 'tags.element.x', inside a map 'scores.value.x'"
            raise InvalidArgument(f"{parent!r} is {kind}: only structs have fields", hint=hint)
        made = StructType(change(kind.fields))
        self._change(struct, lambda each: replace(each, type=made))


def _mapped(kind: Type, visit: Callable[[NestedField], NestedField]) -> Type:
    inner = tuple(visit(each) for each in children(kind))
    if isinstance(kind, StructType):
        return StructType(inner)
    if isinstance(kind, ListType):
        return ListType(inner[0])
    return MapType(inner[0], inner[1]) if isinstance(kind, MapType) else kind


def in_use(spec: Any, order: Any, schema: Schema) -> dict[int, str]:
    """Fields that the current partition spec, sort order or identifier of a table are made from."""
    found: dict[int, str] = {}
    for each in spec.fields:
        found |= dict.fromkeys(each.source_ids, "the partition spec") if each.transform.name != "void" else {}
    for each in order.fields:
        found |= {source: "the sort order" for source in each.source_ids if source not in found}
    return found | {each: "the row identifier" for each in schema.identifier_field_ids if each not in found}
