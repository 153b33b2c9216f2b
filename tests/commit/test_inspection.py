"""History and contents as frames, and write-audit-publish, whose branch readers never see."""

from __future__ import annotations

import headrace
import pyarrow
import pytest
from headrace.catalog import Catalog
from headrace.errors import InvalidArgument, MetaflowTableConflict

from tests.commit.conftest import make, rows
from tests.commit.readers import check
from tests.table.compare import rows as values


def shown(frame: headrace.MetaflowDataFrame, *columns: str) -> list[tuple[object, ...]]:
    table = pyarrow.table(frame)
    return list(zip(*(table[each].to_pylist() for each in columns), strict=True))


def test_what_a_table_shows_of_itself(catalog: Catalog, name: str) -> None:
    table = make(catalog, name, partition_by="ds")
    assert table.snapshots().num_rows == table.files().num_rows == table.manifests().num_rows == 0
    first = table.append(pyarrow.concat_tables([rows(0, 5, "a"), rows(5, 2, None)])).snapshot_id
    second = table.overwrite_partitions(rows(9, 1, "a")).snapshot_id
    table.create_tag("t", first, max_ref_age_ms=5)
    assert shown(table.snapshots(), "snapshot_id", "parent_id", "operation") == [
        (first, None, "append"),
        (second, first, "overwrite"),
    ]
    assert shown(table.history(), "snapshot_id", "is_current_ancestor") == [(first, True), (second, True)]
    refs = set(shown(table.refs(), "name", "type", "snapshot_id", "max_reference_age_in_ms"))
    assert refs == {("main", "branch", second, None), ("t", "tag", first, 5)}
    assert sorted(shown(table.files(), "record_count")) == [(1,), (2,)]
    counts = shown(table.manifests(), "added_files_count", "existing_files_count", "deleted_files_count")
    assert sorted(counts) == [(0, 1, 1), (1, 0, 0)]
    found = shown(table.partitions(), "partition", "file_count", "record_count")
    assert sorted(found, key=str) == [({"ds": "a"}, 1, 1), ({"ds": None}, 1, 2)]
    assert make(catalog, name + "u").partitions().num_rows == 0


def test_audited_rows_are_published_together(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    with table.audit("first") as inside:
        inside.append(rows(0, 5))
        assert pyarrow.table(inside.load()).num_rows == 5
        assert table.refresh().snapshot is None
    assert values(check(table)) == values(rows(0, 5))
    with table.audit("second") as inside:
        inside.append(rows(5, 5))
        inside.delete("id = 0")
        assert check(table).num_rows == 5
    assert values(check(table)) == values(rows(1, 9))
    assert set(table.metadata.refs) == {"main"}


def test_a_failed_audit_leaves_its_branch(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    table.append(rows(0, 5))

    def failing() -> None:
        with table.audit("bad") as inside:
            inside.append(rows(5, 5))
            raise ValueError("the check failed")

    with pytest.raises(ValueError, match="the check failed"):
        failing()
    assert check(table).num_rows == 5
    assert headrace.Table(name, catalog=catalog, branch="bad").load().num_rows == 10
    with pytest.raises(InvalidArgument, match="already"), table.audit("bad"):
        pass

    def overtaken() -> None:
        with table.audit("late") as inside:
            inside.append(rows(5, 5))
            table.append(rows(20, 1))

    with pytest.raises(MetaflowTableConflict, match="moved on"):
        overtaken()
    assert check(table).num_rows == 6
