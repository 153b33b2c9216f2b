"""A snapshot's summary: what it added and removed, the totals after it, who made it, and the token of its commit.

Must not know: manifests, files one by one. Spec: Iceberg table spec, Appendix F ("Optional Snapshot Summary Fields").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headrace import surroundings
from headrace.iceberg import Snapshot

TOKEN = "headrace.commit-token"
"""The summary's member that tells whether a commit took place."""


@dataclass(frozen=True)
class Counts:
    """Data files, their rows and bytes, and the partitions they are in."""

    files: int = 0
    rows: int = 0
    bytes: int = 0
    partitions: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.files + other.files,
            self.rows + other.rows,
            self.bytes + other.bytes,
            self.partitions + other.partitions,
        )


_CHANGES = (
    ("added-data-files", "deleted-data-files", "total-data-files", "files"),
    ("added-records", "deleted-records", "total-records", "rows"),
    ("added-files-size", "removed-files-size", "total-files-size", "bytes"),
)


def summarise(
    operation: str,
    parent: Snapshot | None,
    added: Counts,
    removed: Counts,
    token: str,
    properties: Mapping[str, str],
) -> dict[str, str]:
    """The summary of a snapshot.

    Parameters
    ----------
    operation : str
        append, overwrite, delete or replace.
    parent : Snapshot or None
        Totals continue from its summary; where it has none, nor has this one.
    added, removed : Counts
        What changes.
    token : str
        Of the commit.
    properties : mapping of str to str
        The caller's own members; they never replace those above, but those of the surroundings (flow, run, task).
    """
    from headrace._engine import __version__

    made = surroundings.lineage() | {str(key): str(value) for key, value in properties.items()}
    before = {"operation": ""} if parent is None else dict(parent.summary or {})
    known = parent is None
    for adding, removing, total, name in _CHANGES:
        plus, minus = getattr(added, name), getattr(removed, name)
        made |= {adding: str(plus)} if plus else {}
        made |= {removing: str(minus)} if minus else {}
        previous = _number(before.get(total), known)
        if previous is not None:
            made[total] = str(max(previous + plus - minus, 0))
    if added.partitions or removed.partitions:
        made["changed-partition-count"] = str(max(added.partitions, removed.partitions))
    engine = {"engine-name": "headrace", "engine-version": __version__}
    return {"operation": operation} | made | engine | {TOKEN: token}


def row_deletes(
    parent: Snapshot | None, added: Counts, vectors: bool, gone: Counts, dropped: int, left: int
) -> dict[str, str]:
    """What a summary says of row deletes.

    Parameters
    ----------
    parent : Snapshot or None
        Totals continue from its summary.
    added : Counts
        Files of position deletes, or deletion vectors, and the rows that they delete.
    vectors : bool
        Which of the two.
    gone : Counts
        Deletion vectors that were replaced, or went with their data files.
    dropped, left : int
        Delete files that apply to nothing any more, and all that are live now. How many rows those that were dropped
        delete is not known without reading them.
    """
    before = {} if parent is None else dict(parent.summary or {})
    known = parent is None
    made: dict[str, str] = {}
    if added.files:
        kind = "added-dvs" if vectors else "added-position-delete-files"
        made |= {"added-delete-files": str(added.files), kind: str(added.files)}
        made["added-position-deletes"] = str(added.rows)
    if gone.files:
        made |= {"removed-dvs": str(gone.files), "removed-position-deletes": str(gone.rows)}
    if gone.files or dropped:
        made["removed-delete-files"] = str(gone.files + dropped)
    rows = _number(before.get("total-position-deletes"), known)
    if rows is not None:
        made["total-position-deletes"] = str(max(rows + added.rows - gone.rows, 0) if left else 0)
    by_value = _number(before.get("total-equality-deletes"), known)
    if by_value is not None:
        made["total-equality-deletes"] = str(by_value if left else 0)
    made["total-delete-files"] = str(left)
    return made


def _number(text: str | None, known: bool) -> int | None:
    if text is not None and text.isdigit():
        return int(text)
    return 0 if known else None
