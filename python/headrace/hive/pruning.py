"""Which partitions a filter leaves: a bound filter on partition values, where all else counts as possible.

Must not know: metastores, names. The meaning is that of the engine's filters: null is never a match, NaN equals itself
and is larger than every number, text is compared as UTF-8. Neighbour: `partitions.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
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
    joined = _both if bound.joiner == "and" else _either
    return reduce(joined, parts) if parts else lambda row: bound.joiner == "and"


def _both(one: Keeps, other: Keeps) -> Keeps:
    return lambda row: one(row) and other(row)


def _either(one: Keeps, other: Keeps) -> Keeps:
    return lambda row: one(row) or other(row)


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
    field_id = test.field_id
    if test.op == "is_null":
        return lambda row: row[field_id] is None
    if test.op == "not_null":
        return lambda row: row[field_id] is not None
    passes = _passes(test)
    return lambda row: (value := row[field_id]) is not None and passes(value)


def _passes(test: BoundTest) -> Callable[[Any], bool]:
    """The test of a value that is not null. Text is compared as it is: its order is that of its UTF-8."""
    if any(isinstance(each, float) for each in test.values):
        plain = _plainly(test.op, tuple(map(_key, test.values)))
        return lambda value: plain(_key(value))
    return _plainly(test.op, test.values)


def _plainly(op: str, values: tuple[Any, ...]) -> Callable[[Any], bool]:
    first, members = values[0] if values else None, frozenset(values)
    tests: dict[str, Callable[[Any], bool]] = {
        "is_nan": lambda value: bool(math.isnan(value)),
        "not_nan": lambda value: not math.isnan(value),
        "lt": lambda value: bool(value < first),
        "le": lambda value: bool(value <= first),
        "gt": lambda value: bool(value > first),
        "ge": lambda value: bool(value >= first),
        "eq": lambda value: bool(value == first),
        "ne": lambda value: bool(value != first),
        "in": lambda value: value in members,
        "not_in": lambda value: value not in members,
        "starts_with": lambda value: bool(value.startswith(first)),
        "not_starts_with": lambda value: not value.startswith(first),
    }
    return tests[op]


def _key(value: Any) -> Any:
    """A number as it is compared where one may be NaN."""
    return (True, 0.0) if isinstance(value, float) and math.isnan(value) else (False, value)
