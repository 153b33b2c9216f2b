"""Hive tables as Hive itself would make them: Parquet and ORC files by PyArrow in folders, and what the metastore knows of them.

Knows the metastore's calls through headrace's client; of reading tables nothing.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.orc
import pyarrow.parquet
from headrace.catalog.hive import HiveCatalog
from headrace.hive.names import make_name

_NAMES = itertools.count()
PARQUET = {
    "inputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "outputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "serde": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
}
ORC = {
    "inputFormat": "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat",
    "outputFormat": "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat",
    "serde": "org.apache.hadoop.hive.ql.io.orc.OrcSerde",
}
TEXT = {
    "inputFormat": "org.apache.hadoop.mapred.TextInputFormat",
    "outputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
    "serde": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
}


class HiveTables:
    """Makes tables in a database `legacy` of a metastore; their folders lie in `folder`."""

    def __init__(self, catalog: HiveCatalog, folder: Path) -> None:
        self.catalog, self.folder = catalog, folder
        self.types = catalog.metastore.types

    def make(
        self,
        columns: Mapping[str, str],
        keys: Mapping[str, str] | None = None,
        *,
        parameters: Mapping[str, str] | None = None,
        serde_parameters: Mapping[str, str] | None = None,
        format: Mapping[str, str] = PARQUET,
        kind: str = "EXTERNAL_TABLE",
        buckets: Sequence[str] = (),
    ) -> HiveTableMade:
        """A table without files; its name is new."""
        name = f"t{next(_NAMES)}"
        location = self.folder / name
        location.mkdir(parents=True)
        given = dict(parameters or {})
        if kind == "EXTERNAL_TABLE":
            given["EXTERNAL"] = "TRUE"
        table = self.types.Table(
            tableName=name,
            dbName="legacy",
            owner="test",
            createTime=int(time.time()),
            lastAccessTime=0,
            retention=0,
            sd=self.storage(columns, f"file://{location}", format, serde_parameters or {}, buckets),
            partitionKeys=self.fields(keys or {}),
            parameters=given,
            tableType=kind,
            viewOriginalText="select 1" if "VIEW" in kind else None,
            viewExpandedText="select 1" if "VIEW" in kind else None,
        )
        self.catalog.metastore.create_table(table)
        return HiveTableMade(self, name, location, dict(columns), dict(keys or {}))

    def fields(self, columns: Mapping[str, str]) -> list[Any]:
        return [self.types.FieldSchema(name=name, type=kind, comment="") for name, kind in columns.items()]

    def storage(
        self,
        columns: Mapping[str, str],
        location: str,
        format: Mapping[str, str] = PARQUET,
        serde_parameters: Mapping[str, str] | None = None,
        buckets: Sequence[str] = (),
    ) -> Any:
        serde = self.types.SerDeInfo(serializationLib=format["serde"], parameters=dict(serde_parameters or {}))
        return self.types.StorageDescriptor(
            cols=self.fields(columns),
            location=location,
            inputFormat=format["inputFormat"],
            outputFormat=format["outputFormat"],
            compressed=False,
            numBuckets=4 if buckets else -1,
            serdeInfo=serde,
            bucketCols=list(buckets),
            sortCols=[],
            parameters={},
        )


class HiveTableMade:
    """A table that was made: partitions and files can be added."""

    def __init__(
        self, tables: HiveTables, name: str, location: Path, columns: dict[str, str], keys: dict[str, str]
    ) -> None:
        self.tables, self.name, self.location, self.columns, self.keys = tables, name, location, columns, keys

    @property
    def full_name(self) -> str:
        return f"legacy.{self.name}"

    def partition(self, *values: str | None, at: str | None = None, columns: Mapping[str, str] | None = None) -> Path:
        """Add a partition; its folder, made where it is inside the table's."""
        folder = Path(at) if at else self.location / make_name(list(self.keys), values)
        self.partitions([values], {values: folder}, columns)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def partitions(
        self,
        many: Sequence[Sequence[str | None]],
        folders: Mapping[Any, Path] | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        """Add partitions in one call, without making folders."""
        types, made = self.tables.types, []
        for values in many:
            folder = (folders or {}).get(values) or self.location / make_name(list(self.keys), values)
            made.append(
                types.Partition(
                    values=["__HIVE_DEFAULT_PARTITION__" if each is None else each for each in values],
                    dbName="legacy",
                    tableName=self.name,
                    createTime=0,
                    lastAccessTime=0,
                    sd=self.tables.storage(columns or self.columns, f"file://{folder}"),
                    parameters={},
                )
            )
        self.tables.catalog.metastore.add_partitions(made)


def put(folder: Path, rows: pyarrow.Table | Mapping[str, Sequence[Any]], name: str = "part-0", **options: Any) -> Path:
    """Write a Parquet file."""
    folder.mkdir(parents=True, exist_ok=True)
    table = rows if isinstance(rows, pyarrow.Table) else pyarrow.table(dict(rows))
    pyarrow.parquet.write_table(table, folder / name, **options)
    return folder / name


def put_orc(
    folder: Path, rows: pyarrow.Table | Mapping[str, Sequence[Any]], name: str = "000000_0", **options: Any
) -> Path:
    """Write an ORC file, named as Hive names them."""
    folder.mkdir(parents=True, exist_ok=True)
    table = rows if isinstance(rows, pyarrow.Table) else pyarrow.table(dict(rows))
    pyarrow.orc.write_table(table, folder / name, **options)
    return folder / name
