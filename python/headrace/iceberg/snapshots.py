"""Snapshots, refs, and the choice of one: by id, by time, by branch, by tag.

Must not know: manifests' content, catalogs, files. Neighbours: `metadata.py` holds them.
Spec: Iceberg table spec, "Snapshots", "Snapshot References", "Point in Time Reads (Time Travel)".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from headrace.errors import InvalidArgument, MetaflowTableInvalidData, nearest
from headrace.iceberg.members import invalid, is_a, member, optional, strings
from headrace.iceberg.schema import Schema

if TYPE_CHECKING:
    from headrace.iceberg.metadata import TableMetadata

MAIN = "main"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Snapshot:
    """The state of a table at one time: a manifest list (or, in old v1 files, manifests named here)."""

    snapshot_id: int
    timestamp_ms: int
    manifest_list: str | None
    manifests: tuple[str, ...] = ()
    parent_snapshot_id: int | None = None
    sequence_number: int = 0
    schema_id: int | None = None
    summary: Mapping[str, str] | None = None
    first_row_id: int | None = None
    added_rows: int | None = None
    key_id: str | None = None

    @staticmethod
    def from_json(json: Mapping[str, Any], where: str = "snapshot") -> Snapshot:
        """Parse a snapshot of any format version."""
        manifest_list = optional(json, "manifest-list", str, where)
        manifests = optional(json, "manifests", list, where, default=[])
        if not all(is_a(each, str) for each in manifests):
            raise invalid(f"{where}.manifests", manifests, "an array of locations")
        if manifest_list is None and "manifests" not in json:
            raise MetaflowTableInvalidData(f"{where}.manifest-list: missing, and no manifests either")
        return Snapshot(
            snapshot_id=member(json, "snapshot-id", int, where),
            timestamp_ms=member(json, "timestamp-ms", int, where),
            manifest_list=manifest_list,
            manifests=tuple(manifests),
            parent_snapshot_id=optional(json, "parent-snapshot-id", int, where),
            sequence_number=optional(json, "sequence-number", int, where, default=0),
            schema_id=optional(json, "schema-id", int, where),
            summary=strings(json, "summary", where),
            first_row_id=optional(json, "first-row-id", int, where),
            added_rows=optional(json, "added-rows", int, where),
            key_id=optional(json, "key-id", str, where),
        )

    @property
    def operation(self) -> str | None:
        """What made it: append, replace, overwrite or delete; None in v1 files without a summary."""
        return (self.summary or {}).get("operation")


@dataclass(frozen=True)
class SnapshotRef:
    """A name for a snapshot: a branch, which moves, or a tag."""

    name: str
    snapshot_id: int
    kind: str
    min_snapshots_to_keep: int | None = None
    max_snapshot_age_ms: int | None = None
    max_ref_age_ms: int | None = None

    @staticmethod
    def from_json(name: str, json: Mapping[str, Any], where: str) -> SnapshotRef:
        """Parse a ref."""
        if not isinstance(json, dict):
            raise invalid(where, json, "a ref (an object)")
        kind = member(json, "type", str, where)
        if kind not in ("branch", "tag"):
            raise invalid(f"{where}.type", kind, "'branch' or 'tag'")
        return SnapshotRef(
            name=name,
            snapshot_id=member(json, "snapshot-id", int, where),
            kind=kind,
            min_snapshots_to_keep=optional(json, "min-snapshots-to-keep", int, where),
            max_snapshot_age_ms=optional(json, "max-snapshot-age-ms", int, where),
            max_ref_age_ms=optional(json, "max-ref-age-ms", int, where),
        )


def select_snapshot(
    metadata: TableMetadata,
    snapshot_id: int | None = None,
    as_of: datetime | date | str | int | None = None,
    branch: str | None = None,
    tag: str | None = None,
) -> tuple[Snapshot | None, Schema]:
    """Choose the snapshot to read, and the schema to read it with.

    Parameters
    ----------
    metadata : TableMetadata
        The table.
    snapshot_id : int or None
        This snapshot.
    as_of : datetime, date, str, int or None
        The snapshot that was current at this time: a datetime, ISO 8601 text or milliseconds since 1970-01-01 UTC.
        A time without a zone is UTC, whatever the machine's own zone: the same code reads the same rows everywhere.
    branch, tag : str or None
        The snapshot of this ref. At most one of the four; none of them means the branch "main".

    Returns
    -------
    (Snapshot or None, Schema)
        None for a table (or its main branch) without snapshots. The schema is the table's current one for a branch,
        else the one that the snapshot was written with.

    Raises
    ------
    InvalidArgument
        More than one choice, or a choice that the table does not have: it names the nearest ref or what is available.
    """
    choices = {"snapshot_id": snapshot_id, "as_of": as_of, "branch": branch, "tag": tag}
    given = [name for name, value in choices.items() if value is not None]
    if len(given) > 1:
        raise InvalidArgument(f"{' and '.join(given)} exclude each other: give one", location=metadata.file)
    if snapshot_id is not None:
        return _written(metadata, _by_id(metadata, snapshot_id))
    if as_of is not None:
        return _written(metadata, _by_time(metadata, to_milliseconds(as_of)))
    if tag is not None:
        return _written(metadata, _by_ref(metadata, tag, "tag"))
    if branch in (None, MAIN):
        return metadata.current_snapshot, metadata.schema
    return _by_ref(metadata, branch or MAIN, "branch"), metadata.schema


def to_milliseconds(when: datetime | date | str | int) -> int:
    """Milliseconds since 1970-01-01 UTC of a time as `select_snapshot` takes it; rounded down."""
    if isinstance(when, int) and not isinstance(when, bool):
        return when
    if isinstance(when, str):
        when = _parse_time(when)
    if isinstance(when, date) and not isinstance(when, datetime):
        when = datetime(when.year, when.month, when.day)
    if not isinstance(when, datetime):
        raise InvalidArgument(f"as_of: expected a datetime, ISO 8601 text or milliseconds, found {type(when).__name__}")
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(milliseconds=1)


def _parse_time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        hint = "write it like '2026-01-31', '2026-01-31T12:00:00' (UTC) or '2026-01-31T12:00:00+02:00'"
        raise InvalidArgument(f"as_of: {text[:80]!r} is not an ISO 8601 time", hint=hint) from None


def _written(metadata: TableMetadata, snapshot: Snapshot) -> tuple[Snapshot, Schema]:
    """The snapshot with the schema it was written with; v1 files may not say: then the current one."""
    if snapshot.schema_id is None:
        return snapshot, metadata.schema
    return snapshot, metadata.schema_of(snapshot.schema_id)


def _by_id(metadata: TableMetadata, snapshot_id: int) -> Snapshot:
    if not is_a(snapshot_id, int):
        raise InvalidArgument(f"snapshot_id: expected an int, found {type(snapshot_id).__name__}")
    if found := metadata.snapshot(snapshot_id):
        return found
    raise InvalidArgument(f"no snapshot {snapshot_id}", location=metadata.file, hint=_available(metadata))


def _by_ref(metadata: TableMetadata, name: str, kind: str) -> Snapshot:
    ref = metadata.refs.get(name)
    if ref is None:
        known = [each.name for each in metadata.refs.values() if each.kind == kind]
        raise InvalidArgument(f"no {kind} {name!r}", location=metadata.file, hint=nearest(name, known))
    if ref.kind != kind:
        raise InvalidArgument(f"{name!r} is a {ref.kind}, not a {kind}", hint=f"use {ref.kind}={name!r}")
    if found := metadata.snapshot(ref.snapshot_id):
        return found
    raise MetaflowTableInvalidData(
        f"refs.{name}: snapshot {ref.snapshot_id} is not in snapshots", location=metadata.file
    )


def _by_time(metadata: TableMetadata, at_ms: int) -> Snapshot:
    log = metadata.snapshot_log or tuple(_ancestry(metadata))
    current = [snapshot_id for timestamp_ms, snapshot_id in log if timestamp_ms <= at_ms]
    if not current:
        message = f"as_of: the table had no snapshot at {_show(at_ms)}"
        raise InvalidArgument(message, location=metadata.file, hint=_available(metadata))
    if found := metadata.snapshot(current[-1]):
        return found
    message = f"as_of: snapshot {current[-1]}, current at {_show(at_ms)}, has expired"
    raise InvalidArgument(message, location=metadata.file, hint=_available(metadata))


def _ancestry(metadata: TableMetadata) -> list[tuple[int, int]]:
    """(time, id) of the main branch's snapshots, oldest first: for files without a snapshot log."""
    found: dict[int, tuple[int, int]] = {}
    snapshot = metadata.current_snapshot
    while snapshot and snapshot.snapshot_id not in found:
        found[snapshot.snapshot_id] = (snapshot.timestamp_ms, snapshot.snapshot_id)
        parent = snapshot.parent_snapshot_id
        snapshot = None if parent is None else metadata.snapshot(parent)
    return list(reversed(found.values()))


def _available(metadata: TableMetadata) -> str:
    times = metadata.snapshot_times
    if not times:
        return "the table has no snapshots"
    first, last = min(times.items(), key=lambda item: item[1]), max(times.items(), key=lambda item: item[1])
    count = f"{len(times)} snapshot{'s' if len(times) > 1 else ''}"
    return f"the table has {count}, from {_show(first[1])} ({first[0]}) to {_show(last[1])} ({last[0]})"


def _show(at_ms: int) -> str:
    try:
        return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds")
    except OverflowError:
        return f"{at_ms} ms"
