"""A legacy Hive table as a value: columns, partition keys, storage, and whether its rows can be read at all.

Made from what a metastore (or Glue) answers. Must not know: Thrift connections, folders, partitions' values.
Neighbours: `types.py` reads type names, `headrace.hive` plans and writes with it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from headrace.errors import HeadraceError, UnsupportedError
from headrace.iceberg import (
    NestedField,
    PartitionField,
    PartitionSpec,
    Schema,
    TableMetadata,
    Transform,
)
from headrace.iceberg.creation import new_metadata
from headrace.iceberg.partitioning import FIRST_PARTITION_FIELD_ID
from headrace.iceberg.schema import assign_ids
from headrace.iceberg.types import children
from headrace.metastore.types import parse_hive_type

DEFAULT_PARTITION = "__HIVE_DEFAULT_PARTITION__"
"""Stands for null in partition values (hive.exec.default.partition.name)."""

_PARQUET_SERDES = ("org.apache.hadoop.hive.ql.io.parquet.serde.parquethiveserde", "parquet.hive.serde.parquethiveserde")
_PARQUET_INPUTS = (
    "org.apache.hadoop.hive.ql.io.parquet.mapredparquetinputformat",
    "parquet.hive.deprecatedparquetinputformat",
    "parquet.hive.mapredparquetinputformat",
)
_ORC_SERDE = "org.apache.hadoop.hive.ql.io.orc.orcserde"
_ORC_INPUTS = ("org.apache.hadoop.hive.ql.io.orc.orcinputformat", "org.apache.hadoop.hive.ql.io.orc.orcnewinputformat")
_PARQUET_MATCHING = (("parquet.column.index.access",), "hive.parquet.use-column-names")
_ORC_MATCHING = (("orc.column.index.access", "orc.force.positional.evolution"), "hive.orc.use-column-names")
"""Properties that match files' columns by position if true, and the one that does if false."""
_FORMATS = {
    "textinputformat": "text",
    "sequencefile": "a sequence file",
    "avro": "Avro",
    "hoodie": "Hudi",
    "rcfile": "RCFile",
}


@dataclass(frozen=True)
class HiveColumn:
    """A column or partition key: name, Hive's type name, comment."""

    name: str
    type: str
    comment: str | None = None


@dataclass(frozen=True)
class HiveTable:
    """A table of a Hive Metastore that is not Iceberg's.

    Attributes
    ----------
    database, name, location : str
        Its names, and its folder ("" for a view).
    columns, partition_keys : tuple of HiveColumn
        Columns in the files, and columns whose values are the partitions'.
    parameters, serde_parameters : mapping of str to str
        Of the table and of its SerDe.
    table_type, input_format, serde : str
        As the metastore has them.
    """

    database: str
    name: str
    location: str
    columns: tuple[HiveColumn, ...]
    partition_keys: tuple[HiveColumn, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    table_type: str = "EXTERNAL_TABLE"
    input_format: str = ""
    serde: str = ""
    serde_parameters: Mapping[str, str] = field(default_factory=dict)
    num_buckets: int = -1

    @staticmethod
    def of_thrift(table: Any) -> HiveTable:
        """The description in a Thrift Table."""
        storage = table.sd
        serde = storage.serdeInfo
        return HiveTable(
            database=table.dbName,
            name=table.tableName,
            location=(storage.location or "").rstrip("/"),
            columns=_columns(storage.cols),
            partition_keys=_columns(table.partitionKeys),
            parameters=dict(table.parameters or {}),
            table_type=table.tableType or "",
            input_format=storage.inputFormat or "",
            serde=(serde.serializationLib if serde else "") or "",
            serde_parameters=dict((serde.parameters if serde else None) or {}),
            num_buckets=storage.numBuckets or -1,
        )

    @property
    def full_name(self) -> str:
        """ "db.table"."""
        return f"{self.database}.{self.name}"

    @property
    def by_position(self) -> bool:
        """Whether files' columns are matched by their position instead of their name."""
        by_index, by_name = _ORC_MATCHING if self.is_orc else _PARQUET_MATCHING
        given = {key.lower(): value.lower() for key, value in {**self.parameters, **self.serde_parameters}.items()}
        return any(given.get(key) == "true" for key in by_index) or given.get(by_name) == "false"

    @property
    def is_orc(self) -> bool:
        """Whether its files are ORC, which is read and not written."""
        return self.serde.lower() == _ORC_SERDE or self.input_format.lower() in _ORC_INPUTS

    @property
    def is_transactional(self) -> bool:
        """A table of Hive ACID, insert-only ones included."""
        return self.parameters.get("transactional", "").lower() == "true"

    def refuse_unreadable(self) -> None:
        """Raise UnsupportedError, with the reason, where the rows cannot be read."""
        if self.table_type.upper() in ("VIRTUAL_VIEW", "MATERIALIZED_VIEW"):
            raise self._unsupported("it is a view", "read the tables below it")
        if self.is_transactional:
            reason = "it is transactional (Hive ACID): its files hold deltas that only Hive's readers merge"
            raise self._unsupported(reason, "copy it to a plain or an Iceberg table")
        provider = self.parameters.get("spark.sql.sources.provider", "").lower()
        if provider not in ("", "parquet", "orc", "hive"):
            raise self._unsupported(f"it is a {provider} table of Spark", "copy it to a Parquet or an Iceberg table")
        if "symlink" in self.input_format.lower():
            reason = "its folder holds lists of files (SymlinkTextInputFormat), not the files"
            raise self._unsupported(reason, "read the table that the lists were made from")
        is_parquet = self.serde.lower() in _PARQUET_SERDES or self.input_format.lower() in _PARQUET_INPUTS
        if not (is_parquet or self.is_orc):
            text = f"{self.input_format} {self.serde}".lower()
            kind = next((name for part, name in _FORMATS.items() if part in text), self.input_format or "unknown")
            raise self._unsupported(
                f"its files are {kind}, not Parquet or ORC", "copy it to a Parquet or an Iceberg table"
            )
        if self.storage_handler:
            raise self._unsupported(f"its rows are kept by {self.storage_handler}", None)

    @property
    def storage_handler(self) -> str:
        """The class that keeps the rows of a table without files, "" for one with files."""
        return self.parameters.get("storage_handler", "")

    @cached_property
    def metadata(self) -> TableMetadata:
        """The table in Iceberg's terms: one schema with ids of our own, identity partitions, no snapshot.

        Raises
        ------
        UnsupportedError, MetaflowTableInvalidData
            A column's type that has no counterpart, or cannot be read.
        """
        fields = [self._field(each) for each in (*self.columns, *self.partition_keys)]
        schema = Schema(assign_ids(fields))
        keys = schema.fields[len(self.columns) :]
        spec = PartitionSpec(
            tuple(
                PartitionField((each.field_id,), FIRST_PARTITION_FIELD_ID + at, each.name, Transform("identity"))
                for at, each in enumerate(keys)
            )
        )
        made = new_metadata(self.location, schema, spec, None, _plain(self.parameters))
        identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.full_name} {self.location}"))
        return TableMetadata(made.raw | {"table-uuid": identity})

    @property
    def name_mapping(self) -> list[dict[str, Any]]:
        """The columns in files, by name; the values of partition keys are the partitions', whatever files hold."""
        return [_mapped(each) for each in self.metadata.schema.fields[: len(self.columns)]]

    def _field(self, column: HiveColumn) -> NestedField:
        try:
            return NestedField(0, column.name, parse_hive_type(column.type), doc=column.comment or None)
        except HeadraceError as error:
            error.table = self.full_name
            error.reason = f"column {column.name!r}: {error.reason}"
            raise

    def _unsupported(self, reason: str, hint: str | None) -> UnsupportedError:
        return UnsupportedError(f"Hive table cannot be read: {reason}", table=self.full_name, hint=hint)


def _columns(schemas: Any) -> tuple[HiveColumn, ...]:
    return tuple(HiveColumn(each.name, each.type, each.comment or None) for each in schemas or [])


def _plain(parameters: Mapping[str, str]) -> dict[str, str]:
    """The table's parameters as properties, without what would mean something in Iceberg's metadata."""
    return {
        key: value for key, value in parameters.items() if key != "format-version" and not key.startswith("schema.")
    }


def _mapped(field: NestedField) -> dict[str, Any]:
    entry: dict[str, Any] = {"field-id": field.field_id, "names": [field.name]}
    inner = [_mapped(each) for each in children(field.type)]
    return entry | {"fields": inner} if inner else entry
