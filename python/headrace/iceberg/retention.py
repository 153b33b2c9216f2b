"""Which snapshots, branches and tags expire: the spec's retention rules, by the table's properties and each ref's own.

Pure: metadata in, ids and names out. Must not know: catalogs, files, what becomes of what expires.
Spec: Iceberg table spec, "Snapshot Retention Policy"; defaults are Iceberg's own (docs, "Table behavior properties").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headrace.errors import InvalidArgument
from headrace.iceberg.metadata import TableMetadata
from headrace.iceberg.snapshots import MAIN, Snapshot, SnapshotRef

MAX_SNAPSHOT_AGE = "history.expire.max-snapshot-age-ms"
MIN_SNAPSHOTS = "history.expire.min-snapshots-to-keep"
MAX_REF_AGE = "history.expire.max-ref-age-ms"
_DEFAULTS = {MAX_SNAPSHOT_AGE: 5 * 86_400_000, MIN_SNAPSHOTS: 1, MAX_REF_AGE: 2**63 - 1}


@dataclass(frozen=True)
class Expiring:
    """What expires: snapshots by id, branches and tags by name."""

    snapshot_ids: frozenset[int]
    refs: frozenset[str]


def expiring(
    metadata: TableMetadata, now_ms: int, older_than_ms: int | None = None, retain_last: int | None = None
) -> Expiring:
    """What has expired at a time.

    Parameters
    ----------
    metadata : TableMetadata
        The table.
    now_ms : int
        The time, milliseconds since 1970-01-01 UTC.
    older_than_ms : int or None
        Snapshots from before this time expire, where their branch has no age of its own; None: the table's property.
    retain_last : int or None
        So many snapshots of a branch stay, where it has no number of its own; None: the table's property.
    """
    refs = {name for name, ref in metadata.refs.items() if _is_over(metadata, ref, now_ms)}
    least = retain_last if retain_last is not None else _number(metadata, MIN_SNAPSHOTS)
    oldest_ms = older_than_ms if older_than_ms is not None else now_ms - _number(metadata, MAX_SNAPSHOT_AGE)
    kept: set[int] = set()
    reached: set[int] = set()
    for name in metadata.refs.keys() - refs:
        ref = metadata.refs[name]
        if ref.kind == "tag":
            kept.add(ref.snapshot_id)
            continue
        history = list(_history(metadata, ref.snapshot_id))
        reached |= {each.snapshot_id for each in history}
        kept |= _kept_of_branch(history, ref, now_ms, oldest_ms, least)
    times = metadata.snapshot_times
    kept |= {each for each, at_ms in times.items() if each not in reached and at_ms >= oldest_ms}
    return Expiring(frozenset(times.keys() - kept), frozenset(refs))


def named(metadata: TableMetadata, snapshot_ids: frozenset[int]) -> Expiring:
    """Just these snapshots, as far as the table has them; no ref may point to one.

    Raises
    ------
    InvalidArgument
        A branch or tag points to one of them.
    """
    for name, ref in metadata.refs.items():
        if ref.snapshot_id in snapshot_ids:
            message = f"snapshot {ref.snapshot_id} cannot expire: {ref.kind} {name!r} points to it"
            raise InvalidArgument(message, hint=f"drop_{ref.kind}({name!r}) first, or leave it out")
    return Expiring(snapshot_ids & metadata.snapshot_times.keys(), frozenset())


def _is_over(metadata: TableMetadata, ref: SnapshotRef, now_ms: int) -> bool:
    """Whether a branch or tag itself expires; "main" never does. One that points nowhere is of no use."""
    if ref.name == MAIN:
        return False
    at_ms = metadata.snapshot_times.get(ref.snapshot_id)
    longest_ms = ref.max_ref_age_ms if ref.max_ref_age_ms is not None else _number(metadata, MAX_REF_AGE)
    return at_ms is None or now_ms - at_ms > longest_ms


def _kept_of_branch(history: list[Snapshot], ref: SnapshotRef, now_ms: int, oldest_ms: int, least: int) -> set[int]:
    """From the head back: as many as must stay, and those that are young enough, without a gap."""
    if ref.max_snapshot_age_ms is not None:
        oldest_ms = now_ms - ref.max_snapshot_age_ms
    if ref.min_snapshots_to_keep is not None:
        least = ref.min_snapshots_to_keep
    kept: set[int] = set()
    for each in history:
        if len(kept) >= max(least, 1) and each.timestamp_ms < oldest_ms:
            break
        kept.add(each.snapshot_id)
    return kept


def _history(metadata: TableMetadata, snapshot_id: int | None) -> Iterator[Snapshot]:
    seen: set[int] = set()
    while snapshot_id is not None and snapshot_id not in seen:
        seen.add(snapshot_id)
        found = metadata.snapshot(snapshot_id)
        if found is None:
            return
        yield found
        snapshot_id = found.parent_snapshot_id


def _number(metadata: TableMetadata, name: str) -> int:
    text = metadata.properties.get(name)
    if text is None:
        return _DEFAULTS[name]
    if not text.strip().isdigit():
        raise InvalidArgument(f"table property {name!r}: expected a number, found {text[:40]!r}")
    return int(text)
