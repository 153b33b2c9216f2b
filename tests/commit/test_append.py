"""Appends: read back by headrace, PyIceberg and DuckDB, on every catalog."""

from __future__ import annotations

import json
import pickle

import headrace
import pyarrow
import pytest
from headrace.catalog import Catalog
from headrace.errors import (
    InvalidArgument,
    MetaflowTableConflict,
    MetaflowTableIncompatible,
    MetaflowTableTypeMismatch,
)

from tests.commit.by_pyiceberg import stage
from tests.commit.conftest import make, rows
from tests.commit.readers import check
from tests.table.compare import rows as values
from tests.table.warehouse import Warehouse


@pytest.mark.parametrize("version", ["1", "2"])
def test_staged_files_become_rows(catalog: Catalog, name: str, version: str) -> None:
    table = make(catalog, name, **{"format-version": version})
    staged = [stage(table, rows(0, 10)), stage(table, rows(10, 5))]
    done = table.commit(json.loads(json.dumps(pickle.loads(pickle.dumps(staged)))))
    assert done.snapshot_id == table.snapshot.snapshot_id
    assert values(check(table)) == values(rows(0, 15))
    table.commit(stage(table, rows(15, 5)))
    assert values(check(table)) == values(rows(0, 20))
    summary = table.snapshot.summary
    assert (summary["operation"], summary["total-records"], summary["total-data-files"]) == ("append", "20", "3")
    assert (summary["added-records"], summary["engine-name"]) == ("5", "headrace")


def test_the_same_files_are_committed_once(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    first, second = stage(table, rows(0, 3)), stage(table, rows(3, 3))
    once = table.commit([first, second])
    table.append(rows(6, 3))
    again = headrace.Table(name, catalog=catalog).commit([*second, *first, *first])
    assert again.snapshot_id == once.snapshot_id
    assert len(table.refresh().metadata.snapshots) == 2
    assert values(check(table)) == values(rows(0, 9))


@pytest.mark.parametrize("how", ["more of them", "another mode", "after compaction"])
def test_files_that_another_commit_took_are_refused(catalog: Catalog, name: str, how: str) -> None:
    table = make(catalog, name)
    first, second = stage(table, rows(0, 3)), stage(table, rows(3, 3))
    done = table.commit(first)
    mode = "append"
    if how == "another mode":
        mode, second = "overwrite_partitions", []
    elif how == "after compaction":
        table.append(rows(6, 3))
        table.compact(min_input_files=2)
    before = check(table)
    with pytest.raises(MetaflowTableConflict, match=f"1 of .* committed already, by snapshot {done.snapshot_id}"):
        headrace.Table(name, catalog=catalog).commit([first, second], mode)
    assert values(check(table.refresh())) == values(before)


def test_the_fast_data_surface(catalog: Catalog, name: str) -> None:
    table = make(catalog, name, partition_by="ds")
    table.put(pyarrow.concat_tables([rows(0, 2, "a"), rows(2, 2, "b")]))
    table.commit(table.put_data(rows(4, 2, "b"), num_threads=1), overwrite=True)
    table.commit(table.put_data(rows(6, 2, "b")))
    table.put(rows(8, 1, "a"), overwrite=True)
    assert sorted(check(table)["id"].to_pylist()) == [4, 5, 6, 7, 8]


def test_nothing_staged_changes_nothing(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    assert table.commit([]).snapshot_id is None
    assert table.append(rows(0, 0)).snapshot_id is None
    assert table.refresh().snapshot is None


def test_what_does_not_belong_is_refused(catalog: Catalog, name: str) -> None:
    table, other = make(catalog, name), make(catalog, name + "x")
    with pytest.raises(MetaflowTableIncompatible, match="staged for table"):
        table.commit(stage(other, rows(0, 1)))
    with pytest.raises(InvalidArgument, match="not a value that stage"):
        table.commit([{"path": "s3://a/b"}])
    assert table.refresh().snapshot is None


def test_a_table_opened_at_a_snapshot_is_not_written_to(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    table.append(rows(0, 1))
    pinned = headrace.Table(name, catalog=catalog, snapshot_id=table.snapshot.snapshot_id)
    with pytest.raises(InvalidArgument, match="opened at a snapshot"):
        pinned.append(rows(1, 1))


def test_files_that_are_live_are_found_where_the_history_has_expired(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    first, second = table.stage(rows(0, 3)), table.stage(rows(3, 3))
    long_ago = [{**each, "at_ms": 0} for each in first]
    table.commit(first)
    gone = table.snapshot.snapshot_id
    table.append(rows(6, 1))
    table._alter(lambda now: ([], [{"action": "remove-snapshots", "snapshot-ids": [gone]}]))
    assert table.commit(long_ago).snapshot_id == table.snapshot.snapshot_id
    with pytest.raises(MetaflowTableConflict, match="1 of 2 staged files"):
        table.commit([*long_ago, *second])
    assert values(check(table)) == values(pyarrow.concat_tables([rows(0, 3), rows(6, 1)]))


def test_new_columns_are_added_where_that_is_asked_for(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    table.append(rows(0, 1))
    wider = rows(1, 1).append_column("score", pyarrow.array([0.5]))
    table.append(wider, evolve=True)
    assert table.schema[-1]["type"] == "double"
    assert sorted(check(table)["score"].to_pylist(), key=str) == [0.5, None]


def test_pyiceberg_goes_on_where_headrace_stopped(warehouse: Warehouse, name: str) -> None:
    table = make(warehouse.ours, name, partition_by="ds")
    table.append(rows(0, 5, "a"))
    theirs = warehouse.theirs.load_table(name)
    theirs.append(rows(5, 5, "b"))
    theirs.delete("id = 2")
    table.append(rows(10, 5, "a"))
    table.overwrite_partitions(rows(20, 2, "b"))
    theirs.refresh()
    theirs.append(rows(30, 1, "c"))
    ids = sorted(check(table)["id"].to_pylist())
    assert ids == [0, 1, 3, 4, *range(10, 15), 20, 21, 30]


def test_an_int_whose_truncation_is_no_int_is_refused(catalog: Catalog, name: str) -> None:
    table = headrace.Table.create(name, {"id": "int"}, partition_by="truncate(10, id)", catalog=catalog)
    table.append(pyarrow.table({"id": pyarrow.array([1], "int32")}))
    with pytest.raises(MetaflowTableTypeMismatch, match="beyond the type of the partition value"):
        table.append(pyarrow.table({"id": pyarrow.array([-(2**31)], "int32")}))
    assert values(check(table)) == [(1,)]
