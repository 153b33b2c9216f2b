"""Objects below a table's folders that nothing of the table reaches: left by writers that died or were refused.

What is young may be a commit's that is still under way: an age limit protects it, and staged files can be named. The
listing comes first and the table is read after it, so that whatever a commit has made part of the table by then is
known. Must not know: manifests (the engine goes through them), how objects are removed. Neighbours: `maintenance.py`
asks, engine/core/src/iceberg/reach finds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from headrace.access import TableAccess
from headrace.catalog import LoadedTable
from headrace.errors import InvalidArgument, UnsupportedError
from headrace.iceberg import Snapshot, TableMetadata
from headrace.writing.commit import writable
from headrace.writing.manifests import folder
from headrace.writing.staging import paths

if TYPE_CHECKING:
    from headrace._engine import Listing, Store

OLDER_THAN = timedelta(days=3)
"""What is younger is left alone unless the caller says otherwise."""

YOUNGEST = timedelta(hours=24)
"""A shorter limit must be forced: a write that takes longer than the limit loses its files."""


def find(
    access: TableAccess,
    older_than: timedelta,
    staged: Iterable[Any],
    locations: Sequence[str] | None,
    force: bool,
) -> tuple[Store, Listing]:
    """The orphans of a table as it is now, and the store that they are in; see `Table.orphan_files`."""
    from headrace import _engine

    limit_s = _checked(older_than, force).total_seconds()
    before_ms = int((time.time() - limit_s) * 1000)
    catalog = writable(access)
    access = access.fresh()
    store = access.store()
    staged_paths = paths(staged)
    listing = _engine.Listing(store, list(locations or [access.loaded().metadata.location]))
    loaded = catalog.load_table(access.identifier)
    known = loaded.metadata.snapshots
    found = listing.orphans(store, _request(loaded, known, staged_paths, before_ms))
    if not len(found):
        return store, found
    # Once more, for what was committed while manifests were read: only new snapshots have to be gone through.
    loaded = catalog.load_table(access.identifier)
    ids = {each.snapshot_id for each in known}
    new = [each for each in loaded.metadata.snapshots if each.snapshot_id not in ids]
    return store, found.orphans(store, _request(loaded, new, staged_paths, before_ms))


def refuse_without_garbage_collection(metadata: TableMetadata) -> None:
    """Raise UnsupportedError for a table whose files may be in use elsewhere: its property `gc.enabled` says so."""
    if metadata.properties.get("gc.enabled", "true").lower() == "false":
        hint = "set_properties({'gc.enabled': 'true'}) if no other table uses its files"
        raise UnsupportedError("the table's property gc.enabled is false: its files are not removed", hint=hint)


def snapshot_json(snapshot: Snapshot) -> dict[str, Any]:
    """What the engine must know to go through a snapshot's files."""
    return {"manifest_list": snapshot.manifest_list, "manifests": list(snapshot.manifests)}


def statistics(metadata: TableMetadata) -> dict[str, int]:
    """Location of every statistics file -> its snapshot."""
    found: dict[str, int] = {}
    for name in ("statistics", "partition-statistics"):
        for each in metadata.raw.get(name) or []:
            if isinstance(each, dict) and isinstance(each.get("statistics-path"), str):
                found[each["statistics-path"]] = each.get("snapshot-id", -1)
    return found


def _request(loaded: LoadedTable, snapshots: Sequence[Snapshot], staged: Sequence[str], before_ms: int) -> str:
    metadata = loaded.metadata
    if loaded.metadata_location is None:
        message = "the catalog does not say which metadata file is the table's: none can be told to be unused"
        raise UnsupportedError(message)
    log = [each.get("metadata-file") for each in metadata.raw.get("metadata-log") or [] if isinstance(each, dict)]
    files = [loaded.metadata_location, *(each for each in log if isinstance(each, str))]
    folders = {each.rpartition("/")[0] for each in files} | {folder(metadata), f"{metadata.location}/metadata"}
    hints = [f"{each}/version-hint.text" for each in folders]
    return json.dumps(
        {
            "snapshots": [snapshot_json(each) for each in snapshots],
            "keep": [*files, *hints, *statistics(metadata), *staged],
            "modified_before_ms": before_ms,
            "metadata_folders": sorted(folders),
        }
    )


def _checked(older_than: timedelta, force: bool) -> timedelta:
    if not isinstance(older_than, timedelta) or older_than < timedelta(0):
        raise InvalidArgument(f"older_than is a timedelta of 0 or more, found {older_than!r}")
    if older_than < YOUNGEST and not force:
        message = f"older_than={older_than} is shorter than {YOUNGEST}: files of writes under way would be removed"
        raise InvalidArgument(message, hint="force=True, if nobody writes to the table")
    return older_than
