"""Row deletes of another writer (DuckDB): what a commit keeps of them, what it drops, and what it takes for a conflict."""

from __future__ import annotations

import headrace
import pyarrow
import pytest
from headrace.errors import MetaflowTableConflict

from tests.commit.conftest import make, rows
from tests.commit.readers import check
from tests.commit.test_compact import interrupted
from tests.table.compare import rows as values
from tests.table.warehouse import Warehouse


def delete(warehouse: Warehouse, name: str, where: str) -> None:
    with warehouse.duckdb_writer() as connection:
        connection.execute(f"delete from writable.{name} where {where}")


def delete_manifests(table: headrace.Table) -> int:
    return pyarrow.table(table.refresh().manifests())["content"].to_pylist().count("deletes")


def test_deletes_of_nothing_are_dropped(warehouse: Warehouse, name: str) -> None:
    table = make(warehouse.ours, name)
    table.append(rows(0, 5))
    delete(warehouse, name, "id = 3")
    table = table.refresh()
    table.append(rows(5, 5))
    assert delete_manifests(table) == 1
    table.overwrite(rows(10, 5))
    assert delete_manifests(table) == 0
    summary = dict(table.snapshot.summary)
    assert (summary["removed-delete-files"], summary["total-delete-files"]) == ("1", "0")
    assert values(check(table)) == values(rows(10, 5))


def test_rows_deleted_of_a_file_that_is_written_again(
    warehouse: Warehouse, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make(warehouse.ours, name)
    table.append(rows(0, 5))
    table.append(rows(5, 5))
    with pytest.raises(MetaflowTableConflict, match="deleted rows of a file") as error:
        interrupted(table, monkeypatch, lambda: delete(warehouse, name, "id = 3"))
    assert error.value.snapshot_id == table.refresh().snapshot.snapshot_id
    assert error.value.location is not None


def test_files_of_expired_row_deletes_go(warehouse: Warehouse, name: str) -> None:
    from tests.commit.test_orphans import NOW

    table = make(warehouse.ours, name)
    table.append(rows(0, 5))
    delete(warehouse, name, "id = 3")
    table = table.refresh()
    table.overwrite(rows(10, 5))
    done = table.expire_snapshots(NOW)
    assert (done.data_files, done.position_delete_files, done.equality_delete_files) == (1, 1, 0)
    assert len(table.orphan_files(NOW, force=True)) == 0
    assert values(check(table)) == values(rows(10, 5))
