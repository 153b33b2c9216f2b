"""Legacy Hive tables are read as Hive reads them: folders, names, values, types."""

from __future__ import annotations

import datetime
import pickle
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import headrace
import pyarrow
import pytest
from headrace import Table
from headrace.errors import (
    ColumnNotFound,
    MetaflowTableTypeMismatch,
    UnsupportedError,
)

from tests.hive.tables import TEXT, HiveTables, put


def rows(table: Table, *arguments: Any, **options: Any) -> list[dict[str, Any]]:
    """A load's rows, in any order made one."""
    found: list[dict[str, Any]] = pyarrow.table(table.load(*arguments, **options)).to_pylist()
    return sorted(found, key=repr)


def test_an_unpartitioned_table(tables: HiveTables) -> None:
    made = tables.make({"id": "bigint", "name": "string"})
    put(made.location, {"id": [1, 2], "name": ["a", None]})
    put(made.location / "nested/deeper", {"id": [3], "name": ["c"]})
    put(made.location, {"id": [7], "name": ["x"]}, "_hidden.parquet")
    put(made.location / ".staging", {"id": [8], "name": ["x"]})
    put(made.location / "nested/_temporary/0", {"id": [9], "name": ["x"]})
    (made.location / "_SUCCESS").touch()
    (made.location / "empty").touch()
    put(made.location, pyarrow.table({"id": pyarrow.array([], "int64"), "name": pyarrow.array([], "string")}), "none")
    table = Table(made.full_name, catalog=tables.catalog)
    assert table.is_hive
    assert not table.is_iceberg
    assert table.partition_columns == []
    assert [(each["name"], each["type"]) for each in table.schema] == [("id", "long"), ("name", "string")]
    assert rows(table) == [{"id": 1, "name": "a"}, {"id": 2, "name": None}, {"id": 3, "name": "c"}]
    assert rows(table, "id > 1", ["name"]) == [{"name": "c"}, {"name": None}]
    plan = table.scan()
    assert plan.rows is None
    assert "3 files, rows not counted" in repr(plan)
    assert repr(table) == f"<Table {made.full_name}: Hive, 2 columns>"


def test_partitions_with_values_of_every_type(tables: HiveTables) -> None:
    keys = {"ds": "date", "code": "string", "n": "int", "b": "bigint", "d": "decimal(9,2)", "f": "double"}
    keys |= {"ok": "boolean", "ts": "timestamp", "small": "tinyint", "v": "varchar(10)"}
    made = tables.make({"id": "int"}, keys)
    first = ("2026-01-31", "007", "-5", "9000000000", "1.50", "2.5", "true", "2026-01-01 01:02:03.5", "7", "a b")
    put(made.partition(*first), {"id": pyarrow.array([1], "int32")})
    put(made.partition(*[None] * len(keys)), {"id": pyarrow.array([2], "int32")})
    table = Table(made.full_name, catalog=tables.catalog)
    assert table.partition_columns == list(keys)
    known = {
        "ds": datetime.date(2026, 1, 31),
        "code": "007",
        "n": -5,
        "b": 9_000_000_000,
        "d": Decimal("1.50"),
        "f": 2.5,
        "ok": True,
        "ts": datetime.datetime(2026, 1, 1, 1, 2, 3, 500_000),
        "small": 7,
        "v": "a b",
    }
    assert rows(table) == [{"id": 1, **known}, {"id": 2, **dict.fromkeys(keys)}]
    texts = {"ds": "ds = '2026-01-31'", "code": "code = '007'", "n": "n < 0", "b": "b >= 9000000000", "d": "d = 1.5"}
    texts |= {"f": "f in (2.5, 3)", "ok": "ok = true", "ts": "ts > '2026-01-01'", "small": "small != 3"}
    texts |= {"v": "v like 'a%'"}
    for key, text in texts.items():
        plan = table.scan(text)
        assert plan.num_files == 1, key
        assert [each["id"] for each in pyarrow.table(plan.load()).to_pylist()] == [1], key
        assert rows(table, f"{key} is null") == [{"id": 2, **dict.fromkeys(keys)}]
        assert table.scan(f"{key} is null").num_files == 1


def test_only_what_the_filter_leaves_is_listed(tables: HiveTables, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tables.make({"id": "bigint"}, {"ds": "string", "h": "int"})
    for day in ("2026-01-01", "2026-01-02"):
        for hour in range(3):
            put(made.partition(day, str(hour)), {"id": [hour]})
    listed: list[list[str]] = []
    from headrace.hive import planning

    ask = planning.list_folders
    monkeypatch.setattr(
        planning,
        "list_folders",
        lambda store, folders, below: listed.append([*folders, str(below)]) or ask(store, folders, below),
    )
    table = Table(made.full_name, catalog=tables.catalog)
    plan = table.scan("ds = '2026-01-02' and h in (1, 2) and id >= 2")
    assert [each.split(f"{made.name}/")[-1] for each in listed[0]] == ["ds=2026-01-02/h=1", "ds=2026-01-02/h=2", "None"]
    assert rows(table, "ds = '2026-01-02' and h in (1, 2) and id >= 2") == [{"id": 2, "ds": "2026-01-02", "h": 2}]
    assert "partitions: 2 kept" in plan.explain()
    assert table.scan("h = 0 or id = 1").num_files == 6  # id may be anywhere
    assert table.scan("ds = '2026-01-03'").num_files == 0
    assert table.load("ds = '2026-01-03'").num_rows == 0
    assert table.scan("h = 1 and ds > '2026'").report["partitions"] == {"total": 6, "kept": 2}


def test_values_that_names_escape(tables: HiveTables) -> None:
    made = tables.make({"id": "bigint"}, {"k": "string"})
    values = ["a/b", "c=d", "100%", "e:f", "é ü", "x'y", "{z}", "%41"]
    for at, value in enumerate(values):
        put(made.partition(value), {"id": [at]})
    table = Table(made.full_name, catalog=tables.catalog)
    assert {(each["id"], each["k"]) for each in rows(table)} == set(enumerate(values))
    for at, value in enumerate(values):
        assert rows(table, "k = :k", params={"k": value}) == [{"id": at, "k": value}]


def test_partitions_elsewhere_and_folders_that_vanished(tables: HiveTables, tmp_path: Path) -> None:
    made = tables.make({"id": "bigint"}, {"ds": "string"})
    put(made.partition("inside"), {"id": [1]})
    put(made.partition("outside", at=str(tmp_path / "else where")), {"id": [2]})
    shutil.rmtree(made.partition("gone"))
    put(made.location / "ds=unknown", {"id": [9]})  # a folder that no partition has
    table = Table(made.full_name, catalog=tables.catalog)
    assert rows(table) == [{"id": 1, "ds": "inside"}, {"id": 2, "ds": "outside"}]
    assert rows(table, "ds in ('outside', 'gone')") == [{"id": 2, "ds": "outside"}]
    assert "1 of these partitions hold no files: their folders are empty or gone" in table.scan().explain()
    assert "no files" not in table.scan("ds = 'inside'").explain()


def test_columns_added_reordered_widened_and_in_another_case(tables: HiveTables) -> None:
    made = tables.make({"userid": "bigint", "score": "double", "added": "string"}, {"ds": "string"})
    old = {"score": pyarrow.array([0.5], "float32"), "userId": pyarrow.array([1], "int32")}
    put(made.partition("1", columns={"userid": "int", "score": "float"}), old)
    put(made.partition("2"), {"USERID": [2], "Added": ["x"], "score": [1.5], "dropped": [0]})
    table = Table(made.full_name, catalog=tables.catalog)
    assert rows(table) == [
        {"userid": 1, "score": 0.5, "added": None, "ds": "1"},
        {"userid": 2, "score": 1.5, "added": "x", "ds": "2"},
    ]
    assert rows(table, "USERID = 2", ["Score", "DS"]) == [{"score": 1.5, "ds": "2"}]
    with pytest.raises(ColumnNotFound, match="userid"):
        table.scan(columns=["user_id"])


def test_columns_by_position(tables: HiveTables) -> None:
    made = tables.make(
        {"renamed": "int", "s": "struct<x:int>"}, serde_parameters={"parquet.column.index.access": "true"}
    )
    put(made.location, {"old": pyarrow.array([1], "int32"), "other": pyarrow.array([{"X": 2}])})
    with pytest.raises(MetaflowTableTypeMismatch):
        Table(made.full_name, catalog=tables.catalog).load()
    put(
        made.location,
        {"old": pyarrow.array([1], "int32"), "o": pyarrow.array([{"X": 2}], pyarrow.struct([("X", "int32")]))},
    )
    assert rows(Table(made.full_name, catalog=tables.catalog)) == [{"renamed": 1, "s": {"x": 2}}]


def test_a_key_in_the_files_is_the_partitions(tables: HiveTables) -> None:
    made = tables.make({"id": "bigint"}, {"ds": "string"})
    put(made.partition("right"), {"id": [1], "ds": ["wrong"]})
    assert rows(Table(made.full_name, catalog=tables.catalog), "ds = 'right'") == [{"id": 1, "ds": "right"}]


def test_types_of_hive_files(tables: HiveTables) -> None:
    made = tables.make(
        {
            "ts": "timestamp",
            "c": "char(4)",
            "v": "varchar(9)",
            "tiny": "tinyint",
            "small": "smallint",
            "day": "date",
            "money": "decimal(12,3)",
            "raw": "binary",
            "tags": "array<string>",
            "scores": "map<string,double>",
            "inner_part": "struct<a:int,b:array<struct<c:string>>>",
        }
    )
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, 678)
    schema = pyarrow.schema(
        [
            ("ts", pyarrow.timestamp("ns")),
            ("c", pyarrow.string()),
            ("v", pyarrow.string()),
            ("tiny", pyarrow.int8()),
            ("small", pyarrow.int16()),
            ("day", pyarrow.date32()),
            ("money", pyarrow.decimal128(12, 3)),
            ("raw", pyarrow.binary()),
            ("tags", pyarrow.list_(pyarrow.string())),
            ("scores", pyarrow.map_(pyarrow.string(), pyarrow.float64())),
            ("inner_part", pyarrow.struct([("a", "int32"), ("b", pyarrow.list_(pyarrow.struct([("c", "string")])))])),
        ]
    )
    row = {"ts": moment, "c": "ab", "v": "cd", "tiny": -1, "small": 300, "day": datetime.date(1969, 1, 1)}
    row |= {"money": Decimal("12.345"), "raw": b"\x00\xff", "tags": ["x", None], "scores": [("k", 1.5)]}
    row |= {"inner_part": {"a": 1, "b": [{"c": "d"}]}}
    written = pyarrow.Table.from_pylist([row, dict.fromkeys(row)], schema=schema)
    put(made.location, written, use_deprecated_int96_timestamps=True, use_compliant_nested_type=False)
    found = pyarrow.table(Table(made.full_name, catalog=tables.catalog).load()).to_pylist()
    assert found == [row, dict.fromkeys(row)]


def test_a_plan_is_a_value(tables: HiveTables) -> None:
    made = tables.make({"id": "bigint"}, {"ds": "string"})
    for day in range(4):
        put(made.partition(f"{day}"), {"id": list(range(day, day + 10))})
    table = pickle.loads(pickle.dumps(Table(made.full_name, catalog=tables.catalog)))
    assert table.is_hive
    plan = table.scan("id >= 3", ["ds", "id"])
    shards = [pickle.loads(pickle.dumps(each)) for each in plan.shards(3)]
    whole = sorted(map(repr, pyarrow.table(plan.load()).to_pylist()))
    assert sorted(repr(row) for each in shards for row in pyarrow.table(each.load()).to_pylist()) == whole
    assert len(whole) == 34


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({"format": TEXT}, "its files are text"),
        ({"parameters": {"spark.sql.sources.provider": "delta"}}, "delta table of Spark"),
        ({"kind": "VIRTUAL_VIEW"}, "it is a view"),
    ],
)
def test_what_cannot_be_read_says_why(tables: HiveTables, made: dict[str, Any], reason: str) -> None:
    table = tables.make({"id": "bigint"}, **made)
    with pytest.raises(UnsupportedError, match=reason) as refused:
        Table(table.full_name, catalog=tables.catalog)
    assert refused.value.table == table.full_name


def test_a_transactional_table_is_refused(tables: HiveTables) -> None:
    table = tables.make({"id": "bigint"})
    described = tables.catalog.metastore.get_table("legacy", table.name)
    from headrace.metastore import HiveTable

    described.parameters["transactional"] = "true"
    with pytest.raises(UnsupportedError, match="transactional"):
        HiveTable.of_thrift(described).refuse_unreadable()


def test_bad_values_and_files(tables: HiveTables) -> None:
    made = tables.make({"id": "bigint"}, {"n": "string"})
    put(made.partition("1"), {"id": [1]})
    put(made.partition("2"), {"id": ["text"]})
    table = Table(made.full_name, catalog=tables.catalog)
    assert rows(table, "n = '1'") == [{"id": 1, "n": "1"}]
    with pytest.raises(MetaflowTableTypeMismatch, match="id") as mismatch:
        table.load()
    assert "n=2" in str(mismatch.value)


def test_a_value_that_is_none_of_its_type_is_null(tables: HiveTables) -> None:
    made = tables.make({"id": "bigint"}, {"n": "int", "m": "date"})
    texts = ["x", "1_0", "9999999999", "٣"]
    put(made.partition("1", "2026-01-31"), {"id": [1]})
    for at, text in enumerate(texts):
        put(made.partition(text, "2026-02-30"), {"id": [at]})
    table = Table(made.full_name, catalog=tables.catalog)
    day = datetime.date(2026, 1, 31)
    nulls = [{"id": at, "n": None, "m": None} for at in range(len(texts))]
    assert rows(table) == sorted([{"id": 1, "n": 1, "m": day}, *nulls], key=repr)
    assert rows(table, "n = 1") == [{"id": 1, "n": 1, "m": day}]
    assert rows(table, "n is null") == rows(table, "m is null") == nulls
    assert rows(table, "n != 1") == []
    told = table.scan("n is not null").explain()
    assert "key n reads as null where its value is no int, as Hive has it: " in told
    assert all(repr(each) in told for each in texts)
    assert "key m" not in told  # what nobody looks at is not judged
    assert "key m reads as null where its value is no date, as Hive has it: '2026-02-30'" in table.scan().explain()


def test_iceberg_and_hive_tables_beside_each_other(tables: HiveTables) -> None:
    made = tables.make({"id": "bigint"})
    put(made.location, {"id": [1]})
    name = f"legacy.iceberg_{made.name}"
    iceberg = Table.create(name, {"id": "long"}, catalog=tables.catalog)
    iceberg.append(pyarrow.table({"id": [5]}))
    assert headrace.Table(name, catalog=tables.catalog).is_iceberg
    assert {name, made.full_name} <= {".".join(each) for each in tables.catalog.list_tables("legacy")}
    tables.catalog.drop_table(name)
