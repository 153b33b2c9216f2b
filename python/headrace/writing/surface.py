"""What a `Table` can do to its rows: append, overwrite, delete, and the same as staged work with one commit.

Must not know: manifests, attempts. Neighbours: `headrace.table` mixes it into `Table`; `snapshots.py` and `commit.py`
do what it says.
"""

from __future__ import annotations

import functools
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from headrace import surroundings
from headrace.access import TableAccess
from headrace.errors import InvalidArgument
from headrace.iceberg import NestedField, Snapshot, TableMetadata
from headrace.writing import shards, staging
from headrace.writing.commit import Committed, commit_change, refuse_moved, writable
from headrace.writing.conflicts import isolation
from headrace.writing.marking import mark, mark_by_key, merges_on_read
from headrace.writing.selecting import as_frame, discard, select
from headrace.writing.snapshots import Append, Change, Replace, RowDeletes, Selection
from headrace.writing.upserting import replace_by_key

if TYPE_CHECKING:
    from headrace.catalog import LoadedTable
    from headrace.dataframe import MetaflowDataFrame
    from headrace.filters import Expression
    from headrace.plan import ScanPlan, Shard

P = ParamSpec("P")
R = TypeVar("R")


def _naming(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """A method whose errors name the table, wherever they come from."""

    @functools.wraps(method)
    def named(self: Any, /, *arguments: P.args, **options: P.kwargs) -> R:
        with self._access.naming():
            return method(self, *arguments, **options)

    return named


APPEND, OVERWRITE, OVERWRITE_PARTITIONS = "append", "overwrite", "overwrite_partitions"


class Writes:
    """The writing half of `Table`."""

    _access: TableAccess
    _branch: str | None

    if TYPE_CHECKING:

        @property
        def metadata(self) -> TableMetadata: ...
        @property
        def snapshot(self) -> Snapshot | None: ...
        @classmethod
        def _of(cls, access: TableAccess, chosen: Mapping[str, Any]) -> Self: ...
        def _moved(self, loaded: LoadedTable) -> None: ...
        def _add_columns_of(self, frame: MetaflowDataFrame) -> None: ...
        def scan(
            self, filter: str | Expression | None = None, *, params: Mapping[str, Any] | None = None
        ) -> ScanPlan: ...

    @_naming
    def append(
        self,
        frame: Any,
        *,
        branch: str | None = None,
        properties: Mapping[str, str] | None = None,
        evolve: bool = False,
    ) -> Committed:
        """Add rows.

        Parameters
        ----------
        frame : frame, or anything with an Arrow capsule, or a pandas DataFrame
            Columns are matched by name.
        branch : str or None
            Write there; None is the branch that the Table was opened at. A branch that does not exist starts at the
            head of "main".
        properties : mapping of str to str or None
            Further members of the snapshot's summary.
        evolve : bool, default False
            Columns that the table does not have are added to it, as optional ones; else they are refused.

        Raises
        ------
        MetaflowTableTypeMismatch
            A value or column that does not fit; nothing was changed.
        MetaflowTableCommitStateUnknownException
            The catalog stopped answering, and whether the rows are there is not known.

        Notes
        -----
        The Table shows the new rows afterwards.
        """
        return self._write(self._evolved(frame, evolve), APPEND, branch, properties)

    @_naming
    def overwrite(
        self,
        frame: Any,
        filter: str | Expression | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        branch: str | None = None,
        properties: Mapping[str, str] | None = None,
        evolve: bool = False,
    ) -> Committed:
        """Replace the rows that a filter selects, all of them without one, by these rows, in one snapshot.

        Parameters
        ----------
        frame : frame, or anything with an Arrow capsule, or a pandas DataFrame
            The new rows.
        filter, params
            See `Table.scan`. Files of which only some rows are selected are written again with the others.
        branch, properties, evolve
            See `append`.

        Raises
        ------
        MetaflowTableConflict
            What is replaced changed since this Table was opened; names the other snapshot. With table property
            `write.update.isolation-level` "snapshot", rows added since are left alone instead.
        """
        seen = self._view(self._target(branch), fresh=False).snapshot
        frame = self._evolved(frame, evolve)
        return self._replace(frame, filter, params, branch, properties, OVERWRITE, seen)

    @_naming
    def delete(
        self,
        filter: str | Expression,
        *,
        params: Mapping[str, Any] | None = None,
        branch: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> Committed:
        """Delete the rows that a filter selects, as the branch is now.

        Files whose metadata proves that every row is selected are dropped unread, others are written again without
        the selected rows (copy-on-write). With the table property `write.delete.mode` "merge-on-read" (from version 2
        on) those stay, and files of row deletes name the rows. Parameters and errors: see `overwrite`;
        `write.delete.isolation-level`.
        """
        return self._replace(None, filter, params, branch, properties, "delete")

    def replace_where(self, frame: Any, filter: str | Expression, **options: Any) -> Committed:
        """Replace the rows that a filter selects by these: `overwrite` with a filter that must be given."""
        if filter is None:
            raise InvalidArgument("replace_where replaces what a filter selects", hint="overwrite(frame) replaces all")
        return self.overwrite(frame, filter, **options)

    @_naming
    def upsert(
        self,
        frame: Any,
        on: Sequence[str],
        *,
        branch: str | None = None,
        properties: Mapping[str, str] | None = None,
        evolve: bool = False,
    ) -> Committed:
        """Replace the rows that have a key of these rows, and add the others, in one snapshot.

        Parameters
        ----------
        frame : frame, or anything with an Arrow capsule, or a pandas DataFrame
            The new rows, whole: columns that are not there become null.
        on : sequence of str
            The key columns. Keys of the new rows have no null and no NaN and are there once.
        branch, properties, evolve
            See `append`.

        Raises
        ------
        InvalidArgument
            A key that cannot be matched, or is there twice: names the row and the key. Nothing was changed.
        MetaflowTableConflict
            Rows with such keys changed meanwhile; names the other snapshot (`write.merge.isolation-level`).
        """
        writable(self._access)
        target = self._target(branch)
        rows = self._evolved(as_frame(frame), evolve)
        view = self._view(target, fresh=True)
        level = isolation(view.metadata.properties, "upsert")
        rewritten: list[dict[str, Any]] = []
        deletes = None
        if merges_on_read(view.metadata, "upsert"):
            selection, deletes = mark_by_key(view, rows, on, level)
        else:
            selection, rewritten = replace_by_key(view, rows, on, level)
        try:
            staged = view.stage(rows) + rewritten
        except BaseException:
            discard(self._access, [each["path"] for each in rewritten] + (deletes.paths if deletes else []))
            raise
        return self._replaced(view, selection, staged, "upsert", target, properties, view.snapshot, deletes)

    @_naming
    def overwrite_partitions(
        self,
        frame: Any,
        *,
        branch: str | None = None,
        properties: Mapping[str, str] | None = None,
        evolve: bool = False,
    ) -> Committed:
        """Replace the partitions that these rows are in by these rows; a table without partitions as a whole.

        Parameters and errors: see `overwrite`.
        """
        seen = self._view(self._target(branch), fresh=False).snapshot
        return self._write(self._evolved(frame, evolve), OVERWRITE_PARTITIONS, branch, properties, seen)

    @_naming
    def stage(
        self, frame: Any, *, shard: int | Shard = 0, attempt: int = 0, evolve: bool = False
    ) -> list[dict[str, Any]]:
        """Write rows to files that no reader sees until `commit` is called with what this returns.

        Parameters
        ----------
        frame : frame, or anything with an Arrow capsule, or a pandas DataFrame
            Columns are matched by name.
        shard : Shard or int
            The Shard that the rows were made from: `commit` then refuses while another shard of its plan is missing, or
            is there from two attempts. A number only enters the files' names, beside a UUID.
        attempt : int
            Enters the files' names too.
        evolve : bool, default False
            Columns that the table does not have are added to it at once, as optional ones, by a commit of their own.

        Returns
        -------
        list of dict
            Small, JSON-able, picklable, without secrets; without files for a frame without rows.
        """
        return self._staged(self._evolved(frame, evolve), shard, attempt, None)

    def _staged(self, frame: Any, shard: int | Shard, attempt: int, threads: int | None) -> list[dict[str, Any]]:
        refuse_moved(self._access)
        index = shard if isinstance(shard, int) else shard.index
        files = self._written(frame, index, attempt, threads)
        mark = None if isinstance(shard, int) else shards.mark(shard)
        return staging.stage(self.metadata, files, mark)

    @_naming
    def commit(
        self,
        staged: Iterable[Any] | None = None,
        mode: str | bool = APPEND,
        *,
        overwrite: bool = False,
        data_files: Iterable[Any] | None = None,
        partial: bool = False,
        branch: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> Committed:
        """Make what was staged part of the table: one snapshot, whichever processes staged it.

        Parameters
        ----------
        staged : iterable of dict, or of lists of them
            What `stage` returned, in any order.
        mode : {"append", "overwrite_partitions", "overwrite"}
            Add the rows; let them replace the partitions that they are in; let them replace the whole table. True
            and False, as the Fast Data surface has it, are "overwrite_partitions" and "append".
        overwrite : bool, default False
            The same as a keyword.
        data_files : iterable
            `staged` under its Fast Data name.
        partial : bool, default False
            Rows that were staged for shards may be committed though some shards of their plan are missing.
        branch, properties
            See `append`.

        Raises
        ------
        MetaflowTableIncompatible
            Files of another table, or of a schema or partition spec that the table no longer writes.
        MetaflowTableInvalidData
            A shard is missing, or is there from two attempts: names them. Nothing was changed.
        MetaflowTableConflict
            Somebody else changed what is replaced; names their snapshot.

        Notes
        -----
        The same files with the same mode are committed once: committing them again, from a retry or another process,
        changes nothing and succeeds. Files stay where they are if a commit fails, so that it can be tried again.

        Of a legacy Hive table: new partitions appear with all their rows; `overwrite_partitions` points the partitions
        that are there already at the new rows by one call. Files for a partition (or a table without partitions) that
        is there already are appended one by one.
        """
        if isinstance(mode, bool) or overwrite:
            mode = OVERWRITE_PARTITIONS if overwrite or mode is True else APPEND
        if (staged is None) == (data_files is None):
            raise InvalidArgument("commit takes what stage() returned, once", hint="commit(staged)")
        staged = list((staged if data_files is None else data_files) or [])
        shards.check(staged, partial)
        return self._commit_staged(staged, mode, branch, properties)

    def _commit_staged(
        self, staged: list[Any], mode: str, branch: str | None, properties: Mapping[str, str] | None
    ) -> Committed:
        files = staging.take(staged, self.metadata) if staged else []
        seen = self._view(self._target(branch), fresh=False).snapshot
        return self._commit(self._change_of(files, mode, staged, seen), branch, properties)

    def _evolved(self, frame: Any, evolve: bool) -> Any:
        """The rows, after the columns that only they have were added to the table, if that is asked for."""
        if not evolve:
            return frame
        writable(self._access)
        frame = as_frame(frame)
        self._add_columns_of(frame)
        return frame

    def _write(
        self,
        frame: Any,
        mode: str,
        branch: str | None,
        properties: Mapping[str, str] | None,
        seen: Snapshot | None = None,
        threads: int | None = None,
    ) -> Committed:
        """Stage and commit at once: the files are this call's own. `seen`: the snapshot that a change relies on."""
        writable(self._access)
        self._target(branch)
        staged = self._staged(frame, 0, 0, threads)
        own = [each["path"] for each in staged]
        try:
            change = self._change_of(staging.take(staged, self.metadata), mode, staged, seen)
        except BaseException:
            discard(self._access, own)
            raise
        return self._commit(change, branch, properties, own)

    def _replace(
        self,
        frame: Any,
        filter: str | Expression | None,
        params: Mapping[str, Any] | None,
        branch: str | None,
        properties: Mapping[str, str] | None,
        operation: str,
        seen: Snapshot | None = None,
    ) -> Committed:
        """Overwrite or delete: selected rows go, those of a frame come. `seen`: what an overwrite relies on."""
        writable(self._access)
        target = self._target(branch)
        # A delete says all it knows in its filter; an overwrite may come from rows that were read through this Table.
        view = self._view(target, fresh=operation == "delete")
        level = isolation(view.metadata.properties, operation)
        merges, guards = merges_on_read(view.metadata, operation), operation == "overwrite"
        staged = [] if frame is None else view.stage(frame)
        rewritten: list[dict[str, Any]] = []
        deletes = None
        try:
            if filter is not None and merges:
                selection, deletes = mark(view, filter, params, level, guards)
            else:
                selection, rewritten = select(view, filter, params, level, guards)
        except BaseException:
            discard(self._access, [each["path"] for each in staged])
            raise
        seen = view.snapshot if operation == "delete" else seen
        return self._replaced(view, selection, staged + rewritten, operation, target, properties, seen, deletes)

    def _replaced(
        self,
        view: Self,
        selection: Selection,
        staged: list[dict[str, Any]],
        operation: str,
        target: str,
        properties: Mapping[str, str] | None,
        seen: Snapshot | None,
        deletes: RowDeletes | None = None,
    ) -> Committed:
        """Commit what was selected and staged through a view, unless it has changed since a snapshot."""
        files = staging.take(staged, view.metadata)
        token = staging.token(files, operation) if files else uuid.uuid4().hex
        # Rows that two writers delete are deleted; a row that two replace by key would be there twice.
        commute = view.metadata.format_version == 2 and operation == "delete"
        change = Replace(staged, token, selection, seen, deletes=deletes, deletes_commute=commute)
        own = [each.path for each in files] + (deletes.paths if deletes else [])
        done = commit_change(view._access, change, target, properties, own)
        self._moved(done.loaded)
        return done

    def _change_of(
        self, files: list[staging.StagedFile], mode: str, staged: list[Any], seen: Snapshot | None
    ) -> Change:
        token = staging.token(files, mode)
        if mode == APPEND:
            return Append(staged, token)
        if mode in (OVERWRITE, OVERWRITE_PARTITIONS):
            rule = "all" if mode == OVERWRITE else "partitions"
            level = isolation(self.metadata.properties, "overwrite")
            return Replace(
                staged,
                token if files else uuid.uuid4().hex,
                Selection(rule, isolation=level, guards_removed=True),
                seen,
            )
        raise InvalidArgument(f"mode {mode!r}: expected append, overwrite_partitions or overwrite")

    def _commit(
        self,
        change: Change,
        branch: str | None,
        properties: Mapping[str, str] | None,
        own_files: Iterable[str] = (),
    ) -> Committed:
        done = commit_change(self._access, change, self._target(branch), properties, list(own_files))
        self._moved(done.loaded)
        return done

    def _target(self, branch: str | None) -> str:
        """The branch that is written to."""
        chosen = branch or self._branch
        if chosen is None:
            hint = "open the table without snapshot_id, as_of and tag, or pass branch="
            raise InvalidArgument("the Table was opened at a snapshot, which never changes", hint=hint)
        return chosen

    def _view(self, branch: str, fresh: bool) -> Self:
        """The table as a write to a branch sees it."""
        access = self._access.fresh() if fresh else self._access
        exists = branch in access.loaded().metadata.refs
        return self._of(access, {"branch": branch} if exists else {})

    def _data_location(self) -> str:
        """The folder that new data files go to."""
        metadata = self.metadata
        return metadata.properties.get("write.data.path", f"{metadata.location}/data").rstrip("/")

    def _written(
        self,
        frame: Any,
        shard: int,
        attempt: int,
        threads: int | None = None,
        properties: Mapping[str, str] | None = None,
        more: Sequence[NestedField] = (),
    ) -> list[str]:
        """The files that the engine wrote for a frame, JSON each; `properties` come before the table's.

        `more`: columns beside the table's.
        """
        from headrace import _engine

        metadata = self.metadata
        frame = as_frame(frame)
        request = {
            "schema": replace(metadata.schema, fields=(*metadata.schema.fields, *more)).to_json(),
            "spec": metadata.spec.to_json(),
            "sort_order": metadata.sort_order.to_json(),
            "data_location": self._data_location(),
            "file_name": f"{uuid.uuid4()}-{shard}-{attempt}",
            "properties": {**metadata.properties, **(properties or {})},
            "format_version": metadata.format_version,
            "threads": surroundings.threads(threads),
            "memory_limit": None,
        }
        with self._access.naming():
            written: list[str] = _engine.write(self._access.store(), frame._frame, json.dumps(request))
        return written
