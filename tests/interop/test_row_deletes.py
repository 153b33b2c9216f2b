"""Row deletes of every kind, by every writer: headrace and Spark see the same rows.

The tables are those of deleted_tables.py. Each is loaded whole, by filters, with columns that no delete names, in
shards, and as of each snapshot.
"""

from __future__ import annotations

import pickle

import pyarrow
import pytest

from tests.interop.deleted_tables import EQUALITY, POSITIONS
from tests.interop.sides import Sides
from tests.table.compare import rows


def check_everything(sides: Sides, name: str) -> None:
    """Our table is Spark's in every way of loading it."""
    whole = sides.check(name)
    for column in whole.column_names:  # also without the columns that deletes are made of
        assert rows(whole.select([column])) == rows(sides.ours(name).load(columns=[column])), column
    shards = [pickle.loads(pickle.dumps(each)) for each in sides.ours(name).scan().shards(3)]
    assert rows(pyarrow.concat_tables([pyarrow.table(each.load()) for each in shards])) == rows(whole)
    assert sides.ours(name).load(limit=5).num_rows == min(5, whole.num_rows)
    for each in sides.ours(name).metadata.snapshots:
        sides.check(name, snapshot_id=each.snapshot_id)


@pytest.mark.parametrize("recipe", POSITIONS)
def test_position_deletes_and_deletion_vectors(sides: Sides, recipe: str) -> None:
    name = POSITIONS[recipe](sides)
    assert sides.by_spark(name, "content", of="all_delete_files").num_rows > 0
    check_everything(sides, name)
    assert rows(sides.ours(name).load("id > 10 and id < 70", columns=["id"])) == rows(
        sides.by_spark(name, "id", "id > 10 and id < 70")
    )


@pytest.mark.parametrize("recipe", EQUALITY)
def test_equality_deletes(sides: Sides, recipe: str) -> None:
    name = EQUALITY[recipe](sides)
    assert 2 in sides.by_spark(name, "content", of="delete_files")["content"].to_pylist()
    check_everything(sides, name)
