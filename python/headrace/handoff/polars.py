"""To Polars, through the Arrow capsule: strings are views on both sides, so nothing is copied."""

from __future__ import annotations

from typing import Any

from headrace import _engine
from headrace.errors import MetaflowDataFrameException
from headrace.handoff import required


def to_polars(frame: _engine.Frame, strict_map_type: bool, assemble: bool) -> Any:
    """Return ``frame`` as a ``polars.DataFrame``; see ``MetaflowDataFrame.to_polars``."""
    polars = required("polars", "to_polars()")
    columns = [frame.column(at) for at in range(frame.num_columns)]
    wide = [column.name for column in columns if column.type.startswith("d:") and column.type.endswith(",256")]
    if wide:  # Polars 2.1 panics on them: a decimal of more than 38 digits has no type there
        raise MetaflowDataFrameException(
            f"Polars has no decimals of 256 bits: {', '.join(map(repr, wide))}",
            hint="leave the columns out with drop([...]), or hand them to PyArrow",
        )
    maps = [column.name for column in columns if column.holds_map]
    if maps and not strict_map_type:
        frame = _engine.Frame.from_columns([each.maps_as_lists() if each.holds_map else each for each in columns])
    elif maps and not hasattr(polars, "Map"):
        raise MetaflowDataFrameException(
            f"Polars {polars.__version__} has no map type: {', '.join(map(repr, maps))}",
            hint="strict_map_type=False makes each map a list of {key, value} structs; newer Polars has maps",
        )
    made = polars.DataFrame(frame)
    return made.rechunk() if assemble else made
