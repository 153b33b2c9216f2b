"""Rows that go: the files which a filter selects whole, and those of which some rows stay and are written again.

Copy-on-write: the rows that stay are loaded by the table's own scan, some files at a time, and written like any others.
Must not know: commits, manifests' form. Neighbours: `marking.py` is the other way, merge-on-read; `surface.py` asks,
`headrace.plan` loads, `manifests.py` selects.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headrace.access import TableAccess
from headrace.errors import HeadraceError, InvalidArgument
from headrace.filters.complement import not_true
from headrace.writing import lineage
from headrace.writing.manifests import Manifests
from headrace.writing.snapshots import Selection
from headrace.writing.view import View

if TYPE_CHECKING:
    from headrace._engine import FileList
    from headrace.dataframe import MetaflowDataFrame
    from headrace.filters import Expression
    from headrace.plan import ScanPlan

GROUP_BYTES = 512 << 20
"""Files that are written again are loaded in groups of about so many bytes: memory is bounded, threads are busy."""


def select(
    view: View,
    filter: str | Expression | None,
    params: Mapping[str, Any] | None,
    level: str,
    guards_removed: bool = False,
) -> tuple[Selection, list[dict[str, Any]]]:
    """What a filter selects, and the staged files with the rows that stay of files selected in part.

    Parameters
    ----------
    view : View
        The table as the change sees it.
    filter, params
        See `Table.scan`; None selects every row.
    level : str
        Isolation.
    guards_removed : bool
        Of the selection.
    """
    if filter is None:
        return Selection("all", isolation=level, guards_removed=guards_removed), []
    plan = view.scan(filter, params=params)
    selection = Selection("filter", plan.filter_json, isolation=level, guards_removed=guards_removed)
    if not len(plan.files):
        return selection, []
    manifests = Manifests(view._access.store(), view.metadata)
    found = manifests.rewrite(view.metadata, view.snapshot, selection, [], [], dry=True)
    partial = set(found["partial"])
    staged: list[dict[str, Any]] = []
    try:
        positions = [at for at, location in enumerate(plan.files.locations()) if location in partial]
        for group in groups(plan.files, positions):
            staged += lineage.stage(view, *lineage.load(survivors(plan, group), view.metadata.format_version))
    except BaseException:
        discard(view._access, [each["path"] for each in staged])
        raise
    return replace(selection, rewritten=tuple(sorted(partial))), staged


def survivors(plan: ScanPlan, positions: Sequence[int]) -> ScanPlan:
    """The plan of the rows that stay in these files of a plan."""
    stay = json.dumps(not_true(json.loads(plan.filter_json or "")))
    return replace(plan, files=plan.files.take(positions), filter_json=stay, filter_text=f"not ({plan.filter_text})")


def groups(files: FileList, positions: Iterable[int]) -> Iterator[list[int]]:
    """Positions of files, in groups of a size that is loaded at once."""
    group: list[int] = []
    size = 0
    for at in positions:
        group.append(at)
        size += files.slice(at, 1).total_bytes
        if size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def discard(access: TableAccess, locations: Sequence[str]) -> None:
    """Remove data files that no commit was asked for."""
    with contextlib.suppress(HeadraceError):
        access.store().delete(list(locations))


def as_frame(data: Any) -> MetaflowDataFrame:
    """A frame of whatever holds rows: ours, anything with an Arrow capsule, a pandas DataFrame."""
    from headrace.dataframe import MetaflowDataFrame

    if type(data).__module__.partition(".")[0] == "pandas":
        return MetaflowDataFrame.from_pandas(data)
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return MetaflowDataFrame.from_arrow(data)
    hint = "pass a frame of headrace, pandas, Polars or PyArrow, or anything with __arrow_c_stream__"
    raise InvalidArgument(f"rows are expected in a frame, found {type(data).__name__}", hint=hint)
