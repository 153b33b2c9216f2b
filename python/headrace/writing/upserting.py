"""Rows replaced by key: the files that hold a key of the new rows are written again without the rows that have one.

Files are looked for by a filter on the keys, loaded in groups, and left alone where no row has a key. Must not
know: commits, how keys are compared (the engine does). Neighbours: `surface.py` asks; `selecting.py` does the same by
filter, `marking.py` without writing files again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from headrace.dataframe import MetaflowDataFrame
from headrace.errors import InvalidArgument
from headrace.filters import Constant
from headrace.iceberg import NestedField
from headrace.writing import lineage
from headrace.writing.manifests import all_fields, plan_request
from headrace.writing.selecting import discard, groups
from headrace.writing.snapshots import Selection
from headrace.writing.view import View

if TYPE_CHECKING:
    from headrace._engine import FileList, Frame, Keys
    from headrace.plan import ScanPlan


def replace_by_key(
    view: View, frame: MetaflowDataFrame, on: Sequence[str], level: str
) -> tuple[Selection, list[dict[str, Any]]]:
    """What has a key of the frame's rows, and the staged files with the rows that stay of those files.

    Parameters
    ----------
    view : View
        The table as the change sees it.
    frame : MetaflowDataFrame
        The new rows.
    on : sequence of str
        The key columns.
    level : str
        Isolation.

    Raises
    ------
    InvalidArgument
        No key columns; a key with a null or NaN; a key that two new rows share: names the row and the key.
    """
    from headrace import _engine

    keys = keys_of(view, frame, on)
    filter = keys.filter_json()
    selection = Selection("filter", filter, isolation=level, only_rewritten=True)
    # A plan of all columns and no files: the filter only finds the files, and says nothing of the rows that stay.
    plan = replace(view.scan(Constant(False)), filter_json=None, filter_text=None)
    request = plan_request(view._access.name, view.metadata, view.snapshot)
    files, _ = _engine.plan(view._access.store(), request, filter)
    version = view.metadata.format_version
    staged: list[dict[str, Any]] = []
    rewritten: list[str] = []
    try:
        for group in groups(files, range(len(files))):
            for more, locations, frames in _parts(plan, files.take(group), version):
                touched, kept = _without(keys, locations, frames)
                rewritten += touched
                if kept is not None:
                    staged += lineage.stage(view, kept, more)
    except BaseException:
        discard(view._access, [each["path"] for each in staged])
        raise
    return replace(selection, rewritten=tuple(sorted(rewritten))), staged


def keys_of(view: View, frame: MetaflowDataFrame, on: Sequence[str]) -> Keys:
    """The keys of new rows, checked; parameters and errors as of `replace_by_key`."""
    from headrace import _engine

    if isinstance(on, str) or not on:
        raise InvalidArgument(f"on= is a list of key columns, found {on!r}", hint='on=["id"]')
    for name in on:
        view.metadata.schema.find_field(name)
    schema = all_fields(view.metadata, view.metadata.schema)
    return _engine.Keys(frame._frame, list(on), json.dumps(schema))


def _parts(
    plan: ScanPlan, files: FileList, version: int
) -> Iterator[tuple[Sequence[NestedField], list[str], list[Frame]]]:
    """Columns beside the table's, locations and rows of files that are loaded together; one by one where it cannot be
    told whose a row is."""
    rows = [files.slice(at, 1).total_rows or 0 for at in range(len(files))]  # manifests count them
    loaded, more = lineage.load(replace(plan, files=files), version)
    frame = loaded._frame
    if frame.num_rows == sum(rows):
        starts = accumulate(rows, initial=0)
        yield more, files.locations(), [frame.slice(start, count) for start, count in zip(starts, rows, strict=False)]
        return
    del loaded, frame  # rows of some of them are deleted
    for at, location in enumerate(files.locations()):
        loaded, more = lineage.load(replace(plan, files=files.slice(at, 1)), version)
        yield more, [location], [loaded._frame]


def _without(keys: Keys, locations: list[str], frames: list[Frame]) -> tuple[list[str], MetaflowDataFrame | None]:
    """Files that have rows with one of the keys, and the other rows of these files; None if there are none."""
    from headrace import _engine

    touched: list[str] = []
    left: list[Frame] = []
    for location, frame in zip(locations, frames, strict=True):
        kept = frame.filter(keys.absent(frame), False)
        if kept.num_rows == frame.num_rows:
            continue
        touched.append(location)
        if kept.num_rows:
            left.append(kept)
    return touched, MetaflowDataFrame(_engine.Frame.concat(left)) if left else None
