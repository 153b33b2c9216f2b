"""`Table.changes`: the rows that snapshots added and removed, as a plan of the files that hold them.

Chooses the snapshots; the engine reads what each of them did (engine/core/src/iceberg/changes.rs). Must not know:
manifests, files. Neighbours: `headrace.table` mixes it into `Table`, `headrace.plan` loads what is found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from headrace.access import TableAccess
from headrace.errors import InvalidArgument, UnsupportedError
from headrace.iceberg import Schema, Snapshot, TableMetadata, select_snapshot
from headrace.iceberg.schema import CHANGE_TYPE
from headrace.plan import ScanPlan
from headrace.writing.history import ancestors
from headrace.writing.manifests import plan_request

if TYPE_CHECKING:
    from headrace.filters import Expression

Point = int | str | datetime
"""A snapshot's id, a branch or tag, or a time."""


class Changes:
    """The half of `Table` that shows what happened between two snapshots."""

    _access: TableAccess

    if TYPE_CHECKING:

        @property
        def metadata(self) -> TableMetadata: ...
        @property
        def _selected(self) -> tuple[Snapshot | None, Schema]: ...

    def changes(
        self,
        since: Point | None = None,
        until: Point | None = None,
        filter: str | Expression | None = None,
        columns: Sequence[str] | None = None,
        *,
        params: Mapping[str, Any] | None = None,
    ) -> ScanPlan:
        """Find the files whose rows were added or removed after one snapshot, up to another.

        Parameters
        ----------
        since : int, str, datetime or None
            The snapshot whose rows are known already: its id, a branch or tag, or a time (datetime or ISO text; without
            a zone UTC). None: before the table's first snapshot.
        until : int, str, datetime or None
            The last snapshot whose changes are wanted. None: the one that this Table reads.
        filter, columns, params
            As in `Table.scan`. "_change_type" comes last unless `columns` names it: "insert" or "delete". By name also
            "_commit_snapshot_id", the snapshot that did it.

        Returns
        -------
        ScanPlan
            In the order of the snapshots, of each what it removed before what it added. Where rows were only appended
            every row is an "insert". Compaction changes no rows and gives none.

        Raises
        ------
        UnsupportedError
            A snapshot in between deleted rows of files that stay, so that the files do not tell which: names it.
        InvalidArgument
            `since` is not in the history of `until`, or a snapshot in between has expired.

        Notes
        -----
        A snapshot that writes files anew (copy-on-write) removes every row of the old file and adds those that it
        keeps again: rows that come as "delete" and "insert" of the same snapshot did not change.

        Examples
        --------
        >>> table.changes(since=seen_snapshot_id).load()  # doctest: +SKIP
        """
        from headrace import _engine
        from headrace.filters import as_filter, bind

        metadata = self.metadata
        with self._access.naming():
            if self._access.loaded().hive is not None:
                raise UnsupportedError("a Hive table has no snapshots, so nobody knows what changed")
            last, table_schema = self._selected if until is None else _at(metadata, until, "until")
            first = None if since is None else _at(metadata, since, "since")[0]
            steps = _steps(metadata, first, last)
            schema = _with_change_type(table_schema, columns)
            expression = as_filter(filter, params)
            bound = None if expression is None else bind(expression, table_schema).to_engine_json()
            request = plan_request(self._access.name, metadata, last, table_schema)
            files, report = _engine.changes(self._access.store(), request, json.dumps(steps), bound)
        return ScanPlan(
            access=self._access,
            files=files,
            schema=schema,
            table_schema=table_schema,
            snapshot_id=last.snapshot_id if last else None,
            filter_text=None if expression is None else str(expression),
            filter_json=bound,
            name_mapping=metadata.name_mapping,
            limit=None,
            report_json=report,
        )


def _at(metadata: TableMetadata, point: Point, name: str) -> tuple[Snapshot | None, Schema]:
    """The snapshot that a point means, and the schema to read it with."""
    if isinstance(point, bool) or not isinstance(point, int | str | datetime):
        hint = "give a snapshot's id, a branch or tag, or a time (datetime or ISO text)"
        raise InvalidArgument(f"{name}: found {type(point).__name__}", hint=hint)
    if isinstance(point, int):
        return select_snapshot(metadata, snapshot_id=point)
    if isinstance(point, str) and (ref := metadata.refs.get(point)) is not None:
        return select_snapshot(metadata, tag=point) if ref.kind == "tag" else select_snapshot(metadata, branch=point)
    return select_snapshot(metadata, as_of=point)


def _steps(metadata: TableMetadata, first: Snapshot | None, last: Snapshot | None) -> list[dict[str, Any]]:
    """The snapshots after `first` up to `last` that may have changed rows, oldest first, as the engine takes them."""
    found: list[Snapshot] = []
    for each in ancestors(metadata, last):
        if first is not None and each.snapshot_id == first.snapshot_id:
            break
        found.append(each)
    else:
        _check_start(metadata, first, found)
    return [_step(metadata, each) for each in reversed(found) if each.operation != "replace"]


def _check_start(metadata: TableMetadata, first: Snapshot | None, found: list[Snapshot]) -> None:
    """The walk back has ended without meeting `first`: right only if there is none and nothing has expired."""
    oldest = found[-1] if found else None
    expired = oldest is not None and oldest.parent_snapshot_id is not None
    if first is None and not expired:
        return
    if expired and oldest is not None:
        message = f"changes: snapshot {oldest.parent_snapshot_id}, before {oldest.snapshot_id}, has expired"
        hint = f"changes are known since {oldest.snapshot_id}; load the whole table once, then its changes"
        raise InvalidArgument(message, location=metadata.file, hint=hint)
    message = f"changes: snapshot {first.snapshot_id if first else None} is not in the history of the one asked for"
    raise InvalidArgument(message, location=metadata.file, hint="`since` is an earlier snapshot of the same branch")


def _step(metadata: TableMetadata, snapshot: Snapshot) -> dict[str, Any]:
    if snapshot.manifest_list is None:
        message = f"the changes of snapshot {snapshot.snapshot_id} are not known: it has no manifest list"
        raise UnsupportedError(message, location=metadata.file, hint="ask for changes after it")
    parent = None if snapshot.parent_snapshot_id is None else metadata.snapshot(snapshot.parent_snapshot_id)
    return {
        "snapshot_id": snapshot.snapshot_id,
        "manifest_list": snapshot.manifest_list,
        "parent_list": parent.manifest_list if parent else None,
    }


def _with_change_type(table_schema: Schema, columns: Sequence[str] | None) -> Schema:
    """The columns that a load of changes gives."""
    if CHANGE_TYPE in table_schema.names:
        hint = "rename the column (table.update_schema) to see changes"
        raise UnsupportedError(f"the table has a column {CHANGE_TYPE!r} of its own", hint=hint)
    schema = table_schema.with_metadata(columns).with_changes()
    if isinstance(columns, str):
        return schema.select(columns)  # says what is wrong with it
    named = [each.name for each in table_schema.fields] if columns is None else list(columns)
    return schema.select([*named, *([] if CHANGE_TYPE in named else [CHANGE_TYPE])])
