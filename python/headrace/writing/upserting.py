"""Rows replaced by key: the files that hold a key of the new rows are written again without the rows that have one.

Files are looked for by a filter on the keys, loaded one at a time, and left alone where no row has a key. Must not
know: commits, how keys are compared (the engine does). Neighbours: `surface.py` asks; `selecting.py` does the same by
filter.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from headrace.dataframe import MetaflowDataFrame
from headrace.errors import InvalidArgument
from headrace.filters import Constant
from headrace.writing.manifests import all_fields, plan_request
from headrace.writing.selecting import discard
from headrace.writing.snapshots import Selection
from headrace.writing.view import View


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

    if isinstance(on, str) or not on:
        raise InvalidArgument(f"on= is a list of key columns, found {on!r}", hint='on=["id"]')
    for name in on:
        view.metadata.schema.find_field(name)
    schema = all_fields(view.metadata, view.metadata.schema)
    keys = _engine.Keys(frame._frame, list(on), json.dumps(schema))
    filter = keys.filter_json()
    selection = Selection("filter", filter, isolation=level, only_rewritten=True)
    # A plan of all columns and no files: the filter only finds the files, and says nothing of the rows that stay.
    plan = replace(view.scan(Constant(False)), filter_json=None, filter_text=None)
    request = plan_request(view._access.name, view.metadata, view.snapshot)
    files, _ = _engine.plan(view._access.store(), request, filter)
    staged: list[dict[str, Any]] = []
    rewritten: list[str] = []
    try:
        for at, location in enumerate(files.locations()):
            loaded = replace(plan, files=files.take([at])).load()
            kept = loaded.take(keys.absent(loaded._frame))
            if kept.num_rows == loaded.num_rows:
                continue
            rewritten.append(location)
            if kept.num_rows:
                staged += view.stage(kept)
    except BaseException:
        discard(view._access, [each["path"] for each in staged])
        raise
    return replace(selection, rewritten=tuple(sorted(rewritten))), staged
