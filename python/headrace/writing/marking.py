"""Rows that go while their files stay: merge-on-read, which writes files of row deletes in place of data files.

The table's own scan says where the rows lie, some files at a time; the engine writes what deletes them: files of
positions in version 2, deletion vectors in version 3. Must not know: commits, the form of delete files. Neighbours:
`surface.py` asks; `selecting.py` and `upserting.py` are the other way, copy-on-write.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headrace import surroundings
from headrace.errors import InvalidArgument
from headrace.filters import Constant
from headrace.iceberg import Schema, TableMetadata
from headrace.iceberg.schema import METADATA
from headrace.writing import staging
from headrace.writing.manifests import Manifests, all_fields, plan_request
from headrace.writing.selecting import discard, groups
from headrace.writing.snapshots import RowDeletes, Selection
from headrace.writing.upserting import keys_of
from headrace.writing.view import View

if TYPE_CHECKING:
    from headrace._engine import FileList, Frame
    from headrace.dataframe import MetaflowDataFrame
    from headrace.filters import Expression
    from headrace.plan import ScanPlan

MODES = {"delete": "write.delete.mode", "overwrite": "write.update.mode", "upsert": "write.merge.mode"}
_COPY, _MERGE = "copy-on-write", "merge-on-read"
GRANULARITY = "write.delete.granularity"
_CODEC = "write.parquet.compression-codec"
_OF_DELETES = "write.delete.parquet.compression-codec"
_PLACE = (METADATA["_file"], METADATA["_pos"])


def merges_on_read(metadata: TableMetadata, operation: str) -> bool:
    """Whether the table's properties ask for row deletes; version 1 has none, whatever they say."""
    found = metadata.properties.get(MODES[operation], _COPY).lower()
    if found not in (_COPY, _MERGE):
        raise InvalidArgument(
            f"table property {MODES[operation]!r}: expected {_COPY} or {_MERGE}, found {found[:40]!r}"
        )
    return found == _MERGE and metadata.format_version > 1


def mark(
    view: View,
    filter: str | Expression,
    params: Mapping[str, Any] | None,
    level: str,
    guards_removed: bool = False,
) -> tuple[Selection, RowDeletes]:
    """What a filter selects, and the deletes of the rows of files that it selects in part.

    Parameters
    ----------
    view : View
        The table as the change sees it.
    filter, params
        See `Table.scan`.
    level : str
        Isolation.
    guards_removed : bool
        Of the selection.
    """
    plan = view.scan(filter, params=params)
    selection = Selection("filter", plan.filter_json, isolation=level, guards_removed=guards_removed)
    marks = _Marks(view)
    if len(plan.files):
        manifests = Manifests(view._access.store(), view.metadata)
        partial = set(manifests.rewrite(view.metadata, view.snapshot, selection, [], [], dry=True)["partial"])
        chosen = [at for at, location in enumerate(plan.files.locations()) if location in partial]
        marks.find(replace(plan, schema=Schema(_PLACE)), plan.files, chosen, lambda frame: frame)
    return replace(selection, marked=tuple(sorted(marks.marked))), marks.written()


def mark_by_key(view: View, frame: MetaflowDataFrame, on: Sequence[str], level: str) -> tuple[Selection, RowDeletes]:
    """What has a key of the frame's rows, and the deletes of these rows; see `upserting.replace_by_key`."""
    from headrace import _engine

    keys = keys_of(view, frame, on)
    filter = keys.filter_json()
    selection = Selection("filter", filter, isolation=level, only_rewritten=True)
    files, _ = _engine.plan(view._access.store(), plan_request(view._access.name, view.metadata, view.snapshot), filter)
    plan = view.scan(Constant(False))
    columns = plan.schema.select(on).fields
    width = len(columns)

    def with_key(found: Frame) -> Frame:
        return found.filter(keys.present(found), False).select([width, width + 1])

    marks = _Marks(view)
    plan = replace(plan, schema=Schema((*columns, *_PLACE)), filter_json=filter, filter_text=None)
    marks.find(plan, files, range(len(files)), with_key)
    return replace(selection, marked=tuple(sorted(marks.marked))), marks.written()


class _Marks:
    """Row deletes of one change, written group of files by group of files."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._described: list[str] = []
        self.marked: set[str] = set()

    def find(self, plan: ScanPlan, files: FileList, positions: Sequence[int], places: Callable[[Frame], Frame]) -> None:
        """Write the deletes of the rows of these files that a plan gives; `places` makes of a frame of its columns one
        of locations and positions."""
        try:
            for group in groups(files, positions):
                chosen = files.take(group)
                self._add(chosen, places(replace(plan, files=chosen).load(progress=False)._frame))
        except BaseException:
            discard(self._view._access, self.written().paths)
            raise

    def _add(self, files: FileList, rows: Frame) -> None:
        from headrace import _engine

        if not rows.num_rows:
            return
        metadata = self._view.metadata
        properties = metadata.properties
        # As Spark's writers do: a file of deletes for each data file, which every reader finds and some insist on.
        granularity = properties.get(GRANULARITY, "file").lower()
        if granularity not in ("partition", "file"):
            raise InvalidArgument(f"table property {GRANULARITY!r}: expected partition or file, found {granularity!r}")
        folder, name = self._view._data_location(), str(uuid.uuid4())
        request = {
            "format_version": metadata.format_version,
            "schema": all_fields(metadata, metadata.schema),
            "specs": [each.to_json() for each in metadata.specs.values()],
            "folder": folder,
            "file_name": name,
            "granularity": granularity,
            "properties": {_CODEC: properties.get(_OF_DELETES) or properties.get(_CODEC) or "zstd"},
            "threads": surroundings.threads(None),
        }
        store = self._view._access.store()
        try:
            self._described += _engine.write_row_deletes(store, files, rows, json.dumps(request))
        except BaseException:  # Ctrl-C leaves what was written before it
            possible = [f"{folder}/{name}-deletes-{at:05}-00000.parquet" for at in range(len(files))]
            discard(self._view._access, [*possible, f"{folder}/{name}-deletes.puffin"])
            raise
        _, paths = rows.column(0).encoded()
        self.marked |= set(paths.to_pylist())

    def written(self) -> RowDeletes:
        """All of them."""
        metadata = self._view.metadata
        return RowDeletes(metadata.format_version, tuple(staging.described(metadata, self._described)))
