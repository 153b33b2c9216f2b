"""Partition specs, their transforms, and sort orders.

Must not know: manifests, values, planning: transforms are computed in the engine. Neighbours: `metadata.py` holds the
table's specs and orders. Spec: Iceberg table spec, "Partitioning", "Sorting", Appendix C.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.errors import MetaflowTableInvalidData
from headrace.iceberg.members import invalid, is_a, member, objects, optional
from headrace.iceberg.types import PrimitiveType, Type

FIRST_PARTITION_FIELD_ID = 1000
"""v1 metadata may leave the ids of partition fields out; they count from here (spec: "Partition Evolution")."""

_NAMES = frozenset(["identity", "year", "month", "day", "hour", "void", "bucket", "truncate"])


@dataclass(frozen=True)
class Transform:
    """How a partition value comes from a column: `identity`, `bucket[16]`, `truncate[4]`, `day`, ...

    A transform of a later version of the format parses too (`is_known` is False): files are then not pruned by it.
    """

    name: str
    parameter: int | None = None

    @staticmethod
    def parse(text: str, where: str = "transform") -> Transform:
        """Parse the spec's name of a transform."""
        match = re.fullmatch(r"([A-Za-z_][\w-]{0,60})(?:\[\s*(\d{1,10})\s*\])?", text)
        if not match:
            raise invalid(where, text, "a transform such as 'identity' or 'bucket[16]'")
        name, parameter = match[1].lower(), None if match[2] is None else int(match[2])
        takes_one = name in ("bucket", "truncate")
        if name in _NAMES and takes_one != (parameter is not None):
            raise invalid(where, text, f"{name}[N]" if takes_one else f"{name} without a parameter")
        if takes_one and not 0 < (parameter or 0) < 2**31:
            raise invalid(where, text, f"{name}[N] with N of 1 to 2147483647")
        return Transform(name, parameter)

    @property
    def is_known(self) -> bool:
        """The engine can compute it."""
        return self.name in _NAMES

    def result_type(self, source: Type) -> Type:
        """The type of the partition value (spec: "Partition Transforms")."""
        if self.name in ("bucket", "year", "month", "hour"):
            return PrimitiveType("int")
        return PrimitiveType("date") if self.name == "day" else source

    def __str__(self) -> str:
        return self.name if self.parameter is None else f"{self.name}[{self.parameter}]"


@dataclass(frozen=True)
class PartitionField:
    """One field of a partition spec. `source_ids` has several only for transforms of several columns (v3)."""

    source_ids: tuple[int, ...]
    field_id: int
    name: str
    transform: Transform

    @property
    def source_id(self) -> int:
        """The column it comes from."""
        return self.source_ids[0]

    def to_json(self) -> dict[str, Any]:
        """The field's JSON (Appendix C)."""
        inner = {"name": self.name, "transform": str(self.transform), "field-id": self.field_id}
        return _sources_to_json(self.source_ids) | inner


@dataclass(frozen=True)
class PartitionSpec:
    """How the rows of a table are split into partitions; no fields: unpartitioned."""

    fields: tuple[PartitionField, ...] = ()
    spec_id: int = 0

    @staticmethod
    def from_json(json: Mapping[str, Any] | Sequence[Any], where: str = "partition-spec") -> PartitionSpec:
        """Parse a spec: the object of v2, or v1's bare list of fields."""
        whole: Mapping[str, Any] = {"spec-id": 0, "fields": json} if isinstance(json, list) else json  # type: ignore[assignment]
        if not isinstance(whole, dict):
            raise invalid(where, json, "a partition spec (an object)")
        fields = []
        for position, each in enumerate(objects(whole, "fields", where)):
            inner = f"{where}.fields[{position}]"
            fields.append(
                PartitionField(
                    source_ids=_sources(each, inner),
                    field_id=optional(each, "field-id", int, inner, default=FIRST_PARTITION_FIELD_ID + position),
                    name=member(each, "name", str, inner),
                    transform=Transform.parse(member(each, "transform", str, inner), f"{inner}.transform"),
                )
            )
        return PartitionSpec(tuple(fields), optional(whole, "spec-id", int, where, default=0))

    @property
    def is_unpartitioned(self) -> bool:
        """No field, or only fields that were dropped (`void`)."""
        return all(each.transform.name == "void" for each in self.fields)

    def to_json(self) -> dict[str, Any]:
        """The spec's JSON (Appendix C)."""
        return {"spec-id": self.spec_id, "fields": [each.to_json() for each in self.fields]}


@dataclass(frozen=True)
class SortField:
    """One key of a sort order. `direction` is "asc" or "desc", `null_order` "nulls-first" or "nulls-last"."""

    source_ids: tuple[int, ...]
    transform: Transform
    direction: str = "asc"
    null_order: str = "nulls-first"

    def to_json(self) -> dict[str, Any]:
        """The field's JSON (Appendix C)."""
        inner = {"transform": str(self.transform), "direction": self.direction, "null-order": self.null_order}
        return _sources_to_json(self.source_ids) | inner


@dataclass(frozen=True)
class SortOrder:
    """How writers should sort rows; order 0 has no fields: unsorted."""

    fields: tuple[SortField, ...] = ()
    order_id: int = 0

    @staticmethod
    def from_json(json: Mapping[str, Any], where: str = "sort-order") -> SortOrder:
        """Parse a sort order."""
        fields = []
        for position, each in enumerate(objects(json, "fields", where)):
            inner = f"{where}.fields[{position}]"
            transform = Transform.parse(member(each, "transform", str, inner), f"{inner}.transform")
            direction = _one_of(each, "direction", ("asc", "desc"), inner)
            nulls = _one_of(each, "null-order", ("nulls-first", "nulls-last"), inner)
            fields.append(SortField(_sources(each, inner), transform, direction, nulls))
        return SortOrder(tuple(fields), optional(json, "order-id", int, where, default=0))

    def to_json(self) -> dict[str, Any]:
        """The order's JSON (Appendix C)."""
        return {"order-id": self.order_id, "fields": [each.to_json() for each in self.fields]}


def _sources(json: Mapping[str, Any], where: str) -> tuple[int, ...]:
    if json.get("source-ids") is None:
        return (member(json, "source-id", int, where),)
    found = member(json, "source-ids", list, where)
    if not found or not all(is_a(each, int) for each in found):
        raise invalid(f"{where}.source-ids", found, "an array of field ids")
    return tuple(found)


def _sources_to_json(ids: tuple[int, ...]) -> dict[str, Any]:
    return {"source-id": ids[0]} if len(ids) == 1 else {"source-ids": list(ids)}


def _one_of(json: Mapping[str, Any], key: str, allowed: tuple[str, ...], where: str) -> str:
    found = member(json, key, str, where).lower()
    if found not in allowed:
        raise MetaflowTableInvalidData(f"{where}.{key}: expected {' or '.join(allowed)}, found {found[:80]!r}")
    return found
