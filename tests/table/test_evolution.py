"""Columns that were added, renamed, moved, dropped, made again and widened: old files under the new schema."""

from __future__ import annotations

from decimal import Decimal

import headrace
import pyarrow
import pytest
from headrace.errors import ColumnNotFound
from pyiceberg import types
from pyiceberg.schema import Schema

from tests.table.compare import rows
from tests.table.warehouse import Warehouse

SCHEMA = Schema(
    types.NestedField(1, "id", types.IntegerType()),
    types.NestedField(2, "ratio", types.FloatType()),
    types.NestedField(3, "money", types.DecimalType(5, 2)),
    types.NestedField(4, "name", types.StringType()),
    types.NestedField(5, "point", types.StructType(types.NestedField(6, "x", types.IntegerType()))),
    types.NestedField(7, "marks", types.ListType(8, types.IntegerType(), element_required=False)),
)


def old_rows() -> pyarrow.Table:
    return pyarrow.Table.from_pylist(
        [
            {"id": 1, "ratio": 0.5, "money": Decimal("1.25"), "name": "a", "point": {"x": 1}, "marks": [1, None]},
            {"id": None, "ratio": None, "money": None, "name": None, "point": None, "marks": None},
            {
                "id": -(2**31),
                "ratio": -1e30,
                "money": Decimal("-999.99"),
                "name": "",
                "point": {"x": None},
                "marks": [],
            },
        ],
        schema=SCHEMA.as_arrow(),
    )


@pytest.mark.parametrize("version", [1, 2])
def test_promotions_within_nested_types_too(warehouse: Warehouse, version: int) -> None:
    table = warehouse.create(SCHEMA, version=version)
    table.append(old_rows())
    with table.update_schema() as update:
        update.update_column("id", types.LongType())
        update.update_column("ratio", types.DoubleType())
        update.update_column("money", types.DecimalType(20, 2))
        update.update_column("point.x", types.LongType())
        update.update_column("marks.element", types.LongType())
    table.append(
        pyarrow.Table.from_pylist(
            [
                {
                    "id": 2**40,
                    "ratio": 0.1,
                    "money": Decimal("1E15"),
                    "name": "b",
                    "point": {"x": 2**50},
                    "marks": [2**60],
                }
            ],
            schema=table.schema().as_arrow(),
        )
    )

    ours = warehouse.check(table)

    assert ours.schema.field("id").type == pyarrow.int64()
    assert ours.schema.field("money").type == pyarrow.decimal128(20, 2)
    found = warehouse.table(table).load("id < 0 and ratio < -1e29 and money = -999.99", columns=["id"])
    assert rows(found) == [(-(2**31),)]
    assert rows(warehouse.table(table).load(f"id = {2**40}", columns=["name"])) == [("b",)]


@pytest.mark.parametrize("version", [1, 2])
def test_added_renamed_moved_and_dropped_columns(warehouse: Warehouse, version: int) -> None:
    table = warehouse.create(SCHEMA, version=version)
    table.append(old_rows())
    with table.update_schema() as update:
        update.rename_column("name", "label")
        update.add_column("added", types.StringType())
        update.add_column(("point", "y"), types.DoubleType())
        update.rename_column("point.x", "east")
        update.delete_column("ratio")
    with table.update_schema() as update:
        update.move_first("label")
        update.add_column("ratio", types.StringType())  # another column under a dropped one's name: no old values

    ours = warehouse.check(table)

    assert ours.column_names == ["label", "id", "money", "point", "marks", "added", "ratio"]
    assert ours.column("ratio").null_count == 3
    assert rows(warehouse.table(table).load("added is null and ratio is null", columns=["label"])) == rows(
        ours.select(["label"])
    )
    assert warehouse.table(table).load("added = 'x'").num_rows == 0
    with pytest.raises(ColumnNotFound, match="name"):
        warehouse.table(table).scan(columns=["name"])


def test_a_snapshot_has_the_schema_of_its_time(warehouse: Warehouse) -> None:
    table = warehouse.create(SCHEMA)
    table.append(old_rows())
    first = table.current_snapshot().snapshot_id
    with table.update_schema() as update:
        update.rename_column("name", "label")
        update.update_column("id", types.LongType())
    table.append(
        pyarrow.Table.from_pylist(
            [{"id": 2**40, "ratio": 0.1, "money": None, "label": "new", "point": None, "marks": None}],
            schema=table.schema().as_arrow(),
        )
    )
    second = table.current_snapshot().snapshot_id
    table.manage_snapshots().create_tag(first, "then").create_branch(first, "audit").commit()
    now = warehouse.table(table)
    assert rows(now.load()) == rows(table.scan().to_arrow())

    then = warehouse.table(table, snapshot_id=first)
    assert [each["name"] for each in then.schema][3] == "name"
    assert rows(then.load()) == rows(old_rows()) == rows(table.scan(snapshot_id=first).to_arrow())
    assert rows(warehouse.table(table, tag="then").load()) == rows(old_rows())
    assert warehouse.table(table, snapshot_id=second).load().num_rows == 4

    stamps = {each.snapshot_id: each.timestamp_ms for each in table.metadata.snapshots}
    assert warehouse.table(table, as_of=stamps[first]).snapshot.snapshot_id == first
    assert warehouse.table(table, as_of=stamps[second]).load().num_rows == 4

    branch = warehouse.table(table, branch="audit")  # a branch's head is read under the table's schema
    assert rows(branch.load(columns=["label", "id"])) == rows(old_rows().select(["name", "id"]))
    assert branch.load("id > 0").num_rows == 1


def test_unknown_snapshots_are_named(warehouse: Warehouse) -> None:
    table = warehouse.written(old_rows())
    table.manage_snapshots().create_tag(table.current_snapshot().snapshot_id, "release").commit()
    with pytest.raises(headrace.errors.InvalidArgument, match="17"):
        warehouse.table(table, snapshot_id=17)
    with pytest.raises(headrace.errors.InvalidArgument, match="release"):
        warehouse.table(table, tag="relase")
    with pytest.raises(headrace.errors.InvalidArgument, match="1970"):
        warehouse.table(table, as_of="1970-01-01")


@pytest.mark.parametrize("version", [1, 2])
def test_a_table_without_any_snapshot(warehouse: Warehouse, version: int) -> None:
    table = warehouse.create(SCHEMA, version=version)

    ours = warehouse.table(table)

    assert ours.snapshot is None
    frame = pyarrow.table(ours.load("id > 1", columns=["name", "id"]))
    assert frame.num_rows == 0
    assert frame.column_names == ["name", "id"]
    assert ours.scan().num_files == 0
    assert [each.num_files for each in ours.scan().shards(2)] == [0, 0]
    assert ours.scan().shards(2)[1].load().num_rows == 0
