"""Which partitions a filter leaves: a bound filter on partition values, where all else counts as possible.

Must not know: metastores, names. The meaning is that of the engine's filters: null is never a match, NaN equals itself
and is larger than every number, text is compared as UTF-8. Neighbour: `partitions.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from headrace.filters import Bound
from headrace.filters.binding import BoundConstant, BoundTest

Row = Mapping[int, Any]
Keeps = Callable[[Row], bool]


def compile_filter(bound: Bound, partition_fields: frozenset[int]) -> Keeps:
    """A test of a partition's values by field id: False only if no row of it passes the filter."""
    if isinstance(bound, BoundConstant):
        return lambda row: bound.value
    if isinstance(bound, BoundTest):
        return _test(bound) if bound.field_id in partition_fields else lambda row: True
    parts = [compile_filter(each, partition_fields) for each in bound.parts]
    if bound.joiner == "and":
        return lambda row: all(part(row) for part in parts)
    return lambda row: any(part(row) for part in parts)


def tested_fields(bound: Bound) -> Iterator[int]:
    """Ids of the fields that a filter tests."""
    if isinstance(bound, BoundTest):
        yield bound.field_id
    elif not isinstance(bound, BoundConstant):
        for part in bound.parts:
            yield from tested_fields(part)


def equalities(bound: Bound) -> dict[int, Any]:
    """Field id -> value, where every row that passes has this value."""
    if isinstance(bound, BoundTest):
        return {bound.field_id: bound.values[0]} if bound.op == "eq" else {}
    if isinstance(bound, BoundConstant) or bound.joiner != "and":
        return {}
    found: dict[int, Any] = {}
    for part in bound.parts:
        found |= equalities(part)
    return found


def _test(test: BoundTest) -> Keeps:
    if test.op in ("is_null", "not_null"):
        wanted = test.op == "is_null"
        return lambda row: (row[test.field_id] is None) == wanted
    passes = _passes(test)

    def keeps(row: Row) -> bool:
        value = row[test.field_id]
        return value is not None and passes(value)

    return keeps


def _passes(test: BoundTest) -> Callable[[Any], bool]:
    """The test of a value that is not null."""
    keys = [_key(each) for each in test.values]
    first = keys[0] if keys else None
    members = frozenset(keys)
    tests: dict[str, Callable[[Any], bool]] = {
        "is_nan": lambda value: bool(math.isnan(value)),
        "not_nan": lambda value: not math.isnan(value),
        "lt": lambda value: bool(_key(value) < first),
        "le": lambda value: bool(_key(value) <= first),
        "gt": lambda value: bool(_key(value) > first),
        "ge": lambda value: bool(_key(value) >= first),
        "eq": lambda value: _key(value) == first,
        "ne": lambda value: _key(value) != first,
        "in": lambda value: _key(value) in members,
        "not_in": lambda value: _key(value) not in members,
        "starts_with": lambda value: bool(value.startswith(test.values[0])),
        "not_starts_with": lambda value: not value.startswith(test.values[0]),
    }
    return tests[test.op]


def _key(value: Any) -> Any:
    if isinstance(value, float):
        return (True, 0.0) if math.isnan(value) else (False, value)
    return value.encode() if isinstance(value, str) else value
