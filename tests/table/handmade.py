"""Local tables whose delete files are written by hand: PyArrow for the files, PyIceberg's Avro for the manifests.

PyIceberg writes no row deletes, and DuckDB no equality deletes: here each is put together from its parts, so that a test
says exactly what is deleted, in which partition and after which commit. Knows nothing of what a reader makes of it.
"""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import headrace
import pyarrow
import pyarrow.parquet
from headrace.writing import staging
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestWriterV2,
    write_manifest_list,
)
from pyiceberg.table.update import AddSnapshotUpdate, AssertRefSnapshotId, SetSnapshotRefUpdate
from pyiceberg.typedef import Record

PATH_ID, POSITION_ID = 2147483546, 2147483545
"""Reserved field ids of the columns of a position delete file."""
_IDS = itertools.count(7_000_000)


class HandMade:
    """A table of ours in an SQLite catalog that PyIceberg opens too."""

    def __init__(self, folder: Path, schema: Any, partition_by: Any = None, **properties: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        where = {"uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/warehouse"}
        self.folder = folder
        self._ours = headrace.load_catalog("local", type="sql", **where)
        self._theirs = SqlCatalog("local", **where)
        self._theirs.create_namespace("db")
        headrace.Table.create("db.t", schema, partition_by=partition_by, properties=properties, catalog=self._ours)

    @property
    def table(self) -> headrace.Table:
        """The table as it is now."""
        return headrace.Table("db.t", catalog=self._ours)

    @property
    def metadata_location(self) -> str:
        """Where its metadata is now."""
        return self._theirs.load_table("db.t").metadata_location

    def append(self, columns: Mapping[str, Sequence[Any]] | pyarrow.Table) -> list[str]:
        """Append rows; the locations of the new data files."""
        table = self.table
        before = set(table.scan().files.locations())
        table.append(columns if isinstance(columns, pyarrow.Table) else pyarrow.table(dict(columns)))
        return [each for each in table.scan().files.locations() if each not in before]

    def delete_values(
        self,
        keys: pyarrow.Table,
        ids: Mapping[str, int],
        *,
        compared: Sequence[int] = (),
        partition: Sequence[Any] = (),
        spec_id: int | None = None,
        folder: Path | None = None,
    ) -> DataFile:
        """An equality delete file of these keys; `ids` are their columns' field ids, all of which are `compared`, or
        those given; `folder` is the table's own unless said."""
        fields = [field.with_metadata({"PARQUET:field_id": str(ids[field.name])}) for field in keys.schema]
        location, size = self._parquet(keys.cast(pyarrow.schema(fields)), folder)
        return self._file(
            content=DataFileContent.EQUALITY_DELETES,
            file_path=location,
            file_size_in_bytes=size,
            record_count=keys.num_rows,
            equality_ids=list(compared or ids.values()),
            partition=Record(*partition),
            spec_id=spec_id,
        )

    def delete_positions(
        self,
        rows: Sequence[tuple[str, int]],
        *,
        partition: Sequence[Any] = (),
        bounds: tuple[bytes, bytes] | None = None,
        spec_id: int | None = None,
        **options: Any,
    ) -> DataFile:
        """A position delete file of (data file, position); `options` are PyArrow's for the Parquet file."""
        fields = [
            pyarrow.field(name, kind, nullable=False, metadata={"PARQUET:field_id": str(field_id)})
            for name, kind, field_id in (
                ("file_path", pyarrow.string(), PATH_ID),
                ("pos", pyarrow.int64(), POSITION_ID),
            )
        ]
        columns = [[path for path, _ in rows], [position for _, position in rows]]
        location, size = self._parquet(pyarrow.table(columns, schema=pyarrow.schema(fields)), **options)
        return self._file(
            content=DataFileContent.POSITION_DELETES,
            file_path=location,
            file_size_in_bytes=size,
            record_count=len(rows),
            partition=Record(*partition),
            lower_bounds={PATH_ID: bounds[0]} if bounds else None,
            upper_bounds={PATH_ID: bounds[1]} if bounds else None,
            spec_id=spec_id,
        )

    def add(
        self, location: str, record_count: int, file_format: str, partition: Sequence[Any] = (), **members: Any
    ) -> None:
        """One snapshot that adds a data file which lies there, in any format."""
        metadata = self.table.metadata
        file = {
            "file-path": location,
            "file-format": file_format,
            "record-count": record_count,
            "file-size-in-bytes": Path(location.removeprefix("file://")).stat().st_size,
            "partition": list(partition),
            "spec-id": metadata.spec.spec_id,
            **members,
        }
        self.table.commit(staging.stage(metadata, [json.dumps(file)]))

    def deletes_of(
        self, location: str, record_count: int, file_format: FileFormat, compared: Sequence[int] = ()
    ) -> DataFile:
        """A delete file that lies there, in any format: of positions, or of values of the columns `compared`."""
        return self._file(
            content=DataFileContent.EQUALITY_DELETES if compared else DataFileContent.POSITION_DELETES,
            file_path=location,
            file_format=file_format,
            file_size_in_bytes=Path(location.removeprefix("file://")).stat().st_size,
            record_count=record_count,
            equality_ids=list(compared) or None,
            partition=Record(),
            spec_id=None,
        )

    def place(self, name: str) -> Path:
        """Where a data file of this name goes."""
        folder = Path(self.table.metadata.location.removeprefix("file://")) / "data"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def commit(self, *files: DataFile, table_spec: int | None = None) -> None:
        """One snapshot that adds these delete files."""
        table = self._theirs.load_table("db.t")
        metadata, snapshot_id = table.metadata, next(_IDS)
        spec_id = table_spec if table_spec is not None else metadata.default_spec_id
        parent = metadata.current_snapshot()
        folder = f"{metadata.location}/metadata"
        writer = _Deletes(
            table.specs()[spec_id],
            table.schema(),
            table.io.new_output(f"{folder}/{uuid.uuid4()}.avro"),
            snapshot_id,
            "deflate",
        )
        with writer:
            for each in files:
                writer.add_entry(
                    ManifestEntry.from_args(
                        status=ManifestEntryStatus.ADDED, snapshot_id=snapshot_id, sequence_number=None, data_file=each
                    )
                )
        location, sequence = f"{folder}/snap-{snapshot_id}.avro", getattr(metadata, "last_sequence_number", 0) + 1
        parent_id = parent.snapshot_id if parent else None
        output = table.io.new_output(location)
        with write_manifest_list(2, output, snapshot_id, parent_id, sequence, "deflate") as manifests:
            manifests.add_manifests([*(parent.manifests(table.io) if parent else []), writer.to_manifest_file()])
        snapshot = {
            "snapshot-id": snapshot_id,
            "parent-snapshot-id": parent_id,
            "sequence-number": sequence,
            "timestamp-ms": max(int(time.time() * 1000), metadata.last_updated_ms + 1),
            "manifest-list": location,
            "summary": {"operation": "overwrite"},
            "schema-id": metadata.current_schema_id,
        }
        head = {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": snapshot_id}
        self._theirs.commit_table(
            table,
            (AssertRefSnapshotId.model_validate({"ref": "main", "snapshot-id": parent_id}),),
            (
                AddSnapshotUpdate.model_validate({"snapshot": snapshot}),
                SetSnapshotRefUpdate.model_validate(head),
            ),
        )

    def rows(self, **options: Any) -> list[dict[str, Any]]:
        """What we load, row by row."""
        found: list[dict[str, Any]] = pyarrow.table(self.table.load(**options)).to_pylist()
        return found

    def _parquet(self, rows: pyarrow.Table, folder: Path | None = None, **options: Any) -> tuple[str, int]:
        folder = folder or Path(self.table.metadata.location.removeprefix("file://")) / "data"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{uuid.uuid4()}.parquet"
        pyarrow.parquet.write_table(rows, path, **options)
        return f"file://{path}", path.stat().st_size

    def _file(self, spec_id: int | None, **members: Any) -> DataFile:
        made = DataFile.from_args(**{"file_format": FileFormat.PARQUET, **members})
        made.spec_id = spec_id if spec_id is not None else self.table.metadata.spec.spec_id
        return made


class _Deletes(ManifestWriterV2):
    """A manifest of delete files."""

    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}
