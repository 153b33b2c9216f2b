"""Locations in balanced groups, partitions by value, files loaded by location, frames put."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import headrace
import pyarrow
import pytest
from headrace import errors
from headrace.catalog import Catalog

from tests.commit.conftest import sqlite

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return sqlite(tmp_path)


def rows(first: int, count: int, ds: str, country: str = "US") -> pyarrow.Table:
    numbers = list(range(first, first + count))
    return pyarrow.table({"id": numbers, "ds": [ds] * count, "country": [country] * count})


SCHEMA = {"id": "long", "ds": "string", "country": "string"}


@pytest.fixture
def table(catalog: Catalog) -> headrace.Table:
    made = headrace.Table.create("db.t", SCHEMA, partition_by=["ds", "country"], catalog=catalog)
    for at, (count, ds, country) in enumerate(
        [(10, "a", "US"), (20, "a", "CA"), (30, "b", "US"), (40, "c", "US"), (5, "c", "CA"), (1, "d", "US")]
    ):
        made.append(rows(100 * at, count, ds, country))
    return made


def test_paths_are_one_group_unless_groups_are_asked_for(table: headrace.Table) -> None:
    (group,) = table.get_all_paths()
    assert sorted(group) == group
    assert len(group) == 6
    assert table.get_all_paths(num_groups=1) == [group]


def test_groups_are_balanced_deterministic_and_hold_every_file_once(table: headrace.Table) -> None:
    groups = table.get_all_paths(num_groups=3)
    assert groups == table.refresh().get_all_paths(num_groups=3)
    assert len(groups) == 3
    assert sorted(path for group in groups for path in group) == table.get_all_paths()[0]
    counts = [len(table.load_parquet(group)) for group in groups]
    assert sum(counts) == 106
    assert max(counts) <= 40
    assert all(len(group) == 1 for group in table.get_all_paths(num_groups=50))
    assert len(table.get_all_paths(num_groups=50)) == 6
    assert [sum(map(len, each)) > 0 for each in table.get_all_paths("record", target_group_size=53)] == [True, True]
    assert len(table.get_all_paths("size", target_group_size=1)) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"group_by": "bytes"}, "'record' or 'size'"),
        ({"num_groups": 2, "target_group_size": 3}, "exclude each other"),
        ({"num_groups": 0}, "at least 1"),
        ({"target_group_size": "5"}, "at least 1"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(table: headrace.Table, arguments: dict, message: str) -> None:
    with pytest.raises(errors.MetaflowTableException, match=message):
        table.get_all_paths(**arguments)


def test_partitions_by_value(table: headrace.Table) -> None:
    assert len(table.get_partitions({"ds": "a"})) == 30
    assert len(table.get_partitions({"ds": "a", "country": "CA"}, columns=["id"])) == 20
    assert table.get_partitions({"ds": "a", "country": "CA"}, columns=["id"]).schema == ["id"]
    assert len(table.get_partitions(specs=[{"ds": "a", "country": "US"}, {"ds": "c"}])) == 55
    assert len(table.get_partitions({}, allow_all=True)) == 106
    assert len(table.get_partition_paths({"country": "US"}, num_groups=2)) == 2
    many = [{"ds": f"x{at}"} for at in range(3000)]
    assert len(table.get_partitions(specs=[*many, {"ds": "b"}])) == 30


def test_what_partitions_cannot_be(table: headrace.Table) -> None:
    with pytest.raises(errors.MetaflowTableException, match="'cuntry'") as wrong:
        table.get_partitions({"cuntry": "US"})
    assert "did you mean 'country'" in str(wrong.value)
    with pytest.raises(errors.MetaflowTableException, match="allow_all=True"):
        table.get_partitions({})
    with pytest.raises(errors.MetaflowTableException, match="must be given"):
        table.get_partition_paths()
    with pytest.raises(errors.MetaflowTableEmptyPartition, match="ds='zz'"):
        table.get_partitions({"ds": "zz"})
    with pytest.raises(errors.MetaflowTableTypeMismatch):
        table.get_partitions({"ds": 5})
    with pytest.raises(errors.MetaflowTableEmptyPartition):
        table.get_partitions(specs=[])


def test_partitions_with_a_transform_a_null_and_another_spec(catalog: Catalog) -> None:
    schema = {"ts": "timestamp", "id": "long", "kind": "string"}
    made = headrace.Table.create("db.v", schema, partition_by=["day(ts)", "bucket(4, id)", "kind"], catalog=catalog)
    start = datetime.datetime(2026, 1, 1)
    times = [start + at * HOUR for at in range(48)]
    made.put(pyarrow.table({"ts": times, "id": range(48), "kind": [None if at % 2 else "x" for at in range(48)]}))
    day = datetime.date(2026, 1, 2)
    assert sorted(made.get_partitions({"ts_day": day})["id"].to_pylist()) == list(range(24, 48))
    assert sorted(made.get_partitions({"kind": None})["id"].to_pylist()) == list(range(1, 48, 2))
    buckets = [set(made.get_partitions({"id_bucket": at}, columns=["id"])["id"].to_pylist()) for at in range(4)]
    assert sum(map(len, buckets)) == 48
    assert set().union(*buckets) == set(range(48))
    both = made.get_partitions({"ts_day": day, "kind": "x"})
    assert sorted(both["id"].to_pylist()) == list(range(24, 48, 2))
    assert made.get_partitions({"id": 7})["id"].to_pylist() == [7]


def test_files_are_loaded_in_the_order_of_their_locations_with_columns(table: headrace.Table) -> None:
    (group,) = table.get_all_paths()
    frame = table.load_parquet(list(reversed(group)), ["country", "id"], num_threads=1)
    assert frame.schema == ["country", "id"]
    alone = [table.load_parquet([each], ["id"])["id"].to_pylist() for each in reversed(group)]
    assert frame["id"].to_pylist() == [value for each in alone for value in each]
    with pytest.raises(errors.MetaflowTableEmptyPartition):
        table.load_parquet([])
    with pytest.raises(errors.MetaflowTableException, match="no file of this table"):
        table.load_parquet([*group, "s3://elsewhere/x.parquet"])
    with pytest.raises(errors.ColumnNotFound):
        table.load_parquet(group, ["idd"])


def test_files_of_an_older_snapshot_are_loaded_with_todays_columns(table: headrace.Table) -> None:
    (group,) = table.get_partition_paths({"ds": "a"})
    table.put(rows(900, 3, "a", "US"), overwrite=True)
    with table.update_schema() as schema:
        schema.add("more", "long")
    old = table.load_parquet(group)
    assert len(old) == 30
    assert old.schema == ["id", "ds", "country", "more"]
    assert len(table.get_partitions({"ds": "a"})) == 23


def test_an_empty_table_is_an_error_here_and_a_frame_there(catalog: Catalog) -> None:
    made = headrace.Table.create("db.e", SCHEMA, catalog=catalog)
    with pytest.raises(errors.MetaflowTableEmptyTable, match="load"):
        made.get_all()
    with pytest.raises(errors.MetaflowTableEmptyTable):
        made.get_all_paths()
    assert len(made.load()) == 0
    made.put(made.load())
    made.put(rows(0, 2, "a"))
    assert len(made.get_all(columns=["id"])) == 2


def test_put_data_and_commit(table: headrace.Table) -> None:
    frame = headrace.MetaflowDataFrame.from_arrow(rows(700, 6, "a", "US"))
    staged = json.loads(json.dumps(table.put_data(frame)))
    assert len(table.refresh().get_partitions({"ds": "a", "country": "US"})) == 10
    table.commit(data_files=staged, overwrite=True)
    with pytest.raises(errors.InvalidArgument):
        table.commit()
    assert sorted(table.get_partitions({"ds": "a", "country": "US"})["id"].to_pylist()) == list(range(700, 706))
    assert len(table.get_partitions({"ds": "a", "country": "CA"})) == 20


def test_shards_that_staged_are_counted(table: headrace.Table, catalog: Catalog) -> None:
    target = headrace.Table.create("db.target", SCHEMA, catalog=catalog)
    shards = table.scan().shards(8)  # six files: two shards are empty
    staged = [target.put_data(each.load(), shard=each) for each in shards]
    assert all(staged), "an empty shard says that it was there"
    with pytest.raises(errors.MetaflowTableInvalidData, match=r"2 of 8 shards staged nothing: 0, 5 \(counted from 0\)"):
        target.commit([*staged[1:5], *staged[6:]])
    assert target.refresh().snapshot is None
    target.commit(json.loads(json.dumps(staged)))
    target.commit(staged)
    assert len(target.load()) == 106
    assert target.snapshots().num_rows == 1
    again = target.put_data(shards[0].load(), shard=shards[0])
    with pytest.raises(errors.MetaflowTableInvalidData, match="7 of 8"):
        target.commit(again)
    target.commit(target.put_data(table.load(limit=0)))


def test_a_shard_from_two_attempts_is_refused(table: headrace.Table, catalog: Catalog) -> None:
    target = headrace.Table.create("db.target", SCHEMA, catalog=catalog)
    (shard,) = table.scan().shards(1)
    first, second = (target.put_data(shard.load(), shard=shard) for _ in range(2))
    for at, staged in enumerate((first, second)):
        for each in staged:
            each["shard"]["by"] = f"17/match/3/{at}"
    with pytest.raises(errors.MetaflowTableInvalidData, match=r"17/match/3/0, 17/match/3/1"):
        target.commit([first, second])
    target.commit(second)
    assert len(target.load()) == 106


def test_stats_say_what_calls_took(table: headrace.Table) -> None:
    table.get_all()
    table.put_data(rows(0, 3, "q"))
    found = table.stats
    assert found["rows_read"] == 106
    assert found["rows_written"] == 3
    assert found["partition_query_time_ms"] > 0
    assert found["load_parquet_ms"] > 0
    assert "metaflow.flow" not in found


def test_names_and_paths(table: headrace.Table) -> None:
    assert (table.db, table.table_name, table.catalog) == ("db", "t", "local")
    assert (table.path, table.full_path) == ("db/t", "local/db/t")
    assert table.partition_columns == ["ds", "country"]
    assert (table.is_iceberg, table.is_hive) == (True, False)
    assert table.schema[0] == {"id": 1, "name": "id", "type": "long", "required": False, "field_id": 1, "doc": None}


def test_nested_types_are_described_as_iceberg_does(catalog: Catalog) -> None:
    made = headrace.Table.create("db.n", {"tags": "list<string>", "m": "map<string, long>"}, catalog=catalog)
    tags, _ = made.schema
    assert tags["type"]["type"] == "list"
    assert tags["type"]["element"] == "string"
    frame = headrace.MetaflowDataFrame.from_pandas(
        pyarrow.table({"tags": [["a"], None], "m": [{}, None]}).to_pandas(), iceberg_schema=made.schema
    )
    made.put(frame)
    assert made.get_all()["tags"].to_pylist() == [["a"], None]
