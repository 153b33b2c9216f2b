"""Updates applied to table metadata: the next metadata of a table whose catalog leaves that to its clients.

Pure: it takes metadata and updates, and gives metadata; what was there is not changed. Must not know: where metadata is
written, which requirements held. Neighbours: `updates.py` makes updates, `catalog.sql` writes the result.
Spec: Iceberg table spec, "Table Metadata"; REST specification, "TableUpdate".
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headrace.errors import InvalidArgument, MetaflowTableConflict, UnsupportedError
from headrace.iceberg.metadata import LATEST_FORMAT_VERSION, TableMetadata, parse_metadata
from headrace.iceberg.snapshots import MAIN
from headrace.iceberg.updates import LAST_ADDED, last_partition_id

PREVIOUS_VERSIONS = "write.metadata.previous-versions-max"
DEFAULT_PREVIOUS_VERSIONS = 100
DELETE_AFTER_COMMIT = "write.metadata.delete-after-commit.enabled"

Raw = dict[str, Any]


def apply_updates(
    metadata: TableMetadata, updates: Sequence[Mapping[str, Any]], previous_file: str | None = None
) -> TableMetadata:
    """The metadata after these updates.

    Parameters
    ----------
    metadata : TableMetadata
        What is current.
    updates : sequence of mapping
        In the REST specification's form, applied in order.
    previous_file : str or None
        Where `metadata` was read from: it is entered in the metadata log, which keeps as many files as the table's
        `write.metadata.previous-versions-max` says.

    Raises
    ------
    InvalidArgument, UnsupportedError
        An update that cannot be applied, or that this version does not know.
    """
    raw = _complete(metadata)
    change = _Change(raw, time.time_ns() // 1_000_000)
    for each in updates:
        action = str(each.get("action"))
        if action not in _ACTIONS:
            raise UnsupportedError(f"update {action!r} is not known to this version")
        _ACTIONS[action](change, each)
    raw["last-updated-ms"] = max(change.now_ms, metadata.last_updated_ms)
    if previous_file is not None:
        entry = {"metadata-file": previous_file, "timestamp-ms": metadata.last_updated_ms}
        raw["metadata-log"] = [*raw["metadata-log"], entry][-_previous_versions(raw["properties"]) :]
    if raw["format-version"] == 1:
        raw["schema"] = _by_id(raw["schemas"], "schema-id", raw["current-schema-id"])
        raw["partition-spec"] = _by_id(raw["partition-specs"], "spec-id", raw["default-spec-id"])["fields"]
    return parse_metadata(raw)


def outdated(before: TableMetadata, after: TableMetadata) -> list[str]:
    """Metadata files that a commit dropped from the log and that may be removed, as the table's properties say."""
    if after.properties.get(DELETE_AFTER_COMMIT, "false").lower() != "true":
        return []
    log = {each["metadata-file"] for each in after.raw.get("metadata-log") or []}
    return [each["metadata-file"] for each in before.raw.get("metadata-log") or [] if each["metadata-file"] not in log]


class _Change:
    """Metadata in the making, and what this commit has added to it."""

    def __init__(self, raw: Raw, now_ms: int) -> None:
        self.raw = raw
        self.now_ms = now_ms
        self.added: dict[str, int] = {}
        self.snapshots: dict[int, int] = {}
        """Snapshots that it adds, and their times."""

    def last(self, key: str, given: int) -> int:
        """The id that is meant: -1 stands for what this commit added last."""
        if given != LAST_ADDED:
            return given
        if key not in self.added:
            raise InvalidArgument(f"{key} -1 stands for one that the same commit adds, and it adds none")
        return self.added[key]


def _complete(metadata: TableMetadata) -> Raw:
    """The raw members with everything there that v1 lets writers leave out; lists are the caller's own."""
    raw = dict(metadata.raw)
    raw.setdefault("schemas", [each.to_json() for each in metadata.schemas.values()])
    raw.setdefault("current-schema-id", metadata.schema.schema_id)
    raw.setdefault("partition-specs", [each.to_json() for each in metadata.specs.values()])
    raw.setdefault("default-spec-id", metadata.spec.spec_id)
    raw.setdefault("last-partition-id", last_partition_id(metadata))
    raw.setdefault("sort-orders", [each.to_json() for each in metadata.sort_orders.values()])
    raw.setdefault("default-sort-order-id", 0)
    for name in ("snapshots", "snapshot-log", "metadata-log", "schemas", "partition-specs", "sort-orders"):
        raw[name] = list(raw.get(name) or [])
    raw["properties"] = dict(raw.get("properties") or {})
    refs = {name: dict(each) for name, each in (raw.get("refs") or {}).items()}
    if metadata.current_snapshot_id is not None:
        refs.setdefault(MAIN, {"snapshot-id": metadata.current_snapshot_id, "type": "branch"})
    raw["refs"] = refs
    return raw


def _add_schema(change: _Change, update: Mapping[str, Any]) -> None:
    schema, raw = dict(update["schema"]), change.raw
    schema["schema-id"] = _added_id(raw["schemas"], schema, "schema-id", ("fields", "identifier-field-ids"))
    change.added["schema-id"] = schema["schema-id"]
    raw["last-column-id"] = max(raw["last-column-id"], update.get("last-column-id") or 0)


def _add_spec(change: _Change, update: Mapping[str, Any]) -> None:
    spec, raw = dict(update["spec"]), change.raw
    change.added["spec-id"] = _added_id(raw["partition-specs"], spec, "spec-id", ("fields",))
    ids = [each["field-id"] for each in spec["fields"]]
    raw["last-partition-id"] = max([raw["last-partition-id"], *ids])


def _add_sort_order(change: _Change, update: Mapping[str, Any]) -> None:
    order = dict(update["sort-order"])
    change.added["sort-order-id"] = _added_id(change.raw["sort-orders"], order, "order-id", ("fields",))


def _added_id(known: list[Raw], new: Raw, key: str, content: tuple[str, ...]) -> int:
    """The id of an object among those known: one with the same content, or a new one that is appended."""
    for each in known:
        if all(each.get(name) == new.get(name) for name in content):
            return int(each[key])
    given = new.get(key, -1)
    taken = {each.get(key, 0) for each in known}
    new[key] = given if given >= 0 and given not in taken else max(taken, default=-1) + 1
    if key == "order-id" and new["fields"]:
        new[key] = max(new[key], 1)  # order 0 is unsorted (spec, "Sorting")
    known.append(new)
    return int(new[key])


def _add_snapshot(change: _Change, update: Mapping[str, Any]) -> None:
    snapshot, raw = dict(update["snapshot"]), change.raw
    if any(each["snapshot-id"] == snapshot["snapshot-id"] for each in raw["snapshots"]):
        raise InvalidArgument(f"snapshot {snapshot['snapshot-id']} is there already")
    raw["snapshots"].append(snapshot)
    if raw["format-version"] > 1:
        raw["last-sequence-number"] = max(raw.get("last-sequence-number", 0), snapshot["sequence-number"])
    if raw["format-version"] > 2:
        first = snapshot.get("first-row-id")
        if first is None or first < raw.get("next-row-id", 0):
            raise InvalidArgument(f"first-row-id {first} is below the table's next, {raw.get('next-row-id', 0)}")
        raw["next-row-id"] = first + snapshot["added-rows"]
    change.now_ms = max(change.now_ms, snapshot["timestamp-ms"])
    change.snapshots[snapshot["snapshot-id"]] = snapshot["timestamp-ms"]


def _set_ref(change: _Change, update: Mapping[str, Any]) -> None:
    raw, name, snapshot_id = change.raw, update["ref-name"], update["snapshot-id"]
    if not any(each["snapshot-id"] == snapshot_id for each in raw["snapshots"]):
        raise InvalidArgument(f"ref {name!r}: there is no snapshot {snapshot_id}")
    raw["refs"][name] = {key: value for key, value in update.items() if key not in ("action", "ref-name")}
    if name == MAIN and raw.get("current-snapshot-id") != snapshot_id:
        raw["current-snapshot-id"] = snapshot_id
        # A new snapshot is current since its own time: `as_of` that time finds it (as Java's TableMetadata.Builder)
        at_ms = change.snapshots.get(snapshot_id, change.now_ms)
        at_ms = max([at_ms, *(each["timestamp-ms"] for each in raw["snapshot-log"][-1:])])
        raw["snapshot-log"].append({"snapshot-id": snapshot_id, "timestamp-ms": at_ms})


def _remove_ref(change: _Change, update: Mapping[str, Any]) -> None:
    change.raw["refs"].pop(update["ref-name"], None)
    if update["ref-name"] == MAIN:
        change.raw["current-snapshot-id"] = -1 if change.raw["format-version"] == 1 else None
        change.raw["snapshot-log"] = []


def _remove_snapshots(change: _Change, update: Mapping[str, Any]) -> None:
    raw, gone = change.raw, set(update["snapshot-ids"])
    raw["snapshots"] = [each for each in raw["snapshots"] if each["snapshot-id"] not in gone]
    for name, each in raw["refs"].items():
        if each["snapshot-id"] in gone:
            message = f"snapshot {each['snapshot-id']} is not removed: {each['type']} {name!r} points to it"
            raise MetaflowTableConflict(message, hint="it was made meanwhile: ask again")
    for name in ("statistics", "partition-statistics"):
        if name in raw:
            raw[name] = [each for each in raw[name] if each.get("snapshot-id") not in gone]
    kept: list[Raw] = []
    for each in raw["snapshot-log"]:  # what lies before a gap cannot be travelled to any more
        kept = [] if each["snapshot-id"] in gone else [*kept, each]
    raw["snapshot-log"] = kept


def _set_properties(change: _Change, update: Mapping[str, Any]) -> None:
    change.raw["properties"] |= update["updates"]


def _remove_properties(change: _Change, update: Mapping[str, Any]) -> None:
    for each in update["removals"]:
        change.raw["properties"].pop(each, None)


def _upgrade(change: _Change, update: Mapping[str, Any]) -> None:
    raw, version = change.raw, update["format-version"]
    if not raw["format-version"] <= version <= LATEST_FORMAT_VERSION:
        raise InvalidArgument(f"format version {raw['format-version']} cannot become {version}")
    raw["format-version"] = version
    if version > 1:
        raw.setdefault("table-uuid", str(uuid.uuid4()))
        raw.setdefault("last-sequence-number", 0)
        raw.pop("schema", None)
        raw.pop("partition-spec", None)
        if raw.get("current-snapshot-id") == -1:
            raw["current-snapshot-id"] = None
    if version > 2:
        raw.setdefault("next-row-id", 0)


def _assign_uuid(change: _Change, update: Mapping[str, Any]) -> None:
    change.raw["table-uuid"] = update["uuid"]


def _set_location(change: _Change, update: Mapping[str, Any]) -> None:
    change.raw["location"] = update["location"]


def _set_current(member: str, among: str, key: str, given: str) -> Callable[[_Change, Mapping[str, Any]], None]:
    """Sets the id of what is current, which must be known."""

    def act(change: _Change, update: Mapping[str, Any]) -> None:
        chosen = change.last(given, update[given])
        _by_id(change.raw[among], key, chosen)
        change.raw[member] = chosen

    return act


def _remove(among: str, key: str, given: str, current: str) -> Callable[[_Change, Mapping[str, Any]], None]:
    """Removes schemas or specs that are not current."""

    def act(change: _Change, update: Mapping[str, Any]) -> None:
        gone = set(update[given])
        if change.raw[current] in gone:
            raise InvalidArgument(f"{among}: {change.raw[current]} is current and cannot be removed")
        change.raw[among] = [each for each in change.raw[among] if each.get(key, 0) not in gone]

    return act


_ACTIONS: dict[str, Callable[[_Change, Mapping[str, Any]], None]] = {
    "add-schema": _add_schema,
    "set-current-schema": _set_current("current-schema-id", "schemas", "schema-id", "schema-id"),
    "add-spec": _add_spec,
    "set-default-spec": _set_current("default-spec-id", "partition-specs", "spec-id", "spec-id"),
    "add-sort-order": _add_sort_order,
    "set-default-sort-order": _set_current("default-sort-order-id", "sort-orders", "order-id", "sort-order-id"),
    "add-snapshot": _add_snapshot,
    "set-snapshot-ref": _set_ref,
    "remove-snapshot-ref": _remove_ref,
    "remove-snapshots": _remove_snapshots,
    "set-properties": _set_properties,
    "remove-properties": _remove_properties,
    "upgrade-format-version": _upgrade,
    "assign-uuid": _assign_uuid,
    "set-location": _set_location,
    "remove-schemas": _remove("schemas", "schema-id", "schema-ids", "current-schema-id"),
    "remove-partition-specs": _remove("partition-specs", "spec-id", "spec-ids", "default-spec-id"),
}


def _by_id(among: Sequence[Raw], key: str, wanted: int) -> Raw:
    for each in among:
        if each.get(key, 0) == wanted:
            return each
    raise InvalidArgument(f"{key} {wanted} is not known: {', '.join(str(each.get(key, 0)) for each in among[:20])}")


def _previous_versions(properties: Mapping[str, str]) -> int:
    text = properties.get(PREVIOUS_VERSIONS, str(DEFAULT_PREVIOUS_VERSIONS))
    return max(int(text), 1) if text.strip().isdigit() else DEFAULT_PREVIOUS_VERSIONS
