"""A schema: named, typed fields with ids that outlive renames; finding fields and selecting columns.

Must not know: files, catalogs, Arrow. Neighbours: `types.py` holds the types, `metadata.py` the table's list of
schemas; the engine receives `Schema.to_json()`. Spec: Iceberg table spec, "Schemas and Data Types", Appendix C.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from headrace.errors import ColumnNotFound, InvalidArgument, MetaflowTableInvalidData, nearest
from headrace.iceberg.members import invalid, is_a, optional
from headrace.iceberg.types import (
    ListType,
    MapType,
    NestedField,
    PrimitiveType,
    StructType,
    Type,
    children,
    parse_type,
    walk,
)


@dataclass(frozen=True)
class Schema:
    """The fields of a table's rows.

    Attributes
    ----------
    fields : tuple of NestedField
        Top-level fields in order.
    schema_id : int
        Id among the table's schemas, 0 where a v1 file gives none.
    identifier_field_ids : tuple of int
        Fields that identify a row.
    """

    fields: tuple[NestedField, ...]
    schema_id: int = 0
    identifier_field_ids: tuple[int, ...] = ()

    @staticmethod
    def from_json(json: Mapping[str, Any], where: str = "schema") -> Schema:
        """Parse a schema's JSON; MetaflowTableInvalidData names the field that is wrong."""
        if not isinstance(json, dict):
            raise invalid(where, json, "a schema (an object)")
        struct = parse_type(json | {"type": "struct"}, where)
        if not isinstance(struct, StructType) or json.get("type", "struct") != "struct":
            raise invalid(f"{where}.type", json.get("type"), "'struct'")
        identifiers = optional(json, "identifier-field-ids", list, where, default=[])
        if not all(is_a(each, int) for each in identifiers):
            raise invalid(f"{where}.identifier-field-ids", identifiers, "an array of integers")
        schema_id = optional(json, "schema-id", int, where, default=0)
        schema = Schema(struct.fields, schema_id, tuple(identifiers))
        schema._check_ids(where)
        return schema

    def to_json(self) -> dict[str, Any]:
        """The schema's JSON (Appendix C), as table metadata holds it and as the engine receives it."""
        json: dict[str, Any] = {"type": "struct", "schema-id": self.schema_id}
        if self.identifier_field_ids:
            json["identifier-field-ids"] = list(self.identifier_field_ids)
        return json | {"fields": [each.to_json() for each in self.fields]}

    @property
    def names(self) -> list[str]:
        """Names of the top-level fields."""
        return [each.name for each in self.fields]

    @property
    def highest_field_id(self) -> int:
        """The largest field id at any depth, 0 for an empty schema."""
        return max(self.names_by_id, default=0)

    @cached_property
    def names_by_id(self) -> Mapping[int, str]:
        """Field id -> full name ("a.b", "tags.element", "scores.value"), for every field at any depth."""
        return {each.field_id: name for name, each in _named(self.fields)}

    @cached_property
    def _fields_by_id(self) -> Mapping[int, NestedField]:
        return {each.field_id: each for each in walk(self.fields)}

    @cached_property
    def _fields_by_name(self) -> Mapping[str, NestedField]:
        found: dict[str, NestedField] = {}
        for name, each in [*((each.name, each) for each in self.fields), *_named(self.fields)]:
            found.setdefault(name, each)  # a top-level column called "a.b" wins over b inside a
        return found

    @cached_property
    def _names_by_folded_name(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self._fields_by_name:
            found.setdefault(name.casefold(), []).append(name)
        return found

    def field(self, field_id: int) -> NestedField | None:
        """The field with this id at any depth, None where there is none."""
        return self._fields_by_id.get(field_id)

    def find_field(self, name: str, case_sensitive: bool = True) -> NestedField:
        """Find a field by its full name.

        Parameters
        ----------
        name : str
            "a", or "a.b" for a field inside a struct, "tags.element", "scores.key", "scores.value".
        case_sensitive : bool, default True
            Compare names exactly.

        Raises
        ------
        ColumnNotFound
            With the nearest name.
        InvalidArgument
            Where several names differ only in case and `case_sensitive` is False.
        """
        if found := self._fields_by_name.get(name):
            return found
        folded = self._names_by_folded_name.get(name.casefold(), [])
        if not case_sensitive and len(folded) > 1:
            raise InvalidArgument(f"column {name!r} is ambiguous: {', '.join(map(repr, folded))} differ only in case")
        if not case_sensitive and folded:
            return self._fields_by_name[folded[0]]
        raise ColumnNotFound(f"no column {name!r}", hint=nearest(name, self._fields_by_name))

    def select(self, columns: Sequence[str] | None, case_sensitive: bool = True) -> Schema:
        """Keep some columns, with their ids.

        Parameters
        ----------
        columns : sequence of str or None
            Full names. "a.b" keeps `a` with only `b` in it; "tags.element.x" and "scores.value.x" likewise (a map's
            key always stays). None keeps all.
        case_sensitive : bool, default True
            Compare names exactly.

        Returns
        -------
        Schema
            Top-level columns in the order in which `columns` first names them, once each; inside a struct the
            schema's own order.
        """
        if columns is None:
            return self
        if isinstance(columns, str):
            raise InvalidArgument(f"columns must be a sequence of names, found the string {columns!r}")
        kept = {self.find_field(name, case_sensitive).field_id: None for name in columns}
        tops = {top.field_id: top for top in (self._top_of[each] for each in kept)}
        fields = tuple(pruned for top in tops.values() if (pruned := _prune(top, kept.keys().__contains__)))
        left = {each.field_id for each in walk(fields)}
        return Schema(fields, self.schema_id, tuple(each for each in self.identifier_field_ids if each in left))

    def with_metadata(self, columns: Sequence[str] | None, partition: StructType | None = None) -> Schema:
        """The schema and those metadata columns that are named and no column of its own.

        Parameters
        ----------
        columns : sequence of str or None
            What is asked for.
        partition : StructType or None
            The type of `_partition`, if the table's partition values may be asked for.
        """
        named = [] if columns is None or isinstance(columns, str) else columns
        known = METADATA | ({} if partition is None else {"_partition": _partition(partition)})
        tops = dict.fromkeys(each if each in known else each.partition(".")[0] for each in named)
        added = tuple(known[each] for each in tops if each in known and each not in self.names)
        return replace(self, fields=self.fields + added) if added else self

    def with_changes(self) -> Schema:
        """The schema and what a list of changes knows of a row; see `headrace.changes`."""
        return replace(self, fields=self.fields + CHANGES)

    @cached_property
    def _top_of(self) -> Mapping[int, NestedField]:
        return {inner.field_id: top for top in self.fields for inner in walk((top,))}

    def _check_ids(self, where: str) -> None:
        seen: set[int] = set()
        for each in walk(self.fields):
            if each.field_id in seen:
                raise MetaflowTableInvalidData(f"{where}: field id {each.field_id} is used twice ({each.name[:80]!r})")
            seen.add(each.field_id)

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("fields", "schema_id", "identifier_field_ids")}

    def __str__(self) -> str:
        return "table {\n" + "".join(f"  {each}\n" for each in self.fields) + "}"


METADATA = {
    "_file": NestedField(2147483646, "_file", PrimitiveType("string"), required=True),
    "_pos": NestedField(2147483645, "_pos", PrimitiveType("long"), required=True),
    "_spec_id": NestedField(2147483643, "_spec_id", PrimitiveType("int"), required=True),
    "_row_id": NestedField(2147483540, "_row_id", PrimitiveType("long")),
    "_last_updated_sequence_number": NestedField(2147483539, "_last_updated_sequence_number", PrimitiveType("long")),
}
"""Columns beside a table's own: where a row lies, and its lineage (spec: "Reserved Field IDs")."""
CHANGE_TYPE = "_change_type"
CHANGES = (
    NestedField(2147483543, CHANGE_TYPE, PrimitiveType("string"), required=True),
    NestedField(2147483541, "_commit_snapshot_id", PrimitiveType("long"), required=True),
)
"""What a snapshot did to a row, and which one; ids as in Iceberg's Java (MetadataColumns)."""


def _partition(values: StructType) -> NestedField:
    return NestedField(2147483642, "_partition", values, required=True)


def _named(fields: tuple[NestedField, ...], prefix: str = "") -> Iterator[tuple[str, NestedField]]:
    for each in fields:
        yield prefix + each.name, each
        yield from _named(children(each.type), f"{prefix}{each.name}.")


def _prune(field: NestedField, wanted: Callable[[int], bool]) -> NestedField | None:
    """The field with only what is wanted inside it; whole where it is wanted itself; None where nothing is."""
    if wanted(field.field_id):
        return field
    pruned = _prune_type(field.type, wanted)
    return None if pruned is None else replace(field, type=pruned)


def _prune_type(value: Type, wanted: Callable[[int], bool]) -> Type | None:
    if isinstance(value, StructType):
        fields = tuple(kept for each in value.fields if (kept := _prune(each, wanted)))
        return StructType(fields) if fields else None
    if isinstance(value, ListType):
        element = _prune(value.element, wanted)
        return ListType(element) if element else None
    if isinstance(value, MapType):
        inner = _prune(value.value, wanted)
        if inner is None and not any(wanted(each.field_id) for each in walk((value.key,))):
            return None
        return MapType(value.key, inner or value.value)
    return None


def assign_ids(fields: Sequence[NestedField], first: int = 1) -> tuple[NestedField, ...]:
    """The same fields with new ids: all fields of one level before those inside them, as the reference writers number.

    Ids that the fields carry are ignored. For schemas that come from outside Iceberg (an Arrow schema, a dataclass).
    """
    return _numbered(tuple(fields), iter(range(first, 2**31 - 200)))


def keep_ids(fields: Sequence[NestedField], known: Schema, last_id: int) -> tuple[NestedField, ...]:
    """The same fields with the ids that a known schema has for columns of the same name and type, all others new.

    For a table that is defined anew: columns that stay what they were keep their identity.
    """
    there = {each.name: each for each in known.fields}
    ids = iter(range(last_id + 1, 2**31 - 200))
    found = []
    for each in fields:
        same = there.get(each.name)
        keeps = same is not None and str(same.type) == str(each.type)
        found.append(
            replace(each, field_id=same.field_id, type=same.type) if same and keeps else _numbered((each,), ids)[0]
        )
    return tuple(found)


def _numbered(fields: tuple[NestedField, ...], ids: Iterator[int]) -> tuple[NestedField, ...]:
    level = [replace(each, field_id=next(ids)) for each in fields]
    return tuple(replace(each, type=_numbered_type(each.type, ids)) for each in level)


def _numbered_type(value: Type, ids: Iterator[int]) -> Type:
    inner = _numbered(children(value), ids)
    if isinstance(value, PrimitiveType):
        return value
    if isinstance(value, StructType):
        return StructType(inner)
    return ListType(inner[0]) if isinstance(value, ListType) else MapType(inner[0], inner[1])
