"""What a load asks of S3, request by request: nothing twice, no HEAD, ranges joined, only the files that must be read.

The requests are the plan's own promise (DESIGN.md): sizes come from manifests, footers take one guess.
"""

from __future__ import annotations

import numpy
import pyarrow
import pytest
from pyiceberg import transforms
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import LongType, NestedField, StringType

from tests.faults.published import open_table, publish
from tests.faults.server import FaultServer
from tests.table.compare import rows
from tests.table.warehouse import Warehouse

DAYS = [f"2026-01-0{day}" for day in range(1, 6)]


def daily(warehouse: Warehouse, *, appends: int = 1) -> Table:
    """A table of five days, a file a day in every append, ids rising with days and appends."""
    table = warehouse.create(
        Schema(NestedField(1, "id", LongType()), NestedField(2, "ds", StringType()), NestedField(3, "x", LongType())),
        partition_spec=PartitionSpec(PartitionField(2, 1000, transforms.IdentityTransform(), "ds")),
    )
    for turn in range(appends):
        ids = [turn * 1000 + day * 10 + at for day in range(5) for at in range(4)]
        table.append(pyarrow.table({"id": ids, "ds": numpy.repeat(DAYS, 4).tolist(), "x": range(20)}))
    return table


def test_a_small_table_takes_one_get_an_object(warehouse: Warehouse, fault_server: FaultServer) -> None:
    published = publish(daily(warehouse, appends=2), warehouse.server, fault_server)

    assert open_table(fault_server, published).load().num_rows == 40

    keys = [request.key for request in fault_server.requests]
    assert {request.method for request in fault_server.requests} == {"GET"}
    assert sorted(keys) == sorted(each.partition("/")[2] for each in published.objects), "each object exactly once"
    assert len(keys) == 1 + 1 + 2 + 10


def test_planning_opens_no_data_file_and_a_second_scan_no_metadata(
    warehouse: Warehouse, fault_server: FaultServer
) -> None:
    published = publish(daily(warehouse), warehouse.server, fault_server)
    table = open_table(fault_server, published)
    assert fault_server.io_plan() == [f"GET {published.metadata.partition('/')[2]} 0-"]

    table.scan("ds = '2026-01-02'")

    assert not any(fault_server.count(each) for each in published.data)
    assert fault_server.count(published.metadata) == 1


def test_a_partition_is_all_that_is_read(warehouse: Warehouse, fault_server: FaultServer) -> None:
    published = publish(daily(warehouse), warehouse.server, fault_server)
    table = open_table(fault_server, published)

    plan = table.scan("ds in ('2026-01-02', '2026-01-04') and x >= 0")
    assert rows(plan.load(columns=["id"])) == [(each,) for each in [10, 11, 12, 13, 30, 31, 32, 33]]

    touched = [each for each in published.data if fault_server.count(each)]
    assert len(touched) == 2
    assert all("2026-01-02" in each or "2026-01-04" in each for each in touched)
    assert plan.report["files"].items() >= {"kept": 2, "total": 5, "pruned_by_partition": 3}.items()
    assert "3 by partition" in plan.explain()
    assert "ds" in plan.explain().partition("pruned:")[2]


def test_statistics_prune_files_and_whole_manifests_are_pruned_unread(
    warehouse: Warehouse, fault_server: FaultServer
) -> None:
    table = daily(warehouse)
    table.append(pyarrow.table({"id": [5000], "ds": ["2027-12-31"], "x": [1]}))
    published = publish(table, warehouse.server, fault_server)
    ours = open_table(fault_server, published)

    by_partition = ours.scan("ds = '2027-12-31'")
    assert by_partition.num_files == 1
    assert by_partition.report["manifests"].items() >= {"total": 2, "read": 1, "pruned": 1}.items()
    assert sum(fault_server.count(each) for each in published.manifests) == 1

    by_statistics = ours.scan("id between 20 and 25")
    assert by_statistics.num_files == 1
    assert by_statistics.report["files"]["pruned_by_statistics"] == 5
    assert "5 by statistics" in repr(by_statistics)
    assert rows(by_statistics.load(columns=["id"])) == [(20,), (21,), (22,), (23,)]

    nothing = ours.scan("id > 9000")
    assert (nothing.num_files, nothing.rows, nothing.bytes) == (0, 0, 0)
    fault_server.forget()
    assert nothing.load(columns=["id"]).num_rows == 0
    assert fault_server.io_plan() == []


@pytest.fixture
def wide(warehouse: Warehouse) -> Table:
    """One file of about 8 MB: 10 columns of 100,000 random numbers, four row groups."""
    random = numpy.random.default_rng(3)
    data = pyarrow.table({f"c{at}": random.integers(0, 2**62, 100_000) for at in range(10)})
    properties = {"write.parquet.row-group-limit": "25000", "write.parquet.compression-codec": "zstd"}
    return warehouse.written(data, properties=properties)


def spans(server: FaultServer, path: str) -> list[tuple[int, int]]:
    """Half-open byte ranges asked of an object, sorted; a whole object is its whole span."""
    size = len(server.objects[path])
    found = []
    for request in server.requests:
        if f"{request.bucket}/{request.key}" == path:
            first, _, last = (request.range or f"0-{size - 1}").partition("-")
            found.append((int(first), int(last or size - 1) + 1) if first else (size - int(last), size))
    return sorted(found)


def test_a_column_of_a_wide_file_takes_a_footer_and_its_own_ranges(
    warehouse: Warehouse, fault_server: FaultServer, wide: Table
) -> None:
    published = publish(wide, warehouse.server, fault_server)
    table = open_table(fault_server, published)
    fault_server.forget()

    frame = table.load(columns=["c3"])

    assert rows(frame) == rows(wide.scan(selected_fields=("c3",)).to_arrow())
    asked = spans(fault_server, published.data[0])
    size = len(fault_server.objects[published.data[0]])
    assert len(asked) <= 5, "one footer, at most one range a row group"
    assert sum(end - start for start, end in asked) < size // 2
    assert asked[-1][1] == size
    assert {request.method for request in fault_server.requests} == {"GET"}


def test_all_columns_come_in_joined_ranges_and_no_byte_twice(
    warehouse: Warehouse, fault_server: FaultServer, wide: Table
) -> None:
    published = publish(wide, warehouse.server, fault_server)
    table = open_table(fault_server, published)
    fault_server.forget()

    assert rows(table.load()) == rows(wide.scan().to_arrow())

    asked = spans(fault_server, published.data[0])
    size = len(fault_server.objects[published.data[0]])
    assert len(asked) <= 10, asked  # the first units are small, so that decoding starts early
    assert sum(end - start for start, end in asked) <= size * 1.1
    etags = {each.headers.get("if-match") for each in fault_server.requests if each.key.endswith(".parquet")} - {None}
    assert len(etags) == 1, "every range after the first is pinned to one version"


def test_row_groups_that_cannot_match_are_not_fetched(warehouse: Warehouse, fault_server: FaultServer) -> None:
    data = pyarrow.table({"id": range(100_000), "x": numpy.random.default_rng(4).integers(0, 2**62, 100_000)})
    written = warehouse.written(data, properties={"write.parquet.row-group-limit": "10000"})
    published = publish(written, warehouse.server, fault_server)
    table = open_table(fault_server, published)
    fault_server.forget()

    frame = table.load("id between 31000 and 31004")

    assert rows(frame) == rows(data.slice(31_000, 5))
    size = len(fault_server.objects[published.data[0]])
    assert sum(end - start for start, end in spans(fault_server, published.data[0])) < size // 2
