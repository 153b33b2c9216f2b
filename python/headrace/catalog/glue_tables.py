"""Tables as Glue keeps them: an Iceberg table's pointer, a legacy Hive table's description, both as plain dictionaries.

Must not know: boto3, how metadata changes. What Iceberg's own clients read and write of a Glue table: Iceberg docs,
"AWS". Neighbours: `glue.py`; `hive_tables.py` is the same for a metastore.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.catalog.hive_tables import ICEBERG, METADATA_LOCATION, PREVIOUS_METADATA_LOCATION, TABLE_TYPE
from headrace.errors import UnsupportedError
from headrace.iceberg import TableMetadata
from headrace.metastore import HiveTable
from headrace.metastore.description import HiveColumn
from headrace.metastore.types import hive_type

Answer = Mapping[str, Any]

_INPUT = (
    *("Name", "Description", "Owner", "LastAccessTime", "LastAnalyzedTime", "Retention", "StorageDescriptor"),
    *("PartitionKeys", "ViewOriginalText", "ViewExpandedText", "TableType", "Parameters", "TargetTable"),
)
"""What a table is made from; the rest of an answer is Glue's own."""
_LONGEST_COMMENT = 255


def is_iceberg(table: Answer) -> bool:
    """Whether a Glue table stands for an Iceberg table."""
    return str((table.get("Parameters") or {}).get(TABLE_TYPE, "")).upper() == ICEBERG


def is_view(table: Answer) -> bool:
    """Whether it is a view of Hive's, Presto's or Iceberg's."""
    return str(table.get("TableType", "")).upper() in ("VIRTUAL_VIEW", "MATERIALIZED_VIEW", "ICEBERG_VIEW")


def metadata_location(table: Answer) -> str | None:
    """Where the metadata file of an Iceberg table is."""
    return (table.get("Parameters") or {}).get(METADATA_LOCATION) or None


def table_input(table: Answer) -> dict[str, Any]:
    """A table as Glue answered it, as what makes the same again."""
    return {key: table[key] for key in _INPUT if table.get(key) is not None}


def iceberg_input(
    known: Answer, name: str, metadata: TableMetadata, file: str, previous: str | None = None
) -> dict[str, Any]:
    """An Iceberg table at a metadata file; what others put there (`known`: the table before) stays."""
    own = {TABLE_TYPE: ICEBERG, METADATA_LOCATION: file}
    if previous:
        own[PREVIOUS_METADATA_LOCATION] = previous
    storage = {
        **(known.get("StorageDescriptor") or {}),
        "Location": metadata.location,
        "Columns": _columns(metadata),
    }
    return {
        **table_input(known),
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {**(known.get("Parameters") or {}), **own},
        "StorageDescriptor": storage,
    }


def hive_table(table: Answer) -> HiveTable:
    """The description of a table that is not Iceberg's.

    Raises
    ------
    UnsupportedError
        A table whose rows or partitions are not where Glue says: a link, Athena's partition projection.
    """
    storage = table.get("StorageDescriptor") or {}
    serde = storage.get("SerdeInfo") or {}
    described = HiveTable(
        database=table["DatabaseName"],
        name=table["Name"],
        location=(storage.get("Location") or "").rstrip("/"),
        columns=_described(storage.get("Columns")),
        partition_keys=_described(table.get("PartitionKeys")),
        parameters=dict(table.get("Parameters") or {}),
        table_type=table.get("TableType") or "",
        input_format=storage.get("InputFormat") or "",
        serde=serde.get("SerializationLibrary") or "",
        serde_parameters=dict(serde.get("Parameters") or {}),
        num_buckets=storage.get("NumberOfBuckets") or -1,
    )
    if (target := table.get("TargetTable")) and not storage:
        message = "it is a resource link: its description is in another database"
        hint = f"load {target.get('DatabaseName')}.{target.get('Name')} with glue.id={target.get('CatalogId')}"
        raise UnsupportedError(message, table=described.full_name, hint=hint)
    if described.partition_keys and described.parameters.get("projection.enabled", "").lower() == "true":
        message = "its partitions are projected (projection.enabled): Glue does not list them, Athena makes them up"
        raise UnsupportedError(message, table=described.full_name, hint="add its partitions to Glue, or use Athena")
    described.refuse_unreadable()
    return described


def _columns(metadata: TableMetadata) -> list[dict[str, Any]]:
    """The columns as Glue's other readers see them: the schema itself is the metadata file's."""
    made = []
    for each in metadata.schema.fields:
        parameters = {
            "iceberg.field.id": str(each.field_id),
            "iceberg.field.optional": str(not each.required).lower(),
            "iceberg.field.current": "true",
        }
        column = {"Name": each.name, "Type": hive_type(each.type, hive2=True), "Parameters": parameters}
        made.append(column | ({"Comment": each.doc[:_LONGEST_COMMENT]} if each.doc else {}))
    return made


def _described(columns: Any) -> tuple[HiveColumn, ...]:
    return tuple(HiveColumn(each["Name"], each.get("Type", "string"), each.get("Comment")) for each in columns or [])
