"""Changes of a table as the REST specification has them: requirements that must hold, and updates, both plain JSON.

A commit is a pair of such lists, whatever the catalog: a REST server applies them itself, for an SQL catalog
`applying.py` does. Must not know: catalogs, files, why a change is made. Neighbours: `applying.py` applies updates.
Iceberg REST specification, "TableRequirement" and "TableUpdate".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headrace.errors import MetaflowTableConflict, UnsupportedError
from headrace.iceberg.metadata import TableMetadata
from headrace.iceberg.partitioning import FIRST_PARTITION_FIELD_ID, PartitionSpec, SortOrder
from headrace.iceberg.schema import Schema

Requirement = dict[str, Any]
Update = dict[str, Any]

LAST_ADDED = -1
"""Stands for the id of the schema, spec or order that the same commit adds."""


def assert_uuid(metadata: TableMetadata) -> list[Requirement]:
    """The table is still this one, not another of its name; v1 tables may have no identity to check."""
    return [{"type": "assert-table-uuid", "uuid": metadata.table_uuid}] if metadata.table_uuid else []


def assert_ref(ref: str, snapshot_id: int | None) -> Requirement:
    """A branch or tag points there; None: it does not exist."""
    return {"type": "assert-ref-snapshot-id", "ref": ref, "snapshot-id": snapshot_id}


def assert_schema(metadata: TableMetadata) -> list[Requirement]:
    """Nobody has changed the schema."""
    return [
        {"type": "assert-last-assigned-field-id", "last-assigned-field-id": metadata.last_column_id},
        {"type": "assert-current-schema-id", "current-schema-id": metadata.schema.schema_id},
    ]


def assert_spec(metadata: TableMetadata) -> list[Requirement]:
    """Nobody has changed the partition spec."""
    last = last_partition_id(metadata)
    return [
        {"type": "assert-last-assigned-partition-id", "last-assigned-partition-id": last},
        {"type": "assert-default-spec-id", "default-spec-id": metadata.spec.spec_id},
    ]


def last_partition_id(metadata: TableMetadata) -> int:
    """The highest id ever given to a partition field."""
    known = metadata.raw.get("last-partition-id")
    if isinstance(known, int):
        return known
    ids = [field.field_id for spec in metadata.specs.values() for field in spec.fields]
    return max(ids, default=FIRST_PARTITION_FIELD_ID - 1)


def add_schema(schema: Schema, last_column_id: int) -> list[Update]:
    """A new schema becomes the current one."""
    added = {"action": "add-schema", "schema": schema.to_json(), "last-column-id": last_column_id}
    return [added, {"action": "set-current-schema", "schema-id": LAST_ADDED}]


def add_spec(spec: PartitionSpec) -> list[Update]:
    """A new partition spec becomes the one that writers use."""
    return [{"action": "add-spec", "spec": spec.to_json()}, {"action": "set-default-spec", "spec-id": LAST_ADDED}]


def add_sort_order(order: SortOrder) -> list[Update]:
    """A new sort order becomes the one that writers use."""
    added = {"action": "add-sort-order", "sort-order": order.to_json()}
    return [added, {"action": "set-default-sort-order", "sort-order-id": LAST_ADDED}]


def add_snapshot(snapshot: Mapping[str, Any], branch: str, ref: Mapping[str, Any] | None = None) -> list[Update]:
    """A snapshot becomes the head of a branch, whose other settings (`ref`) stay."""
    return [{"action": "add-snapshot", "snapshot": dict(snapshot)}, set_ref(branch, snapshot["snapshot-id"], ref=ref)]


def set_ref(name: str, snapshot_id: int, kind: str = "branch", ref: Mapping[str, Any] | None = None) -> Update:
    """A branch or tag points to a snapshot."""
    kept = {key: value for key, value in (ref or {}).items() if key not in ("snapshot-id", "type")}
    return {"action": "set-snapshot-ref", "ref-name": name, "type": kind, "snapshot-id": snapshot_id, **kept}


def remove_ref(name: str) -> Update:
    """A branch or tag goes."""
    return {"action": "remove-snapshot-ref", "ref-name": name}


def remove_snapshots(snapshot_ids: Iterable[int]) -> list[Update]:
    """Snapshots go; no branch or tag may point to one."""
    ids = list(snapshot_ids)
    return [{"action": "remove-snapshots", "snapshot-ids": ids}] if ids else []


def set_properties(properties: Mapping[str, str]) -> list[Update]:
    """Table properties are set."""
    return [{"action": "set-properties", "updates": dict(properties)}] if properties else []


def remove_properties(names: Iterable[str]) -> list[Update]:
    """Table properties go."""
    removals = list(names)
    return [{"action": "remove-properties", "removals": removals}] if removals else []


def check(metadata: TableMetadata | None, requirements: Sequence[Mapping[str, Any]]) -> None:
    """Raise MetaflowTableConflict unless all requirements hold; None: there is no such table."""
    for each in requirements:
        kind = str(each.get("type"))
        if kind == "assert-create":
            if metadata is not None:
                raise MetaflowTableConflict("the table exists already")
            continue
        if metadata is None:
            raise MetaflowTableConflict("the table does not exist")
        expected, found = _compared(metadata, kind, each)
        if expected != found:
            raise MetaflowTableConflict(f"{kind}: expected {expected}, found {found}")


def _compared(metadata: TableMetadata, kind: str, each: Mapping[str, Any]) -> tuple[Any, Any]:
    """(expected, found) of a requirement."""
    if kind == "assert-ref-snapshot-id":
        ref = metadata.refs.get(str(each["ref"]))
        return each.get("snapshot-id"), ref.snapshot_id if ref else None
    if kind == "assert-table-uuid":
        return str(each["uuid"]).lower(), str(metadata.table_uuid).lower()
    if kind == "assert-last-assigned-field-id":
        return each["last-assigned-field-id"], metadata.last_column_id
    if kind == "assert-current-schema-id":
        return each["current-schema-id"], metadata.schema.schema_id
    if kind == "assert-last-assigned-partition-id":
        return each["last-assigned-partition-id"], last_partition_id(metadata)
    if kind == "assert-default-spec-id":
        return each["default-spec-id"], metadata.spec.spec_id
    if kind == "assert-default-sort-order-id":
        return each["default-sort-order-id"], metadata.sort_order.order_id
    raise UnsupportedError(f"requirement {kind!r} is not known to this version")
