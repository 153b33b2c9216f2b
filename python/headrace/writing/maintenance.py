"""What keeps a table of many small writes quick and small: compaction, expiry, removal of what nothing reaches.

None of it changes the rows that a reader of the table sees. Must not know: manifests, Parquet, the rules of retention.
Neighbours: `headrace.table` mixes it into `Table`; `compacting.py`, `expiring.py` and `orphans.py` do what it says.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from headrace.access import TableAccess
from headrace.errors import InvalidArgument
from headrace.iceberg import TableMetadata, retention, updates
from headrace.iceberg.snapshots import to_milliseconds
from headrace.writing import staging
from headrace.writing.commit import Committed, commit_change, writable
from headrace.writing.compacting import MIN_INPUT_FILES, Cluster, rewritten
from headrace.writing.expiring import Expired, Expiry
from headrace.writing.orphans import OLDER_THAN, find, refuse_without_garbage_collection
from headrace.writing.snapshots import Replace, Selection

if TYPE_CHECKING:
    from headrace.catalog import LoadedTable
    from headrace.dataframe import MetaflowDataFrame
    from headrace.filters import Expression


class Maintenance:
    """The half of `Table` that looks after its files."""

    _access: TableAccess
    _branch: str | None

    if TYPE_CHECKING:
        Changes = tuple[list[updates.Requirement], list[updates.Update]]

        def _moved(self, loaded: LoadedTable) -> None: ...
        def _target(self, branch: str | None) -> str: ...
        def _view(self, branch: str, fresh: bool) -> Any: ...
        def _alter(self, change: Callable[[TableMetadata], Changes]) -> None: ...
        @classmethod
        def _of(cls, access: TableAccess, chosen: Mapping[str, Any]) -> Self: ...

    def compact(
        self,
        filter: str | Expression | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        target_file_size: int | None = None,
        min_input_files: int = MIN_INPUT_FILES,
        branch: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> Committed:
        """Write small files again as larger ones, and files with row deletes without them, in one snapshot.

        Parameters
        ----------
        filter, params
            Only files that may hold such rows, for example of one partition; see `Table.scan`. Such files are written
            again whole: no row is lost or left behind.
        target_file_size : int or None
            Bytes of a file; None: `write.target-file-size-bytes`. Files between 0.75 and 1.8 of it stay as they are,
            unless rows of them are deleted or they are of an earlier partition spec.
        min_input_files : int, default 5
            A partition's small files are left alone while there are fewer, and together they do not fill a file.
        branch, properties
            See `append`.

        Returns
        -------
        Committed
            Its snapshot_id is None if there was nothing worth writing again.

        Raises
        ------
        MetaflowTableConflict
            Meanwhile somebody removed, or deleted rows of, a file that was written again; names their snapshot. Rows
            added meanwhile are no conflict.

        Notes
        -----
        One bin of about a file's size is in memory at a time. Rows are sorted within a bin if the table has a sort
        order. New files keep the sequence number of the snapshot that was read, so that equality deletes that come
        meanwhile apply to them. Format version 3: rows keep their row ids and the sequence number of their last
        change, except where rows of a bin's files were deleted: then all rows of that bin get new ones.
        """
        writable(self._access)
        target = self._target(branch)
        view = self._view(target, fresh=True)
        old, staged = rewritten(view, filter, params, target_file_size, min_input_files)
        if not old:
            return Committed(view._access.loaded(), None)
        selection = Selection(
            "listed", rewritten=tuple(old), isolation="snapshot", only_rewritten=True, keeps_sequence=True
        )
        files = staging.take(staged, view.metadata)
        token = staging.token(files, "compact") if files else uuid.uuid4().hex
        change = Replace(staged, token, selection, view.snapshot, "replace")
        done = commit_change(view._access, change, target, properties, [each.path for each in files])
        self._moved(done.loaded)
        return done

    def rewrite_manifests(self, *, branch: str | None = None, properties: Mapping[str, str] | None = None) -> Committed:
        """Sort the entries of the table's manifests by partition, so that a plan reads few of them; one snapshot.

        Manifests get about `commit.manifest.target-size-bytes`. No file comes or goes, and what the manifests say of
        each stays as it was: snapshot, sequence numbers, row ids. Manifests of row deletes stay. Appends meanwhile are
        no conflict. Nothing is committed if they are sorted already. Parameters: see `append`.
        """
        writable(self._access)
        done = commit_change(self._access.fresh(), Cluster(), self._target(branch), properties)
        self._moved(done.loaded)
        return done

    def expire_snapshots(
        self,
        older_than: timedelta | datetime | date | str | int | None = None,
        retain_last: int | None = None,
        snapshot_ids: Iterable[int] | None = None,
        *,
        delete_files: bool = True,
    ) -> Expired:
        """Forget snapshots that are not needed any more, and remove the files that only they reach.

        Parameters
        ----------
        older_than : timedelta, datetime, date, ISO text, milliseconds, or None
            Snapshots of this age, or from before this time, expire; None: `history.expire.max-snapshot-age-ms` (5
            days). A branch with an age of its own keeps it.
        retain_last : int or None
            So many snapshots of each branch stay, whatever their age; None: `history.expire.min-snapshots-to-keep` (1).
        snapshot_ids : iterable of int or None
            Just these expire, whatever their age, and no branch or tag does.
        delete_files : bool, default True
            False leaves the files: `remove_orphan_files` finds them later.

        Returns
        -------
        Expired
            The snapshots and refs that are gone, and how many objects of which kind were removed.

        Raises
        ------
        InvalidArgument
            A snapshot that the table does not have, or that a branch or tag points to.
        UnsupportedError
            The table's property `gc.enabled` is false.
        MetaflowTableCommitStateUnknownException
            Whether the snapshots are gone is not known: no file was removed.

        Notes
        -----
        Branches and tags expire by `max_ref_age_ms`, their own or `history.expire.max-ref-age-ms`; "main" never does.
        Files are removed after the commit, and none that a remaining snapshot reaches. Who still reads an expired
        snapshot loses its files.
        """
        if delete_files:
            refuse_without_garbage_collection(writable(self._access).load_table(self._access.identifier).metadata)
        expiry = Expiry(_rule(older_than, retain_last, snapshot_ids))
        self._alter(expiry.change)
        return expiry.result(self._access, delete_files)

    def orphan_files(
        self,
        older_than: timedelta = OLDER_THAN,
        *,
        staged: Iterable[Any] = (),
        locations: Sequence[str] | None = None,
        force: bool = False,
    ) -> MetaflowDataFrame:
        """Objects below the table's location that nothing of the table reaches.

        Parameters
        ----------
        older_than : timedelta, default 3 days
            What was written since is left alone: it may belong to a write under way.
        staged : iterable
            What `stage` returned and may still be committed: these files are no orphans, however old.
        locations : sequence of str or None
            Folders to look in, among those that the table may read; None: its own location. Folders that
            `write.data.path` and `write.metadata.path` put elsewhere may hold other tables' files, so they are looked
            in only if they are named.
        force : bool, default False
            Allow less than 24 hours.

        Returns
        -------
        MetaflowDataFrame
            location, size (bytes), modified (UTC), sorted by location.

        Raises
        ------
        InvalidArgument
            `older_than` is shorter than 24 hours and not forced.
        UnsupportedError
            Metadata of another table lies below the location.

        Notes
        -----
        In use is what any snapshot reaches that the table still has, the metadata files of its log, statistics files.
        Schemes (s3, s3a, s3n), percent-encoding and repeated slashes make no difference. Times are the store's, the
        limit is counted from this machine's clock.
        """
        with self._access.naming():
            _, found = find(self._access, older_than, staged, locations, force)
            return _frame(found)

    def remove_orphan_files(
        self,
        older_than: timedelta = OLDER_THAN,
        *,
        staged: Iterable[Any] = (),
        locations: Sequence[str] | None = None,
        force: bool = False,
        dry_run: bool = False,
    ) -> MetaflowDataFrame:
        """Remove what `orphan_files` lists, and return it. `dry_run` removes nothing.

        Parameters and errors: see `orphan_files`; UnsupportedError too if the property `gc.enabled` is false.
        """
        refuse_without_garbage_collection(writable(self._access).load_table(self._access.identifier).metadata)
        with self._access.naming():
            store, found = find(self._access, older_than, staged, locations, force)
            if not dry_run:
                found.delete(store)
            return _frame(found)


def _frame(listing: Any) -> MetaflowDataFrame:
    from headrace.dataframe import MetaflowDataFrame

    return MetaflowDataFrame(listing.to_frame())


def _rule(
    older_than: timedelta | datetime | date | str | int | None,
    retain_last: int | None,
    snapshot_ids: Iterable[int] | None,
) -> Callable[[TableMetadata], retention.Expiring]:
    """What expires of a table, as the caller asked for it."""
    if retain_last is not None and (not isinstance(retain_last, int) or retain_last < 1):
        raise InvalidArgument(f"retain_last is a number of snapshots, at least 1, found {retain_last!r}")
    now_ms = time.time_ns() // 1_000_000
    if snapshot_ids is None:
        before_ms = _before(older_than, now_ms)
        return lambda metadata: retention.expiring(metadata, now_ms, before_ms, retain_last)
    if older_than is not None or retain_last is not None:
        raise InvalidArgument("snapshot_ids excludes older_than and retain_last: give one or the other")
    ids = frozenset(snapshot_ids)
    known: set[int] = set()

    def rule(metadata: TableMetadata) -> retention.Expiring:
        known.update(metadata.snapshot_times)
        if unknown := ids - known:
            raise InvalidArgument(f"the table has no snapshot {min(unknown)}", hint="snapshots() lists them")
        return retention.named(metadata, ids)

    return rule


def _before(older_than: timedelta | datetime | date | str | int | None, now_ms: int) -> int | None:
    if isinstance(older_than, timedelta):
        return now_ms - int(older_than.total_seconds() * 1000)
    return None if older_than is None else to_milliseconds(older_than)
