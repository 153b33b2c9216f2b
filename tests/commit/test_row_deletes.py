"""Row deletes of another writer (DuckDB): what a commit keeps of them, what it drops, and what it takes for a conflict."""

from __future__ import annotations

import headrace
import pyarrow
import pytest
from headrace.errors import MetaflowTableConflict

from tests.commit.conftest import make, rows
from tests.commit.readers import check
from tests.commit.test_compact import interrupted
from tests.servers import duck
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


def test_deletion_vectors_go_with_their_files(warehouse: Warehouse, name: str) -> None:
    # The table bucket takes no Puffin files
    place = {"format-version": "3", "write.data.path": f"s3://data/{name}"}
    table = make(warehouse.ours, name, partition_by="ds", **place)
    table.append(pyarrow.concat_tables([rows(0, 5, "a"), rows(5, 5, "b")]))
    delete(warehouse, name, "id = 3 or id = 7")
    table = table.refresh()
    assert int(dict(table.snapshot.summary)["total-delete-files"]) == 2
    table.overwrite_partitions(rows(10, 2, "a"))
    summary = dict(table.snapshot.summary)
    assert (summary["removed-delete-files"], summary["total-delete-files"]) == ("1", "1")
    with duck.connect(warehouse.server) as connection:
        location = table._access.loaded().metadata_location
        found = connection.sql(f"select id from iceberg_scan('{location}') order by id").fetchall()
    assert [each[0] for each in found] == [5, 6, 8, 9, 10, 11]
    table.overwrite_partitions(rows(20, 1, "b"))
    assert dict(table.snapshot.summary)["total-delete-files"] == "0"
    assert values(check(table)) == values(pyarrow.concat_tables([rows(10, 2, "a"), rows(20, 1, "b")]))


@pytest.mark.parametrize("version", ["2", "3"])
def test_compaction_applies_row_deletes(warehouse: Warehouse, name: str, version: str) -> None:
    table = make(warehouse.ours, name, **{"format-version": version, "write.data.path": f"s3://data/{name}"})
    table.append(rows(0, 5))
    table.append(rows(5, 5))
    delete(warehouse, name, "id = 3")
    table = table.refresh()
    table.compact()
    assert len(table.scan().files) == 1  # a small file shares the bin of the one that must be written again
    assert values(check(table)) == values(pyarrow.concat_tables([rows(0, 3), rows(4, 6)]))
    assert table.compact().snapshot_id is None
    if version == "3":
        assert dict(table.snapshot.summary)["total-delete-files"] == "0"
    table.upsert(rows(4, 2, "new"), ["id"])
    expected = [rows(0, 3), rows(4, 2, "new"), rows(6, 4)]
    assert values(check(table)) == values(pyarrow.concat_tables(expected))


def test_upsert_of_files_with_row_deletes(warehouse: Warehouse, name: str) -> None:
    table = make(warehouse.ours, name)
    table.append(rows(0, 5))
    table.append(rows(5, 5))
    delete(warehouse, name, "id = 3 or id = 8")
    table = table.refresh()
    table.upsert(rows(7, 1, "new"), ["id"])
    expected = [rows(0, 3), rows(4, 3), rows(7, 1, "new"), rows(9, 1)]
    assert values(check(table)) == values(pyarrow.concat_tables(expected))
