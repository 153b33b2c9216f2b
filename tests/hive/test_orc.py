"""Legacy Hive tables of ORC files: read as those of Parquet files are, by name or by position; not written."""

from __future__ import annotations

import datetime
import pickle
from decimal import Decimal
from pathlib import Path

import pyarrow
import pyarrow.orc
import pytest
from headrace import Table
from headrace.errors import HeadraceError, MetaflowTableTypeMismatch, UnsupportedError

from tests.hive.tables import ORC, PARQUET, HiveTables, put, put_orc
from tests.hive.test_reading import rows


def test_partitions_folders_and_filters(tables: HiveTables, tmp_path: Path) -> None:
    made = tables.make({"id": "bigint", "name": "string"}, {"ds": "date", "h": "int"}, format=ORC)
    for day in (1, 2):
        folder = made.partition(f"2026-01-0{day}", "0")
        put_orc(folder, {"id": [day, day + 10], "name": ["a", None]})
        put_orc(folder, {"id": [99], "name": ["x"]}, ".hidden")
        (folder / "_SUCCESS").touch()
        (folder / "000001_0").touch()
    put_orc(made.partition("2026-01-03", None, at=str(tmp_path / "else where")), {"id": [3], "name": ["c"]})
    table = Table(made.full_name, catalog=tables.catalog)
    assert table.is_hive
    assert sorted(each["id"] for each in rows(table)) == [1, 2, 3, 11, 12]
    third = {"id": 3, "name": "c", "ds": datetime.date(2026, 1, 3), "h": None}
    assert rows(table, "h is null") == [third]
    assert rows(table, "ds > '2026-01-01' and id < 12", ["id"]) == [{"id": 2}, {"id": 3}]
    assert table.scan("ds = '2026-01-02'").num_files == 1
    shards = [pickle.loads(pickle.dumps(each)) for each in table.scan(columns=["id"]).shards(4)]
    found = [each for shard in shards for each in pyarrow.table(shard.load())["id"].to_pylist()]
    assert sorted(found) == [1, 2, 3, 11, 12]
    assert table.load(limit=2).num_rows == 2


def test_columns_added_reordered_widened_and_in_another_case(tables: HiveTables) -> None:
    made = tables.make({"userid": "bigint", "score": "double", "added": "string"}, {"ds": "string"}, format=ORC)
    old = {"score": pyarrow.array([0.5], "float32"), "userId": pyarrow.array([1], "int32")}
    put_orc(made.partition("1", columns={"userid": "int", "score": "float"}), old)
    put_orc(made.partition("2"), {"USERID": [2], "Added": ["x"], "score": [1.5], "dropped": [0]})
    table = Table(made.full_name, catalog=tables.catalog)
    assert rows(table) == [
        {"userid": 1, "score": 0.5, "added": None, "ds": "1"},
        {"userid": 2, "score": 1.5, "added": "x", "ds": "2"},
    ]
    assert rows(table, "USERID = 2", ["Score", "DS"]) == [{"score": 1.5, "ds": "2"}]


def test_files_whose_columns_have_numbers_for_names(tables: HiveTables) -> None:
    made = tables.make({"id": "bigint", "s": "struct<x:int>", "late": "int"}, format=ORC)
    inner = pyarrow.array([{"X": 2}], pyarrow.struct([("X", "int32")]))
    put_orc(made.location, {"_col0": [1], "_col1": inner}, "old")
    put_orc(made.location, {"S": inner, "late": pyarrow.array([5], "int32"), "id": [2]}, "new")
    table = Table(made.full_name, catalog=tables.catalog)
    assert rows(table) == [{"id": 1, "s": {"x": 2}, "late": None}, {"id": 2, "s": {"x": 2}, "late": 5}]
    assert rows(table, "id = 1", ["late"]) == [{"late": None}]


@pytest.mark.parametrize("told", ["orc.force.positional.evolution", "orc.column.index.access"])
def test_columns_by_position(tables: HiveTables, told: str) -> None:
    made = tables.make({"renamed": "int", "s": "string"}, parameters={told: "true"}, format=ORC)
    put_orc(made.location, {"s": pyarrow.array([1], "int32"), "other": ["x"]})
    assert rows(Table(made.full_name, catalog=tables.catalog)) == [{"renamed": 1, "s": "x"}]


def test_types_of_hive_files(tables: HiveTables) -> None:
    columns = {"ts": "timestamp", "c": "char(4)", "v": "varchar(9)", "tiny": "tinyint", "small": "smallint"}
    columns |= {"day": "date", "money": "decimal(12,3)", "raw": "binary", "ok": "boolean", "f": "float"}
    columns |= {
        "tags": "array<string>",
        "scores": "map<string,double>",
        "st": "struct<a:int,b:array<struct<c:string>>>",
    }
    made = tables.make(columns, format=ORC)
    inner = pyarrow.struct([("a", "int32"), ("b", pyarrow.list_(pyarrow.struct([("c", "string")])))])
    schema = pyarrow.schema(
        [
            *(("ts", pyarrow.timestamp("ns")), ("c", "string"), ("v", "string"), ("tiny", "int8"), ("small", "int16")),
            *(("day", "date32"), ("money", pyarrow.decimal128(12, 3)), ("raw", "binary"), ("ok", "bool")),
            *(("f", "float32"), ("tags", pyarrow.list_(pyarrow.string()))),
            *(("scores", pyarrow.map_("string", "float64")), ("st", inner)),
        ]
    )
    row = {"ts": datetime.datetime(1926, 1, 2, 3, 4, 5, 678), "c": "ab", "v": "cd", "tiny": -1, "small": 300}
    row |= {"day": datetime.date(1969, 1, 1), "money": Decimal("12.345"), "raw": b"\x00\xff", "ok": True, "f": 0.5}
    row |= {"tags": ["x", None], "scores": [("k", 1.5)], "st": {"a": 1, "b": [{"c": "d"}]}}
    put_orc(made.location, pyarrow.Table.from_pylist([row, dict.fromkeys(row)], schema=schema))
    found = pyarrow.table(Table(made.full_name, catalog=tables.catalog).load()).to_pylist()
    assert found == [row, dict.fromkeys(row)]


def test_an_empty_file_of_hives_and_files_of_both_formats(tables: HiveTables) -> None:
    made = tables.make({"id": "bigint"}, {"ds": "string"}, format=ORC)
    folder = made.partition("1")
    put_orc(folder, pyarrow.table({"id": pyarrow.array([], "int64")}), "000000_0")
    put_orc(folder, {"id": [1]}, "000001_0")
    put(made.partition("2"), {"id": [2]})  # written before the table was altered
    table = Table(made.full_name, catalog=tables.catalog)
    assert rows(table) == [{"id": 1, "ds": "1"}, {"id": 2, "ds": "2"}]
    altered = tables.make({"id": "bigint"}, format=PARQUET)
    put_orc(altered.location, {"id": [3]})
    assert rows(Table(altered.full_name, catalog=tables.catalog)) == [{"id": 3}]


def test_bad_files_are_refused_by_name(tables: HiveTables) -> None:
    made = tables.make({"id": "bigint"}, {"n": "string"}, format=ORC)
    put_orc(made.partition("1"), {"id": ["text"]})
    cut = put_orc(made.partition("2"), {"id": list(range(1000))})
    cut.write_bytes(cut.read_bytes()[:-30])
    table = Table(made.full_name, catalog=tables.catalog)
    with pytest.raises(MetaflowTableTypeMismatch, match="id") as mismatch:
        table.load("n = '1'")
    assert "n=1" in str(mismatch.value)
    with pytest.raises(HeadraceError, match="n=2/000000_0"):
        table.load("n = '2'")


def test_writing_is_refused_and_so_are_transactional_tables(tables: HiveTables) -> None:
    made = tables.make({"id": "bigint"}, format=ORC)
    put_orc(made.location, {"id": [1]})
    table = Table(made.full_name, catalog=tables.catalog)
    for write in (table.append, table.put_data):
        with pytest.raises(UnsupportedError, match="its files are ORC"):
            write(pyarrow.table({"id": [2]}))
    assert [each.name for each in made.location.iterdir()] == ["000000_0"]
    from headrace.metastore import HiveTable

    described = tables.catalog.metastore.get_table("legacy", made.name)
    described.parameters["transactional"] = "true"
    with pytest.raises(UnsupportedError, match="transactional"):
        HiveTable.of_thrift(described).refuse_unreadable()
