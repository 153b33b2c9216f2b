"""Overwrites and deletes: whole files dropped unread, others rewritten, and conflicts that name the other snapshot."""

from __future__ import annotations

import headrace
import pyarrow
import pyarrow.compute as pc
import pytest
from headrace.catalog import Catalog
from headrace.errors import MetaflowTableConflict

from tests.commit.conftest import make, rows
from tests.commit.readers import check
from tests.table.compare import rows as values


def files_of(table: headrace.Table) -> set[str]:
    return set(table.refresh().scan().files.locations())


def test_delete_drops_whole_files_and_rewrites_the_others(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    for first in (0, 10, 20):
        table.append(rows(first, 10))
    before = files_of(table)
    table.delete("id < 10 or id = 25")
    after = files_of(table)
    assert len(before & after) == 1
    assert len(after) == 2
    everything = rows(0, 30)
    kept = everything.filter(pc.invert(pc.or_(pc.less(everything["id"], 10), pc.equal(everything["id"], 25))))
    assert values(check(table)) == values(kept)
    summary = table.snapshot.summary
    assert summary["operation"] == "overwrite"
    assert (summary["deleted-data-files"], summary["total-records"], summary["total-data-files"]) == ("2", "19", "2")
    table.delete("id >= 0")
    assert table.snapshot.operation == "delete"
    assert check(table).num_rows == 0
    assert table.delete("id >= 0").snapshot_id is None


def test_rows_for_which_the_filter_is_null_stay(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    data = pyarrow.table({"id": [1, None, 3, None], "name": ["a", "b", None, None], "ds": ["x", "x", "y", "y"]})
    table.append(data)
    table.delete("id > 2 or name = 'zzz'")
    assert values(check(table)) == values(data.filter(pyarrow.array([True, True, False, True])))
    table.delete("id is null and name = 'b'")
    assert values(check(table)) == values(data.filter(pyarrow.array([True, False, False, True])))


def test_overwrite_by_filter_and_as_a_whole(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    table.append(pyarrow.concat_tables([rows(0, 5, "a"), rows(5, 5, "b")]))
    table.overwrite(rows(100, 2, "b"), "ds = 'b'")
    assert values(check(table)) == values(pyarrow.concat_tables([rows(0, 5, "a"), rows(100, 2, "b")]))
    table.overwrite(rows(7, 1))
    assert values(check(table)) == values(rows(7, 1))


@pytest.mark.parametrize("version", ["1", "2", "3"])
def test_overwrite_partitions_replaces_what_it_touches(catalog: Catalog, name: str, version: str) -> None:
    table = make(catalog, name, partition_by="ds", **{"format-version": version})
    table.append(pyarrow.concat_tables([rows(0, 5, "a"), rows(5, 5, "b"), rows(10, 5, "c")]))
    staged = table.stage(pyarrow.concat_tables([rows(100, 2, "b"), rows(102, 2, "d")]))
    done = table.commit(staged, "overwrite_partitions")
    expected = [rows(0, 5, "a"), rows(10, 5, "c"), rows(100, 2, "b"), rows(102, 2, "d")]
    assert values(check(table)) == values(pyarrow.concat_tables(expected))
    table.append(rows(200, 1, "b"))
    assert table.commit(staged, "overwrite_partitions").snapshot_id == done.snapshot_id
    assert check(table).num_rows == 15


def test_nothing_to_overwrite_with(catalog: Catalog, name: str) -> None:
    table = make(catalog, name, partition_by="ds")
    table.append(rows(0, 5))
    assert table.commit([], "overwrite_partitions").snapshot_id is None
    table.commit([], "overwrite")
    assert check(table).num_rows == 0


def test_conflicts_name_the_other_snapshot(catalog: Catalog, name: str) -> None:
    table = make(catalog, name, partition_by="ds")
    table.append(pyarrow.concat_tables([rows(0, 5, "a"), rows(5, 5, "b")]))
    late = headrace.Table(name, catalog=catalog)
    elsewhere = headrace.Table(name, catalog=catalog)
    other = table.append(rows(10, 1, "b"))
    with pytest.raises(MetaflowTableConflict, match=str(other.snapshot_id)) as error:
        late.overwrite_partitions(rows(20, 1, "b"))
    assert error.value.snapshot_id == other.snapshot_id
    with pytest.raises(MetaflowTableConflict, match="added rows"):
        late.overwrite(rows(20, 1, "b"), "ds = 'b'")
    before = files_of(table)
    elsewhere.overwrite_partitions(rows(30, 1, "a"))  # another partition: no conflict
    assert len(files_of(table) & before) == 2
    with pytest.raises(MetaflowTableConflict, match=r"removed files|added rows"):
        late.overwrite(rows(20, 1, "a"), "ds = 'a'")
    assert check(table).num_rows == 7


def test_snapshot_isolation_leaves_rows_added_since(catalog: Catalog, name: str) -> None:
    table = make(catalog, name, partition_by="ds", **{"write.update.isolation-level": "snapshot"})
    table.append(rows(0, 5, "a"))
    late = headrace.Table(name, catalog=catalog)
    table.append(rows(5, 5, "a"))
    late.overwrite(rows(20, 1, "a"), "ds = 'a'")
    assert values(check(table)) == values(pyarrow.concat_tables([rows(5, 5, "a"), rows(20, 1, "a")]))
    late = headrace.Table(name, catalog=catalog)
    table.refresh().overwrite_partitions(rows(30, 1, "a"))
    with pytest.raises(MetaflowTableConflict, match="removed files"):
        late.overwrite(rows(40, 1, "a"), "ds = 'a'")


def test_append_never_conflicts(catalog: Catalog, name: str) -> None:
    table = make(catalog, name, partition_by="ds")
    late = headrace.Table(name, catalog=catalog)
    table.append(rows(0, 5))
    table.overwrite_partitions(rows(5, 5))
    late.append(rows(10, 5))
    assert values(check(table)) == values(rows(5, 10))


def test_branches(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    table.append(rows(0, 2))
    table.append(rows(2, 2), branch="audit")
    assert pyarrow.table(table.load()).num_rows == 2
    audit = headrace.Table(name, catalog=catalog, branch="audit")
    audit.append(rows(4, 2))
    audit.delete("id = 0")
    assert values(pyarrow.table(audit.load())) == values(rows(1, 5))
    assert values(check(table)) == values(rows(0, 2))


def test_partitions_of_a_branch_are_overwritten_from_its_own_head(catalog: Catalog, name: str) -> None:
    table = make(catalog, name, partition_by="ds")
    table.append(rows(0, 2, "a"))
    table.overwrite_partitions(rows(2, 2, "a"), branch="audit")
    table.overwrite_partitions(rows(4, 2, "a"), branch="audit")
    table.append(rows(6, 2, "b"))
    table.commit(table.stage(rows(8, 2, "a")), "overwrite_partitions", branch="audit")
    audit = headrace.Table(name, catalog=catalog, branch="audit")
    assert values(pyarrow.table(audit.load())) == values(rows(8, 2, "a"))
    assert values(check(table)) == values(pyarrow.concat_tables([rows(0, 2, "a"), rows(6, 2, "b")]))
    table.append(rows(10, 1, "a"), branch="audit")
    with pytest.raises(MetaflowTableConflict, match="added rows"):
        audit.overwrite_partitions(rows(12, 1, "a"))
