"""Manifests as others read them: joined by the table's properties, with sequence numbers, row ids and counts kept."""

from __future__ import annotations

import itertools
import json

import headrace
import pyarrow
import pytest
from headrace.catalog import Catalog
from pyiceberg.manifest import ManifestEntryStatus
from pyiceberg.table import StaticTable

from tests.commit.conftest import make, rows
from tests.commit.readers import check
from tests.table.compare import rows as values


def theirs(table: headrace.Table) -> StaticTable:
    loaded = table.refresh()._access.loaded()
    properties = dict(loaded.properties_for(loaded.metadata.location))
    return StaticTable.from_metadata(str(loaded.metadata_location), properties)


@pytest.mark.parametrize("version", ["1", "2", "3"])
def test_small_manifests_are_joined(catalog: Catalog, name: str, version: str) -> None:
    merge = {"commit.manifest.min-count-to-merge": "3", "format-version": version}
    table = make(catalog, name, partition_by="ds", **merge)
    store = table._access.store()
    for at in range(8):
        table.append(rows(at * 2, 2, "ab"[at % 2]))
    static = theirs(table)
    manifests = static.current_snapshot().manifests(static.io)
    assert len(manifests) <= 4
    assert sum(each.added_files_count + each.existing_files_count for each in manifests) == 8
    entries = [entry for each in manifests for entry in each.fetch_manifest_entry(static.io)]
    assert len(entries) == 8
    if version != "1":
        assert sorted(entry.sequence_number for entry in entries) == list(range(1, 9))
    assert values(check(table)) == values(pyarrow.concat_tables([rows(at * 2, 2, "ab"[at % 2]) for at in range(8)]))
    table.overwrite_partitions(rows(100, 1, "a"))
    assert check(table).num_rows == 9
    listed = {each.manifest_path for snapshot in static.snapshots() for each in snapshot.manifests(static.io)}
    assert listed
    assert store.size(manifests[0].manifest_path) == manifests[0].manifest_length


def test_row_ids_are_handed_out_once(catalog: Catalog, name: str) -> None:
    merge = {"commit.manifest.min-count-to-merge": "3", "format-version": "3"}
    table = make(catalog, name, partition_by="ds", **merge)
    for at in range(5):
        table.append(rows(at * 10, 10, "ab"[at % 2]))
    metadata = table.refresh().metadata
    firsts = [each.first_row_id for each in metadata.snapshots]
    assert firsts == sorted(set(firsts))
    assert metadata.next_row_id >= 50
    plan = table.scan()
    files = pyarrow.table(plan.files)
    ranges = sorted(zip(files["first_row_id"].to_pylist(), files["record_count"].to_pylist(), strict=True))
    assert all(start + count <= after for (start, count), (after, _) in itertools.pairwise(ranges))
    before = dict(zip(files["location"].to_pylist(), files["first_row_id"].to_pylist(), strict=True))
    table.overwrite_partitions(rows(100, 1, "b"))
    after = pyarrow.table(table.scan().files)
    kept = dict(zip(after["location"].to_pylist(), after["first_row_id"].to_pylist(), strict=True))
    assert {path: kept[path] for path in kept if path in before} == {
        path: before[path] for path in kept if path in before
    }


def test_deleted_files_are_marked(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    table.append(pyarrow.concat_tables([rows(0, 5)]))
    table.append(rows(5, 5))
    table.delete("id < 5")
    static = theirs(table)
    entries = [
        entry
        for each in static.current_snapshot().manifests(static.io)
        for entry in each.fetch_manifest_entry(static.io, discard_deleted=False)
    ]
    deleted = [each for each in entries if each.status == ManifestEntryStatus.DELETED]
    assert len(deleted) == 1
    assert deleted[0].snapshot_id == table.snapshot.snapshot_id
    assert deleted[0].sequence_number == 1


def test_statistics_and_partitions_survive_being_carried(catalog: Catalog, name: str) -> None:
    table = make(catalog, name, partition_by="ds")
    table.append(pyarrow.concat_tables([rows(0, 5, "a"), rows(5, 5, "b"), rows(10, 5, None)]))
    before = {each.file.file_path: each.file for each in theirs(table).scan().plan_files()}
    table.overwrite_partitions(rows(50, 5, "b"))
    carried = 0
    for each in theirs(table).scan().plan_files():
        if (old := before.get(each.file.file_path)) is not None:
            carried += 1
            for member in ("column_sizes", "value_counts", "null_value_counts", "lower_bounds", "upper_bounds"):
                assert getattr(each.file, member) == getattr(old, member), member
            assert (each.file.partition, each.file.split_offsets) == (old.partition, old.split_offsets)
    assert carried == 2


def test_a_v1_table_becomes_v2_and_v3(catalog: Catalog, name: str) -> None:
    table = make(catalog, name, **{"format-version": "1"})
    table.append(rows(0, 5))
    table.upgrade(2)
    table.append(rows(5, 5))
    table.delete("id = 7")
    table.upgrade(3)
    table.append(rows(10, 5))
    table.delete("id = 1")
    ids = check(table)["id"].to_pylist()
    assert sorted(ids) == [each for each in range(15) if each not in (1, 7)]
    assert json.loads(table.refresh().metadata.to_json())["format-version"] == 3
