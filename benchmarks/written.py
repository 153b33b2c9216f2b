"""Tables that a write is measured on: made empty before it, read and removed after it, both unmeasured.

PyIceberg makes, reads and removes them, so every contender writes to the same. Knows nothing of headrace.
"""

from __future__ import annotations

import datetime
import json
import uuid
from typing import Any

from . import many_files
from .checks import total
from .setup import Setup

MONTH_OF = "l_shipdate"
STAGED = 10_000
FEW_STAGED = 100  # for a smoke run
NEW_ROWS = 1000


def catalog(setup: Setup) -> Any:
    """PyIceberg's catalog."""
    from pyiceberg.catalog import load_catalog

    return load_catalog("bench", **setup.catalog)


def make(setup: Setup) -> str:
    """An empty table with the columns of the dataset, partitioned by month where the question says so; its name."""
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.transforms import MonthTransform

    opened = catalog(setup)
    schema, spec = opened.load_table(setup.table).schema(), PartitionSpec()
    if setup.by_month:
        source = schema.find_field(MONTH_OF).field_id
        spec = PartitionSpec(PartitionField(source, 1000, MonthTransform(), f"{MONTH_OF}_month"))
    name = f"bench.written_{uuid.uuid4().hex}"
    opened.create_table(name, schema, partition_spec=spec)
    return name


def arrow(setup: Setup) -> Any:
    """The rows of the local files as a PyArrow table of the table's own Arrow types, which PyIceberg insists on."""
    import pyarrow.parquet as pq

    wanted = catalog(setup).load_table(setup.table).schema().as_arrow()
    return pq.ParquetDataset(list(setup.local_files)).read().cast(wanted)


def check(name: str, setup: Setup) -> dict[str, Any]:
    """What is in a table that was written; it is removed then."""
    opened = catalog(setup)
    table = opened.load_table(name)
    found = table.scan(selected_fields=(setup.key,)).to_arrow()
    answer = {"rows": found.num_rows, "columns": len(table.schema().fields), "sum": _sum(found[setup.key])}
    remove(opened, name, setup)
    return answer


def check_files(name: str, setup: Setup) -> dict[str, Any]:
    """How many files a commit added to a table that was made for it; the table is removed then."""
    opened = catalog(setup)
    snapshot = opened.load_table(name).current_snapshot()
    answer = {"added": int(snapshot.summary["added-data-files"])}
    remove(opened, name, setup)
    return answer


def check_rows(name: str, setup: Setup) -> dict[str, Any]:
    """How many rows the last commit added; the table stays."""
    return {"added": int(catalog(setup).load_table(name).current_snapshot().summary["added-records"])}


def remove(opened: Any, name: str, setup: Setup) -> None:
    """Drop a table and its objects."""
    from tests.servers.s3 import S3Client

    location = opened.load_table(name).location()
    opened.drop_table(name)
    s3 = S3Client(setup.endpoint, setup.access_key, setup.secret_key)
    for each, _ in list(s3.list(f"{location.rstrip('/')}/")):
        s3.delete(each)


def many(setup: Setup) -> tuple[str, int]:
    """An empty table for the commit of many staged files, and how many."""
    opened = catalog(setup)
    source = opened.load_table(setup.table)
    name = f"bench.staged_{uuid.uuid4().hex}"
    opened.create_table(name, source.schema(), partition_spec=source.spec())
    full = int(source.current_snapshot().summary["total-data-files"]) >= many_files.DAYS * many_files.FILES_PER_DAY
    return name, STAGED if full else FEW_STAGED


def data_files(setup: Setup, name: str, count: int) -> list[Any]:
    """Descriptions of files that do not exist, over fifty days, as PyIceberg has them."""
    table = catalog(setup).load_table(name)
    return [
        many_files._data_file(table, number % many_files.DAYS, number // many_files.DAYS, 1000)
        for number in range(count)
    ]


def as_json(file: Any) -> str:
    """A description in the REST specification's JSON."""

    def pairs(found: dict[int, Any]) -> dict[str, list[Any]]:
        return {"keys": [*found], "values": [_hex(each) for each in found.values()]}

    return json.dumps(
        {
            "content": "data",
            "file-path": file.file_path,
            "file-format": "parquet",
            "spec-id": 0,
            "partition": [_date(file.partition[0])],
            "file-size-in-bytes": file.file_size_in_bytes,
            "record-count": file.record_count,
            "column-sizes": pairs(file.column_sizes),
            "value-counts": pairs(file.value_counts),
            "null-value-counts": pairs(file.null_value_counts),
            "nan-value-counts": pairs(file.nan_value_counts),
            "lower-bounds": pairs(file.lower_bounds),
            "upper-bounds": pairs(file.upper_bounds),
            "split-offsets": file.split_offsets,
            "sort-order-id": None,
        }
    )


def new_rows(setup: Setup, name: str) -> Any:
    """A few rows for a table of many files, as a PyArrow table."""
    import pyarrow as pa

    schema = catalog(setup).load_table(name).schema().as_arrow()
    made = {"id": pa.array(range(NEW_ROWS), pa.int64()), "day": pa.array([many_files.DAY] * NEW_ROWS, pa.date32())}
    nulls = {each.name: pa.nulls(NEW_ROWS, each.type) for each in schema if each.name not in made}
    return pa.table(made | nulls).select(schema.names).cast(schema)


def empty_of_many(setup: Setup) -> str:
    """A table like that of many files, without any."""
    opened = catalog(setup)
    source, name = opened.load_table(setup.table), f"bench.empty_{uuid.uuid4().hex}"
    opened.create_table(name, source.schema(), partition_spec=source.spec())
    return name


def _date(days: int) -> str:
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=days)).isoformat()


def _hex(value: Any) -> Any:
    return value.hex().upper() if isinstance(value, bytes) else value


def _sum(column: Any) -> str:
    import pyarrow.compute as pc

    return total(pc.sum(column).as_py())
