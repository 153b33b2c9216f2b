"""Iceberg table metadata as values: what a table is, before any manifest or data file is opened.

Must not know: catalogs, configuration, the network, files, frames. It takes bytes or parsed JSON and gives immutable
objects. Manifests are the engine's. Neighbours: `headrace.catalog` loads the metadata, plans read it.
"""

from headrace.iceberg.metadata import TableMetadata, parse_metadata
from headrace.iceberg.partitioning import PartitionField, PartitionSpec, SortField, SortOrder, Transform
from headrace.iceberg.schema import Schema
from headrace.iceberg.snapshots import Snapshot, SnapshotRef, select_snapshot
from headrace.iceberg.types import ListType, MapType, NestedField, PrimitiveType, StructType, parse_primitive

__all__ = [
    "ListType",
    "MapType",
    "NestedField",
    "PartitionField",
    "PartitionSpec",
    "PrimitiveType",
    "Schema",
    "Snapshot",
    "SnapshotRef",
    "SortField",
    "SortOrder",
    "StructType",
    "TableMetadata",
    "Transform",
    "parse_metadata",
    "parse_primitive",
    "select_snapshot",
]
