"""Hive's type names ↔ Iceberg's types: "array<struct<a:int,b:decimal(9,2)>>" and back.

Must not know: tables, Thrift. Hive's rules: Hive language manual, "Hive Data Types"; which Iceberg type stands for
which: Iceberg docs, "Hive", "Type compatibility". Neighbour: `description.py`.
"""

from __future__ import annotations

import re

from headrace.errors import InvalidArgument, MetaflowTableInvalidData, UnsupportedError
from headrace.iceberg import ListType, MapType, NestedField, PrimitiveType, StructType
from headrace.iceberg.types import MAX_DEPTH, DecimalType, Type

_FROM_HIVE = {
    "tinyint": "int",
    "smallint": "int",
    "int": "int",
    "integer": "int",
    "bigint": "long",
    "boolean": "boolean",
    "float": "float",
    "double": "double",
    "double precision": "double",
    "string": "string",
    "char": "string",
    "varchar": "string",
    "binary": "binary",
    "date": "date",
    "timestamp": "timestamp",
    "timestamp with local time zone": "timestamptz",
    "timestamp_ntz": "timestamp",
}
_TO_HIVE = {
    "boolean": "boolean",
    "int": "int",
    "long": "bigint",
    "float": "float",
    "double": "double",
    "date": "date",
    "timestamp": "timestamp",
    "timestamp_ns": "timestamp",
    "timestamptz": "timestamp with local time zone",
    "timestamptz_ns": "timestamp with local time zone",
    "binary": "binary",
    "fixed": "binary",
}
_DEFAULT_DECIMAL = (10, 0)
"""Hive's `decimal` without precision."""


def parse_hive_type(text: str) -> Type:
    """The Iceberg type of a Hive type name; nested fields have id 0 until `assign_ids` numbers them.

    Raises
    ------
    UnsupportedError
        A type that has no counterpart: uniontype, intervals.
    MetaflowTableInvalidData
        Text that is no type.

    Examples
    --------
    >>> str(parse_hive_type("map<string,array<smallint>>"))
    'map<string, list<int>>'
    """
    return _Reader(text).whole()


def hive_type(value: Type, hive2: bool = False) -> str:
    """The Hive type name for a column of an Iceberg type; `hive2`: without the types that Hive 2 does not know.

    Examples
    --------
    >>> hive_type(PrimitiveType("long"))
    'bigint'
    """
    if isinstance(value, StructType):
        return f"struct<{','.join(f'{each.name}:{hive_type(each.type, hive2)}' for each in value.fields)}>"
    if isinstance(value, ListType):
        return f"array<{hive_type(value.element.type, hive2)}>"
    if isinstance(value, MapType):
        return f"map<{hive_type(value.key.type, hive2)},{hive_type(value.value.type, hive2)}>"
    if isinstance(value, DecimalType):
        return f"decimal({value.precision},{value.scale})"
    found = _TO_HIVE.get(value.base, "string")  # uuid, time and what Hive has no name for
    return "timestamp" if hive2 and found.startswith("timestamp") else found


class _Reader:
    """Reads one type name from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def whole(self) -> Type:
        found = self._type(0)
        if self._text[self._at :].strip():
            raise self._wrong("the end")
        return found

    def _type(self, depth: int) -> Type:
        if depth > MAX_DEPTH:
            raise MetaflowTableInvalidData(f"Hive type is nested deeper than {MAX_DEPTH} levels")
        word = " ".join(self._match(r"\s*([A-Za-z_][A-Za-z_0-9]*(?:\s+[A-Za-z]+)*)\s*", "a type").lower().split())
        if word == "array":
            return ListType(self._inside(depth, "element"))
        if word == "map":
            return MapType(*self._entries(depth))
        if word == "struct":
            return StructType(self._fields(depth))
        parameters = self._parameters()
        if word in ("decimal", "numeric", "dec"):
            return self._decimal(parameters)
        if word not in _FROM_HIVE:
            raise UnsupportedError(f"Hive type {word!r} in {self._text[:120]!r} is not supported")
        return PrimitiveType(_FROM_HIVE[word])

    def _inside(self, depth: int, name: str) -> NestedField:
        self._match("(<)", "'<'")
        found = NestedField(0, name, self._type(depth + 1))
        self._match(r"\s*(>)", "'>'")
        return found

    def _entries(self, depth: int) -> tuple[NestedField, NestedField]:
        self._match("(<)", "'<'")
        key = NestedField(0, "key", self._type(depth + 1), required=True)
        self._match(r"\s*(,)", "','")
        value = NestedField(0, "value", self._type(depth + 1))
        self._match(r"\s*(>)", "'>'")
        return key, value

    def _fields(self, depth: int) -> tuple[NestedField, ...]:
        self._match("(<)", "'<'")
        found = []
        while True:
            name = self._match(r"\s*(`(?:[^`]|``)+`|[^:<>,`]+?)\s*:", "a field's name and ':'")
            name = name[1:-1].replace("``", "`") if name.startswith("`") else name
            found.append(NestedField(0, name, self._type(depth + 1)))
            if self._match(r"\s*([,>])", "',' or '>'") == ">":
                return tuple(found)

    def _parameters(self) -> tuple[int, ...]:
        match = re.compile(r"\(\s*(\d{1,9})\s*(?:,\s*(\d{1,9})\s*)?\)\s*").match(self._text, self._at)
        if not match:
            return ()
        self._at = match.end()
        return tuple(int(each) for each in match.groups() if each is not None)

    def _decimal(self, parameters: tuple[int, ...]) -> PrimitiveType:
        precision, scale = (*parameters, *_DEFAULT_DECIMAL[len(parameters) :])
        try:
            return DecimalType(precision, scale)
        except InvalidArgument as error:
            raise MetaflowTableInvalidData(f"Hive type {self._text[:120]!r}: {error.reason}") from None

    def _match(self, pattern: str, expected: str) -> str:
        match = re.compile(pattern).match(self._text, self._at)
        if not match:
            raise self._wrong(expected)
        self._at = match.end()
        return match[1]

    def _wrong(self, expected: str) -> MetaflowTableInvalidData:
        found = self._text[self._at : self._at + 40] or "the end"
        return MetaflowTableInvalidData(f"Hive type {self._text[:120]!r}: expected {expected}, found {found!r}")
