"""A table of very many data files whose metadata is real and whose data files do not exist: planning reads no data.

PyIceberg writes the manifests, one for each day, as a year of hourly ingestion would leave them: 16 columns with
counts and bounds, partitioned by day. Knows nothing of headrace.
"""

from __future__ import annotations

import datetime
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.manifest import DataFile
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


def make_for_appends(catalog: Catalog, identifier: str, manifests: int, files: int) -> None:
    """Make a table with so many manifests of so many files, unless it is there; runs append to it, so it may have more.

    One snapshot is left. Takes some twenty minutes for a million files.
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
    table = _create(catalog, identifier)
    for day in range(manifests):
        with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
            for number in range(files):
                append.append_data_file(_data_file(table, day, number, _IDS_PER_DAY // files))
    head = table.current_snapshot()
    old = [each.snapshot_id for each in table.metadata.snapshots if head and each.snapshot_id != head.snapshot_id]
    table.maintenance.expire_snapshots().by_ids(old).commit()


def _create(catalog: Catalog, identifier: str) -> Table:
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.transforms import IdentityTransform
    from pyiceberg.types import DateType, DoubleType, LongType, NestedField, StringType

    kinds: list[Any] = [LongType(), DateType(), StringType(), DoubleType()]
    names = ["id", "day", *(f"value_{number:02}" for number in range(3, COLUMNS + 1))]
    fields = [
        NestedField(number, name, kinds[(number - 1) % 4], required=number <= 2) for number, name in enumerate(names, 1)
    ]
    spec = PartitionSpec(PartitionField(source_id=2, field_id=1000, transform=IdentityTransform(), name="day"))
    return catalog.create_table(identifier, Schema(*fields), partition_spec=spec)


def _data_file(table: Table, day: int, number: int, ids: int) -> DataFile:
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.typedef import Record

    date = FIRST_DAY + datetime.timedelta(days=day)
    days = (date - datetime.date(1970, 1, 1)).days
    file = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=f"{table.location()}/data/day={date.isoformat()}/{number:05}-{day:05}-0f3c5b9a.parquet",
        file_format=FileFormat.PARQUET,
        partition=Record(days),
        record_count=_ROWS,
        file_size_in_bytes=64 << 20,
        column_sizes=dict.fromkeys(range(1, COLUMNS + 1), 4 << 20),
        value_counts=dict.fromkeys(range(1, COLUMNS + 1), _ROWS),
        null_value_counts=dict.fromkeys(range(1, COLUMNS + 1), 0),
        nan_value_counts={},
        lower_bounds=_bounds(number * ids, days),
        upper_bounds=_bounds(number * ids + ids - 1, days),
        split_offsets=[4, 32 << 20],
        sort_order_id=None,
    )
    file.spec_id = 0
    return file


def _bounds(value: int, days: int) -> dict[int, bytes]:
    """Bounds in Iceberg's single-value serialization (specification, appendix D)."""
    kinds = (struct.pack("<q", value), struct.pack("<i", days), f"{value:016}".encode(), struct.pack("<d", value))
    return {column: kinds[(column - 1) % 4] for column in range(1, COLUMNS + 1)}
