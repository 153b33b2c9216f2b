"""Metadata columns: the file of a row, its position there, its partition spec."""

from __future__ import annotations

from pathlib import Path

import pyarrow
import pytest
from headrace.errors import ColumnNotFound

from tests.table.handmade import HandMade


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
