"""Tables made, their schemas, partitions, properties and refs changed: seen by headrace and PyIceberg alike."""

from __future__ import annotations

import dataclasses
import datetime

import headrace
import pyarrow
import pytest
from headrace.catalog import Catalog
from headrace.errors import (
    ColumnNotFound,
    InvalidArgument,
    MetaflowTableConflict,
    MetaflowTableExists,
    MetaflowTableIncompatible,
    MetaflowTableNotFound,
)

from tests.commit.conftest import make, rows
from tests.commit.readers import check
from tests.table.compare import rows as values


@dataclasses.dataclass
class Event:
    id: int
    at: datetime.datetime
    tags: list[str] | None
    score: float | None = None


def test_tables_of_every_description(catalog: Catalog, name: str) -> None:
    by_class = headrace.Table.create(name, Event, partition_by=["day(at)", "bucket(4, id)"], catalog=catalog)
    fields = by_class.metadata.schema.fields
    assert [(each.name, str(each.type), each.required) for each in fields] == [
        ("id", "long", True),
        ("at", "timestamp", True),
        ("tags", "list<string>", False),
        ("score", "double", False),
    ]
    assert by_class.schema[2]["type"] | {"element-id": 0} == {
        "type": "list",
        "element-id": 0,
        "element": "string",
        "element-required": True,
    }
    assert [str(each.transform) for each in by_class.metadata.spec.fields] == ["day", "bucket[4]"]
    by_frame = headrace.Table.create(name + "f", rows(0, 3), sort_by="id desc", catalog=catalog)
    assert [each["type"] for each in by_frame.schema] == ["long", "string", "string"]
    assert by_frame.metadata.sort_order.fields[0].direction == "desc"
    wide = pyarrow.schema(
        [
            ("m", pyarrow.map_(pyarrow.string(), pyarrow.list_(pyarrow.int32()))),
            ("s", pyarrow.struct([("d", pyarrow.decimal128(9, 2)), ("u", pyarrow.uuid())])),
            ("c", pyarrow.dictionary(pyarrow.int8(), pyarrow.string())),
            ("t", pyarrow.timestamp("us", "UTC")),
        ]
    )
    by_arrow = headrace.Table.create(name + "a", wide, catalog=catalog)
    types = [str(each.type) for each in by_arrow.metadata.schema.fields]
    assert types == ["map<string, list<int>>", types[1], "string", "timestamptz"]


def test_a_table_that_exists(catalog: Catalog, name: str) -> None:
    first = headrace.Table.create(name, {"id": "long", "ds": "string"}, catalog=catalog)
    with pytest.raises(MetaflowTableExists):
        headrace.Table.create(name, {"id": "long"}, catalog=catalog)
    again = headrace.Table.create(name, {"id": "long"}, catalog=catalog, if_exists="ok")
    assert again.metadata.table_uuid == first.metadata.table_uuid
    with pytest.raises(MetaflowTableIncompatible, match="has it as string"):
        headrace.Table.create(name, {"ds": "long"}, catalog=catalog, if_exists="ok")


def test_the_schema_evolves(catalog: Catalog, name: str) -> None:
    table = headrace.Table.create(name, {"id": "int", "s": "struct<a: int>", "ds": "string"}, catalog=catalog)
    table.append(pyarrow.table({"id": pyarrow.array([1], "int32"), "s": [{"a": 1}], "ds": ["x"]}))
    with table.update_schema() as change:
        change.add("note", "string", doc="words", first=True)
        change.add("s.b", "list<long>")
        change.promote("id", "long").rename("ds", "day").move("day", after="note")
    assert [(each["name"], each["type"]) for each in table.schema[:3]] == [
        ("note", "string"),
        ("day", "string"),
        ("id", "long"),
    ]
    assert check(table).column_names == ["note", "day", "id", "s"]
    with table.update_schema() as change:
        change.drop("note")
    assert check(table).column_names == ["day", "id", "s"]


def test_changes_of_a_schema_that_are_refused(catalog: Catalog, name: str) -> None:
    table = make(catalog, name, partition_by="ds")
    for act, error in (
        (lambda change: change.drop("ds"), InvalidArgument),
        (lambda change: change.promote("name", "long"), InvalidArgument),
        (lambda change: change.add("id", "long"), InvalidArgument),
        (lambda change: change.rename("idd", "x"), ColumnNotFound),
        (lambda change: change.add("x", "lng"), InvalidArgument),
    ):
        with pytest.raises(error), table.update_schema() as change:
            act(change)

    def at_once() -> None:
        with table.update_schema() as mine:
            with headrace.Table(name, catalog=catalog).update_schema() as other:
                other.add("first", "long")
            mine.add("second", "long")

    with pytest.raises(MetaflowTableConflict, match="somebody else"):
        at_once()
    assert table.refresh().metadata.schema.names == ["id", "name", "ds", "first"]


def test_partitions_properties_and_sort_order_change(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    table.append(rows(0, 2))
    table.update_partitioning(["ds", "truncate(2, name)"])
    table.update_sort_order("id")
    table.set_properties({"a": "1", "b": "2"})
    table.set_properties({}, remove=["a"])
    assert {"a", "b"} & set(table.metadata.properties) == {"b"}
    staged = table.stage(rows(2, 2))
    table.commit(staged)
    assert values(check(table)) == values(rows(0, 4))
    table.update_partitioning("ds")
    with pytest.raises(MetaflowTableIncompatible, match="partition spec"):
        headrace.Table(name, catalog=catalog).commit([{**staged[0], "path": "elsewhere"}])


def test_branches_tags_and_rollback(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    first = table.append(rows(0, 2)).snapshot_id
    table.create_tag("v1")
    table.create_branch("audit", min_snapshots_to_keep=3)
    table.append(rows(2, 2), branch="audit")
    assert table.refresh().metadata.refs["audit"].min_snapshots_to_keep == 3
    table.fast_forward("audit")
    assert values(check(table)) == values(rows(0, 4))
    assert headrace.Table(name, catalog=catalog, tag="v1").load().num_rows == 2
    table.append(rows(4, 1), branch="audit")
    table.append(rows(9, 1))
    with pytest.raises(MetaflowTableConflict, match="moved on"):
        table.fast_forward("audit")
    table.rollback(first)
    assert values(check(table)) == values(rows(0, 2))
    table.drop_branch("audit")
    table.drop_tag("v1")
    assert set(table.metadata.refs) == {"main"}
    with pytest.raises(InvalidArgument, match="no tag 'v1'"):
        table.drop_tag("v1")


def test_rename_and_drop(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    table.append(rows(0, 2))
    table.rename(name + "r")
    table.append(rows(2, 2))
    with pytest.raises(MetaflowTableNotFound):
        headrace.Table(name, catalog=catalog)
    assert values(check(table)) == values(rows(0, 4))
    table.drop()
    with pytest.raises(MetaflowTableNotFound):
        table.refresh()
    with pytest.raises(MetaflowTableNotFound):
        table.append(rows(4, 1))
