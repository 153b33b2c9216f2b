"""`Table.changes`: what snapshots added and removed accounts for the difference of the two tables, row for row."""

from __future__ import annotations

import pickle
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import headrace
import pyarrow
import pytest
from headrace.errors import ColumnNotFound, InvalidArgument, UnsupportedError

from tests.commit.conftest import make, rows, sqlite
from tests.table.handmade import HandMade

Found = list[tuple[Any, ...]]


def changed(plan: headrace.ScanPlan) -> Found:
    """(change, id) of every row, in the plan's order."""
    found = pyarrow.table(plan.load(["_change_type", "id"]))
    return list(zip(found["_change_type"].to_pylist(), found["id"].to_pylist(), strict=True))


@pytest.mark.parametrize("version", ["1", "2", "3"])
def test_appended_and_removed_rows(tmp_path: Path, version: str) -> None:
    table = make(sqlite(tmp_path), "db.t", partition_by="ds", **{"format-version": version})
    assert changed(table.changes()) == []
    first = table.append(rows(0, 2, "a")).snapshot_id
    second = table.append(rows(2, 1, "b")).snapshot_id
    assert changed(table.changes(since=first)) == [("insert", 2)]
    assert changed(table.changes()) == [("insert", 0), ("insert", 1), ("insert", 2)]
    assert changed(table.changes(since=second)) == []
    table.append(rows(3, 1, "b"))
    table.compact(min_input_files=2)
    assert table.snapshot.operation == "replace"
    assert sorted(changed(table.changes(since=first))) == [("insert", 2), ("insert", 3)]
    compacted = table.snapshot.snapshot_id
    assert changed(table.changes(since=compacted)) == []

    third = table.overwrite_partitions(rows(9, 1, "a")).snapshot_id
    assert changed(table.changes(since=compacted)) == [("delete", 0), ("delete", 1), ("insert", 9)]
    found = pyarrow.table(table.changes(since=compacted, columns=["_commit_snapshot_id", "ds"]).load())
    assert found.column_names == ["_commit_snapshot_id", "ds", "_change_type"]
    assert found["_commit_snapshot_id"].to_pylist() == [third] * 3
    assert changed(table.changes(since=first, until=compacted)) == [("insert", 2), ("insert", 3)]
    assert pyarrow.table(table.changes(since=first).load()).column_names == ["id", "name", "ds", "_change_type"]


def test_points_are_ids_names_and_times(tmp_path: Path) -> None:
    table = make(sqlite(tmp_path), "db.t")
    first = table.append(rows(0, 1)).snapshot_id
    table.create_tag("seen", first)
    table.append(rows(1, 1))
    middle = table.snapshot
    table.append(rows(2, 1))
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=middle.timestamp_ms)
    assert changed(table.changes(since="seen")) == [("insert", 1), ("insert", 2)]
    assert changed(table.changes(since="seen", until=at)) == [("insert", 1)]
    assert changed(table.changes("main")) == []
    for wrong in (5, "2001-01-01", "nonsense", True, 1.5):
        with pytest.raises(InvalidArgument):
            table.changes(since=wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="history"):
        table.changes(since=middle.snapshot_id, until=first)
    with pytest.raises(ColumnNotFound):
        table.changes(columns=["nothing"])
    with pytest.raises(ColumnNotFound):
        table.scan(columns=["_change_type"])


def test_filters_prune_and_shards_keep_what_happened(tmp_path: Path) -> None:
    table = make(sqlite(tmp_path), "db.t", partition_by="ds")
    for first, ds in ((0, "a"), (10, "b"), (20, "a")):
        table.append(rows(first, 3, ds))
    table.delete("ds = 'a' and id < 10")
    plan = table.changes(filter="ds = 'a' and id < 2")
    assert changed(plan) == [("insert", 0), ("insert", 1), ("delete", 0), ("delete", 1)]
    assert plan.num_files == 2
    assert plan.report["manifests"]["pruned"] > 0
    whole = table.changes()
    shards = [pickle.loads(pickle.dumps(each)) for each in whole.shards(3)]
    assert [each for shard in shards for each in changed(shard)] == changed(whole)


@pytest.mark.parametrize("seed", range(6))
def test_changes_account_for_the_difference(tmp_path: Path, seed: int) -> None:
    """Any two snapshots: the older one's rows with what came, without what went, are the newer one's."""
    chosen = random.Random(seed)
    table = make(sqlite(tmp_path), "db.t", partition_by=chosen.choice([None, "ds"]))
    known = []
    for at in range(10):
        action = chosen.randrange(6)
        if action <= 1 or not known:
            table.append(pyarrow.concat_tables([rows(10 * at, 3, "a"), rows(10 * at + 3, 2, "b")]))
        elif action == 2:
            table.delete(f"id < {chosen.randrange(60)} and ds = 'a'")
        elif action == 3:
            table.overwrite_partitions(rows(10 * at, 2, "b"))
        elif action == 4:
            table.upsert(rows(chosen.randrange(40), 3, "a"), on=["id"])
        else:
            table.compact(min_input_files=2)
        if table.snapshot.snapshot_id not in known:
            known.append(table.snapshot.snapshot_id)

    def of(snapshot_id: int) -> Counter[tuple[Any, ...]]:
        found = pyarrow.table(headrace.Table("db.t", catalog=catalog, snapshot_id=snapshot_id).load())
        return Counter(tuple(each.values()) for each in found.to_pylist())

    catalog = table._access.catalog
    pairs = [(a, b) for at, a in enumerate(known) for b in known[at:]]
    for since, until in chosen.sample(pairs, min(12, len(pairs))):
        expected = of(since)
        for each in pyarrow.table(table.changes(since, until).load()).to_pylist():
            change = each.pop("_change_type")
            expected[tuple(each.values())] += 1 if change == "insert" else -1
        assert +expected == of(until), (seed, since, until)
        assert not -expected, (seed, since, until)


def test_row_deletes_are_refused(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"id": "long"})
    [location] = made.append({"id": [1, 2, 3]})
    before = made.table.snapshot.snapshot_id
    made.commit(made.delete_positions([(location, 0)]))
    deleted = made.table.snapshot.snapshot_id
    made.append({"id": [4]})
    with pytest.raises(UnsupportedError, match=f"snapshot {deleted}.*row deletes") as caught:
        made.table.changes(since=before)
    assert caught.value.hint
    assert changed(made.table.changes(since=deleted)) == [("insert", 4)]
    assert changed(made.table.changes(until=before)) == [("insert", 1), ("insert", 2), ("insert", 3)]
    now = made.table.snapshot.snapshot_id
    made.table.overwrite(pyarrow.table({"id": [9]}))
    with pytest.raises(UnsupportedError, match="deleted before it"):
        made.table.changes(since=now)


def test_expired_snapshots_are_told(tmp_path: Path) -> None:
    table = make(sqlite(tmp_path), "db.t")
    first = table.append(rows(0, 1)).snapshot_id
    second = table.append(rows(1, 1)).snapshot_id
    table.append(rows(2, 1))
    table.expire_snapshots(snapshot_ids=[first])
    with pytest.raises(InvalidArgument, match="no snapshot"):
        table.changes(since=first)
    with pytest.raises(InvalidArgument, match=f"{first}, before {second}, has expired"):
        table.changes()
    assert changed(table.changes(since=second)) == [("insert", 2)]


def test_a_schema_as_of_the_last_snapshot(tmp_path: Path) -> None:
    table = make(sqlite(tmp_path), "db.t")
    first = table.append(rows(0, 1)).snapshot_id
    with table.update_schema() as change:
        change.rename("name", "label")
    table.append(rows(1, 1).rename_columns(["id", "label", "ds"]))
    found = pyarrow.table(table.changes(since=None).load())
    assert found.column_names == ["id", "label", "ds", "_change_type"]
    assert found["label"].to_pylist() == ["n0", "n1"]
    assert pyarrow.table(table.changes(until=first).load()).column_names[1] == "name"
