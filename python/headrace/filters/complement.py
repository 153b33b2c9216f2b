"""The rows that a filter leaves: those for which it is not true, so false or null.

Works on the engine's JSON, where `not` has been pushed down to the leaves. Must not know: how filters are bound.
Neighbours: `binding.py` makes the JSON; deletes keep what this selects. Meaning: engine/core/src/iceberg/predicate.rs.
"""

from __future__ import annotations

from typing import Any

_PAIRS = (("lt", "ge"), ("le", "gt"), ("eq", "ne"), ("in", "not_in"), ("is_null", "not_null"), ("is_nan", "not_nan"))
_OPPOSITES = {one: other for pair in (*_PAIRS, ("starts_with", "not_starts_with")) for one, other in (pair, pair[::-1])}


def not_true(filter: dict[str, Any]) -> dict[str, Any]:
    """The filter that keeps exactly the rows which this one drops.

    Examples
    --------
    >>> not_true({"op": "lt", "field": 1, "type": "int", "values": [5]})["or"][0]["op"]
    'ge'
    """
    if "and" in filter:
        return {"or": [not_true(each) for each in filter["and"]]}
    if "or" in filter:
        return {"and": [not_true(each) for each in filter["or"]]}
    op = filter["op"]
    if op in ("true", "false"):
        return {"op": "false" if op == "true" else "true"}
    opposite = filter | {"op": _OPPOSITES[op]}
    if op in ("is_null", "not_null"):
        return opposite
    return {"or": [opposite, {"op": "is_null", "field": filter["field"], "type": filter["type"], "values": []}]}
