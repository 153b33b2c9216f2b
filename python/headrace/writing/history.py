"""A branch's history: its snapshots from the head back, and the commit that a token marks.

Must not know: catalogs, manifests. Spec: Iceberg table spec, "Snapshots".
"""

from __future__ import annotations

from collections.abc import Iterator

from headrace.iceberg import Snapshot, TableMetadata
from headrace.writing.summary import TOKEN

CLOCKS_MS = 10 * 60_000
"""Clocks of the machines that stage and commit may differ by so much."""


def ancestors(metadata: TableMetadata, head: Snapshot | None) -> Iterator[Snapshot]:
    """A snapshot and those before it, newest first, as far back as the table still knows them."""
    seen: set[int] = set()
    while head is not None and head.snapshot_id not in seen:
        seen.add(head.snapshot_id)
        yield head
        parent = head.parent_snapshot_id
        head = None if parent is None else metadata.snapshot(parent)


def find_token(metadata: TableMetadata, head: Snapshot | None, token: str) -> Snapshot | None:
    """The snapshot that a commit with this token made; None if it is not in the history."""
    return next((each for each in ancestors(metadata, head) if (each.summary or {}).get(TOKEN) == token), None)


def knows_back_to(metadata: TableMetadata, head: Snapshot | None, at_ms: int) -> bool:
    """Whether the history that is left tells of every commit since a time: snapshots may have expired since."""
    oldest = None
    for oldest in ancestors(metadata, head):
        if oldest.timestamp_ms < at_ms - CLOCKS_MS:
            return True
    return oldest is None or oldest.parent_snapshot_id is None


def since(metadata: TableMetadata, head: Snapshot | None, base: Snapshot | None) -> list[Snapshot] | None:
    """Snapshots after `base` up to `head`, newest first; None if `base` is not in the head's history."""
    found: list[Snapshot] = []
    for each in ancestors(metadata, head):
        if base is not None and each.snapshot_id == base.snapshot_id:
            return found
        found.append(each)
    return found if base is None else None
