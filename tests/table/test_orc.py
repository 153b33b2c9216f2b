"""Data and delete files in ORC, by PyArrow: every type, evolution, filters, row deletes, shards, random tables, damage.

PyArrow is the oracle of what a file holds. Spark's files are in tests/interop/test_formats.py, Hive's in tests/hive.
"""

from __future__ import annotations

import datetime
import random
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.orc
import pytest
from headrace.errors import HeadraceError, MemoryLimitError, UnsupportedError
from pyiceberg.manifest import FileFormat

from tests.table.handmade import PATH_ID, POSITION_ID, HandMade
from tests.table.orc_files import Chance, write_orc
from tests.table.test_formats import COLUMNS, FIRST, SECOND, plain

CODECS = ["uncompressed", "zlib", "snappy", "lz4", "zstd"]


@pytest.fixture
def everything(tmp_path: Path) -> HandMade:
    return HandMade(tmp_path / "made", COLUMNS)


@pytest.mark.parametrize("ids", [True, False], ids=["ids", "names"])
@pytest.mark.parametrize("codec", CODECS)
def test_every_type(everything: HandMade, ids: bool, codec: str) -> None:
    first, second = plain(FIRST), plain(SECOND)
    if not ids:  # what only attributes tell of a type cannot be in a file without any
        first |= dict.fromkeys(("key", "fixed", "clock"))
        with everything.table.update_schema() as change:
            change.drop("key").drop("fixed").drop("clock")
        first, second = (
            {k: v for k, v in row.items() if k not in ("key", "fixed", "clock")} for row in (first, second)
        )
    location = write_orc(everything, "a.orc", [first, second], ids, compression=codec)
    everything.add(location, 2, "orc")

    found = pyarrow.table(everything.table.load())

    assert found.to_pylist() == [first, second]
    assert str(found.schema.field("instant").type) == "timestamp[us, tz=UTC]"
    assert everything.rows(filter="money < 0 and text like 'sp%'", columns=["small"]) == [{"small": -(2**31)}]
    assert everything.rows(filter="point.x is null", columns=["flag"]) == [{"flag": None}]
    assert everything.rows(columns=["large", "point.x"])[0] == {"large": 2**63 - 1, "point": {"x": 0.5}}


def test_moments_of_any_age_and_of_nanoseconds(tmp_path: Path) -> None:
    columns = {
        "at": "timestamp",
        "instant": "timestamptz",
        "day": "date",
        "fine": "timestamp_ns",
        "now": "timestamptz_ns",
    }
    made = HandMade(tmp_path / "made", columns, **{"format-version": "3"})
    seconds = [-(10**10), -86401, -2, 0, 1, 10**9]
    naive = [datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=each, microseconds=5000) for each in seconds]
    shown = pyarrow.table(made.table.scan(limit=0).load()).schema
    rows = [
        {"at": each, "instant": each.replace(tzinfo=datetime.UTC), "day": each.date(), "fine": at, "now": at}
        for each, at in zip(naive, [-(10**18) - 1, -(2 * 10**9), 0, 1, 10**18 + 1, 2**62], strict=True)
    ]
    made.add(write_orc(made, "a.orc", rows), len(rows), "orc")
    found = pyarrow.table(made.table.load())
    assert found.schema.types == shown.types
    for name in ("at", "instant", "day"):
        assert found[name].to_pylist() == [row[name] for row in rows]
    for name in ("fine", "now"):
        assert found[name].cast("int64").to_pylist() == [row[name] for row in rows]


def test_a_writers_time_zone_does_not_move_the_clock(tmp_path: Path) -> None:
    """A timestamp without zone is what the writer's clock showed, wherever that was."""
    made = HandMade(tmp_path / "made", {"at": "timestamp"})
    moments = [datetime.datetime(1960, 7, 1, 2, 3, 4), None, datetime.datetime(2026, 1, 2, 3, 4, 5, 600)]
    location = write_orc(made, "a.orc", [{"at": each} for each in moments], compression="uncompressed")
    path = Path(location.removeprefix("file://"))
    whole = path.read_bytes()
    assert whole.count(b"\x1a\x03GMT") == 1  # in the stripe's footer
    made.add(location, 3, "orc")
    for zone in (b"GMT", b"EST", b"UTC"):
        path.write_bytes(whole.replace(b"\x1a\x03GMT", b"\x1a\x03" + zone))
        assert [row["at"] for row in made.rows()] == moments, zone
    path.write_bytes(whole.replace(b"\x1a\x03GMT", b"\x1a\x03XYZ"))
    with pytest.raises(UnsupportedError, match=r"time zone.*XYZ"):
        made.rows()


def test_evolves_is_deleted_from_and_sharded(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"id": "int", "dropped": "string"})
    location = write_orc(made, "old.orc", [{"id": each, "dropped": "x"} for each in range(1000)])
    made.add(location, 1000, "orc")
    with made.table.update_schema() as change:
        change.promote("id", "long").rename("id", "key").drop("dropped").add("new", "double")
    made.append(pyarrow.table({"key": [5000], "new": [0.5]}))
    made.commit(made.delete_positions([(location, 0), (location, 999)]))
    made.commit(made.delete_values(pyarrow.table({"id": [998]}), {"id": 1}))

    found = sorted(made.rows(), key=lambda row: row["key"])
    assert [row["key"] for row in found] == [*range(1, 998), 5000]
    assert {row["new"] for row in found} == {None, 0.5}
    parts = [each for shard in made.table.scan().shards(7) for each in pyarrow.table(shard.load())["key"].to_pylist()]
    assert sorted(parts) == [*range(1, 998), 5000]
    assert made.rows(filter="key < 3", columns=["_pos"]) == [{"_pos": 1}, {"_pos": 2}]
    assert len(made.rows(limit=10)) == 10


def test_deletes_in_orc(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"id": "long", "s": "string"})
    location = write_orc(made, "data.orc", [{"id": each, "s": f"s{each % 3}"} for each in range(100)])
    made.add(location, 100, "orc")
    [parquet] = made.append({"id": range(100, 110), "s": ["p"] * 10})
    fields = [
        pyarrow.field("file_path", "string", metadata={"iceberg.id": str(PATH_ID)}),
        pyarrow.field("pos", "int64", metadata={"iceberg.id": str(POSITION_ID)}),
    ]
    path = made.place("positions.orc")
    pairs = sorted([(location, 1), (location, 99), (parquet, 9)])
    columns = [list(each) for each in zip(*pairs, strict=True)]
    pyarrow.orc.write_table(pyarrow.table(columns, schema=pyarrow.schema(fields)), path)
    made.commit(made.deletes_of(f"file://{path}", 3, FileFormat.ORC))
    assert sorted(row["id"] for row in made.rows()) == [0, *range(2, 99), *range(100, 109)]

    path = made.place("values.orc")
    fields = [
        pyarrow.field("s", "string", metadata={"iceberg.id": "2"}),
        pyarrow.field("id", "int64", metadata={"iceberg.id": "1"}),
    ]
    pyarrow.orc.write_table(pyarrow.table([["s0", "s1", "p"], [3, 3, 105]], schema=pyarrow.schema(fields)), path)
    made.commit(made.deletes_of(f"file://{path}", 3, FileFormat.ORC, compared=[1, 2]))
    kept = [each for each in (0, *range(2, 99), *range(100, 109)) if each not in (3, 105)]
    assert sorted(row["id"] for row in made.rows()) == kept


@pytest.mark.parametrize("seed", range(24))
def test_random_tables_are_pyarrows(tmp_path: Path, seed: int) -> None:
    chance = Chance(seed)
    kinds = {f"c{at}": chance.kind() for at in range(chance.random.randint(1, 7))}
    made = HandMade(tmp_path / "made", kinds)
    rows = chance.random.choice([1, 700, 5000])
    fields = made.table.metadata.schema.fields
    columns = {each.name: chance.column(each.type, rows) for each in fields}
    written = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    options: dict[str, Any] = {
        "compression": chance.random.choice(CODECS),
        "file_version": chance.random.choice(["0.11", "0.12"]),
        "stripe_size": chance.random.choice([1 << 10, 64 << 10, 64 << 20]),
        "batch_size": chance.random.choice([64, 1024]),
        "dictionary_key_size_threshold": chance.random.choice([0, 0.8, 1]),
        "compression_strategy": chance.random.choice(["speed", "compression"]),
        "row_index_stride": chance.random.choice([1000, 10000]),
    }
    location = write_orc(made, "a.orc", written, chance.random.random() < 0.5, **options)
    made.add(location, rows, "orc")

    found = pyarrow.table(made.table.load())
    oracle = pyarrow.orc.read_table(location.removeprefix("file://"))
    assert found.num_rows == oracle.num_rows == rows
    for name in columns:
        assert repr(found[name].to_pylist()) == repr(exact(oracle[name])), (name, kinds[name], options)


def exact(column: pyarrow.ChunkedArray) -> list[Any]:
    """PyArrow's values, with its nanoseconds as Python's microseconds."""
    return [without_nanoseconds(each) for each in column.to_pylist()]


def without_nanoseconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nanoseconds(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(without_nanoseconds(each) for each in value)
    return value.to_pydatetime() if hasattr(value, "to_pydatetime") else value


def test_long_strings_in_a_dictionary_are_decoded_in_small_batches(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"s": "string"})
    long = ["x" * 500_000, "y" * 500_000, "z"]
    rows = [{"s": long[at % 3]} for at in range(600)]
    made.add(write_orc(made, "a.orc", rows, compression="zstd", dictionary_key_size_threshold=1), 600, "orc")
    assert [len(row["s"]) for row in made.rows()] == [len(row["s"]) for row in rows]
    with pytest.raises(MemoryLimitError):
        list(made.table.scan().batches(memory_limit=64 << 20))


@pytest.mark.parametrize("codec", CODECS)
def test_damage_is_refused_by_name(tmp_path: Path, codec: str) -> None:
    made = HandMade(tmp_path / "made", {"id": "long", "s": "string", "l": "list<int>"})
    rows = [{"id": each * each, "s": f"s{each % 7}", "l": [each] * (each % 3)} for each in range(3000)]
    location = write_orc(made, "data.orc", rows, compression=codec)
    path = Path(location.removeprefix("file://"))
    whole = path.read_bytes()
    made.add(location, len(rows), "orc")
    for cut in (0, 3, 4, 100, len(whole) // 2, len(whole) - 1):
        for damaged in (whole[:cut] + bytes(len(whole) - cut), bytes(len(whole) - cut) + whole[len(whole) - cut :]):
            path.write_bytes(damaged)
            if damaged != whole:
                refused(made)
    chance = random.Random(codec)
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(chance.choice([1, 1, 5])):
            damaged[chance.randrange(len(whole))] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            made.rows()  # what the format has no checksum for may be another value
        except HeadraceError as error:
            assert "data.orc" in str(error)
    path.write_bytes(whole)
    assert len(made.rows()) == len(rows)


def refused(made: HandMade) -> None:
    with pytest.raises(HeadraceError, match=r"data\.orc"):
        made.rows()
