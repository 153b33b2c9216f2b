"""An Iceberg table as a metastore keeps it: a Thrift Table whose parameters say where the metadata file is.

Must not know: connections, locks, how metadata changes. The names are those that Iceberg's own clients read and write
(Iceberg docs, "Hive"). Neighbour: `hive.py`.
"""

from __future__ import annotations

import time
from typing import Any

from headrace.iceberg import TableMetadata
from headrace.metastore.types import hive_type

METADATA_LOCATION, PREVIOUS_METADATA_LOCATION = "metadata_location", "previous_metadata_location"
TABLE_TYPE, ICEBERG = "table_type", "ICEBERG"
LOCK_ENABLED = "engine.hive.lock-enabled"

_OWN = frozenset([METADATA_LOCATION, PREVIOUS_METADATA_LOCATION, TABLE_TYPE, "EXTERNAL", "uuid"])
_LONGEST_KEY, _LONGEST_VALUE = 256, 4000
"""Of a parameter, in the metastore's own database; longer ones stay in the metadata file alone."""


def is_iceberg(table: Any) -> bool:
    """Whether a Thrift Table stands for an Iceberg table."""
    return str((table.parameters or {}).get(TABLE_TYPE, "")).upper() == ICEBERG


def metadata_location(table: Any) -> str | None:
    """Where the metadata file of an Iceberg table is."""
    return (table.parameters or {}).get(METADATA_LOCATION) or None


def new_table(types: Any, database: str, name: str, owner: str, metadata: TableMetadata, file: str, hive2: bool) -> Any:
    """The Thrift Table of a new Iceberg table."""
    now = int(time.time())
    storage = types.StorageDescriptor(
        cols=columns(types, metadata, hive2),
        location=metadata.location,
        inputFormat="org.apache.hadoop.mapred.FileInputFormat",
        outputFormat="org.apache.hadoop.mapred.FileOutputFormat",
        compressed=False,
        numBuckets=0,
        serdeInfo=types.SerDeInfo(serializationLib="org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", parameters={}),
        bucketCols=[],
        sortCols=[],
        parameters={},
    )
    return types.Table(
        tableName=name,
        dbName=database,
        owner=owner,
        createTime=now,
        lastAccessTime=now,
        retention=0,
        sd=storage,
        partitionKeys=[],
        parameters=parameters({}, metadata, file, None, None),
        tableType="EXTERNAL_TABLE",  # a managed table's files would go with it, and a rename would move them
    )


def parameters(
    known: dict[str, str], metadata: TableMetadata, file: str, before: TableMetadata | None, previous: str | None
) -> dict[str, str]:
    """A table's parameters at new metadata: its properties, where the file is, and what others had put there."""
    gone = set(before.properties if before else ()) - set(metadata.properties) - _OWN
    kept = {key: value for key, value in known.items() if key not in gone}
    shown = {key: value for key, value in metadata.properties.items() if key not in _OWN and _fits(key, value)}
    own = {"EXTERNAL": "TRUE", TABLE_TYPE: ICEBERG, METADATA_LOCATION: file, "uuid": metadata.table_uuid or ""}
    if previous:
        own[PREVIOUS_METADATA_LOCATION] = previous
    return kept | shown | own


def columns(types: Any, metadata: TableMetadata, hive2: bool) -> list[Any]:
    """The columns as Hive sees them."""
    made = []
    for each in metadata.schema.fields:
        made.append(types.FieldSchema(name=each.name, type=hive_type(each.type, hive2), comment=each.doc or ""))
    return made


def _fits(key: str, value: str) -> bool:
    return len(key) <= _LONGEST_KEY and len(value) <= _LONGEST_VALUE
