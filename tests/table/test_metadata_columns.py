"""Metadata columns: the file of a row, its position there, its partition, who it is and when it was last changed."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import headrace
import pyarrow
import pytest
from headrace.errors import ColumnNotFound

from tests.table.handmade import HandMade
from tests.table.warehouse import Warehouse


@pytest.mark.parametrize("strings", ["view", "large_string"])
def test_where_rows_lie(tmp_path: Path, strings: str) -> None:
    """Rows that are deleted, filtered out or beyond the limit keep their place; so do those of later row groups."""
    small = {"write.parquet.row-group-limit": "100"}
    made = HandMade(tmp_path / "made", {"id": "long", "ds": "string"}, partition_by="ds", **small)
    places = {}
    for ds in ("a", "b"):
        [location] = made.append({"id": range(1000), "ds": [ds] * 1000})
        places[location] = ds
    first = next(iter(places))
    made.commit(made.delete_positions([(first, 0), (first, 150), (first, 999)], partition=("a",)))
    made.table.update_partitioning(None)
    [late] = made.append({"id": range(5), "ds": ["c"] * 5})
    spec = made.table.metadata.spec.spec_id

    columns = ["_pos", "id", "_file", "_spec_id", "ds"]
    plan = made.table.scan(columns=columns)
    found = pyarrow.table(plan.load(strings=strings))
    assert found.column_names == columns
    assert found.num_rows == 2002
    for row in found.to_pylist():
        assert row["_pos"] == row["id"]
        expected = ("c", spec) if row["_file"] == late else (places[row["_file"]], 0)
        assert (row["ds"], row["_spec_id"]) == expected
    some = pyarrow.table(made.table.load("id >= 148 and id < 152", columns))
    assert sorted(some["_pos"].to_pylist()) == [148, 148, 149, 149, 150, 151, 151]
    assert pyarrow.table(made.table.load(columns=["_pos"], limit=3)).num_rows == 3
    assert pyarrow.table(made.table.scan().load(["_pos"]))["_pos"].to_pylist() == found["_pos"].to_pylist()


def test_a_column_of_the_table_by_that_name_wins(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"_pos": "string"})
    made.append({"_pos": ["x"]})
    assert made.rows(columns=["_pos"]) == [{"_pos": "x"}]
    with pytest.raises(ColumnNotFound):
        made.rows(columns=["_position"])


LINEAGE = ["id", "_row_id", "_last_updated_sequence_number"]


def lineage(made: HandMade, **options: Any) -> dict[int, tuple[int, int]]:
    return {row["id"]: (row["_row_id"], row[LINEAGE[2]]) for row in made.rows(columns=LINEAGE, **options)}


@pytest.mark.parametrize("limit", [{}, {"write.parquet.row-group-limit": "3"}], ids=["one", "several"])
def test_lineage_of_rows_that_are_new_and_of_rows_that_moved(tmp_path: Path, limit: dict[str, str]) -> None:
    made = HandMade(tmp_path / "made", {"id": "long"}, **{"format-version": "3"}, **limit)
    made.append({"id": range(10, 20)})
    made.append({"id": range(10)})
    expected = {each: ((each - 10, 1) if each >= 10 else (each + 10, 2)) for each in range(20)}
    assert lineage(made) == expected
    assert lineage(made, filter="id >= 7 and id < 12") == {each: expected[each] for each in range(7, 12)}

    made.table.update_sort_order("id")
    made.table.compact(min_input_files=2)
    assert len(made.table.scan().files) == 1
    made.append({"id": range(20, 22)})
    found = lineage(made)
    assert {each: found[each] for each in range(20)} == {each: expected[each] for each in range(20)}
    assert len({row_id for row_id, _ in found.values()}) == 22
    assert {updated for key, (_, updated) in found.items() if key >= 20} == {4}
    assert pyarrow.table(made.table.load(columns=["_row_id"], limit=1))["_row_id"].to_pylist() in ([0], [found[20][0]])


def test_tables_of_older_formats_have_no_row_ids(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"id": "long"})
    made.append({"id": [1]})
    assert made.rows(columns=LINEAGE) == [{"id": 1, "_row_id": None, "_last_updated_sequence_number": 1}]


def test_rows_that_are_left_keep_their_lineage_when_files_are_joined(warehouse: Warehouse) -> None:
    """DuckDB deletes with vectors; compaction leaves them out, and the other rows are who they were."""
    name = warehouse.fresh_name()
    with warehouse.duckdb_writer() as connection:
        where = f"s3://data/{name.replace('.', '/')}"
        options = f"'format-version' = '3', 'write.data.path' = '{where}'"
        connection.execute(f"create table writable.{name} (id bigint) with ({options})")
        for first in (0, 10):
            connection.execute(f"insert into writable.{name} select * from range({first}, {first + 10})")
        connection.execute(f"delete from writable.{name} where id % 5 = 3")
    table = headrace.Table(name, catalog=warehouse.ours)
    before = pyarrow.table(table.load(columns=LINEAGE)).sort_by("id").to_pylist()
    assert [row["_row_id"] for row in before] == [each for each in range(20) if each % 5 != 3]
    table.compact(min_input_files=2)
    assert len(table.scan().files) == 1
    assert pyarrow.table(table.load(columns=LINEAGE)).sort_by("id").to_pylist() == before


def test_partition_values(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"id": "long", "ds": "string", "at": "date"}, partition_by=["ds", "month(at)"])
    day = datetime.date(2026, 3, 4)
    made.append({"id": [1, 2], "ds": ["a", None], "at": [day, None]})
    made.table.update_partitioning("bucket(4, id)")
    made.append({"id": [3], "ds": ["c"], "at": [day]})

    found = {row["id"]: row["_partition"] for row in made.rows(columns=["id", "_partition"])}

    month = 12 * (2026 - 1970) + 2
    assert found[1] == {"ds": "a", "at_month": month, "id_bucket": None}
    assert found[2] == {"ds": None, "at_month": None, "id_bucket": None}
    assert found[3]["ds"] is None
    assert found[3]["id_bucket"] in range(4)
    assert made.rows(columns=["_partition.ds"], filter="id = 1") == [{"_partition": {"ds": "a"}}]
    shards = made.table.scan(columns=["_partition", "id"]).shards(3)
    again = {row["id"]: row["_partition"] for shard in shards for row in pyarrow.table(shard.load()).to_pylist()}
    assert again == found
