"""A change becomes a snapshot: tried until the answer is known, and done once.

The order of one attempt: load the table, look for the change's token among the branch's snapshots, make the parts,
write the list, ask the catalog to move the branch from the snapshot that was seen. A conflict starts over. An unknown
outcome starts over too: the next attempt first looks for the token, and since every attempt asserts the branch's head,
of two attempts that are both under way at most one takes effect. Must not know: what a change consists of, manifests.
Neighbours: `snapshots.py` makes parts, `headrace.catalog` keeps the promise to be atomic.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from headrace.access import TableAccess
from headrace.catalog import Catalog, LoadedTable
from headrace.errors import (
    HeadraceError,
    InvalidArgument,
    MetaflowTableCommitStateUnknownException,
    MetaflowTableConflict,
    MetaflowTableRateLimitException,
    ObjectNotFound,
    TableLocked,
    UnsupportedError,
)
from headrace.iceberg import Snapshot, TableMetadata, updates
from headrace.iceberg.snapshots import MAIN
from headrace.writing.history import CLOCKS_MS, ancestors, find_token, knows_back_to
from headrace.writing.manifests import Listed, Manifests, Parts, ref_json
from headrace.writing.retry import Retry
from headrace.writing.snapshots import Change
from headrace.writing.staging import StagedFile
from headrace.writing.summary import TOKEN, row_deletes, summarise

KEPT_MS = 23 * 3_600_000
"""No staged file that is younger is taken for an orphan (orphans.py): only older ones may be gone."""

_CHECKS = 16
"""Requests at a time that ask whether a staged file is there."""


@dataclass(frozen=True)
class Committed:
    """How a commit ended: the table after it, and the snapshot that holds the change."""

    loaded: LoadedTable
    snapshot_id: int | None
    """None if there was nothing to change."""
    attempts: int = 1


def commit_change(
    access: TableAccess,
    change: Change,
    branch: str = MAIN,
    properties: Mapping[str, str] | None = None,
    own_files: Sequence[str] = (),
) -> Committed:
    """Commit a change to a branch.

    Parameters
    ----------
    access : TableAccess
        The table.
    change : Change
        What to do; its token tells it apart from every other.
    branch : str, default "main"
        Made from the head of "main" where it does not exist.
    properties : mapping of str to str or None
        Further members of the snapshot's summary.
    own_files : sequence of str
        Data files that nobody else knows of: they go too if the commit certainly fails.

    Raises
    ------
    MetaflowTableConflict
        Somebody else changed what this change relies on, or was faster at every attempt. Nothing was changed.
    MetaflowTableCommitStateUnknownException
        The catalog did not answer, and whether the change took effect could not be found out. Committing the same
        staged files again is safe: it looks first.
    """
    catalog = writable(access)
    with access.naming():
        return _Commit(access, catalog, change, branch, dict(properties or {}), own_files).run()


def writable(access: TableAccess) -> Catalog:
    """The catalog that moves a table's branches."""
    if access.catalog is None:
        hint = "register it in a catalog, and open it there"
        raise UnsupportedError("a table without a catalog is read-only", table=access.name, hint=hint)
    if access.loaded().hive is not None:
        message = "a legacy Hive table has no snapshots: it is appended to, or its partitions are replaced"
        raise UnsupportedError(message, table=access.name, hint="append, overwrite_partitions, or an Iceberg table")
    refuse_moved(access)
    return access.catalog


def refuse_moved(access: TableAccess) -> None:
    """An error for a table that is read elsewhere than its metadata says."""
    if (rule := access.mapped()) is not None:
        # Its metadata names the original's files: a commit would be the copy's, and its new files the original's
        message = f"a table that location-map moves ({rule}) is read-only: its metadata names the original's files"
        hint = "write to the original, or register the table at metadata that names its own files"
        raise UnsupportedError(message, table=access.name, hint=hint)


class _Commit:
    """One commit, over its attempts."""

    def __init__(
        self,
        access: TableAccess,
        catalog: Catalog,
        change: Change,
        branch: str,
        properties: dict[str, str],
        own_files: Sequence[str],
    ) -> None:
        self._access = access
        self._catalog = catalog
        self._change = change
        self._branch = branch
        self._properties = properties
        self._manifests = Manifests(access.store(), access.loaded().metadata)
        self._manifests.wrote(own_files, shared=True)
        self._is_own = bool(own_files)
        self._passed_over: set[int] = set()
        """Snapshots that are known to have none of the files."""
        self._unknown: MetaflowTableCommitStateUnknownException | None = None
        """The last attempt whose outcome nobody told us."""
        self._in_doubt = False
        """The catalog was asked, and may have done what it was asked: nothing that was written may go."""

    def run(self) -> Committed:
        try:
            loaded = self._catalog.load_table(self._access.identifier)
            retry = Retry(loaded.metadata.properties)
            while True:
                done = self._attempt(loaded, retry)
                if done is not None:
                    return done
                loaded = self._look()
        except HeadraceError:
            self._clean()
            raise
        except BaseException:
            if not self._in_doubt:  # else the interrupted request may still take effect, whatever a look shows now
                self._manifests.discard()
            raise

    def _attempt(self, loaded: LoadedTable, retry: Retry) -> Committed | None:
        """Commit once; None if it has to be tried again."""
        metadata = loaded.metadata
        if (found := find_token(metadata, self._head(metadata), self._change.token)) is not None:
            return self._found(loaded, found, retry)
        parent = self._head(metadata)
        if self._is_live(metadata, parent):
            return Committed(loaded, parent.snapshot_id if parent else None, retry.attempts)
        parts = self._change.parts(self._manifests, metadata, parent)
        if parts is None:
            return Committed(loaded, None, retry.attempts)
        requirements, changes = self._request(metadata, parent, parts)
        self._in_doubt = True  # also while Ctrl-C interrupts the call
        try:
            done = self._catalog.commit_table(self._access.identifier, requirements, changes)
            if self._unknown is None:
                self._manifests.succeeded()
            return Committed(done, self._manifests.snapshot_id, retry.attempts)
        except MetaflowTableCommitStateUnknownException as error:
            self._unknown = error
            if retry.again():
                return None
            failure: HeadraceError = error
        except TableLocked as error:
            failure = error  # it was waited for long enough
        except MetaflowTableConflict as error:
            if retry.again():
                return None
            message = f"other writers were faster at each of {retry.attempts} attempts: {error.reason}"
            hint = "try again, or raise the table property commit.retry.num-retries"
            failure = MetaflowTableConflict(message, hint=hint)
            failure.__cause__ = error
        except MetaflowTableRateLimitException as error:
            if retry.again():
                return None
            failure = error
        # Even a refusal is believed only after a look: a network that repeats requests answers with the second one's.
        loaded = self._look()
        found = find_token(loaded.metadata, self._head(loaded.metadata), self._change.token)
        if found is None:
            raise failure
        return self._found(loaded, found, retry)

    def _is_live(self, metadata: TableMetadata, head: Snapshot | None) -> bool:
        """Whether the files are in the table already, where its history is too short to tell by the token."""
        files = self._change.files(metadata)
        if not files or head is None or knows_back_to(metadata, head, min(each.at_ms for each in files)):
            old = [each.path for each in files if each.at_ms < _now_ms() - KEPT_MS]
            self._check_there(old)
            if files and head is not None and not self._is_own:
                self._check_new(metadata, head, files)
            return False
        live = self._manifests.live(metadata, head)
        there = [each.path for each in files if each.path in live]
        if there and len(there) < len(files):
            raise _taken(len(there), len(files), there[0], "by another commit")
        if not there:
            self._check_there([each.path for each in files])
        return bool(there)

    def _check_new(self, metadata: TableMetadata, head: Snapshot, files: Sequence[StagedFile]) -> None:
        """Raise MetaflowTableConflict if another commit took some of these files, whatever became of them since."""
        staged, oldest_ms = {each.path for each in files}, min(each.at_ms for each in files) - CLOCKS_MS
        for each in ancestors(metadata, head):
            if each.timestamp_ms < oldest_ms:
                return
            if TOKEN not in (each.summary or {}) or each.snapshot_id in self._passed_over:
                continue
            if there := sorted(staged & self._manifests.added(metadata, each)):
                raise _taken(len(there), len(files), there[0], f"by snapshot {each.snapshot_id}")
            self._passed_over.add(each.snapshot_id)

    def _check_there(self, locations: Sequence[str]) -> None:
        """Raise MetaflowTableConflict unless staged files that may have been removed since are there."""

        if not locations:
            return

        def gone(location: str) -> str | None:
            try:
                self._manifests.store.size(location)
            except ObjectNotFound:
                return location
            return None

        with ThreadPoolExecutor(min(len(locations), _CHECKS)) as pool:
            missing = [each for each in pool.map(gone, locations) if each is not None]
        if missing:
            message = f"{len(missing)} of the staged files are gone"
            hint = (
                "they were in the table, and were compacted and expired since; or remove_orphan_files() was not told of"
                " them (staged=): then stage the rows again"
            )
            raise MetaflowTableConflict(message, location=missing[0], hint=hint)

    def _head(self, metadata: TableMetadata) -> Snapshot | None:
        """The snapshot that the new one follows: the branch's head; a new branch starts at the head of "main"."""
        ref = metadata.refs.get(self._branch)
        if ref is None:
            return metadata.current_snapshot
        if ref.kind != "branch":
            raise InvalidArgument(f"{self._branch!r} is a {ref.kind}: only branches are written to")
        return metadata.snapshot(ref.snapshot_id)

    def _request(
        self, metadata: TableMetadata, parent: Snapshot | None, parts: Parts
    ) -> tuple[list[updates.Requirement], list[updates.Update]]:
        version = metadata.format_version
        sequence_number = metadata.last_sequence_number + 1 if version > 1 else 0
        listed = self._manifests.write_list(metadata, parent, parts, sequence_number)
        now = _now_ms()
        made: dict[str, Any] = {
            "snapshot-id": self._manifests.snapshot_id,
            "timestamp-ms": max(now, metadata.last_updated_ms),
            "manifest-list": listed.location,
            "summary": self._summary(version, parent, parts, listed),
            "schema-id": metadata.schema.schema_id,
        }
        if parent is not None:
            made["parent-snapshot-id"] = parent.snapshot_id
        if version > 1:
            made["sequence-number"] = sequence_number
        if version > 2:
            made |= {"first-row-id": metadata.next_row_id or 0, "added-rows": listed.row_ids}
        ref = metadata.refs.get(self._branch)
        asserted = updates.assert_ref(self._branch, ref.snapshot_id if ref else None)
        requirements = [*updates.assert_uuid(metadata), asserted]
        return requirements, updates.add_snapshot(made, self._branch, ref_json(metadata, self._branch))

    def _summary(self, version: int, parent: Snapshot | None, parts: Parts, listed: Listed) -> dict[str, str]:
        properties = self._properties | dict(parts.notes)
        new = replace(parts.new, bytes=parts.new.bytes + parts.marks.bytes)
        gone = replace(parts.gone, bytes=parts.gone.bytes + parts.vectors.bytes)
        made = summarise(parts.operation, parent, new, gone, self._change.token, properties)
        dropped, left, vectors = listed.deletes_dropped, listed.deletes_left, version > 2
        return made | row_deletes(parent, parts.marks, vectors, parts.vectors, dropped, left)

    def _look(self) -> LoadedTable:
        """The table as it is now, which settles whether the last attempt took effect."""
        try:
            loaded = self._catalog.load_table(self._access.identifier)
        except HeadraceError as error:
            if self._unknown is not None:
                raise self._unknown from error
            raise
        mine = loaded.metadata.snapshot(self._manifests.snapshot_id) is not None
        # An unknown attempt may still be under way, even if it is not there yet; its files stay, whatever comes.
        self._in_doubt = mine or self._unknown is not None
        self._manifests.end_attempt(failed=not self._in_doubt)
        return loaded

    def _found(self, loaded: LoadedTable, found: Snapshot, retry: Retry) -> Committed:
        """The change is in the history. What this commit wrote goes, unless the snapshot is its own."""
        if found.snapshot_id != self._manifests.snapshot_id:
            self._clean()
        return Committed(loaded, found.snapshot_id, retry.attempts)

    def _clean(self) -> None:
        """Remove what was written, if it is certain that nothing refers to it."""
        if self._in_doubt and self._unknown is None:
            with contextlib.suppress(HeadraceError):
                self._look()
        if not self._in_doubt:
            self._manifests.discard()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _taken(there: int, of: int, path: str, whose: str) -> MetaflowTableConflict:
    message = f"{there} of {of} staged files were committed already, {whose}"
    hint = "commit each staged file once, with the same others and the same mode as before"
    return MetaflowTableConflict(message, location=path, hint=hint)
