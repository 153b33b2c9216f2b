"""Many threads load tables at once, the same one and others, with filters and without."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pyarrow
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import LongType, NestedField, StringType

from tests.table.compare import rows
from tests.table.warehouse import Warehouse

THREADS = 12
SCHEMA = Schema(
    NestedField(1, "id", LongType()), NestedField(2, "name", StringType()), NestedField(3, "ds", StringType())
)
FILTERS = [None, "id < 500", "ds = 'day 1'", "ds != 'day 0' and id >= 900", "name = 'the name of row number 1234'"]


def data(first: int) -> pyarrow.Table:
    """A thousand rows over three days."""
    ids = range(first, first + 1000)
    names = [None if at % 7 == 0 else f"the name of row number {at}" for at in ids]
    return pyarrow.table({"id": ids, "name": names, "ds": [f"day {at % 3}" for at in ids]})


def test_tables_loaded_by_many_threads(warehouse: Warehouse) -> None:
    by_day = PartitionSpec(PartitionField(3, 1000, IdentityTransform(), "ds"))
    tables = [warehouse.create(SCHEMA, partition_spec=spec) for spec in (by_day, PartitionSpec())]
    for at, table in enumerate(tables):
        for first in range(3):
            table.append(data(first * 1000 + at))
    ours = [warehouse.table(table) for table in tables]
    jobs = [(at, filter) for at in range(len(tables)) for filter in FILTERS]

    def load(job: tuple[int, str | None]) -> pyarrow.Table:
        at, filter = job
        return pyarrow.table(ours[at].load(filter=filter))

    expected = {job: rows(load(job)) for job in jobs}
    assert sorted(map(len, expected.values())) == [1, 1, 499, 500, 1000, 1000, 1400, 1400, 3000, 3000]
    with ThreadPoolExecutor(THREADS) as pool:
        for job, found in zip(jobs * 6, pool.map(load, jobs * 6), strict=True):
            assert rows(found) == expected[job], job
