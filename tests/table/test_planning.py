"""Plans of random manifests: pruned they are the whole less what the files' own statistics rule out, cached or not."""

from __future__ import annotations

import os
import random
import signal
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import headrace
import pyarrow
import pytest
from headrace import _engine
from pyiceberg import transforms
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table as PyIcebergTable
from pyiceberg.typedef import Record
from pyiceberg.types import DoubleType, LongType, NestedField, StringType

CODECS = ["gzip", "zstd"]
SCHEMA = Schema(
    NestedField(1, "id", LongType()),
    NestedField(2, "ds", StringType()),
    NestedField(3, "x", DoubleType()),
    NestedField(4, "name", StringType()),
)
SPEC = PartitionSpec(PartitionField(2, 1000, transforms.IdentityTransform(), "ds"))
File = dict[str, Any]
"""What a file says of itself: `path`, `ds`, and (lowest, highest, nulls, rows) of `id`, `x` and `name`, or None."""


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[SqlCatalog]:
    catalog = SqlCatalog("local", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    catalog.create_namespace("db")
    yield catalog
    catalog.close()


def random_file(chance: random.Random, number: int) -> File:
    rows = chance.randint(1, 20)

    def known(make: Any) -> Any:
        nulls = chance.choice([0, 0, chance.randint(0, rows), rows])
        pair = sorted([make(), make()])
        return None if chance.random() < 0.15 else (*(pair if nulls < rows else (None, None)), nulls, rows)

    return {
        "path": f"s3://bucket/t/data/{number:04}-{'ü' * (number % 3)}{'x' * chance.randint(0, 90)}.parquet",
        "ds": chance.choice(["2026-01-01", "2026-01-02", "2026-01-03", "", None]),
        "id": known(lambda: chance.randint(-50, 50)),
        "x": known(lambda: chance.uniform(-1.0, 1.0)),
        "name": known(lambda: chance.choice("abcdefgh") * chance.randint(1, 9)),
        "rows": rows,
        "offsets": chance.choice([None, [], [4], [4, 1 << 20, 2 << 20]]),
    }


def data_file(file: File) -> DataFile:
    pack = {"id": lambda each: struct.pack("<q", each), "x": lambda each: struct.pack("<d", each), "name": str.encode}
    of = {field.field_id: (file[field.name], pack[field.name]) for field in SCHEMA.fields if field.name != "ds"}
    told = {at: (known, pack) for at, (known, pack) in of.items() if known is not None}
    made = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=file["path"],
        file_format=FileFormat.PARQUET,
        partition=Record(file["ds"]),
        record_count=file["rows"],
        file_size_in_bytes=3 << 20,
        column_sizes={},
        value_counts={at: known[3] for at, (known, _) in told.items()},
        null_value_counts={at: known[2] for at, (known, _) in told.items()},
        nan_value_counts={3: 0} if 3 in told else {},
        lower_bounds={at: pack(known[0]) for at, (known, pack) in told.items() if known[0] is not None},
        upper_bounds={at: pack(known[1]) for at, (known, pack) in told.items() if known[1] is not None},
        split_offsets=file["offsets"],
        sort_order_id=None,
    )
    made.spec_id = 0
    return made


def append(table: PyIcebergTable, files: list[File]) -> None:
    with table.transaction() as transaction, transaction.update_snapshot().fast_append() as appending:
        for each in files:
            appending.append_data_file(data_file(each))


def test_of(chance: random.Random) -> tuple[str, Any]:
    """A test as text, and which files may hold a row that passes it."""
    column = chance.choice(["id", "x", "name", "ds"])
    if column == "ds":
        day = f"2026-01-0{chance.randint(1, 4)}"
        return chance.choice(
            [
                (f"ds = '{day}'", lambda file: file["ds"] == day),
                (f"ds > '{day}'", lambda file: file["ds"] is not None and file["ds"] > day),
                ("ds is null", lambda file: file["ds"] is None),
            ]
        )
    value: Any = {"id": chance.randint(-60, 60), "x": chance.uniform(-1.2, 1.2), "name": chance.choice("abcdefghi") * 3}
    value = value[column]
    text = f"'{value}'" if column == "name" else repr(value)

    def known(file: File, holds: Any) -> bool:
        told = file[column]
        return told is None or (told[2] < told[3] and holds(told[0], told[1]))

    return chance.choice(
        [
            (f"{column} < {text}", lambda file: known(file, lambda low, high: low < value)),
            (f"{column} >= {text}", lambda file: known(file, lambda low, high: high >= value)),
            (f"{column} = {text}", lambda file: known(file, lambda low, high: low <= value <= high)),
            (f"{column} is null", lambda file: file[column] is None or file[column][2] > 0),
            (f"{column} is not null", lambda file: known(file, lambda low, high: True)),
        ]
    )


test_of.__test__ = False  # type: ignore[attr-defined]


def filter_of(chance: random.Random, depth: int = 2) -> tuple[str, Any]:
    if depth == 0 or chance.random() < 0.4:
        return test_of(chance)
    (left, left_may), (right, right_may) = filter_of(chance, depth - 1), filter_of(chance, depth - 1)
    if chance.random() < 0.5:
        return f"({left} and {right})", lambda file: left_may(file) and right_may(file)
    return f"({left} or {right})", lambda file: left_may(file) or right_may(file)


def planned(plan: headrace.ScanPlan) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pyarrow.table(plan.files).to_pylist()
    return found


@pytest.mark.parametrize("seed", range(24))
def test_a_pruned_plan_is_the_whole_less_what_statistics_rule_out(seed: int, catalog: SqlCatalog) -> None:
    chance = random.Random(seed)
    properties = {"write.avro.compression-codec": CODECS[seed % 2], "format-version": "2"}
    table = catalog.create_table("db.t", schema=SCHEMA, partition_spec=SPEC, properties=properties)
    files: list[File] = []
    for _ in range(chance.randint(1, 4)):
        more = [random_file(chance, len(files) + at) for at in range(chance.randint(1, 40))]
        append(table, more)
        files += more
    ours = headrace.Table.at(table.metadata_location)
    uncached = headrace.Table.at(table.metadata_location, properties={"io.manifest.cache.max-total-bytes": "0"})

    _engine.release_memory()
    whole = planned(uncached.scan())
    assert sorted(each["location"] for each in whole) == sorted(each["path"] for each in files)
    by_path = {each["path"]: each for each in files}
    assert all(each["split_offsets"] == (by_path[each["location"]]["offsets"] or None) for each in whole)
    assert all(each["partition"]["1000"] == by_path[each["location"]]["ds"] for each in whole)
    for _ in range(12):
        text, may = filter_of(chance)
        expected = [each for each in whole if may(by_path[each["location"]])]
        assert planned(ours.scan(text)) == expected, text
        assert planned(uncached.scan(text)) == expected, text
        assert uncached.scan(text).report["manifests"]["cached"] == 0
    assert planned(ours.scan()) == whole


def test_a_second_plan_reads_new_manifests_only(catalog: SqlCatalog) -> None:
    chance = random.Random(1)
    table = catalog.create_table("db.t", schema=SCHEMA, partition_spec=SPEC)
    append(table, [random_file(chance, at) for at in range(10)])
    append(table, [random_file(chance, at) for at in range(10, 20)])
    first = headrace.Table.at(table.metadata_location)
    counts = first.scan().report["manifests"]
    assert (counts["read"], counts["cached"]) == (2, 0)
    assert counts["bytes_read"] > 0

    for text in (None, "id > 0", "name = 'aaa' and x < 0.5"):
        plan = first.scan(text)
        assert plan.report["manifests"].items() >= {"read": 2, "cached": 2, "bytes_read": 0}.items(), text
        assert "2 read (2 kept from earlier plans)" in plan.explain()

    append(table, [random_file(chance, at) for at in range(20, 30)])
    later = headrace.Table.at(table.metadata_location).scan("id > 0")
    assert later.report["manifests"].items() >= {"read": 3, "cached": 2}.items()

    assert _engine.kept_manifests()[0] >= 3
    assert headrace.release_memory() > 0
    assert _engine.kept_manifests() == (0, 0)
    assert first.scan().report["manifests"]["cached"] == 0


def test_threads_and_forked_children_plan_from_one_cache(catalog: SqlCatalog) -> None:
    chance = random.Random(5)
    table = catalog.create_table("db.t", schema=SCHEMA, partition_spec=SPEC)
    for turn in range(3):
        append(table, [random_file(chance, turn * 30 + at) for at in range(30)])
    ours = headrace.Table.at(table.metadata_location)
    texts = [filter_of(chance)[0] for _ in range(20)]
    expected = {text: planned(ours.scan(text)) for text in texts}

    headrace.release_memory()
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda text: planned(ours.scan(text)), texts * 5))
    assert found == [expected[text] for text in texts * 5]

    if (child := os.fork()) == 0:
        signal.alarm(60)
        try:
            same = all(planned(ours.scan(text)) == expected[text] for text in texts)
            os._exit(0 if same and ours.scan().report["manifests"]["cached"] == 3 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_manifest_that_was_replaced_is_read_again(catalog: SqlCatalog) -> None:
    """Local files may be: a table made again in the same folder, a copy restored."""
    table = catalog.create_table("db.t", schema=SCHEMA, partition_spec=SPEC)
    append(table, [random_file(random.Random(2), 0) | {"ds": "2026-01-01", "rows": 1}])
    ours = headrace.Table.at(table.metadata_location)
    assert ours.scan().rows == 1
    (manifest,) = table.current_snapshot().manifests(table.io)  # type: ignore[union-attr]
    path = Path(manifest.manifest_path.removeprefix("file://"))
    time_of = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes()[:-1] + b"?")  # as long as before; its last block ends wrong
    assert path.stat().st_mtime_ns != time_of
    with pytest.raises(headrace.errors.MetaflowTableInvalidData, match="sync marker"):
        ours.scan()


def test_the_bound_is_a_number_of_bytes(catalog: SqlCatalog) -> None:
    table = catalog.create_table("db.t", schema=SCHEMA, partition_spec=SPEC)
    append(table, [random_file(random.Random(3), at) for at in range(10)])
    bad = headrace.Table.at(table.metadata_location, properties={"io.manifest.cache.max-total-bytes": "much"})
    with pytest.raises(headrace.errors.ConfigurationError, match="number of bytes"):
        bad.scan()
