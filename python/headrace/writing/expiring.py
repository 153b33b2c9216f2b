"""Snapshots that are not needed any more go, and after that the files that only they reach.

The commit comes first: files are removed when the catalog has said that their snapshots are gone, and never what any
remaining snapshot reaches. Must not know: manifests, the rules of retention (`iceberg.retention`). Neighbours:
`maintenance.py` asks, `administration.py` commits, engine/core/src/iceberg/reach removes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from headrace.access import TableAccess
from headrace.errors import HeadraceError
from headrace.iceberg import Snapshot, TableMetadata, updates
from headrace.iceberg.retention import Expiring
from headrace.writing.orphans import snapshot_json, statistics


@dataclass(frozen=True)
class Expired:
    """What `expire_snapshots` did.

    Attributes
    ----------
    snapshot_ids : tuple of int
        Snapshots that are gone.
    refs : tuple of str
        Branches and tags that are gone.
    data_files, position_delete_files, equality_delete_files, statistics_files, manifests, manifest_lists : int
        Objects that were removed.
    """

    snapshot_ids: tuple[int, ...] = ()
    refs: tuple[str, ...] = ()
    data_files: int = 0
    position_delete_files: int = 0
    equality_delete_files: int = 0
    statistics_files: int = 0
    manifests: int = 0
    manifest_lists: int = 0


class Expiry:
    """One expiry, over the attempts of its commit.

    Parameters
    ----------
    rule : callable
        What expires of the table as it is.
    """

    def __init__(self, rule: Callable[[TableMetadata], Expiring]) -> None:
        self._rule = rule
        self._asked: dict[int, Snapshot] = {}
        self._refs: set[str] = set()
        self._statistics: dict[str, int] = {}

    def change(self, now: TableMetadata) -> tuple[list[updates.Requirement], list[updates.Update]]:
        """Requirements and updates: no branch or tag may move meanwhile, so that none moves to what goes."""
        found = self._rule(now)
        self._refs |= found.refs
        self._statistics |= statistics(now)
        for each in found.snapshot_ids:
            if snapshot := now.snapshot(each):
                self._asked[each] = snapshot
        made = [updates.remove_ref(each) for each in sorted(found.refs)]
        made += updates.remove_snapshots(sorted(found.snapshot_ids))
        return [updates.assert_ref(name, ref.snapshot_id) for name, ref in sorted(now.refs.items())], made

    def result(self, access: TableAccess, delete_files: bool) -> Expired:
        """What was done, by the table after the commit; removes files.

        Raises
        ------
        HeadraceError
            Files could not be removed: the snapshots are gone all the same.
        """
        after = access.loaded().metadata
        gone = [each for each in self._asked.values() if after.snapshot(each.snapshot_id) is None]
        ids = tuple(sorted(each.snapshot_id for each in gone))
        refs = tuple(sorted(self._refs - after.refs.keys()))
        counts = self._remove(access, after, gone) if delete_files and gone else {}
        return Expired(ids, refs, **{_NAMES[name]: count for name, count in counts.items()})

    def _remove(self, access: TableAccess, after: TableMetadata, gone: list[Snapshot]) -> dict[str, int]:
        from headrace import _engine

        ids = {each.snapshot_id for each in gone}
        request = {
            "expired": [snapshot_json(each) for each in gone],
            "kept": [snapshot_json(each) for each in after.snapshots],
            "keep": list(statistics(after)),
            "statistics": [path for path, snapshot_id in self._statistics.items() if snapshot_id in ids],
        }
        try:
            with access.naming():
                found: dict[str, int] = json.loads(_engine.remove_expired(access.store(), json.dumps(request)))
        except HeadraceError as error:
            error.hint = "the snapshots have expired; remove_orphan_files() removes the files that are left of them"
            raise
        return found


_NAMES = {
    "data": "data_files",
    "position_deletes": "position_delete_files",
    "equality_deletes": "equality_delete_files",
    "statistics": "statistics_files",
    "manifests": "manifests",
    "manifest_lists": "manifest_lists",
}
