"""Filters bound to a schema: names become field ids, literals values of the column's type, `not` moves to the leaves.

The bound tree means what SQL means: it keeps the rows for which the filter is true, and drops those for which it is
false or unknown (a comparison with null). Spec of the JSON: header of engine/core/src/iceberg/predicate.rs. Must not
know: how a schema is stored (see `BindableSchema`). Neighbours: expression.py and conversion.py below.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from headrace.errors import ColumnNotFound, FilterError
from headrace.filters.conversion import Placed, Unfit, Value, is_float, is_primitive, place
from headrace.filters.expression import And, Constant, Expression, Not, Or, Test, render_name
from headrace.filters.literals import Literal, render

_OPPOSITE = {
    "lt": "ge",
    "le": "gt",
    "eq": "ne",
    "in": "not_in",
    "is_null": "not_null",
    "is_nan": "not_nan",
    "starts_with": "not_starts_with",
}
_OPPOSITE |= {opposite: op for op, opposite in _OPPOSITE.items()}

# NaN is larger than every number and equal to itself, so each comparison with it is one of these.
_AGAINST_NAN = {"lt": "not_nan", "le": "not_null", "gt": None, "ge": "is_nan", "eq": "is_nan", "ne": "not_nan"}


class BindableField(Protocol):
    """What a filter needs to know of a field; ``str(field_type)`` is the Iceberg type."""

    @property
    def field_id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def field_type(self) -> object: ...


class BindableSchema(Protocol):
    """What a filter needs of a schema."""

    def find_field(self, name: str, case_sensitive: bool = True) -> BindableField:
        """Return the field at a dotted name, or raise ColumnNotFound with the nearest name."""


class BoundFilter:
    """A filter bound to a schema."""

    __slots__ = ()

    def to_engine_json(self) -> str:
        """Return the filter as the engine reads it."""
        return json.dumps(self.to_json(), allow_nan=False, separators=(",", ":"))

    def to_json(self) -> dict[str, Any]:
        """Return the filter as JSON-able values."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class BoundConstant(BoundFilter):
    """Keeps every row (True) or none."""

    value: bool

    def to_json(self) -> dict[str, Any]:
        return {"op": "true" if self.value else "false"}


@dataclass(frozen=True, slots=True)
class BoundTest(BoundFilter):
    """A test of one field; values are in the engine's units, decimals unscaled."""

    op: str
    field_id: int
    type_text: str
    values: tuple[Value, ...] = ()

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"op": self.op, "field": self.field_id, "type": self.type_text}
        if self.values:
            found["values"] = [_engine_value(value, self.type_text) for value in self.values]
        return found


@dataclass(frozen=True, slots=True)
class BoundGroup(BoundFilter):
    """All (``joiner`` "and") or any ("or") of several."""

    joiner: str
    parts: tuple[Bound, ...]

    def to_json(self) -> dict[str, Any]:
        return {self.joiner: [part.to_json() for part in self.parts]}


Bound: TypeAlias = BoundConstant | BoundTest | BoundGroup

_TRUE, _FALSE = BoundConstant(True), BoundConstant(False)


def bind(expression: Expression, schema: BindableSchema, case_sensitive: bool = True) -> Bound:
    """Bind a filter to a schema.

    Parameters
    ----------
    expression : Expression
        The filter.
    schema : BindableSchema
        The schema whose fields it names.
    case_sensitive : bool, default True
        Whether names must match in case.

    Returns
    -------
    Bound
        Tests with field ids, joined by and/or; constants folded.

    Raises
    ------
    ColumnNotFound
        For a name that the schema does not have.
    FilterError
        For a literal that its column cannot be compared with exactly, or a column that cannot be filtered on.
    """
    return _Binder(schema, case_sensitive).bind(expression, False)


class _Binder:
    def __init__(self, schema: BindableSchema, case_sensitive: bool) -> None:
        self._schema = schema
        self._case_sensitive = case_sensitive
        self._fields: dict[str, tuple[int, str]] = {}

    def bind(self, node: Expression, negated: bool) -> Bound:
        match node:
            case Constant():
                return BoundConstant(node.value != negated)
            case Not():
                return self.bind(node.part, not negated)
            case And() | Or():
                joiner = "and" if isinstance(node, And) != negated else "or"
                return _join(joiner, [self.bind(part, negated) for part in node.parts])
            case Test():
                return self._test(node, _OPPOSITE[node.op] if negated else node.op)
        raise FilterError(f"{node!r} is not a filter", hint="build filters with col(...) or text")

    def _test(self, test: Test, op: str) -> Bound:
        field_id, type_text = self._field(test.column)
        if op in ("is_nan", "not_nan") and not is_float(type_text) and type_text != "unknown":
            raise FilterError(
                f"column {test.column!r} has type {type_text}, which has no NaN", hint="leave the test out"
            )
        if type_text == "unknown":  # all null
            return BoundConstant(op == "is_null" or (op == "not_in" and not test.values))
        if not test.values and op in ("in", "not_in"):
            return BoundConstant(op == "not_in")
        if not test.values:
            return BoundTest(op, field_id, type_text)
        make = _Maker(field_id, type_text)
        if op in ("starts_with", "not_starts_with"):
            return make.starts_with(op, _prefix(test, type_text))
        placed = [_placed(value, test.column, type_text) for value in test.values]
        return make.membership(op, placed) if op in ("in", "not_in") else make.comparison(op, *placed[0])

    def _field(self, name: str) -> tuple[int, str]:
        if name not in self._fields:
            field = self._schema.find_field(name, self._case_sensitive)
            type_text = str(field.field_type)
            if not is_primitive(type_text):
                raise FilterError(
                    f"column {name!r} has type {type_text}, which filters cannot test",
                    hint="test a field inside it" if type_text.startswith("struct") else "filter the loaded frame",
                )
            self._refuse_repeated(name)
            self._fields[name] = field.field_id, type_text
        return self._fields[name]

    def _refuse_repeated(self, name: str) -> None:
        """A row has many values inside a list or map, so no single one to test."""
        at = name.find(".")
        while at >= 0:
            try:
                kind = str(self._schema.find_field(name[:at], self._case_sensitive).field_type)
            except ColumnNotFound:  # the dot is part of a name
                kind = "struct"
            if kind.startswith(("list", "map")):
                raise FilterError(
                    f"column {name!r} lies inside {name[:at]!r} of type {kind}, which has many values a row"
                )
            at = name.find(".", at + 1)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes tests of one field from placed literals (see conversion.py)."""

    field_id: int
    type_text: str

    def make(self, op: str, *values: Value) -> Bound:
        return BoundTest(op, self.field_id, self.type_text, values)

    def comparison(self, op: str, floor: Value | None, ceiling: Value | None) -> Bound:
        if floor is not None and _same(floor, ceiling):
            return self._exact(op, floor)
        if op in ("eq", "ne"):
            return _FALSE if op == "eq" else self.make("not_null")
        # Between two values of the type, `<` and `<=` mean the same: at most the lower one.
        nearest, beyond = (floor, ceiling) if op in ("lt", "le") else (ceiling, floor)
        if nearest is None:
            return _FALSE
        return self.make("not_null") if beyond is None else self.make("le" if op in ("lt", "le") else "ge", nearest)

    def _exact(self, op: str, value: Value) -> Bound:
        if isinstance(value, float) and math.isnan(value):
            instead = _AGAINST_NAN[op]
            return self.make(instead) if instead else _FALSE
        return self.make(op, value)

    def membership(self, op: str, placed: Iterable[Placed]) -> Bound:
        exact = [floor for floor, ceiling in placed if floor is not None and _same(floor, ceiling)]
        values = list({repr(value): value for value in exact}.values())
        if not values:
            return _FALSE if op == "in" else self.make("not_null")
        if len(values) == 1:
            return self._exact("eq" if op == "in" else "ne", values[0])
        return self.make(op, *values)

    def starts_with(self, op: str, prefix: str) -> Bound:
        if prefix:
            return self.make(op, prefix)
        return self.make("not_null") if op == "starts_with" else _FALSE


def _same(floor: Value, ceiling: Value | None) -> bool:
    return floor == ceiling or (floor != floor and ceiling != ceiling)


def _prefix(test: Test, type_text: str) -> str:
    (prefix,) = test.values
    if type_text != "string" or not isinstance(prefix, str):
        raise FilterError(
            f"column {test.column!r} of type {type_text} cannot be tested for starting with {render(prefix)}",
            hint="prefixes are text, and of columns of type string",
        )
    return prefix


def _placed(value: Literal, column: str, type_text: str) -> Placed:
    try:
        return place(type_text, value)
    except Unfit as unfit:
        shown = render(value)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        raise FilterError(
            f"column {render_name(column)} of type {type_text} cannot be compared with {shown}: "
            f"expected {unfit.expected}",
            hint=unfit.hint,
        ) from None


def _join(joiner: str, parts: list[Bound]) -> Bound:
    """Join bound filters, folding constants: only true rows are kept, so unknown may count as false here."""
    absorbing, neutral = (_FALSE, _TRUE) if joiner == "and" else (_TRUE, _FALSE)
    flat: dict[Bound, None] = {}
    for part in parts:
        if isinstance(part, BoundGroup) and part.joiner == joiner:
            flat |= dict.fromkeys(part.parts)
        else:
            flat[part] = None
    if absorbing in flat:
        return absorbing
    flat.pop(neutral, None)
    if not flat:
        return neutral
    return next(iter(flat)) if len(flat) == 1 else BoundGroup(joiner, tuple(flat))


def _engine_value(value: Value, type_text: str) -> bool | int | str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):  # as text, because readers of JSON may round the last bit of a number
        return "NaN" if math.isnan(value) else repr(value).replace("inf", "Infinity")
    return str(value) if type_text.startswith("decimal") else value
