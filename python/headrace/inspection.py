"""A `Table`'s history and contents as frames: snapshots, history, refs, files, manifests, partitions.

Must not know: how metadata is parsed, manifests' bytes. Neighbours: `headrace.table` mixes it into `Table`; the engine
lists manifests, files and partitions, which grow with the table.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headrace.access import TableAccess
from headrace.iceberg import Snapshot, TableMetadata
from headrace.writing.history import ancestors

if TYPE_CHECKING:
    from headrace.dataframe import MetaflowDataFrame
    from headrace.plan import ScanPlan

_TIME = "tsm:UTC"
"""Arrow's format of milliseconds since 1970-01-01 UTC."""


class Inspection:
    """The half of `Table` that shows what is there."""

    _access: TableAccess

    if TYPE_CHECKING:

        @property
        def metadata(self) -> TableMetadata: ...
        @property
        def snapshot(self) -> Snapshot | None: ...
        def scan(self) -> ScanPlan: ...

    def snapshots(self) -> MetaflowDataFrame:
        """Every snapshot that the table still has: id, parent, time, operation, manifest list, summary as JSON."""
        found = self.metadata.snapshots
        return _frame(
            committed_at=(_TIME, [each.timestamp_ms for each in found]),
            snapshot_id=("l", [each.snapshot_id for each in found]),
            parent_id=("l", [each.parent_snapshot_id for each in found]),
            operation=("u", [each.operation for each in found]),
            manifest_list=("u", [each.manifest_list for each in found]),
            summary=("u", [json.dumps(dict(each.summary or {})) for each in found]),
        )

    def history(self) -> MetaflowDataFrame:
        """When which snapshot became the current one, and whether it is in the history of the current one now."""
        current = {each.snapshot_id for each in ancestors(self.metadata, self.metadata.current_snapshot)}
        log = self.metadata.snapshot_log
        known = [self.metadata.snapshot(each) for _, each in log]
        return _frame(
            made_current_at=(_TIME, [at for at, _ in log]),
            snapshot_id=("l", [each for _, each in log]),
            parent_id=("l", [each.parent_snapshot_id if each else None for each in known]),
            is_current_ancestor=("b", [each in current for _, each in log]),
        )

    def refs(self) -> MetaflowDataFrame:
        """Branches and tags, and how long they and their snapshots are kept."""
        found = list(self.metadata.refs.values())
        return _frame(
            name=("u", [each.name for each in found]),
            type=("u", [each.kind for each in found]),
            snapshot_id=("l", [each.snapshot_id for each in found]),
            max_reference_age_in_ms=("l", [each.max_ref_age_ms for each in found]),
            min_snapshots_to_keep=("l", [each.min_snapshots_to_keep for each in found]),
            max_snapshot_age_in_ms=("l", [each.max_snapshot_age_ms for each in found]),
        )

    def files(self) -> MetaflowDataFrame:
        """The data files of the snapshot: location, size, rows, partition values by partition field id."""
        from headrace.dataframe import MetaflowDataFrame

        return MetaflowDataFrame.from_arrow(self.scan().files).drop(["start", "length", "split_offsets"])

    def manifests(self) -> MetaflowDataFrame:
        """The manifests of the snapshot, and how many files and rows each adds, keeps and removes."""
        from headrace import _engine
        from headrace.dataframe import MetaflowDataFrame

        snapshot = self.snapshot
        listed, unlisted = (snapshot.manifest_list, list(snapshot.manifests)) if snapshot else (None, [])
        with self._access.naming():
            return MetaflowDataFrame(_engine.list_manifests(self._access.store(), listed, unlisted))

    def partitions(self) -> MetaflowDataFrame:
        """The partitions of the snapshot: values, files, rows and bytes of each."""
        from headrace import _engine
        from headrace.dataframe import MetaflowDataFrame

        return MetaflowDataFrame(_engine.list_partitions(self.scan().files))


def _frame(**columns: tuple[str, Sequence[Any]]) -> MetaflowDataFrame:
    """A frame of columns of Arrow formats; None is null."""
    from headrace import _engine
    from headrace.dataframe import MetaflowDataFrame

    made = [_column(name, format, values) for name, (format, values) in columns.items()]
    return MetaflowDataFrame(_engine.Frame.from_columns([_engine.Column.from_values(*each) for each in made]))


def _column(name: str, format: str, values: Sequence[Any]) -> tuple[str, str, Any, Any]:
    if format == "u":
        return name, format, list(values), None
    nulls = bytes(each is None for each in values)
    kind = "b" if format == "b" else "q"
    return name, format, array(kind, [each or 0 for each in values]).tobytes(), nulls
