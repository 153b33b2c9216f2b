"""A table of very many data files whose metadata is real and whose data files do not exist: planning reads no data.

PyIceberg writes the manifests, one for each day, as a year of hourly ingestion would leave them: 16 columns with
counts and bounds, partitioned by day. Knows nothing of headrace.
"""

from __future__ import annotations

import datetime
import struct
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.manifest import DataFile, ManifestFile
    from pyiceberg.table import Table

DAYS, FILES_PER_DAY = 50, 1000
FEW_PER_DAY = 20  # for a smoke run
FIRST_DAY = datetime.date(2026, 1, 1)
DAY = FIRST_DAY + datetime.timedelta(days=17)
COLUMNS = 16
_ROWS, _IDS_PER_DAY = 100_000, 200_000_000
ID_BELOW = _IDS_PER_DAY // 2
FILTER = f"day = '{DAY.isoformat()}' and id < {ID_BELOW}"  # one manifest of 50, and half of its files by their bounds


def make(catalog: Catalog, identifier: str, files_per_day: int = FILES_PER_DAY) -> None:
    """Make the table, unless it is there with all its files. Takes about half a minute for 50,000 files."""
    from pyiceberg.exceptions import NoSuchTableError

    catalog.create_namespace_if_not_exists(identifier.rpartition(".")[0])
    try:
        snapshot = catalog.load_table(identifier).current_snapshot()
        if snapshot and snapshot.summary and int(snapshot.summary["total-data-files"] or 0) == DAYS * files_per_day:
            return
        catalog.drop_table(identifier)
    except NoSuchTableError:
        pass
    table = _create(catalog, identifier)
    for day in range(DAYS):
        with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
            for number in range(files_per_day):
                append.append_data_file(_data_file(table, day, number, _IDS_PER_DAY // files_per_day))


def make_at_once(
    catalog: Catalog, identifier: str, manifests: int, files: int, columns: int = COLUMNS, block_bytes: int = 1
) -> None:
    """Make a table with so many manifests of so many files in one snapshot, unless it is there; runs may append to it.

    Takes minutes for a million files: PyIceberg writes one entry, which all others are copies of, with a day,
    bounds and a name of their own (`_Entries`). A block ends when it has ``block_bytes``: PyIceberg's writer ends one
    behind each entry, Avro's Java library, and with it Spark, after 64,000 bytes.
    """
    from pyiceberg.exceptions import NoSuchTableError

    catalog.create_namespace_if_not_exists(identifier.rpartition(".")[0])
    try:
        snapshot = catalog.load_table(identifier).current_snapshot()
        if snapshot and snapshot.summary and int(snapshot.summary["total-data-files"] or 0) >= manifests * files:
            return
        catalog.drop_table(identifier)
    except NoSuchTableError:
        pass
    table = _create(catalog, identifier, columns)
    snapshot_id, folder = 1, f"{table.location()}/metadata"
    entries, made = _Entries(table, snapshot_id, columns), []
    for day in range(manifests):
        location = f"{folder}/{snapshot_id}-m{day}.avro"
        written = entries.manifest(day, files, block_bytes)
        with table.io.new_output(location).create(overwrite=True) as output:
            output.write(written)
        made.append(entries.described(location, len(written), day, files))
    _commit(table, snapshot_id, made, manifests * files)


class _Entries:
    """Entries of manifests by the copy: everything in them has the same length, whatever its value."""

    def __init__(self, table: Table, snapshot_id: int, columns: int) -> None:
        from pyiceberg.manifest import ManifestEntry, ManifestEntryStatus, write_manifest

        self._table, self._snapshot_id = table, snapshot_id
        self._day, self._number, self._ids = 12_345, 54_321, 2_023_456_789
        location = f"{table.location()}/metadata/template.avro"
        output = table.io.new_output(location)
        file = _data_file(table, self._day, self._number, self._ids, columns)
        with write_manifest(2, table.spec(), table.schema(), output, snapshot_id, "deflate") as writer:
            added = ManifestEntryStatus.ADDED
            writer.add_entry(ManifestEntry.from_args(status=added, snapshot_id=snapshot_id, data_file=file))
        self._template = writer.to_manifest_file()
        with table.io.new_input(location).open() as stream:
            whole = stream.read()
        table.io.delete(location)
        self._head, self._sync, self._entry = _taken_apart(whole)
        for part in self._parts(self._day, self._number, self._ids):
            assert part in self._entry

    def manifest(self, day: int, files: int, block_bytes: int) -> bytes:
        """A manifest of one day's files."""
        before = self._parts(self._day, self._number, self._ids)
        written, block, count = bytearray(self._head), bytearray(), 0
        for number in range(files):
            entry = self._entry
            for old, new in zip(before, self._parts(day, number, _IDS_PER_DAY // files), strict=True):
                entry = entry.replace(old, new)
            block += entry
            count += 1
            if len(block) >= block_bytes or number + 1 == files:
                written += _zigzag(count) + _packed(bytes(block)) + self._sync
                block, count = bytearray(), 0
        return bytes(written)

    def described(self, location: str, length: int, day: int, files: int) -> ManifestFile:
        """How a list names that manifest."""
        from pyiceberg.manifest import ManifestFile, PartitionFieldSummary

        bound = struct.pack("<i", _date(day)[1])
        summary = PartitionFieldSummary(False, False, bound, bound)
        return ManifestFile.from_args(
            manifest_path=location,
            manifest_length=length,
            partition_spec_id=0,
            content=self._template.content,
            sequence_number=-1,
            min_sequence_number=-1,
            added_snapshot_id=self._snapshot_id,
            added_files_count=files,
            existing_files_count=0,
            deleted_files_count=0,
            added_rows_count=files * _ROWS,
            existing_rows_count=0,
            deleted_rows_count=0,
            partitions=[summary],
            key_metadata=None,
        )

    def _parts(self, day: int, number: int, ids: int) -> list[bytes]:
        """What an entry has of its own: name, partition, bounds."""
        date, days = _date(day)
        lower, (upper, _, *others) = _bound_kinds(number * ids, days), _bound_kinds(number * ids + ids - 1, days)
        name = f"/data/day={date.isoformat()}/{number:05}-{day:05}-".encode()
        return [name, b"PARQUET" + _zigzag(days), *lower, upper, *others]


def _taken_apart(manifest: bytes) -> tuple[bytes, bytes, bytes]:
    """Header, sync marker and the one entry of a manifest that ends with its only block."""
    sync = manifest[-16:]
    head = manifest[: manifest.index(sync) + 16]
    start = len(head) + 1  # behind the count of entries, 1
    while manifest[start] >= 0x80:  # and behind the length in bytes
        start += 1
    return head, sync, zlib.decompress(manifest[start + 1 : -16], wbits=-15)


def _packed(block: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(block) + packer.flush()
    return _zigzag(len(packed)) + packed


def _zigzag(number: int) -> bytes:
    """Avro's form of a number that is not negative."""
    rest, made = number << 1, bytearray()
    while rest >= 0x80:
        made.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*made, rest])


def _commit(table: Table, snapshot_id: int, manifests: list[ManifestFile], files: int) -> None:
    """One snapshot of these manifests."""
    from pyiceberg.manifest import write_manifest_list
    from pyiceberg.table.update import AddSnapshotUpdate, AssertRefSnapshotId, SetSnapshotRefUpdate

    location = f"{table.location()}/metadata/snap-{snapshot_id}.avro"
    with write_manifest_list(2, table.io.new_output(location), snapshot_id, None, 1, "deflate") as writer:
        writer.add_manifests(manifests)
    totals = {"total-data-files": str(files), "total-records": str(files * _ROWS), "added-data-files": str(files)}
    snapshot = {
        "snapshot-id": snapshot_id,
        "sequence-number": 1,
        "timestamp-ms": table.metadata.last_updated_ms + 1,
        "manifest-list": location,
        "summary": {"operation": "append", **totals},
        "schema-id": 0,
    }
    head = {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": snapshot_id}
    table.catalog.commit_table(
        table,
        (AssertRefSnapshotId.model_validate({"ref": "main", "snapshot-id": None}),),
        (AddSnapshotUpdate.model_validate({"snapshot": snapshot}), SetSnapshotRefUpdate.model_validate(head)),
    )


def _create(catalog: Catalog, identifier: str, columns: int = COLUMNS) -> Table:
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.transforms import IdentityTransform
    from pyiceberg.types import DateType, DoubleType, LongType, NestedField, StringType

    kinds: list[Any] = [LongType(), DateType(), StringType(), DoubleType()]
    names = ["id", "day", *(f"value_{number:02}" for number in range(3, columns + 1))]
    fields = [
        NestedField(number, name, kinds[(number - 1) % 4], required=number <= 2) for number, name in enumerate(names, 1)
    ]
    spec = PartitionSpec(PartitionField(source_id=2, field_id=1000, transform=IdentityTransform(), name="day"))
    return catalog.create_table(identifier, Schema(*fields), partition_spec=spec)


def _date(day: int) -> tuple[datetime.date, int]:
    """A day of the table as a date, and as days since 1970."""
    date = FIRST_DAY + datetime.timedelta(days=day)
    return date, (date - datetime.date(1970, 1, 1)).days


def _data_file(table: Table, day: int, number: int, ids: int, columns: int = COLUMNS) -> DataFile:
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.typedef import Record

    date, days = _date(day)
    file = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=f"{table.location()}/data/day={date.isoformat()}/{number:05}-{day:05}-0f3c5b9a.parquet",
        file_format=FileFormat.PARQUET,
        partition=Record(days),
        record_count=_ROWS,
        file_size_in_bytes=64 << 20,
        column_sizes=dict.fromkeys(range(1, columns + 1), 4 << 20),
        value_counts=dict.fromkeys(range(1, columns + 1), _ROWS),
        null_value_counts=dict.fromkeys(range(1, columns + 1), 0),
        nan_value_counts={},
        lower_bounds=_bounds(number * ids, days, columns),
        upper_bounds=_bounds(number * ids + ids - 1, days, columns),
        split_offsets=[4, 32 << 20],
        sort_order_id=None,
    )
    file.spec_id = 0
    return file


def _bounds(value: int, days: int, columns: int) -> dict[int, bytes]:
    kinds = _bound_kinds(value, days)
    return {column: kinds[(column - 1) % 4] for column in range(1, columns + 1)}


def _bound_kinds(value: int, days: int) -> tuple[bytes, ...]:
    """A bound of each kind of column in Iceberg's single-value serialization (specification, appendix D)."""
    return struct.pack("<q", value), struct.pack("<i", days), f"{value:016}".encode(), struct.pack("<d", value)
