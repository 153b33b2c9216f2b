"""Filters twice: as headrace's text, and as a Python function with SQL's three values. Drawn by hypothesis.

Knows the model's columns; nothing of headrace. NaN equals itself and is larger than every number, as in Spark.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.commit.model import Column, Row, Schema, comparable, named

Truth = bool | None
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "int": st.integers(0, 5),
    "long": st.integers(0, 5) | st.sampled_from([2**40, -(2**40)]),
    "float": st.sampled_from([0.5, 1.5, -2.0, float("nan")]),
    "double": st.sampled_from([0.5, 1.5, -2.0, float("nan")]),
    "string": st.sampled_from(["a", "ab", "b", "", "ü"]),
}
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Condition:
    """A filter: its text, and what it makes of a row's values by name."""

    text: str
    test: Callable[[Mapping[str, Any]], Truth]

    def selects(self, found: Row, schema: Schema) -> bool:
        """Whether a reader with this schema selects a row."""
        return self.test(named(found, schema)) is True


def conditions(schema: Schema) -> st.SearchStrategy[Condition]:
    """Filters on some columns of a schema."""
    leaves = st.sampled_from(schema).flatmap(_leaves)
    return st.recursive(
        leaves, lambda inner: st.builds(_both, st.sampled_from(["and", "or"]), inner, inner), max_leaves=3
    )


def _leaves(column: Column) -> st.SearchStrategy[Condition]:
    values = VALUES[column.kind].filter(lambda each: comparable(each) != "NaN")
    compared = st.builds(
        lambda sign, value: _compare(column.name, sign, value), st.sampled_from([*_COMPARISONS]), values
    )
    several = st.lists(values, min_size=1, max_size=3).map(lambda chosen: _among(column.name, chosen))
    return compared | several | st.booleans().map(lambda null: _null(column.name, null))


def _compare(name: str, sign: str, value: Any) -> Condition:
    def test(row: Mapping[str, Any]) -> Truth:
        found = row[name]
        return None if found is None else _COMPARISONS[sign](_key(found, value), _key(value, value))

    return Condition(f"{name} {sign} {_literal(value)}", test)


def _among(name: str, values: list[Any]) -> Condition:
    text = ", ".join(_literal(each) for each in values)
    return Condition(f"{name} in ({text})", lambda row: None if row[name] is None else row[name] in values)


def _null(name: str, null: bool) -> Condition:
    return Condition(f"{name} is {'' if null else 'not '}null", lambda row: (row[name] is None) == null)


def _both(word: str, left: Condition, right: Condition) -> Condition:
    def test(row: Mapping[str, Any]) -> Truth:
        found = {left.test(row), right.test(row)}
        decisive = word == "or"
        return decisive if decisive in found else (None if None in found else not decisive)

    return Condition(f"({left.text} {word} {right.text})", test)


def _key(found: Any, like: Any) -> Any:
    return (found == "NaN", 0.0 if found == "NaN" else found) if isinstance(like, float) else found


def _literal(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else repr(value)
