"""Iceberg's types as Python objects: primitives by name, and struct, list and map of nested fields.

Must not know: schemas, tables, Arrow. Neighbours: `schema.py` builds on it, `partitioning.py` names result types.
Spec: Iceberg table spec, "Schemas and Data Types"; JSON in Appendix C. The engine parses the same JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from headrace.errors import InvalidArgument, MetaflowTableInvalidData, nearest
from headrace.iceberg.members import invalid, member, optional

MAX_DEPTH = 64
"""Levels of nesting that are parsed: the engine's own limit (engine/core/src/iceberg/schema.rs)."""

SIMPLE_NAMES = (
    *("boolean", "int", "long", "float", "double", "string", "uuid", "binary", "unknown", "variant"),
    *("date", "time", "timestamp", "timestamptz", "timestamp_ns", "timestamptz_ns"),
)
"""Names of the types without parameters; `timestamp_ns`, `timestamptz_ns`, `unknown` and `variant` are of v3."""

_SPATIAL = re.compile(
    r"geometry(\s*\(\s*[^(),\s][^(),]{0,200}\))?|geography(\s*\(\s*[^(),\s][^(),]{0,200}"
    r"(,\s*(spherical|vincenty|thomas|andoyer|karney)\s*)?\))?"
)
_V3_NAMES = frozenset(["timestamp_ns", "timestamptz_ns", "unknown", "variant", "geometry", "geography"])


@dataclass(frozen=True)
class PrimitiveType:
    """A type that is not nested. `name` is the spec's JSON name, such as `long` or `decimal(9, 2)`."""

    name: str

    @property
    def base(self) -> str:
        """The name without parameters: `decimal`, `fixed`, `geometry`, `long`."""
        return re.split(r"[(\[]", self.name, maxsplit=1)[0].strip()

    @property
    def format_version(self) -> int:
        """The first format version that has the type: 1 or 3."""
        return 3 if self.base in _V3_NAMES else 1

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, init=False, repr=False)
class DecimalType(PrimitiveType):
    """Fixed-point decimal of at most 38 digits."""

    precision: int
    scale: int

    def __init__(self, precision: int, scale: int) -> None:
        if not (1 <= precision <= 38 and 0 <= scale <= precision):
            raise InvalidArgument(f"decimal({precision}, {scale}): precision is 1 to 38, scale 0 to the precision")
        object.__setattr__(self, "name", f"decimal({precision}, {scale})")
        object.__setattr__(self, "precision", precision)
        object.__setattr__(self, "scale", scale)

    def __reduce__(self) -> tuple[Any, ...]:
        return DecimalType, (self.precision, self.scale)


@dataclass(frozen=True, init=False, repr=False)
class FixedType(PrimitiveType):
    """Exactly `length` bytes."""

    length: int

    def __init__(self, length: int) -> None:
        if not 0 <= length < 2**31:
            raise InvalidArgument(f"fixed[{length}]: the length is 0 to 2147483647")
        object.__setattr__(self, "name", f"fixed[{length}]")
        object.__setattr__(self, "length", length)

    def __reduce__(self) -> tuple[Any, ...]:
        return FixedType, (self.length,)


@dataclass(frozen=True)
class SpatialType(PrimitiveType):
    """`geometry` or `geography` (v3): shapes as well-known binary (WKB)."""

    @property
    def crs(self) -> str:
        """The coordinate reference system, such as `OGC:CRS84`, which is meant where none is named, or `srid:4326`."""
        return self._parameters[0] or "OGC:CRS84"

    @property
    def algorithm(self) -> str | None:
        """How a geography's edges run between points; None for a geometry, whose edges are straight."""
        if self.base == "geometry":
            return None
        return self._parameters[1] or "spherical"

    @property
    def _parameters(self) -> tuple[str, str]:
        _, _, inner = self.name.partition("(")
        crs, _, algorithm = inner.removesuffix(")").partition(",")
        return crs.strip(), algorithm.strip()


@dataclass(frozen=True)
class NestedField:
    """A field of a struct, the element of a list, the key or value of a map.

    `initial_default` and `write_default` (v3) are in the JSON single-value form (Appendix D), None where there is none.
    """

    field_id: int
    name: str
    type: Type
    required: bool = False
    doc: str | None = None
    initial_default: Any = None
    write_default: Any = None

    @property
    def field_type(self) -> Type:
        """The type, under the name by which filters ask for it."""
        return self.type

    def to_json(self) -> dict[str, Any]:
        """The struct field's JSON (Appendix C)."""
        json: dict[str, Any] = {
            "id": self.field_id,
            "name": self.name,
            "required": self.required,
            "type": type_to_json(self.type),
        }
        extra = {"doc": self.doc, "initial-default": self.initial_default, "write-default": self.write_default}
        return json | {key: value for key, value in extra.items() if value is not None}

    def __str__(self) -> str:
        return f"{self.field_id}: {self.name}: {'required' if self.required else 'optional'} {self.type}"


@dataclass(frozen=True)
class StructType:
    """A record of named fields."""

    fields: tuple[NestedField, ...]

    def __str__(self) -> str:
        return f"struct<{', '.join(map(str, self.fields))}>"


@dataclass(frozen=True)
class ListType:
    """A list; the element is a field named `element`."""

    element: NestedField

    def __str__(self) -> str:
        return f"list<{self.element.type}>"


@dataclass(frozen=True)
class MapType:
    """A map; key and value are fields named `key` and `value`."""

    key: NestedField
    value: NestedField

    def __str__(self) -> str:
        return f"map<{self.key.type}, {self.value.type}>"


Type: TypeAlias = PrimitiveType | StructType | ListType | MapType


def children(value: Type) -> tuple[NestedField, ...]:
    """The fields directly inside a type; none for a primitive."""
    if isinstance(value, StructType):
        return value.fields
    if isinstance(value, ListType):
        return (value.element,)
    return (value.key, value.value) if isinstance(value, MapType) else ()


def walk(fields: tuple[NestedField, ...]) -> Iterator[NestedField]:
    """Every field at any depth, parents first."""
    for each in fields:
        yield each
        yield from walk(children(each.type))


def parse_primitive(name: str) -> PrimitiveType:
    """The type of this spec name, such as `decimal(9, 2)`; MetaflowTableInvalidData with the nearest name else."""
    if name in SIMPLE_NAMES:
        return PrimitiveType(name)
    if match := re.fullmatch(r"fixed\[\s*(\d{1,10})\s*\]", name):
        return _checked(name, FixedType, int(match[1]))
    if match := re.fullmatch(r"decimal\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)", name):
        return _checked(name, DecimalType, int(match[1]), int(match[2]))
    if _SPATIAL.fullmatch(name):
        return SpatialType(name)
    known = [*SIMPLE_NAMES, "decimal(P, S)", "fixed[L]", "geometry", "geography"]
    raise MetaflowTableInvalidData(f"unknown type {name[:80]!r}", hint=nearest(name[:80], known, limit=30))


def _checked(name: str, kind: Any, *parameters: int) -> PrimitiveType:
    try:
        return kind(*parameters)  # type: ignore[no-any-return]
    except InvalidArgument as error:
        raise MetaflowTableInvalidData(f"type {name!r}: {error.reason}") from None


def type_to_json(value: Type) -> Any:
    """The JSON of a type (Appendix C): a string, or an object for nested types."""
    if isinstance(value, PrimitiveType):
        return value.name
    if isinstance(value, StructType):
        return {"type": "struct", "fields": [each.to_json() for each in value.fields]}
    if isinstance(value, ListType):
        return {"type": "list"} | _member_json("element", value.element)
    return {"type": "map"} | _member_json("key", value.key) | _member_json("value", value.value)


def _member_json(name: str, inner: NestedField) -> dict[str, Any]:
    json: dict[str, Any] = {f"{name}-id": inner.field_id, name: type_to_json(inner.type)}
    return json if name == "key" else json | {f"{name}-required": inner.required}


def parse_type(json: Any, where: str, depth: int = 0) -> Type:
    """Parse the JSON of a type; `where` names it in errors."""
    if depth > MAX_DEPTH:
        raise MetaflowTableInvalidData(f"schema is nested deeper than {MAX_DEPTH} levels at {where[:200]}")
    if isinstance(json, str):
        try:
            return parse_primitive(json)
        except MetaflowTableInvalidData as error:
            raise MetaflowTableInvalidData(f"{where}: {error.reason}", hint=error.hint) from None
    if not isinstance(json, dict):
        raise invalid(where, json, "a type (a string or an object)")
    kind = json.get("type")
    if kind == "struct":
        return StructType(parse_fields(member(json, "fields", list, where), where, depth + 1))
    if kind == "list":
        return ListType(_parse_member(json, "element", where, depth))
    if kind == "map":
        return MapType(_parse_member(json, "key", where, depth), _parse_member(json, "value", where, depth))
    raise invalid(f"{where}.type", kind, "'struct', 'list' or 'map'")


def parse_fields(json: list[Any], where: str, depth: int) -> tuple[NestedField, ...]:
    """Parse the fields of a struct."""
    return tuple(_parse_field(each, f"{where}.fields[{position}]", depth) for position, each in enumerate(json))


def _parse_field(json: Any, where: str, depth: int) -> NestedField:
    if not isinstance(json, dict):
        raise invalid(where, json, "a field (an object)")
    name = member(json, "name", str, where)
    return NestedField(
        field_id=_field_id(json, "id", where),
        name=name,
        type=parse_type(json.get("type"), f"{where}({name[:80]}).type", depth),
        required=optional(json, "required", bool, where, default=False),
        doc=optional(json, "doc", str, where),
        initial_default=json.get("initial-default"),
        write_default=json.get("write-default"),
    )


def _parse_member(json: Mapping[str, Any], name: str, where: str, depth: int) -> NestedField:
    return NestedField(
        field_id=_field_id(json, f"{name}-id", where),
        name=name,
        type=parse_type(json.get(name), f"{where}.{name}", depth + 1),
        required=name == "key" or optional(json, f"{name}-required", bool, where, default=False),
    )


def _field_id(json: Mapping[str, Any], key: str, where: str) -> int:
    found = member(json, key, int, where)
    if not 0 <= found < 2**31:  # the engine holds ids in 32 bits
        raise invalid(f"{where}.{key}", found, "an id of 0 to 2147483647")
    return found
