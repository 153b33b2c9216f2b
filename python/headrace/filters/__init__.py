"""Filters: objects or text in, the engine's JSON out.

    text --parser--> Expression --binding, with a schema--> bound filter --> JSON of the engine
    col("x") > 5 -----^

Must not know: tables, plans, the engine. Neighbours: iceberg/schema.py gives the schema to bind to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.errors import FilterError
from headrace.filters.binding import BindableField, BindableSchema, Bound, bind
from headrace.filters.expression import Column, Constant, Expression, col
from headrace.filters.parser import parse

__all__ = [
    "BindableField",
    "BindableSchema",
    "Bound",
    "Column",
    "Constant",
    "Expression",
    "as_filter",
    "bind",
    "col",
    "parse",
]


def as_filter(value: str | Expression | None, params: Mapping[str, Any] | None = None) -> Expression | None:
    """Return what a user gave as ``filter=`` as a tree.

    Parameters
    ----------
    value : str, Expression or None
        Text is parsed; None keeps every row.
    params : mapping, optional
        Values of the ``:name`` parameters of a text.

    Raises
    ------
    FilterError
        For text that cannot be parsed, params without a text, and values that are no filter.

    Examples
    --------
    >>> as_filter("id = :id", {"id": 5}) == (col("id") == 5)
    True
    """
    if isinstance(value, str):
        return parse(value, params)
    if params:
        raise FilterError("params are given without a filter text that names them", hint='filter="id = :id"')
    if value is None or isinstance(value, Expression):
        return value
    if isinstance(value, Column):
        raise FilterError(f"{value!r} is not a filter yet", hint=f"to test a boolean column write {value!r} == True")
    hint = (
        "a comparison of a plain text with a value is a bool: write col('x') == 5" if isinstance(value, bool) else None
    )
    raise FilterError(f"a filter is text or an expression, found {type(value).__name__}: {value!r:.80}", hint=hint)
