"""Legacy Hive tables are written so that other readers see whole partitions, and the same work twice changes nothing."""

from __future__ import annotations

import datetime
import json
import pickle
from decimal import Decimal
from typing import Any

import pyarrow
import pytest
from headrace import Table
from headrace.errors import InvalidArgument, MetaflowTableCommitStateUnknownException, UnsupportedError
from headrace.metastore.connection import Lost

from tests.hive.tables import HiveTableMade, HiveTables, put
from tests.hive.test_reading import rows


@pytest.fixture
def made(tables: HiveTables) -> HiveTableMade:
    return tables.make({"id": "bigint", "name": "string"}, {"ds": "string", "h": "int"})


def frame(first: int, count: int, ds: str | None, h: int | None) -> pyarrow.Table:
    ids = list(range(first, first + count))
    columns = {"id": ids, "name": [f"n{each}" for each in ids], "ds": [ds] * count, "h": [h] * count}
    schema = pyarrow.schema([("id", "int64"), ("name", "string"), ("ds", "string"), ("h", "int32")])
    return pyarrow.table(columns, schema=schema)


def ids(table: Table, *arguments: Any) -> list[int]:
    return sorted(each["id"] for each in rows(table.refresh(), *arguments))


def test_new_partitions_and_rows_for_those_that_are_there(tables: HiveTables, made: HiveTableMade) -> None:
    put(made.partition("a", "1"), {"id": [1], "name": ["old"]})
    table = Table(made.full_name, catalog=tables.catalog)
    table.append(pyarrow.concat_tables([frame(10, 2, "a", 1), frame(20, 2, "b/c", 2), frame(30, 1, None, None)]))
    assert ids(table) == [1, 10, 11, 20, 21, 30]
    assert ids(table, "ds = 'b/c'") == [20, 21]
    assert ids(table, "ds is null and h is null") == [30]
    names = tables.catalog.metastore.get_partition_names("legacy", made.name)
    assert sorted(names) == sorted(
        ["ds=a/h=1", "ds=b%2Fc/h=2", "ds=__HIVE_DEFAULT_PARTITION__/h=__HIVE_DEFAULT_PARTITION__"]
    )
    found = Table(made.full_name, catalog=tables.catalog)
    assert len({each["name"] for each in rows(found, "ds = 'a'")}) == 3
    table.append(frame(40, 1, "b/c", 2))
    assert ids(table, "h = 2") == [20, 21, 40]


def test_partitions_are_replaced_by_one_call(
    tables: HiveTables, made: HiveTableMade, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in ("a", "b", "c"):
        put(made.partition(day, "1"), {"id": [1, 2], "name": ["x", "y"]})
    table = Table(made.full_name, catalog=tables.catalog)
    calls: list[int] = []
    ask = tables.catalog.metastore.alter_partitions
    monkeypatch.setattr(
        tables.catalog.metastore, "alter_partitions", lambda *given: calls.append(len(given[2])) or ask(*given)
    )
    table.overwrite_partitions(pyarrow.concat_tables([frame(10, 2, "a", 1), frame(20, 1, "b", 1)]))
    assert calls == [2]
    assert ids(table) == [1, 2, 10, 11, 20]
    assert ids(table, "ds = 'b'") == [20]
    assert (made.location / "ds=a/h=1/part-0").exists()  # whoever reads it still may


def test_staged_work_of_many_tasks_is_committed_once(tables: HiveTables, made: HiveTableMade) -> None:
    put(made.partition("a", "1"), {"id": [1], "name": ["old"]})
    table = Table(made.full_name, catalog=tables.catalog)
    tasks = [pickle.loads(pickle.dumps(table)) for _ in range(3)]
    staged = [each.stage(frame(at * 10, 2, ds, 1)) for at, (each, ds) in enumerate(zip(tasks, "aab", strict=True))]
    staged += [table.put_data(frame(70, 1, "b", 1))]
    assert ids(table) == [1]  # nothing is seen before it is committed
    staged = json.loads(json.dumps(staged))
    table.commit(staged, overwrite=True)
    expected = [0, 1, 10, 11, 20, 21, 70]
    assert ids(table) == expected
    table.commit(staged, overwrite=True)
    assert ids(table) == expected
    more = table.stage(frame(50, 2, "a", 1))
    for _ in range(2):
        table.commit(more)
        assert ids(table) == sorted([*expected, 50, 51])


def test_a_table_without_partitions(tables: HiveTables) -> None:
    made = tables.make({"id": "bigint"})
    put(made.location, {"id": [1]})
    table = Table(made.full_name, catalog=tables.catalog)
    table.append(pyarrow.table({"id": [2, 3]}))
    assert ids(table) == [1, 2, 3]
    for round in range(2):
        table.put(pyarrow.table({"id": [round + 7]}), overwrite=True)
        assert ids(table) == [round + 7]
    table.append(pyarrow.table({"id": [9]}))
    assert ids(table) == [8, 9]
    assert rows(table) == [{"id": 8}, {"id": 9}]  # the table that wrote sees it too


def test_values_of_every_type_come_back(tables: HiveTables) -> None:
    keys = {"d": "date", "m": "decimal(9,2)", "t": "timestamp", "b": "boolean", "f": "double", "n": "bigint"}
    made = tables.make({"id": "bigint"}, keys)
    row = {
        "id": 1,
        "d": datetime.date(2026, 1, 2),
        "m": Decimal("1.50"),
        "t": datetime.datetime(2026, 1, 2, 3, 4, 5, 600_000),
        "b": True,
        "f": 0.1,
        "n": -5,
    }
    types = ["int64", pyarrow.date32(), pyarrow.decimal128(9, 2), pyarrow.timestamp("us"), "bool", "float64", "int64"]
    data = pyarrow.Table.from_pylist([row], pyarrow.schema(list(zip(row, types, strict=True))))
    made.partitions([("2026-01-02", "1.5", "2026-01-02 03:04:05.6", "true", "0.1", "-5")])  # as Hive writes them
    table = Table(made.full_name, catalog=tables.catalog)
    table.append(data)
    table.append(data)
    assert rows(table) == [row, row]
    assert len(tables.catalog.metastore.get_partition_names("legacy", made.name)) == 1


def test_answers_that_are_lost(tables: HiveTables, made: HiveTableMade, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(made.full_name, catalog=tables.catalog)
    metastore = tables.catalog.metastore
    real = metastore.add_partitions
    calls = []

    def lose(partitions: list[Any]) -> None:
        calls.append(len(partitions))
        real(partitions)
        raise Lost("the answer was lost", timed_out=False)

    monkeypatch.setattr(metastore, "add_partitions", lose)
    table.append(frame(1, 2, "a", 1))
    assert calls == [1]
    assert ids(table) == [1, 2]

    def never(partitions: list[Any]) -> None:
        raise Lost("no answer", timed_out=True)

    monkeypatch.setattr(metastore, "add_partitions", never)
    with pytest.raises(MetaflowTableCommitStateUnknownException, match="not known"):
        table.append(frame(5, 2, "b", 1))
    assert ids(table) == [1, 2]


def test_what_hive_tables_cannot_do(tables: HiveTables, made: HiveTableMade) -> None:
    table = Table(made.full_name, catalog=tables.catalog)
    for refused in (
        lambda: table.delete("h = 1"),
        lambda: table.overwrite(frame(1, 1, "a", 1)),
        lambda: table.upsert(frame(1, 1, "a", 1), on=["id"]),
        lambda: table.append(frame(1, 1, "a", 1), branch="audit"),
        lambda: table.set_properties({"a": "b"}),
    ):
        with pytest.raises(UnsupportedError, match="Hive table"):
            refused()
    with pytest.raises(InvalidArgument, match="expected append or overwrite_partitions"):
        table.commit(table.stage(frame(1, 1, "a", 1)), "overwrite")
    bucketed = tables.make({"id": "bigint"}, buckets=["id"])
    put(bucketed.location, {"id": [1]})
    table = Table(bucketed.full_name, catalog=tables.catalog)
    assert rows(table) == [{"id": 1}]
    with pytest.raises(UnsupportedError, match="bucketed"):
        table.append(pyarrow.table({"id": [2]}))
    assert rows(table) == [{"id": 1}]
