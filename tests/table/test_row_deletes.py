"""Row deletes, made by DuckDB: refused with what to do, and the snapshots before them read right."""

from __future__ import annotations

import pytest
from headrace.errors import RowDeletesError

from tests.table.compare import rows
from tests.table.warehouse import Warehouse


@pytest.fixture
def deleted(warehouse: Warehouse) -> str:
    """A table of ten rows (0 to 9) from which DuckDB deleted row 3, as a position delete."""
    name = warehouse.fresh_name()
    with warehouse.duckdb_writer() as connection:
        connection.execute(f"create table writable.{name} (id bigint)")
        connection.execute(f"insert into writable.{name} select * from range(10)")
        connection.execute(f"delete from writable.{name} where id = 3")
    return name


def test_a_table_with_row_deletes_is_refused(warehouse: Warehouse, deleted: str) -> None:
    table = warehouse.theirs.load_table(deleted)
    assert rows(warehouse.by_duckdb(table)) == [(each,) for each in range(10) if each != 3]

    ours = warehouse.table(table)
    for attempt in (ours.scan, ours.load, lambda: ours.load("id > 100"), lambda: ours.scan(columns=["id"])):
        with pytest.raises(RowDeletesError) as caught:
            attempt()
        assert caught.value.table == deleted
        assert "1 row-delete file" in str(caught.value)
        assert "rewrite_data_files" in str(caught.value.hint)


def test_the_snapshot_before_the_deletes_is_read(warehouse: Warehouse, deleted: str) -> None:
    table = warehouse.theirs.load_table(deleted)
    before = sorted(table.metadata.snapshots, key=lambda each: each.sequence_number)[-2]

    ours = warehouse.table(table, snapshot_id=before.snapshot_id)

    assert rows(ours.load()) == [(each,) for each in range(10)]


def test_whole_files_that_pyiceberg_deleted_or_rewrote_are_no_row_deletes(warehouse: Warehouse) -> None:
    import pyarrow

    table = warehouse.written(pyarrow.table({"id": range(10)}))
    table.append(pyarrow.table({"id": range(10, 20)}))
    table.delete("id >= 10")
    table.delete("id = 3")

    ours = warehouse.check(table)

    assert rows(ours) == [(each,) for each in range(10) if each != 3]
