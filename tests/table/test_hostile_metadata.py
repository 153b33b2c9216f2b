"""Metadata that somebody else wrote with intent: numbers that cannot be, names that lead nowhere or elsewhere, circles.

Each is a typed error that names the file, and nothing outside the table is opened; what does no harm is read.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import headrace
import pyarrow
import pytest
from headrace import errors

from tests.commit.conftest import make, rows, sqlite

Record = dict[str, Any]
REFUSED = (errors.MetaflowTableInvalidData, errors.LocationRefused, errors.UnsupportedError, errors.InvalidArgument)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table of v2: an append of 4 rows, then one of 2."""
    table = make(sqlite(tmp_path), "db.t", partition_by="ds")
    table.append(rows(0, 4, "a"))
    table.append(rows(4, 2, "b"))
    return Path(table.metadata.location.removeprefix("file://"))


def opened(folder: Path) -> headrace.Table:
    return headrace.Table.at(str(newest_metadata(folder)))


def newest_metadata(folder: Path) -> Path:
    return max((folder / "metadata").glob("*.metadata.json"), key=lambda each: each.name)


def change_metadata(folder: Path, change: Callable[[Record], None]) -> None:
    file = newest_metadata(folder)
    raw = json.loads(file.read_text())
    change(raw)
    file.write_text(json.dumps(raw))


def change_avro(file: Path, change: Callable[[Record], None]) -> None:
    """Every record of an Avro file changed; its schema and header stay."""
    with file.open("rb") as source:
        reader = fastavro.reader(source)
        schema, header, records = reader.writer_schema, dict(reader.metadata), list(reader)
    for each in records:
        change(each)
    written = io.BytesIO()
    kept = {key: value for key, value in header.items() if not key.startswith("avro.")}
    fastavro.writer(written, schema, records, metadata=kept)
    file.write_bytes(written.getvalue())


def change_manifests(folder: Path, change: Callable[[Record], None]) -> None:
    for each in (folder / "metadata").glob("*.avro"):
        if not each.name.startswith("snap-"):
            change_avro(each, change)


def change_lists(folder: Path, change: Callable[[Record], None]) -> None:
    for each in (folder / "metadata").glob("snap-*.avro"):
        change_avro(each, change)


def of_file(**members: Any) -> Callable[[Record], None]:
    return lambda entry: entry["data_file"].update(members)


@pytest.mark.parametrize(
    "change",
    [
        of_file(record_count=-1),
        of_file(record_count=1 << 60),
        of_file(file_size_in_bytes=-5),
        of_file(file_size_in_bytes=(1 << 63) - 1),
        of_file(content=1),
        of_file(content=77),
        of_file(file_format="NONE"),
        lambda entry: entry.update(status=9),
        lambda entry: entry.update(status=0, sequence_number=None),
    ],
)
def test_entries_that_cannot_be(folder: Path, change: Callable[[Record], None]) -> None:
    change_manifests(folder, change)
    with pytest.raises(REFUSED) as caught:
        opened(folder).load()
    assert str(caught.value.location).endswith((".avro", ".parquet"))


@pytest.mark.parametrize(
    ("location", "refusal"),
    [
        ("{folder}/data/../../../../etc/passwd", errors.LocationRefused),
        ("file://{folder}/../t/data/x.parquet", errors.LocationRefused),
        ("file:///etc/passwd", errors.LocationRefused),
        ("/proc/self/environ", errors.LocationRefused),
        ("s3://somebody/else.parquet", errors.LocationRefused),
        ("s3://bucket/a/../../b.parquet", errors.LocationRefused),
        ("https://127.0.0.1:1/x.parquet", errors.UnsupportedError),
        ("gs://bucket/x.parquet", errors.UnsupportedError),
        ("", errors.UnsupportedError),
        ("\0", errors.UnsupportedError),
    ],
)
def test_locations_outside_the_table(folder: Path, location: str, refusal: type[Exception]) -> None:
    """As data file, manifest and manifest list; the store refuses before it opens anything."""
    location = location.format(folder=folder)
    change_manifests(folder, of_file(file_path=location))
    with pytest.raises(refusal):
        opened(folder).load()
    change_lists(folder, lambda entry: entry.update(manifest_path=location))
    with pytest.raises(refusal):
        opened(folder).scan()
    change_metadata(folder, lambda raw: [each.update({"manifest-list": location}) for each in raw["snapshots"]])
    with pytest.raises(refusal):
        opened(folder).scan()


@pytest.mark.parametrize(
    "change",
    [
        {"partition_spec_id": 99},
        {"partition_spec_id": -(1 << 31)},
        {"content": 5},
        {"content": 1},
        {"added_files_count": -1, "added_data_files_count": -1},
        {"existing_rows_count": -(1 << 62)},
        {"added_rows_count": 1 << 62},
    ],
)
def test_manifest_lists_that_cannot_be(folder: Path, change: Record) -> None:
    def apply(entry: Record) -> None:
        entry.update({key: value for key, value in change.items() if key in entry})

    change_lists(folder, apply)
    with pytest.raises(REFUSED) as caught:
        opened(folder).scan()
    assert str(caught.value.location).endswith(".avro")


def test_partition_summaries_that_are_garbage_prune_no_row(folder: Path) -> None:
    """Bounds of no length, of the wrong type or the wrong way round prove nothing."""

    def apply(entry: Record) -> None:
        for each in entry["partitions"]:
            each.update(lower_bound=b"\xff" * 40, upper_bound=b"")

    change_lists(folder, apply)
    assert opened(folder).load("ds = 'a'").num_rows == 4


def test_snapshots_in_a_circle(folder: Path) -> None:
    def apply(raw: Record) -> None:
        first, second = raw["snapshots"]
        first["parent-snapshot-id"] = second["snapshot-id"]

    change_metadata(folder, apply)
    table = opened(folder)
    assert table.load().num_rows == 6
    assert table.history().num_rows == 2
    began = time.process_time()
    with pytest.raises(errors.InvalidArgument):
        table.changes()
    with pytest.raises(errors.InvalidArgument):
        table.changes(since=5)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "apply",
    [
        lambda raw: raw.update({"current-schema-id": 41}),
        lambda raw: raw.update({"default-spec-id": 41}),
        lambda raw: raw.update({"current-snapshot-id": 41}),
        lambda raw: raw["partition-specs"][0]["fields"][0].update({"field-id": -(1 << 40)}),
        lambda raw: raw["schemas"][0]["fields"][0].update({"id": 1 << 40}),
        lambda raw: raw["schemas"][0]["fields"].append(dict(raw["schemas"][0]["fields"][0])),
        lambda raw: raw["snapshots"][0].update({"snapshot-id": "7"}),
        lambda raw: raw.update({"last-updated-ms": "now"}),
    ],
)
def test_ids_that_lead_nowhere(folder: Path, apply: Callable[[Record], None]) -> None:
    change_metadata(folder, apply)
    with pytest.raises(REFUSED):
        opened(folder).load()


def test_a_snapshot_of_a_schema_that_is_gone(folder: Path) -> None:
    """The head is read with the table's schema, as the spec has it; travelling there says what is missing."""
    change_metadata(folder, lambda raw: [each.update({"schema-id": 41}) for each in raw["snapshots"]])
    table = opened(folder)
    assert table.load().num_rows == 6
    with pytest.raises(errors.MetaflowTableInvalidData, match="41 is not among schemas"):
        headrace.Table.at(str(newest_metadata(folder)), snapshot_id=table.snapshot.snapshot_id).load()


def test_refs_and_logs_that_lead_nowhere(folder: Path) -> None:
    def apply(raw: Record) -> None:
        raw["refs"]["gone"] = {"snapshot-id": 41, "type": "tag"}
        raw["snapshot-log"] = [{"snapshot-id": 41, "timestamp-ms": 1}]

    change_metadata(folder, apply)
    for choice in ({"tag": "gone"}, {"as_of": 5}):
        with pytest.raises((errors.MetaflowTableInvalidData, errors.InvalidArgument)):
            headrace.Table.at(str(newest_metadata(folder)), **choice)
    assert opened(folder).load().num_rows == 6


@pytest.mark.parametrize("count", [0, 2, 7, 1 << 20, 1 << 40])
def test_a_row_count_that_is_not_the_files(folder: Path, count: int) -> None:
    """Footers have the last word on how long a column is, whatever a manifest claims within reason."""
    change_manifests(folder, of_file(record_count=count))
    assert pyarrow.table(opened(folder).load()).num_rows == 6
