"""The first metadata of a new table.

Must not know: where it is written, catalogs. Neighbours: `catalog.sql` writes what this makes; REST servers make their
own. Spec: Iceberg table spec, "Table Metadata".
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from headrace.errors import InvalidArgument, UnsupportedError
from headrace.iceberg.metadata import TableMetadata, parse_metadata
from headrace.iceberg.partitioning import FIRST_PARTITION_FIELD_ID, PartitionSpec, SortOrder
from headrace.iceberg.schema import Schema
from headrace.iceberg.types import PrimitiveType, walk

FORMAT_VERSION = "format-version"
DEFAULT_FORMAT_VERSION = 2


def new_metadata(
    location: str,
    schema: Schema,
    partition_spec: PartitionSpec | None = None,
    sort_order: SortOrder | None = None,
    properties: Mapping[str, str] | None = None,
) -> TableMetadata:
    """Metadata of an empty table.

    Parameters
    ----------
    location : str
        The table's folder.
    schema : Schema
        With field ids, unique and above 0.
    partition_spec, sort_order : PartitionSpec, SortOrder or None
        None: unpartitioned, unsorted.
    properties : mapping of str to str or None
        Table properties; `format-version` ("1" to "3", default "2") is taken out of them.

    Raises
    ------
    InvalidArgument
        An id that is not above 0, a duplicate name, a partition or sort field whose column is not a primitive column
        of the schema.
    UnsupportedError
        A type that needs a later format version.
    """
    kept = dict(properties or {})
    version = _format_version(kept.pop(FORMAT_VERSION, str(DEFAULT_FORMAT_VERSION)))
    spec, order = partition_spec or PartitionSpec(), sort_order or SortOrder()
    _check_schema(schema, version)
    _check_sources(schema, ((each.name, each.source_ids) for each in spec.fields), "partition field")
    _check_sources(schema, ((str(each.transform), each.source_ids) for each in order.fields), "sort field")
    raw: dict[str, Any] = {
        "format-version": version,
        "table-uuid": str(uuid.uuid4()),
        "location": location.rstrip("/"),
        "last-sequence-number": 0,
        "last-updated-ms": time.time_ns() // 1_000_000,
        "last-column-id": schema.highest_field_id,
        "current-schema-id": schema.schema_id,
        "schemas": [schema.to_json()],
        "default-spec-id": spec.spec_id,
        "partition-specs": [spec.to_json()],
        "last-partition-id": max((each.field_id for each in spec.fields), default=FIRST_PARTITION_FIELD_ID - 1),
        "default-sort-order-id": order.order_id,
        "sort-orders": [order.to_json()],
        "properties": kept,
        "current-snapshot-id": None,
        "refs": {},
        "snapshots": [],
        "snapshot-log": [],
        "metadata-log": [],
        "statistics": [],
        "partition-statistics": [],
    }
    if version > 2:
        raw["next-row-id"] = 0
    if version == 1:
        del raw["last-sequence-number"], raw["refs"]
        raw |= {"schema": schema.to_json(), "partition-spec": spec.to_json()["fields"], "current-snapshot-id": -1}
    return parse_metadata(raw)


def _format_version(text: str) -> int:
    if text in ("1", "2", "3"):
        return int(text)
    raise InvalidArgument(f"property 'format-version': expected '1', '2' or '3', found {text[:40]!r}")


def _check_schema(schema: Schema, version: int) -> None:
    for each in walk(schema.fields):
        if each.field_id < 1:
            hint = "headrace.iceberg.schema.assign_ids numbers fields"
            raise InvalidArgument(f"field {each.name!r} has id {each.field_id}: ids start at 1", hint=hint)
        if isinstance(each.type, PrimitiveType) and each.type.format_version > version:
            message = f"field {each.name!r}: type {each.type} needs format version {each.type.format_version}"
            raise UnsupportedError(message)
    doubled = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if doubled:
        raise InvalidArgument(f"columns named twice: {', '.join(map(repr, doubled))}")


def _check_sources(schema: Schema, fields: Iterable[tuple[str, tuple[int, ...]]], kind: str) -> None:
    for name, source_ids in fields:
        for source_id in source_ids:
            source = schema.field(source_id)
            if source is None or not isinstance(source.type, PrimitiveType):
                message = f"{kind} {name!r}: source id {source_id} is not a primitive column of the schema"
                raise InvalidArgument(message)
