"""Partitioned tables, written by PyIceberg with every transform it has and several specs in one table."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy
import pyarrow
import pytest
from pyiceberg import transforms, types
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema

from tests.table.compare import rows
from tests.table.warehouse import Warehouse

SCHEMA = Schema(
    types.NestedField(1, "id", types.LongType()),
    types.NestedField(2, "country", types.StringType()),
    types.NestedField(3, "at", types.TimestampType()),
    types.NestedField(4, "instant", types.TimestamptzType()),
    types.NestedField(5, "ds", types.DateType()),
    types.NestedField(6, "money", types.DecimalType(9, 2)),
)


def events(count: int = 200, seed: int = 7) -> pyarrow.Table:
    """Events over about three days on both sides of 1970 and 2026, every column with nulls."""
    random = numpy.random.default_rng(seed)
    start = random.choice(numpy.array([-90_000_000_000, 1_767_225_600_000_000]), count)
    at = start + random.integers(0, 60 * 3_600_000_000, count)
    columns = {
        "id": pyarrow.array(random.integers(-1000, 1000, count), mask=random.random(count) < 0.05),
        "country": pyarrow.array(
            random.choice(["US", "CA", "a/b c=d%", "späte"], count).tolist(), mask=random.random(count) < 0.1
        ),
        "at": pyarrow.array(at, pyarrow.timestamp("us"), mask=random.random(count) < 0.05),
        "instant": pyarrow.array(at, pyarrow.timestamp("us", tz="UTC")),
        "ds": pyarrow.array(at, pyarrow.timestamp("us")).cast(pyarrow.date32(), safe=False),
        "money": pyarrow.array([Decimal(int(each)).scaleb(-2) for each in random.integers(-5000, 5000, count)]),
    }
    return pyarrow.table(columns).cast(SCHEMA.as_arrow())


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "fields",
    [
        [(2, transforms.IdentityTransform())],
        [(1, transforms.BucketTransform(4))],
        [(2, transforms.TruncateTransform(2)), (6, transforms.TruncateTransform(10))],
        [(3, transforms.DayTransform())],
        [(4, transforms.HourTransform())],
        [(5, transforms.MonthTransform()), (2, transforms.IdentityTransform())],
        [(3, transforms.YearTransform())],
        [(5, transforms.IdentityTransform()), (2, transforms.BucketTransform(3))],
    ],
    ids=lambda fields: "-".join(str(transform) for _, transform in fields),
)
def test_every_transform(warehouse: Warehouse, version: int, fields: list[tuple[int, Any]]) -> None:
    spec = PartitionSpec(
        *(PartitionField(source, 1000 + at, transform, f"p{at}") for at, (source, transform) in enumerate(fields))
    )
    table = warehouse.create(SCHEMA, version=version, partition_spec=spec)
    data = events()
    table.append(data)

    ours = warehouse.check(table)

    assert rows(ours) == rows(data)
    day = datetime.date(2026, 1, 2)
    text = "country in ('US', 'a/b c=d%') and ds = date '2026-01-02'"
    found = warehouse.table(table).scan(text)
    expected = [each for each in rows(data) if each[1] in ("US", "a/b c=d%") and each[4] == day]
    assert rows(found.load()) == expected
    assert expected


def test_specs_that_changed_and_a_source_column_that_was_dropped(warehouse: Warehouse) -> None:
    table = warehouse.create(SCHEMA)
    table.append(events(50, seed=1))
    with table.update_spec() as update:
        update.add_field("country", transforms.IdentityTransform(), "country")
    table.append(events(50, seed=2))
    with table.update_spec() as update:
        update.remove_field("country")
        update.add_field("ds", transforms.DayTransform(), "day")
        update.add_field("id", transforms.BucketTransform(3), "bucket")
    table.append(events(50, seed=3))
    warehouse.check(table)
    found = warehouse.table(table).load("country = 'US' and id > 0")
    expected = [each for each in warehouse_rows(table) if each[1] == "US" and (each[0] or 0) > 0]
    assert rows(found) == expected

    with table.update_schema() as update:
        update.delete_column("country")

    ours = warehouse.check(table, duckdb=False)  # DuckDB 1.5.5 fails on a spec whose source column is gone
    assert ours.column_names == ["id", "at", "instant", "ds", "money"]
    filtered = warehouse.table(table).load("id > 0")
    assert rows(filtered) == [each for each in rows(ours) if (each[0] or 0) > 0]


def warehouse_rows(table: Any) -> list[tuple[Any, ...]]:
    """All rows as PyIceberg reads them."""
    return rows(table.scan().to_arrow())


def test_identity_columns_that_are_not_in_the_files(warehouse: Warehouse) -> None:
    """Hive's layout, added by PyIceberg's add_files: partition values are in the metadata alone."""
    import pyarrow.parquet

    table = warehouse.create(
        Schema(
            types.NestedField(1, "id", types.LongType()),
            types.NestedField(2, "ds", types.StringType()),
            types.NestedField(3, "hour", types.IntegerType()),
        ),
        partition_spec=PartitionSpec(
            PartitionField(2, 1000, transforms.IdentityTransform(), "ds"),
            PartitionField(3, 1001, transforms.IdentityTransform(), "hour"),
        ),
    )
    table.append(
        pyarrow.table(
            {
                "id": [1, 2, 3, 4],
                "ds": ["2026-01-01", "2026-01-01", "2026-01-02", None],
                "hour": pyarrow.array([1, 2, 1, None], pyarrow.int32()),
            }
        )
    )
    for location, _ in list(warehouse.server.s3.list(f"{table.location()}/data/")):
        narrow = pyarrow.parquet.read_table(pyarrow.BufferReader(warehouse.server.s3.get(location))).select(["id"])
        warehouse.rewrite(location, narrow)

    ours = pyarrow.table(warehouse.table(table).load())

    assert rows(ours) == rows(
        pyarrow.table(
            {"id": [1, 2, 3, 4], "ds": ["2026-01-01", "2026-01-01", "2026-01-02", None], "hour": [1, 2, 1, None]}
        )
    )
    assert rows(warehouse.table(table).load("ds = '2026-01-02'", columns=["id"])) == [(3,)]
    assert rows(warehouse.table(table).load("hour is null", columns=["hour", "id"])) == [(None, 4)]
