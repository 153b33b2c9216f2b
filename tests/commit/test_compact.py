"""Small files become large ones and manifests are sorted: the same rows, one snapshot, safe beside other writers."""

from __future__ import annotations

import headrace
import pyarrow
import pyarrow.parquet
import pytest
from headrace.catalog import Catalog
from headrace.errors import ColumnNotFound, InvalidArgument, MetaflowTableConflict

from tests.commit.conftest import make, rows
from tests.commit.readers import check
from tests.commit.test_orphans import NOW
from tests.commit.test_replace import files_of
from tests.table.compare import rows as values


def entries(table: headrace.Table) -> list[tuple[object, ...]]:
    """(location, sequence number, first row id) of every live file."""
    found = pyarrow.table(table.refresh().files())
    return sorted(
        zip(*(found[each].to_pylist() for each in ("location", "sequence_number", "first_row_id")), strict=True)
    )


@pytest.mark.parametrize("version", ["1", "2", "3"])
def test_small_files_become_one_a_partition(catalog: Catalog, name: str, version: str) -> None:
    table = make(catalog, name, partition_by="ds", **{"format-version": version})
    for first in range(0, 12, 2):
        table.append(pyarrow.concat_tables([rows(first, 1, "a"), rows(first + 1, 1, "b")]))
    table.append(rows(100, 1, "alone"))
    before = table.snapshot
    expected = check(table)
    done = table.compact()
    assert done.snapshot_id == table.snapshot.snapshot_id
    assert values(check(table)) == values(expected)
    assert len(files_of(table)) == 3
    summary = dict(table.snapshot.summary)
    assert (summary["operation"], summary["added-data-files"], summary["deleted-data-files"]) == ("replace", "2", "12")
    assert (summary["total-records"], summary["total-data-files"]) == ("13", "3")
    if version != "1":
        assert {each[1] for each in entries(table)} == {before.sequence_number}
    assert table.compact().snapshot_id is None
    table.append(rows(200, 1, "a"))
    assert check(table).num_rows == 14


def test_what_is_worth_it(catalog: Catalog, name: str) -> None:
    table = make(catalog, name, partition_by="ds")
    for first in range(3):
        table.append(pyarrow.concat_tables([rows(first, 1, "a"), rows(10 + first, 1, "b")]))
    assert table.compact().snapshot_id is None
    table.compact("ds = 'a'", min_input_files=3)
    assert len(files_of(table)) == 4
    table.compact(min_input_files=2, target_file_size=1)  # every file is too large for that, and written again
    assert check(table).num_rows == 6
    for wrong in ({"min_input_files": 0}, {"target_file_size": -1}):
        with pytest.raises(InvalidArgument, match="positive"):
            table.compact(**wrong)
    with pytest.raises(ColumnNotFound):
        table.compact("nothing = 1")


def test_the_filter_chooses_files_and_loses_no_row(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    for first in range(0, 60, 10):
        table.append(rows(first, 10))
    kept = set(table.scan("id >= 30").files.locations())
    table.compact("id < 25", min_input_files=2)
    assert kept < files_of(table)
    assert len(files_of(table)) == 4
    assert values(check(table)) == values(rows(0, 60))


def test_files_of_an_earlier_spec_are_partitioned_and_sorted(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    table.append(pyarrow.concat_tables([rows(5, 3, "b"), rows(0, 3, "a")]))
    table.update_partitioning("ds")
    table.update_sort_order("id desc")
    table.compact()
    assert len(files_of(table)) == 2
    assert pyarrow.table(table.load("ds = 'b'"))["id"].to_pylist() == [7, 6, 5]
    assert values(check(table)) == values(pyarrow.concat_tables([rows(5, 3, "b"), rows(0, 3, "a")]))


def interrupted(table: headrace.Table, monkeypatch: pytest.MonkeyPatch, act) -> None:  # type: ignore[no-untyped-def]
    """Compact, with something happening after the files were read and before the commit."""
    from headrace.writing import maintenance

    inner = maintenance.rewritten

    def then(*arguments):  # type: ignore[no-untyped-def]
        done = inner(*arguments)
        act()
        return done

    monkeypatch.setattr(maintenance, "rewritten", then)
    table.compact(min_input_files=2)


def test_beside_other_writers(catalog: Catalog, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = make(catalog, name, partition_by="ds")
    for first in range(3):
        table.append(pyarrow.concat_tables([rows(first, 1, "a"), rows(10 + first, 1, "b")]))
    other = headrace.Table(name, catalog=catalog)
    interrupted(table, monkeypatch, lambda: other.append(rows(20, 1, "a")))
    assert len(files_of(table)) == 3
    assert check(table).num_rows == 7
    monkeypatch.undo()
    table.append(rows(30, 1, "b"))
    before, removed = files_of(table), []
    with pytest.raises(MetaflowTableConflict, match="removed files") as error:
        interrupted(table, monkeypatch, lambda: removed.append(other.refresh().delete("ds = 'b'").snapshot_id))
    assert error.value.snapshot_id == removed[0]
    assert files_of(table) < before
    assert len(table.orphan_files(NOW, force=True)) == 0  # what was written is gone
    assert check(table).num_rows == 4


def test_a_branch_is_compacted_by_itself(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    table.append(rows(0, 2))
    for first in range(2, 6):
        table.append(rows(first, 1), branch="audit")
    main = files_of(table)
    table.refresh().compact(branch="audit", min_input_files=2)
    assert files_of(table) == main
    audit = headrace.Table(name, catalog=catalog, branch="audit")
    assert len(audit.scan().files) == 1
    assert values(pyarrow.table(audit.load())) == values(rows(0, 6))


def test_an_empty_table(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    assert table.compact().snapshot_id is None
    assert table.rewrite_manifests().snapshot_id is None


@pytest.mark.parametrize("version", ["1", "2", "3"])
def test_manifests_are_sorted_by_partition(catalog: Catalog, name: str, version: str) -> None:
    properties = {"format-version": version, "commit.manifest-merge.enabled": "false"}
    table = make(catalog, name, partition_by="ds", **properties)
    for first in range(6):
        table.append(pyarrow.concat_tables([rows(first * 4 + at, 1, ds) for at, ds in enumerate("abcd")]))
    table.delete("id = 3")
    expected, before = check(table), entries(table)
    snapshots = pyarrow.table(table.manifests())["added_snapshot_id"].to_pylist()
    table.set_properties({"commit.manifest.target-size-bytes": "1"})
    table.rewrite_manifests()
    assert entries(table) == before
    assert values(check(table)) == values(expected)
    found = pyarrow.table(table.manifests())
    assert found.num_rows == len(before)
    assert set(found["existing_files_count"].to_pylist()) == {1}
    summary = dict(table.snapshot.summary)
    assert summary["operation"] == "replace"
    assert (summary["manifests-replaced"], summary["entries-processed"]) == (str(len(snapshots)), str(len(before)))
    assert summary["total-data-files"] == str(len(before))
    table.append(rows(100, 1, "a"))
    assert table.scan("ds = 'a'").report["manifests"]["read"] == 7
    table.set_properties({"commit.manifest.target-size-bytes": "8388608"})
    table.rewrite_manifests()
    assert pyarrow.table(table.manifests()).num_rows == 1
    assert table.rewrite_manifests().snapshot_id is None
    assert check(table).num_rows == expected.num_rows + 1


def test_manifests_of_several_specs(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    table.append(rows(0, 2))
    table.append(rows(2, 2))
    table.update_partitioning(["bucket(4, id)", "ds"])
    table.append(rows(4, 20))
    table.append(rows(24, 20, "b"))
    before = entries(table)
    table.rewrite_manifests()
    assert pyarrow.table(table.manifests()).num_rows == 2
    assert entries(table) == before
    assert values(check(table)) == values(pyarrow.concat_tables([rows(0, 24), rows(24, 20, "b")]))


def lineage(table: headrace.Table) -> dict[int, tuple[int, int]]:
    """id -> (row id, sequence number of the last change), from the files and from what they inherit."""
    found: dict[int, tuple[int, int]] = {}
    store = table._access.store()
    for location, sequence_number, first_row_id in entries(table):
        data = pyarrow.parquet.read_table(pyarrow.BufferReader(store.read(str(location))))
        for position, row in enumerate(data.to_pylist()):
            row_id, updated = row.get("_row_id"), row.get("_last_updated_sequence_number")
            own = int(str(first_row_id)) + position if row_id is None else row_id
            found[row["id"]] = (own, int(str(sequence_number)) if updated is None else updated)
    return found


def test_rows_keep_their_lineage_when_others_of_their_file_go(catalog: Catalog, name: str) -> None:
    table = make(catalog, name, **{"format-version": "3"})
    table.append(rows(0, 10))
    table.append(rows(10, 10))
    before = lineage(table)
    table.delete("id < 3")
    table.upsert(rows(12, 2), on=["id"])
    after = lineage(table)
    stayed = set(range(3, 20)) - {12, 13}
    assert {each: after[each] for each in stayed} == {each: before[each] for each in stayed}
    assert len({row_id for row_id, _ in after.values()}) == 17


def test_rows_keep_their_lineage(catalog: Catalog, name: str) -> None:
    table = make(catalog, name, **{"format-version": "3"})
    for first in (20, 0, 10):
        table.append(rows(first, 10))
    before = lineage(table)
    assert len({row_id for row_id, _ in before.values()}) == 30
    table.update_sort_order("id")
    table.compact(min_input_files=2)
    assert len(files_of(table)) == 1
    assert lineage(table) == before
    table.append(rows(30, 5))
    before = lineage(table)
    table.compact(min_input_files=2)  # of rows that say who they are, and of some that do not
    assert lineage(table) == before
    assert values(check(table)) == values(rows(0, 35))
