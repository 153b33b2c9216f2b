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


@pytest.fixture(autouse=True)
def _secrets(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process that is handed a shard must know by itself."""
    known = sides.warehouse.server.catalog_properties
    for each in ("credential", "s3.access-key-id", "s3.secret-access-key"):
        variable = each.upper().replace(".", "__").replace("-", "_")
        monkeypatch.setenv(f"HEADRACE_CATALOG__{sides.catalog.name.upper()}__{variable}", known[each])


def check_everything(sides: Sides, name: str, history: bool = True) -> None:
    """Our table is Spark's in every way of loading it."""
    whole = sides.check(name)
    for column in whole.column_names:  # also without the columns that deletes are made of
        assert rows(whole.select([column])) == rows(sides.ours(name).load(columns=[column])), column
    shards = [pickle.loads(pickle.dumps(each)) for each in sides.ours(name).scan().shards(3)]
    assert rows(pyarrow.concat_tables([pyarrow.table(each.load()) for each in shards])) == rows(whole)
    assert sides.ours(name).load(limit=5).num_rows == min(5, whole.num_rows)
    for each in sides.ours(name).metadata.snapshots if history else ():
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
    # Of snapshots before a key's column was widened Spark reads rows by their types and keys by today's: none is found.
    check_everything(sides, name, history="promoted" not in recipe)


@pytest.mark.parametrize(
    "recipe", ["updated_and_merged-v2", "upgraded", "keys_and_positions-v2", "keys_and_positions-v3"]
)
def test_we_write_on_in_tables_with_row_deletes(sides: Sides, recipe: str) -> None:
    """Our rewrites apply the deletes of the files that they replace, and leave those of the others."""
    name = (POSITIONS | EQUALITY)[recipe](sides)
    before = rows(sides.check(name))
    sides.ours(name).append(pyarrow.table(sides.ours(name).load("id < 8")))
    assert len(sides.check(name)) > len(before)
    sides.ours(name).delete("id in (5, 6, 12)")
    assert not {5, 6, 12} & set(sides.check(name)["id"].to_pylist())
    replaced = pyarrow.table(sides.ours(name).load("id in (7, 8, 16)"))
    sides.ours(name).upsert(replaced.slice(0, 1), on=["id"])
    sides.check(name)
    sides.ours(name).overwrite(replaced.slice(1), "id > 20 and id < 40")
    sides.sql("delete from {t} where id % 10 = 8", name)
    sides.check(name)
    sides.ours(name).delete("ds = 'd0'")
    assert "d0" not in sides.check(name)["ds"].to_pylist()


@pytest.mark.parametrize("version", [2, 3])
def test_row_deletes_of_ours(sides: Sides, version: int) -> None:
    """Spark reads what we delete and replace, and its own deletes of the same files join ours, both ways."""
    modes = {f"write.{each}.mode": "merge-on-read" for each in ("delete", "update", "merge")}
    name = sides.made("id bigint, ds string", version=version, rest="partitioned by (ds)", properties=modes)
    sides.sql("insert into {t} select id, concat('d', id % 2) from range(0, 100, 1, 2)", name)
    files = set(sides.by_spark(name, "file_path", of="files")["file_path"].to_pylist())
    kept = set(range(100))
    for ours, theirs in ((3, 5), (7, 4), (9, 96)):
        sides.ours(name).delete(f"id in ({ours}, {ours + 1 if ours == 3 else ours + 10})")
        kept -= {ours, ours + 1 if ours == 3 else ours + 10}
        assert set(sides.check(name)["id"].to_pylist()) == kept
        sides.sql(f"delete from {{t}} where id = {theirs}", name)
        kept -= {theirs}
        assert set(sides.check(name)["id"].to_pylist()) == kept
    assert set(sides.by_spark(name, "file_path", "content = 0", of="files")["file_path"].to_pylist()) == files
    new = pyarrow.table({"id": [20, 200], "ds": ["new", "new"]})
    sides.ours(name).upsert(new, on=["id"])
    found = sides.check(name)
    assert set(found["id"].to_pylist()) == kept | {200}
    assert found.num_rows == len(kept) + 1
    sides.sql("delete from {t} where ds = 'new' and id = 20", name)
    sides.check(name)
    sides.ours(name).compact(min_input_files=2)
    assert set(sides.check(name)["id"].to_pylist()) == (kept | {200}) - {20}
