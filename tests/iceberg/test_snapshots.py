"""Which snapshot is read, and with which schema."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from headrace.errors import InvalidArgument, MetaflowTableInvalidData
from headrace.iceberg import TableMetadata, parse_metadata, select_snapshot
from headrace.iceberg.snapshots import to_milliseconds

DAY_MS = 86_400_000
START = datetime(2026, 1, 1, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)


def _schema(schema_id: int, *names: str) -> dict[str, Any]:
    fields = [{"id": at, "name": name, "required": False, "type": "int"} for at, name in enumerate(names, 1)]
    return {"type": "struct", "schema-id": schema_id, "fields": fields}


def _snapshot(number: int, **more: Any) -> dict[str, Any]:
    parent = {} if number == 1 else {"parent-snapshot-id": number - 1}
    made = {"snapshot-id": number, "timestamp-ms": START_MS + number * DAY_MS, "manifest-list": f"/{number}.avro"}
    return {**made, "sequence-number": number, "summary": {"operation": "append"}, **parent, **more}


def _metadata(**more: Any) -> TableMetadata:
    log = [{"timestamp-ms": START_MS + number * DAY_MS, "snapshot-id": number} for number in (1, 2, 3)]
    raw: dict[str, Any] = {
        "format-version": 2,
        "table-uuid": "u",
        "location": "/t",
        "last-sequence-number": 4,
        "last-updated-ms": START_MS,
        "last-column-id": 2,
        "current-schema-id": 2,
        "schemas": [_schema(0, "a"), _schema(1, "a", "b"), _schema(2, "a", "renamed")],
        "default-spec-id": 0,
        "partition-specs": [{"spec-id": 0, "fields": []}],
        "current-snapshot-id": 3,
        "snapshots": [
            _snapshot(1, **{"schema-id": 0}),
            _snapshot(2, **{"schema-id": 1}),
            _snapshot(3, **{"schema-id": 1}),
            _snapshot(4, **{"schema-id": 1, "parent-snapshot-id": 2}),
        ],
        "refs": {
            "main": {"snapshot-id": 3, "type": "branch"},
            "audit": {"snapshot-id": 4, "type": "branch"},
            "end-of-year": {"snapshot-id": 1, "type": "tag"},
            "gone": {"snapshot-id": 99, "type": "tag"},
        },
        "snapshot-log": log,
    }
    return parse_metadata(raw | more, "/t/metadata/v1.metadata.json")


def _chosen(metadata: TableMetadata, **choice: Any) -> tuple[int, int]:
    snapshot, schema = select_snapshot(metadata, **choice)
    assert snapshot is not None
    return snapshot.snapshot_id, schema.schema_id


@pytest.mark.parametrize(
    ("choice", "snapshot_id", "schema_id"),
    [
        ({}, 3, 2),
        ({"branch": "main"}, 3, 2),
        ({"branch": "audit"}, 4, 2),
        ({"tag": "end-of-year"}, 1, 0),
        ({"snapshot_id": 2}, 2, 1),
        ({"snapshot_id": 3}, 3, 1),
        ({"as_of": START_MS + DAY_MS}, 1, 0),
        ({"as_of": START_MS + 3 * DAY_MS - 1}, 2, 1),
        ({"as_of": "2026-01-03"}, 2, 1),
        ({"as_of": date(2026, 1, 3)}, 2, 1),
        ({"as_of": "2026-01-02T23:59:59.999"}, 1, 0),
        ({"as_of": "2026-01-03T01:00:00+02:00"}, 1, 0),
        ({"as_of": datetime(2026, 1, 3)}, 2, 1),
        ({"as_of": datetime(2026, 1, 2, 19, tzinfo=timezone(timedelta(hours=-5)))}, 2, 1),
        ({"as_of": "2036-01-01T00:00:00Z"}, 3, 1),
    ],
)
def test_choices(choice: dict[str, Any], snapshot_id: int, schema_id: int) -> None:
    assert _chosen(_metadata(), **choice) == (snapshot_id, schema_id)


def test_time_without_a_zone_is_utc_wherever_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert to_milliseconds(datetime(2026, 1, 1)) == to_milliseconds("2026-01-01") == START_MS
    finally:
        monkeypatch.undo()
        time.tzset()
    assert to_milliseconds(datetime(1969, 12, 31, 23, 59, 59, 999_999)) == -1  # rounded down, not to zero


def test_a_rollback_is_followed() -> None:
    log = [{"timestamp-ms": START_MS + at * DAY_MS, "snapshot-id": number} for at, number in enumerate((1, 2, 1), 1)]
    metadata = _metadata(**{"snapshot-log": log, "current-snapshot-id": 1})
    assert [_chosen(metadata, as_of=START_MS + at * DAY_MS)[0] for at in (1, 2, 3)] == [1, 2, 1]


def test_without_a_log_ancestors_tell() -> None:
    metadata = _metadata(**{"snapshot-log": []})
    assert _chosen(metadata, as_of=START_MS + 2 * DAY_MS + 5) == (2, 1)
    circle = _metadata(**{"snapshot-log": None, "snapshots": [_snapshot(3, **{"parent-snapshot-id": 3})]})
    assert select_snapshot(circle, as_of=START_MS + 9 * DAY_MS)[0] is not None


def test_a_snapshot_that_does_not_say_its_schema_has_the_current_one() -> None:
    metadata = _metadata(snapshots=[_snapshot(3)])
    assert _chosen(metadata, snapshot_id=3) == (3, 2)


def test_a_table_without_snapshots() -> None:
    empty = _metadata(**{"current-snapshot-id": -1, "snapshots": [], "refs": {}, "snapshot-log": []})
    for choice in ({}, {"branch": "main"}):
        snapshot, schema = select_snapshot(empty, **choice)
        assert snapshot is None
        assert schema.schema_id == 2
    for choice in ({"snapshot_id": 1}, {"as_of": 0}):
        with pytest.raises(InvalidArgument, match="the table has no snapshots"):
            select_snapshot(empty, **choice)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"snapshot_id": 9}, r"no snapshot 9(?s:.*)4 snapshots, from 2026-01-02T00:00:00.000\+00:00 \(1\) to .* \(4\)"),
        ({"as_of": START_MS}, r"no snapshot at 2026-01-01T(?s:.*)from 2026-01-02"),
        ({"branch": "audti"}, "no branch 'audti'(?s:.*)did you mean 'audit'"),
        ({"tag": "end-of-yaer"}, "did you mean 'end-of-year'"),
        ({"tag": "audit"}, "'audit' is a branch, not a tag(?s:.*)branch='audit'"),
        ({"branch": "end-of-year"}, "is a tag, not a branch"),
        ({"tag": "x", "branch": "y"}, "branch and tag exclude each other"),
        ({"snapshot_id": 0, "as_of": 0}, "snapshot_id and as_of exclude each other"),
        ({"as_of": "yesterday"}, "'yesterday' is not an ISO 8601 time"),
        ({"as_of": 1.5}, "found float"),
        ({"as_of": True}, "found bool"),
        ({"snapshot_id": "3"}, "found str"),
    ],
)
def test_mistakes_say_what_there_is(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        select_snapshot(_metadata(), **choice)


def test_what_has_expired() -> None:
    with pytest.raises(MetaflowTableInvalidData, match=r"refs\.gone: snapshot 99"):
        select_snapshot(_metadata(), tag="gone")
    metadata = _metadata(snapshots=[_snapshot(3)])
    with pytest.raises(InvalidArgument, match=r"snapshot 1, current at .*, has expired"):
        select_snapshot(metadata, as_of=START_MS + DAY_MS)
