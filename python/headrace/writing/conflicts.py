"""What changed under a write since the snapshot that it was made from, and the error that says so.

Appends never conflict. What is replaced or deleted must be as it was: files that would be selected and came since
(serializable isolation), selected files that somebody removed, and row deletes of files that were written again or lose
rows themselves, are conflicts. Must not know: catalogs, attempts.
Neighbours: the engine compares files (engine/core/src/iceberg/writing/rewrite.rs), `snapshots.py` asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from headrace.errors import InvalidArgument, MetaflowTableConflict
from headrace.iceberg import Snapshot, TableMetadata
from headrace.writing.history import since

ISOLATION = {"delete": "write.delete.isolation-level", "overwrite": "write.update.isolation-level"}
ISOLATION["upsert"] = "write.merge.isolation-level"
_LEVELS = ("serializable", "snapshot")
_HINT = "refresh() the table and do it again on what is there now"


def isolation(properties: Mapping[str, str], operation: str) -> str:
    """The isolation that the table's properties ask for: "serializable" unless they say "snapshot"."""
    name = ISOLATION[operation]
    found = properties.get(name, _LEVELS[0]).lower()
    if found not in _LEVELS:
        raise InvalidArgument(f"table property {name!r}: expected serializable or snapshot, found {found[:40]!r}")
    return found


def concurrent(metadata: TableMetadata, head: Snapshot | None, base: Snapshot | None) -> list[Snapshot]:
    """Snapshots that came after the one that a change was made from, newest first.

    Raises
    ------
    MetaflowTableConflict
        The branch was moved to a history without that snapshot.
    """
    if head is None and base is None:
        return []
    found = since(metadata, head, base)
    if found is None:
        now = "empty" if head is None else f"at {_named(head)}"
        before = "" if base is None else f" {base.snapshot_id}"
        message = f"the branch was rolled back or rewritten: snapshot{before} is not in its history, it is {now}"
        raise MetaflowTableConflict(message, hint=_HINT)
    return found


def check(found: Mapping[str, Any], fingerprint: str | None, concurrent: Sequence[Snapshot]) -> None:
    """Raise MetaflowTableConflict, naming the other snapshot, if what was selected is not what it was.

    Parameters
    ----------
    found : mapping
        The engine's answer.
    fingerprint : str or None
        Of the files that were selected in the snapshot that the change was made from; None where that is the parent.
    concurrent : sequence of Snapshot
        Those that came since.
    """
    by_id = {each.snapshot_id: each for each in concurrent}
    if conflict := found["conflict"]:
        other = by_id[conflict["snapshot_id"]]
        message = f"{_named(other)} added rows to what is replaced or deleted"
        raise _conflict(message, other, conflict["path"])
    if deletes := found["deletes"]:
        other = by_id.get(deletes["snapshot_id"], concurrent[0])
        raise _conflict(
            f"{_named(other)} deleted rows of a file that is written again or loses rows", other, deletes["path"]
        )
    if found["missing"] or (fingerprint is not None and found["fingerprint"] != fingerprint):
        removing = [each for each in concurrent if each.operation != "append"] or list(concurrent)
        path = found["missing"][0] if found["missing"] else None
        if not removing:
            raise MetaflowTableConflict("a file that is replaced is not in the table", location=path, hint=_HINT)
        names = " or ".join(_named(each) for each in removing[:3])
        raise _conflict(f"{names} removed files of what is replaced or deleted", removing[0], path)
    if found["partial"]:
        message = "a file is selected in part that was not before"
        raise MetaflowTableConflict(message, location=found["partial"][0], hint=_HINT)


def _conflict(message: str, other: Snapshot, path: str | None) -> MetaflowTableConflict:
    error = MetaflowTableConflict(message, location=path, hint=_HINT)
    error.__dict__["snapshot_id"] = other.snapshot_id
    return error


def _named(snapshot: Snapshot) -> str:
    at = datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return f"snapshot {snapshot.snapshot_id} ({snapshot.operation or 'unknown'}, {at})"
