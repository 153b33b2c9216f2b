"""Row deletes applied on read: made by DuckDB (v2 position deletes, v3 vectors), and by hand where no writer makes them.

DuckDB is the oracle of what it wrote; deletes by hand are compared with a model of the rows.
"""

from __future__ import annotations

import math
import pickle
import random
from pathlib import Path
from typing import Any

import headrace
import pyarrow
import pytest
from headrace.errors import HeadraceError, MetaflowTableConflict, MetaflowTableInvalidData

from tests.servers import duck
from tests.table.compare import rows
from tests.table.handmade import HandMade
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


def ids(loaded: Any) -> list[int]:
    """The ids of a frame, sorted."""
    return sorted(pyarrow.table(loaded)["id"].to_pylist())


def test_position_deletes_of_duckdb(warehouse: Warehouse, deleted: str) -> None:
    theirs = warehouse.theirs.load_table(deleted)
    ours = warehouse.table(theirs)
    plan = ours.scan()
    frame = plan.load()

    assert rows(frame) == rows(warehouse.by_duckdb(theirs)) == [(each,) for each in range(10) if each != 3]
    assert plan.rows == 10  # before deletes
    assert plan.report["deletes"] | {"position": 1, "apply": 1, "files": 1} == plan.report["deletes"]
    assert frame.metrics["deletes"] == {
        "files": 1,
        "records": 1,
        "rows_by_position": 1,
        "rows_by_value": 0,
        "unmatched_positions": 0,
    }
    assert "1 of 1 delete files apply: 1 by position" in plan.explain()
    assert "deleted: 1 rows by position" in plan.explain()
    assert ids(ours.load("id > 2 and id < 6")) == [4, 5]
    assert ids(ours.load(limit=5)) == [0, 1, 2, 4, 5]


def test_the_snapshot_before_the_deletes_is_read(warehouse: Warehouse, deleted: str) -> None:
    table = warehouse.theirs.load_table(deleted)
    before = sorted(table.metadata.snapshots, key=lambda each: each.sequence_number or 0)[-2]

    ours = warehouse.table(table, snapshot_id=before.snapshot_id)

    assert rows(ours.load()) == [(each,) for each in range(10)]


def test_whole_files_that_pyiceberg_deleted_or_rewrote_are_no_row_deletes(warehouse: Warehouse) -> None:
    table = warehouse.written(pyarrow.table({"id": range(10)}))
    table.append(pyarrow.table({"id": range(10, 20)}))
    table.delete("id >= 10")
    table.delete("id = 3")

    ours = warehouse.check(table)

    assert rows(ours) == [(each,) for each in range(10) if each != 3]


@pytest.mark.parametrize("version", ["2", "3"])
def test_many_deletes_of_duckdb(warehouse: Warehouse, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several data files and several deletes of each; in v3 vectors, which replace one another."""
    name = warehouse.fresh_name()
    path = f"s3://{warehouse.server.bucket}/{name}"  # the table bucket takes no Puffin files
    properties = {"format-version": version, "write.data.path": path}
    headrace.Table.create(name, {"id": "long", "text": "string"}, properties=properties, catalog=warehouse.ours)
    with warehouse.duckdb_writer() as connection:
        for first in range(0, 60_000, 20_000):
            rows_of = f"select range, 'text ' || range from range({first}, {first + 20_000})"
            connection.execute(f"insert into writable.{name} {rows_of}")
        for condition in ("id % 7 = 0", "id between 19000 and 21000", "id = 59999"):
            connection.execute(f"delete from writable.{name} where {condition}")
        expected = connection.sql(f"select * from writable.{name}").to_arrow_table()
    ours = headrace.Table(name, catalog=warehouse.ours)
    plan = ours.scan()
    frame = plan.load()

    assert rows(frame) == rows(expected)
    assert frame.num_rows < plan.rows == 60_000
    assert plan.report["deletes"]["vectors" if version == "3" else "position"] >= 3
    assert frame.metrics["deletes"]["rows_by_position"] == 60_000 - frame.num_rows
    for secret in ("credential", "s3.access-key-id", "s3.secret-access-key"):
        variable = f"HEADRACE_CATALOG__SEAWEED__{secret.upper().replace('.', '__').replace('-', '_')}"
        monkeypatch.setenv(variable, warehouse.server.catalog_properties[secret])
    shards = [pickle.loads(pickle.dumps(each)) for each in plan.shards(2)]
    assert sorted(row for shard in shards for row in ids(shard.load())) == ids(expected)
    filtered = pyarrow.table(ours.load("id >= 18990 and id < 21010", columns=["text"]))
    assert sorted(filtered["text"].to_pylist()) == sorted(
        f"text {each}" for each in [*range(18_990, 19_000), *range(21_001, 21_010)] if each % 7
    )


@pytest.fixture
def made(tmp_path: Path) -> HandMade:
    """A table without partitions: id, name, x."""
    return HandMade(tmp_path / "made", {"id": "long", "name": "string", "x": "double"})


def some(first: int, count: int) -> dict[str, list[Any]]:
    """Rows of `made`: every third name is null, x is NaN, -0.0, 0.0 and 1.0 in turn."""
    numbers = range(first, first + count)
    names = [None if each % 3 == 0 else f"n{each % 5}" for each in numbers]
    return {"id": list(numbers), "name": names, "x": [(math.nan, -0.0, 0.0, 1.0)[each % 4] for each in numbers]}


def test_equality_deletes_are_about_older_rows_only(made: HandMade) -> None:
    made.append(some(0, 10))
    made.commit(made.delete_values(pyarrow.table({"id": [2, 4, 99]}), {"id": 1}))
    made.append(some(0, 5))

    assert ids(made.table.load()) == sorted([0, 1, 3, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4])
    loaded = made.table.load(columns=["name"])  # the key is not among the columns
    assert loaded.num_rows == 13
    assert loaded.metrics["deletes"]["rows_by_value"] == 2


def test_equality_of_several_columns_nulls_and_floats(made: HandMade) -> None:
    made.append(some(0, 60))
    keys = pyarrow.table({"x": [math.nan, 0.0], "name": [None, "n1"]})
    made.commit(made.delete_values(keys, {"x": 3, "name": 2}))

    kept = [each for each in range(60) if not (each % 12 == 0 or (each % 4 == 2 and each % 5 == 1 and each % 3))]
    assert ids(made.table.load()) == kept
    made.commit(made.delete_values(pyarrow.table({"x": [-0.0]}), {"x": 3}))
    assert ids(made.table.load()) == [each for each in kept if each % 4 != 1]


def test_columns_renamed_dropped_and_promoted_since(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"id": "int", "name": "string", "s": "struct<a: int, b: string>"})
    schema = pyarrow.schema(
        [
            ("id", pyarrow.int32()),
            ("name", pyarrow.string()),
            ("s", pyarrow.struct([("a", pyarrow.int32()), ("b", pyarrow.string())])),
        ]
    )
    table = [{"id": each, "name": f"n{each % 4}", "s": {"a": each % 3, "b": None}} for each in range(24)]
    made.append(pyarrow.Table.from_pylist(table, schema=schema))
    fields = made.table.metadata.schema
    id_of = {name: fields.find_field(name).field_id for name in ("id", "name", "s.a")}
    made.commit(made.delete_values(pyarrow.table({"name": ["n1"]}), {"name": id_of["name"]}))
    made.commit(made.delete_values(pyarrow.table({"id": pyarrow.array([2], pyarrow.int32())}), {"id": id_of["id"]}))
    with made.table.update_schema() as change:
        change.drop("name")
    with made.table.update_schema() as change:
        change.rename("id", "key")
        change.promote("key", "long")
    made.commit(made.delete_values(pyarrow.table({"key": [3, 4]}), {"key": id_of["id"]}))

    expected = [each for each in range(24) if each % 4 != 1 and each not in (2, 3, 4)]
    found = pyarrow.table(made.table.load())
    assert found.column_names == ["key", "s"]
    assert sorted(found["key"].to_pylist()) == expected

    inner = pyarrow.field("a", pyarrow.int32(), metadata={"PARQUET:field_id": str(id_of["s.a"])})
    nested = pyarrow.table({"s": pyarrow.array([{"a": 0}], pyarrow.struct([inner]))})
    outer = {"s": fields.find_field("s").field_id}
    made.commit(made.delete_values(nested, outer, compared=[id_of["s.a"]]))
    left = [each for each in expected if each % 3 != 0]
    assert sorted(pyarrow.table(made.table.load())["key"].to_pylist()) == left
    with made.table.update_schema() as change:
        change.drop("s.a")
    assert sorted(pyarrow.table(made.table.load())["key"].to_pylist()) == left


def test_partitions_bound_equality_deletes_and_global_ones_do_not(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"id": "long", "ds": "string"}, partition_by="ds")
    columns = {"id": [*range(10)] * 3, "ds": ["a"] * 10 + ["b"] * 10 + [None] * 10}
    made.append(columns)
    made.commit(made.delete_values(pyarrow.table({"id": [1, 2]}), {"id": 1}, partition=("a",)))
    made.commit(made.delete_values(pyarrow.table({"id": [3]}), {"id": 1}, partition=(None,)))

    def left() -> set[tuple[int, str | None]]:
        return {(each["id"], each["ds"]) for each in made.rows()}

    everything = set(zip(columns["id"], columns["ds"], strict=True))
    expected = everything - {(1, "a"), (2, "a"), (3, None)}
    assert left() == expected
    assert ids(made.table.load("ds = 'b'")) == list(range(10))
    assert made.table.scan("ds = 'b'").report["deletes"]["apply"] == 0

    made.table.update_partitioning(None)
    spec = made.table.metadata.spec.spec_id
    made.commit(made.delete_values(pyarrow.table({"id": [5]}), {"id": 1}, spec_id=spec), table_spec=spec)
    assert left() == expected - {(5, "a"), (5, "b"), (5, None)}


def test_position_deletes_of_partitions_and_of_files(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"id": "long", "ds": "string"}, partition_by="ds")
    [first] = made.append({"id": range(10), "ds": ["a"] * 10})
    [second] = made.append({"id": range(10, 20), "ds": ["a"] * 10})
    [other] = made.append({"id": range(20, 30), "ds": ["b"] * 10})
    both = sorted([(first, 1), (second, 3), (second, 3), (first, 9), (other, 4), ("file:///gone", 0), (first, 10)])
    made.commit(made.delete_positions(both, partition=("a",)))
    expected = [each for each in range(30) if each not in (1, 9, 13)]  # the row of the other partition stays
    plan = made.table.scan()
    frame = plan.load()
    assert ids(frame) == expected
    # another partition's, one of a file that is gone, one beyond the end; one is there twice
    assert frame.metrics["deletes"] == {
        "files": 1,
        "records": 7,
        "rows_by_position": 3,
        "rows_by_value": 0,
        "unmatched_positions": 3,
    }
    assert "3 positions match no row" in plan.explain()

    named = (other.encode(), other.encode())
    made.commit(made.delete_positions([(other, 9), (other, 0)], partition=("b",), bounds=named))
    expected = [each for each in expected if each not in (20, 29)]
    assert ids(made.table.load()) == expected
    assert [ids(shard.load()) for shard in made.table.scan().shards(40)] == [
        ids(pickle.loads(pickle.dumps(shard)).load()) for shard in made.table.scan().shards(40)
    ]
    elsewhere = made.table.scan("ds = 'b'")
    assert (elsewhere.report["deletes"]["files"], elsewhere.report["deletes"]["apply"]) == (2, 1)

    [late] = made.append({"id": range(30, 40), "ds": ["a"] * 10})
    assert ids(made.table.load()) == [*expected, *range(30, 40)]
    assert late in made.table.scan().files.locations()


def test_a_large_delete_file_is_read_where_its_statistics_say(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"id": "long"})
    locations = [made.append({"id": range(at * 1000, at * 1000 + 1000)})[0] for at in range(8)]
    places = sorted((path, at) for path in locations for at in range(0, 1000, 2))
    made.commit(made.delete_positions(places, row_group_size=500, use_dictionary=False))
    plan = made.table.scan()
    assert plan.load().num_rows == 4000
    for shard in plan.shards(4):
        frame = shard.load()
        assert frame.num_rows == 1000
        assert frame.metrics["deletes"]["unmatched_positions"] == 3000
        assert all(each % 2 for each in ids(frame))


def test_random_deletes_of_all_kinds(tmp_path: Path) -> None:
    """200,000 rows in files of many row groups, filters and limits, against a model."""
    chance = random.Random(7)
    made = HandMade(
        tmp_path / "made", {"id": "long", "k": "int", "text": "string"}, **{"write.parquet.row-group-limit": "3000"}
    )
    alive: dict[int, int] = {}
    places: dict[str, range] = {}
    count = 50_000
    for first in range(0, 4 * count, count):
        block = range(first, first + count)
        keys = pyarrow.array([each % 1009 for each in block], pyarrow.int32())
        data = pyarrow.table({"id": block, "k": keys, "text": [f"text {each}" for each in block]})
        [location] = made.append(data)
        places[location] = block
        alive |= {each: each % 1009 for each in block}
        positions = []
        for path, held in places.items():
            positions += [(path, at) for at in chance.sample(range(len(held)), 700)]
            start = chance.randrange(len(held) - 5000)
            positions += [(path, at) for at in range(start, start + chance.randrange(5000))]
        gone = chance.sample(range(1009), 11)
        numbers = pyarrow.array(gone, pyarrow.int32())
        made.commit(
            made.delete_positions(sorted(positions), row_group_size=999),
            made.delete_values(pyarrow.table({"k": numbers}), {"k": 2}),
        )
        for path, at in positions:
            alive.pop(places[path][at], None)
        alive = {each: key for each, key in alive.items() if key not in gone}
    table = made.table
    order = [each for path in table.scan().files.locations() for each in places[path]]
    alive = {each: alive[each] for each in order if each in alive}
    loaded = pyarrow.table(table.load())
    assert loaded["id"].to_pylist() == list(alive)  # in the order of the files
    assert loaded["text"].to_pylist() == [f"text {each}" for each in alive]
    chosen = sorted(each for each, key in alive.items() if key == 5 or each > 190_000)
    assert ids(table.load("k = 5 or id > 190000")) == chosen
    assert pyarrow.table(table.load(limit=12_345))["id"].to_pylist() == list(alive)[:12_345]
    assert (
        pyarrow.table(table.load("k < 500", limit=99, columns=["id"]))["id"].to_pylist()
        == [each for each, key in alive.items() if key < 500][:99]
    )
    shards = [pickle.loads(pickle.dumps(each)) for each in table.scan().shards(3)]
    assert sorted(row for shard in shards for row in ids(shard.load())) == sorted(alive)


def test_a_damaged_delete_file_is_named(made: HandMade) -> None:
    [location] = made.append(some(0, 10))
    wrong = made.delete_values(pyarrow.table({"id": [1]}), {"id": 1}, compared=[2])  # lacks the column
    made.commit(made.delete_positions([(location, -4)]))
    with pytest.raises(MetaflowTableInvalidData, match="position delete of row -4") as caught:
        made.table.load()
    assert str(caught.value.location).endswith(".parquet")
    made.table.rollback(made.table.metadata.snapshots[0].snapshot_id)
    made.commit(wrong)
    with pytest.raises(MetaflowTableInvalidData, match="without the column of field id 2"):
        made.table.load()


def test_a_delete_file_outside_the_table_is_refused(made: HandMade, tmp_path: Path) -> None:
    made.append(some(0, 10))
    outside = made.delete_values(pyarrow.table({"id": [1]}), {"id": 1}, folder=tmp_path / "elsewhere")
    made.commit(outside)
    with pytest.raises(HeadraceError, match="elsewhere"):
        made.table.load()


def test_copy_on_write_keeps_deleted_rows_deleted(made: HandMade) -> None:
    [first] = made.append(some(0, 10))
    [second] = made.append(some(10, 10))
    made.commit(
        made.delete_positions([(first, 1), (second, 2)]),
        made.delete_values(pyarrow.table({"id": [5, 15]}), {"id": 1}),
    )
    table = made.table
    table.delete("id = 7")  # the first file is written again
    expected = [each for each in range(20) if each not in (1, 5, 7, 12, 15)]
    assert ids(made.table.load()) == expected
    assert second in made.table.scan().files.locations()
    assert first not in made.table.scan().files.locations()

    made.append(some(5, 1))  # after the deletes: stays
    made.table.upsert(pyarrow.table({"id": [11, 12], "name": ["new", "new"], "x": [0.5, 0.5]}), on=["id"])
    assert ids(made.table.load()) == sorted([*expected, 5, 12])
    made.table.delete("id >= 10")  # whole files, by their bounds
    assert ids(made.table.load()) == [0, 2, 3, 4, 5, 6, 8, 9]
    made.table.overwrite(pyarrow.table(some(100, 3)), "id < 4")
    assert ids(made.table.load()) == [4, 5, 6, 8, 9, 100, 101, 102]
    made.table.overwrite(pyarrow.table(some(0, 3)))
    assert ids(made.table.load()) == [0, 1, 2]
    with duck.connect() as connection:
        found = connection.sql(f"select id from iceberg_scan('{made.metadata_location}')").fetchall()
        assert sorted(found) == [(0,), (1,), (2,)]


def test_row_deletes_that_come_while_files_are_rewritten_are_a_conflict(
    made: HandMade, monkeypatch: pytest.MonkeyPatch
) -> None:
    [first] = made.append(some(0, 10))
    table = made.table
    written = type(table)._written

    def meanwhile(self: headrace.Table, *arguments: Any, **options: Any) -> list[str]:
        monkeypatch.setattr(type(table), "_written", written)
        made.commit(made.delete_positions([(first, 1)]))
        return written(self, *arguments, **options)

    monkeypatch.setattr(type(table), "_written", meanwhile)
    with pytest.raises(MetaflowTableConflict, match="deleted rows of a file"):
        table.delete("id = 7")
    assert ids(made.table.load()) == [0, 2, 3, 4, 5, 6, 7, 8, 9]
