"""To Polars, through the Arrow capsule: strings are views on both sides, so nothing is copied."""

from __future__ import annotations

from typing import Any

from headrace import _engine
from headrace.errors import MetaflowDataFrameException
from headrace.handoff import required


def to_polars(frame: _engine.Frame, strict_map_type: bool, assemble: bool) -> Any:
    """Return ``frame`` as a ``polars.DataFrame``; maps, which Polars lacks, as lists of {key, value} or refused."""
    polars = required("polars", "to_polars()")
    if strict_map_type:
        maps = [column.name for column in map(frame.column, range(frame.num_columns)) if column.holds_map]
        if maps:
            raise MetaflowDataFrameException(
                f"Polars has no map type: {', '.join(map(repr, maps))}",
                hint="strict_map_type=False makes each map a list of {key, value} structs",
            )
    made = polars.DataFrame(frame)
    return made.rechunk() if assemble else made
