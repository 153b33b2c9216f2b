"""Table metadata of every format version, whole and damaged."""

from __future__ import annotations

import gzip
import json
import pickle
import time
from collections.abc import Callable
from typing import Any

import pytest
from headrace.errors import MetaflowTableInvalidData, UnsupportedError
from headrace.iceberg import PartitionSpec, SortOrder, TableMetadata, parse_metadata
from headrace.iceberg.partitioning import Transform
from headrace.iceberg.types import PrimitiveType
from pyiceberg.table.metadata import TableMetadataUtil

SCHEMA = {"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "a", "required": False, "type": "long"}]}
SPEC = {"spec-id": 0, "fields": [{"source-id": 1, "field-id": 1000, "name": "a_b", "transform": "bucket[8]"}]}
V1: dict[str, Any] = {
    "format-version": 1,
    "location": "s3://b/t/",
    "last-updated-ms": 10,
    "last-column-id": 1,
    "schema": {key: value for key, value in SCHEMA.items() if key != "schema-id"},
    "partition-spec": [{"source-id": 1, "name": "a_b", "transform": "bucket[8]"}],
    "properties": {},
    "current-snapshot-id": 5,
    "snapshots": [{"snapshot-id": 5, "timestamp-ms": 10, "manifests": ["s3://b/m1.avro", "s3://b/m2.avro"]}],
}
V2: dict[str, Any] = {
    "format-version": 2,
    "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1",
    "location": "s3://b/t",
    "last-sequence-number": 2,
    "last-updated-ms": 20,
    "last-column-id": 1,
    "current-schema-id": 0,
    "schemas": [SCHEMA],
    "default-spec-id": 0,
    "partition-specs": [SPEC],
    "last-partition-id": 1000,
    "default-sort-order-id": 1,
    "sort-orders": [
        {
            "order-id": 1,
            "fields": [{"source-id": 1, "transform": "identity", "direction": "desc", "null-order": "nulls-last"}],
        }
    ],
    "properties": {"k": "v"},
    "current-snapshot-id": 7,
    "snapshots": [
        {
            "snapshot-id": 7,
            "sequence-number": 2,
            "timestamp-ms": 20,
            "manifest-list": "s3://b/ml.avro",
            "summary": {"operation": "append"},
            "schema-id": 0,
        }
    ],
    "refs": {
        "main": {"snapshot-id": 7, "type": "branch"},
        "v1": {"snapshot-id": 7, "type": "tag", "max-ref-age-ms": 9},
    },
    "snapshot-log": [{"timestamp-ms": 20, "snapshot-id": 7}],
    "metadata-log": [{"timestamp-ms": 10, "metadata-file": "s3://b/0.json"}],
    "x-vendor": {"kept": [1, 2]},
}
V3: dict[str, Any] = V2 | {
    "format-version": 3,
    "next-row-id": 100,
    "schemas": [
        {
            "type": "struct",
            "schema-id": 0,
            "fields": [
                {
                    "id": 1,
                    "name": "a",
                    "required": True,
                    "type": "timestamptz_ns",
                    "initial-default": 5,
                    "write-default": 6,
                },
                {"id": 2, "name": "v", "required": False, "type": "variant"},
                {"id": 3, "name": "g", "required": False, "type": "geography(srid:4326, karney)"},
            ],
        }
    ],
    "partition-specs": [
        {"spec-id": 0, "fields": [{"source-ids": [1, 2], "field-id": 1000, "name": "z", "transform": "zorder[4]"}]}
    ],
    "snapshots": [V2["snapshots"][0] | {"first-row-id": 90, "added-rows": 10, "key-id": "k"}],
    "encryption-keys": [{"key-id": "k"}],
}


def test_version_1() -> None:
    metadata = parse_metadata(json.dumps(V1))
    assert (metadata.format_version, metadata.table_uuid, metadata.location) == (1, None, "s3://b/t")
    assert metadata.schema.names == ["a"]
    assert metadata.spec.to_json() == SPEC
    assert metadata.sort_order == SortOrder()
    assert metadata.last_sequence_number == 0
    snapshot = metadata.current_snapshot
    assert snapshot is not None
    assert (snapshot.manifest_list, snapshot.manifests) == (None, ("s3://b/m1.avro", "s3://b/m2.avro"))
    assert (snapshot.sequence_number, snapshot.schema_id, snapshot.operation) == (0, None, None)
    assert metadata.refs["main"].snapshot_id == 5


def test_version_2() -> None:
    metadata = parse_metadata(V2)
    assert metadata.sort_order.fields[0].direction == "desc"
    assert metadata.sort_order.to_json() == V2["sort-orders"][0]
    assert metadata.spec.fields[0].transform.result_type(PrimitiveType("long")) == PrimitiveType("int")
    assert {name: ref.kind for name, ref in metadata.refs.items()} == {"main": "branch", "v1": "tag"}
    assert metadata.snapshot_log == ((20, 7),)
    assert metadata.properties == {"k": "v"}
    assert metadata.name_mapping is None


def test_version_3() -> None:
    metadata = parse_metadata(V3)
    assert [str(each.type) for each in metadata.schema.fields] == [
        "timestamptz_ns",
        "variant",
        "geography(srid:4326, karney)",
    ]
    assert metadata.schema.to_json() == V3["schemas"][0]
    assert metadata.next_row_id == 100
    assert metadata.current_snapshot is not None
    assert (metadata.current_snapshot.first_row_id, metadata.current_snapshot.added_rows) == (90, 10)
    assert metadata.spec.to_json() == V3["partition-specs"][0]
    assert not metadata.spec.fields[0].transform.is_known


@pytest.mark.parametrize("raw", [V1, V2, V3])
def test_unknown_members_survive(raw: dict[str, Any]) -> None:
    metadata = parse_metadata(gzip.compress(json.dumps(raw).encode()), "s3://b/m.gz.metadata.json")
    assert json.loads(metadata.to_json()) == metadata.raw == raw
    again = pickle.loads(pickle.dumps(metadata))
    assert (again.raw, again.file) == (raw, "s3://b/m.gz.metadata.json")


def test_pyiceberg_agrees() -> None:
    newer_v1 = V1 | {
        "partition-spec": SPEC["fields"],
        "snapshots": [V1["snapshots"][0] | {"manifest-list": "s3://b/l"}],
    }
    for raw in (newer_v1, V2):  # it does not read v1 files as old as V1
        theirs = TableMetadataUtil.parse_raw(json.dumps(raw))
        ours = parse_metadata(raw)
        assert ours.spec.to_json() == json.loads(theirs.spec().model_dump_json())
        assert ours.current_snapshot_id == theirs.current_snapshot_id
        assert ours.schema.names == theirs.schema().column_names


def test_a_table_without_snapshots() -> None:
    for absent in ({"current-snapshot-id": -1}, {"current-snapshot-id": None}):
        metadata = parse_metadata(V2 | absent | {"snapshots": [], "refs": {}, "snapshot-log": []})
        assert metadata.current_snapshot is None
        assert metadata.refs == {}
        assert metadata.snapshots == ()


def test_name_mapping() -> None:
    mapping = [{"field-id": 1, "names": ["a", "alpha"], "fields": [{"field-id": 2, "names": ["b"]}]}, {"names": ["c"]}]
    metadata = parse_metadata(V2 | {"properties": {"schema.name-mapping.default": json.dumps(mapping)}})
    assert metadata.name_mapping == mapping
    for damaged in ("{}", "[", '[{"names": [1]}]', '[{"names": ["a"], "field-id": "1"}]', "[" * 9999):
        broken = parse_metadata(V2 | {"properties": {"schema.name-mapping.default": damaged}}, "s3://b/m.json")
        with pytest.raises(MetaflowTableInvalidData, match=r"name-mapping.default") as error:
            _ = broken.name_mapping
        assert error.value.location == "s3://b/m.json"


def _touch_all(metadata: TableMetadata) -> None:
    _ = metadata.schema, metadata.spec, metadata.sort_order, metadata.properties, metadata.current_snapshot
    _ = metadata.refs, metadata.snapshots, metadata.snapshot_log, metadata.snapshot_times, metadata.next_row_id
    _ = metadata.last_column_id, metadata.last_sequence_number


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"format-version": "2"}, "format-version"),
        ({"table-uuid": None}, "table-uuid"),
        ({"location": 5}, "location"),
        ({"last-updated-ms": 1.5}, "last-updated-ms"),
        ({"schemas": None}, "schemas"),
        ({"current-schema-id": 9}, r"current-schema-id: 9 is not among schemas \(0\)"),
        ({"schemas": ["x"]}, r"schemas\[0\]"),
        ({"default-spec-id": 4}, "default-spec-id"),
        ({"partition-specs": [{"spec-id": 0, "fields": [{}]}]}, r"partition-specs\[0\].fields\[0\]"),
        ({"partition-specs": [{"fields": [SPEC["fields"][0] | {"transform": "bucket"}]}]}, r"bucket\[N\]"),  # type: ignore[index]
        ({"default-sort-order-id": 8}, "default-sort-order-id"),
        ({"current-snapshot-id": 8}, "current-snapshot-id: snapshot 8 is not in snapshots"),
        ({"snapshots": [{"snapshot-id": 7}]}, r"snapshots\[0\]"),
        ({"snapshots": {}}, "snapshots"),
        ({"refs": {"main": {"snapshot-id": 7, "type": "twig"}}}, r"refs.main.type"),
        ({"refs": {"main": 7}}, r"refs.main"),
        ({"snapshot-log": [{}]}, r"snapshot-log\[0\]"),
        ({"properties": {"a": []}}, "properties.a"),
    ],
)
def test_malformed_metadata_names_file_and_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(MetaflowTableInvalidData, match=field) as error:
        _touch_all(parse_metadata(V2 | change, "s3://b/m.json"))
    assert error.value.location == "s3://b/m.json"


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 200_000, b"\x1f\x8bjunk", b'{"format-version": NaN}']
)
def test_garbage_is_a_typed_error(data: bytes) -> None:
    with pytest.raises(MetaflowTableInvalidData):
        parse_metadata(data)


def test_later_versions_are_refused_as_such() -> None:
    for version in (0, 4):
        with pytest.raises(UnsupportedError, match=f"format version {version}"):
            parse_metadata(V2 | {"format-version": version})


def test_every_damaged_member_is_a_typed_error_or_harmless() -> None:
    """Each member replaced by each kind of value: nothing but our own errors comes out."""

    def damage(value: Any, put: Any) -> Any:
        if isinstance(value, dict):
            for key in value:
                yield value | {key: put}
                for inner in damage(value[key], put):
                    yield value | {key: inner}
        elif isinstance(value, list):
            for position in range(len(value)):
                for inner in [put, *damage(value[position], put)]:
                    yield [*value[:position], inner, *value[position + 1 :]]

    refused = 0
    for raw in (V1, V2, V3):
        for put in (None, True, -1, 2**70, 0.5, "x", [], {}, [None], {"a": None}):
            for damaged in damage(raw, put):
                try:
                    _touch_all(parse_metadata(damaged))
                except (MetaflowTableInvalidData, UnsupportedError):
                    refused += 1
    assert refused > 1000


def _seconds(act: Callable[[], object]) -> float:
    """CPU seconds of this process: other processes do not count."""
    began = time.process_time()
    act()
    return time.process_time() - began


def test_ten_thousand_snapshots_cost_their_json_and_little_more() -> None:
    listed = [V2["snapshots"][0] | {"snapshot-id": 7 + number, "timestamp-ms": number} for number in range(10_000)]
    log = [{"timestamp-ms": number, "snapshot-id": 7 + number} for number in range(10_000)]
    data = json.dumps(V2 | {"snapshots": listed, "snapshot-log": log})
    json_s = min(_seconds(lambda: json.loads(data)) for _ in range(5))
    whole_s = min(_seconds(lambda: parse_metadata(data).snapshot(7 + 9_999)) for _ in range(5))
    assert whole_s < 3 * json_s
    metadata = parse_metadata(data)
    assert metadata.snapshot(7 + 9_999) is not None
    assert "snapshots" not in vars(metadata)


def test_transforms() -> None:
    for text in ("identity", "year", "month", "day", "hour", "void", "bucket[16]", "truncate[4]"):
        assert str(Transform.parse(text)) == text
        assert Transform.parse(text).is_known
    for text in ("", "bucket[0]", "truncate[-1]", "day[2]", "bucket[]", "a b"):
        with pytest.raises(MetaflowTableInvalidData):
            Transform.parse(text)
    assert PartitionSpec().is_unpartitioned
