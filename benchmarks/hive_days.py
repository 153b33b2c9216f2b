"""A legacy Hive table of many days, a partition and a file each, and the same files as an Iceberg table.

The metastore is told through the Thrift client that PyIceberg brings, the Iceberg table is made by PyIceberg. Knows
nothing of headrace. Neighbour: datasets.py calls `make`.
"""

from __future__ import annotations

import contextlib
import datetime
import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

    from tests.servers.s3 import S3Client

DAYS, FEW_DAYS = 2_000, 100  # the second for a smoke run
ROWS = 8_192  # of a file: four columns of 8 bytes that do not compress, 256 KB
FIRST_DAY = datetime.date(2020, 1, 1)
FROM, BEFORE = FIRST_DAY + datetime.timedelta(days=40), FIRST_DAY + datetime.timedelta(days=60)
FILTER = f"day >= '{FROM}' and day < '{BEFORE}'"
SQL = f"day >= date '{FROM}' and day < date '{BEFORE}'"
_A_CALL, _UPLOADS = 500, 8
_PARQUET = "org.apache.hadoop.hive.ql.io.parquet."
_COLUMNS = {"id": "bigint", "a": "double", "b": "double", "c": "double"}


def make(hive_uri: str, catalog: Catalog, s3: S3Client, table: str, days: int, rows: int) -> None:
    """Make both tables, unless they are there with all their days. Takes about a minute for 2,000."""
    root = root_of(table)
    with _connected(hive_uri) as metastore:
        if _has_all(metastore, table, days):
            return
        sizes = _put(s3, root, days, rows)
        _make_hive(metastore, table, root, days)
    _make_iceberg(catalog, f"{table}_iceberg", root, sizes, rows)


def root_of(table: str) -> str:
    """The folder of the table's days."""
    return f"s3://data/hive/{table.replace('.', '/')}"


def _folder(root: str, day: int) -> str:
    return f"{root}/day={FIRST_DAY + datetime.timedelta(days=day)}"


def _put(s3: S3Client, root: str, days: int, rows: int) -> list[int]:
    """Write the files; the bytes of each."""
    import pyarrow.parquet as pq

    def put(day: int) -> int:
        held = io.BytesIO()
        pq.write_table(_rows(day, rows), held, compression="zstd")
        s3.put(f"{_folder(root, day)}/part-0.parquet", held.getvalue())
        return held.tell()

    with ThreadPoolExecutor(_UPLOADS) as threads:
        return list(threads.map(put, range(days)))


def _rows(day: int, count: int) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng(day)
    columns: dict[str, Any] = {"id": random.integers(1 << 62, size=count)}
    return pa.table(columns | {name: random.standard_normal(count) for name in "abc"})


@contextlib.contextmanager
def _connected(uri: str) -> Iterator[Any]:
    from hive_metastore.ThriftHiveMetastore import Client
    from thrift.protocol.TBinaryProtocol import TBinaryProtocol
    from thrift.transport.TSocket import TSocket
    from thrift.transport.TTransport import TBufferedTransport

    address = urlsplit(uri)
    transport = TBufferedTransport(TSocket(address.hostname, address.port))
    transport.open()
    try:
        yield Client(TBinaryProtocol(transport))
    finally:
        transport.close()


def _has_all(metastore: Any, table: str, days: int) -> bool:
    from hive_metastore import ttypes

    with contextlib.suppress(ttypes.NoSuchObjectException):
        metastore.get_table(*table.split("."))  # without a table the next call is an internal error
        return len(metastore.get_partition_names(*table.split("."), -1)) == days
    return False


def _make_hive(metastore: Any, table: str, root: str, days: int) -> None:
    from hive_metastore import ttypes

    database, name = table.split(".")
    with contextlib.suppress(ttypes.AlreadyExistsException):
        metastore.create_database(ttypes.Database(name=database, locationUri=f"s3://data/hive/{database}"))
    with contextlib.suppress(ttypes.NoSuchObjectException):
        metastore.drop_table(database, name, False)

    def storage(location: str) -> Any:
        return ttypes.StorageDescriptor(
            cols=[ttypes.FieldSchema(name=each, type=kind) for each, kind in _COLUMNS.items()],
            location=location,
            inputFormat=f"{_PARQUET}MapredParquetInputFormat",
            outputFormat=f"{_PARQUET}MapredParquetOutputFormat",
            serdeInfo=ttypes.SerDeInfo(serializationLib=f"{_PARQUET}serde.ParquetHiveSerDe", parameters={}),
            bucketCols=[],
            sortCols=[],
            parameters={},
        )

    made = ttypes.Table(
        tableName=name,
        dbName=database,
        owner="bench",
        sd=storage(root),
        partitionKeys=[ttypes.FieldSchema(name="day", type="date")],
        parameters={"EXTERNAL": "TRUE"},
        tableType="EXTERNAL_TABLE",
    )
    metastore.create_table(made)
    for first in range(0, days, _A_CALL):
        some = []
        for day in range(first, min(first + _A_CALL, days)):
            folder = _folder(root, day)
            value = folder.rpartition("=")[2]
            some.append(ttypes.Partition([value], database, name, 0, 0, storage(folder), {}))
        metastore.add_partitions(some)


def _make_iceberg(catalog: Catalog, identifier: str, root: str, sizes: Sequence[int], rows: int) -> None:
    from pyiceberg.exceptions import NoSuchTableError
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.transforms import IdentityTransform
    from pyiceberg.types import DateType, DoubleType, LongType, NestedField

    catalog.create_namespace_if_not_exists(identifier.rpartition(".")[0])
    with contextlib.suppress(NoSuchTableError):
        catalog.drop_table(identifier)
    kinds: list[Any] = [LongType(), DoubleType(), DoubleType(), DoubleType(), DateType()]
    names = [*_COLUMNS, "day"]
    schema = Schema(*(NestedField(at, name, kinds[at - 1], required=False) for at, name in enumerate(names, 1)))
    spec = PartitionSpec(PartitionField(source_id=5, field_id=1000, transform=IdentityTransform(), name="day"))
    properties = {"write.data.path": root}  # its files lie outside the table's folder
    table = catalog.create_table(identifier, schema, partition_spec=spec, properties=properties)
    with table.transaction() as transaction:
        transaction.set_properties({"schema.name-mapping.default": schema.name_mapping.model_dump_json()})
        with transaction.update_snapshot().fast_append() as append:
            for day, size in enumerate(sizes):
                append.append_data_file(_data_file(table, root, day, size, rows))


def _data_file(table: Table, root: str, day: int, size: int, rows: int) -> Any:
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.typedef import Record

    file = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=f"{_folder(root, day)}/part-0.parquet",
        file_format=FileFormat.PARQUET,
        partition=Record((FIRST_DAY - datetime.date(1970, 1, 1)).days + day),
        record_count=rows,
        file_size_in_bytes=size,
        column_sizes={},
        value_counts={},
        null_value_counts={},
        nan_value_counts={},
        lower_bounds={},
        upper_bounds={},
        split_offsets=None,
        sort_order_id=None,
    )
    file.spec_id = 0
    return file
