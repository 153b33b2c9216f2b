"""Files in groups of nearly equal rows or bytes. Must not know: tables, partitions."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import TYPE_CHECKING

from headrace.errors import MetaflowTableException

if TYPE_CHECKING:
    from headrace._engine import FileList

BY = ("record", "size")


def check(group_by: str, num_groups: int | None, target_group_size: int | None) -> None:
    """Refuse arguments that mean nothing, before anything is read.

    Raises
    ------
    MetaflowTableException
        With what is wrong.
    """
    if group_by not in BY:
        raise MetaflowTableException(f"group_by is 'record' or 'size', found {group_by!r}")
    if num_groups is not None and target_group_size is not None:
        raise MetaflowTableException(
            f"num_groups ({num_groups}) and target_group_size ({target_group_size}) exclude each other"
        )
    for name, value in (("num_groups", num_groups), ("target_group_size", target_group_size)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise MetaflowTableException(f"{name} is a whole number of at least 1, found {value!r}")


def groups(files: FileList, group_by: str, num_groups: int | None, target_group_size: int | None) -> list[list[str]]:
    """Locations in groups: the largest file first, each to the lightest group."""
    weights: dict[str, int] = {}
    for location, weight in _weighed(files, group_by):
        weights[location] = weights.get(location, 0) + weight
    if target_group_size is not None:
        target = target_group_size << 20 if group_by == "size" else target_group_size
        num_groups = max(1, -(-sum(weights.values()) // target))
    if num_groups is None or num_groups == 1:
        return [sorted(weights)]
    if len(weights) <= num_groups:
        return [[location] for location in sorted(weights)]
    found: list[list[str]] = [[] for _ in range(num_groups)]
    lightest = [(0, group) for group in range(num_groups)]
    for location in sorted(weights, key=lambda each: (-weights[each], each)):
        weight, group = heapq.heappop(lightest)
        found[group].append(location)
        heapq.heappush(lightest, (weight + weights[location], group))
    return [sorted(group) for group in found]


def _weighed(files: FileList, group_by: str) -> Iterator[tuple[str, int]]:
    """Location and weight of every file: rows, or bytes where nobody counted the rows."""
    from headrace import _engine

    listed = _engine.Frame.from_arrow(files)
    weight = "record_count" if group_by == "record" and files.total_rows is not None else "length"
    locations, weights = (listed.column(listed.names.index(name)).to_pylist() for name in ("location", weight))
    return zip(locations, weights, strict=True)
