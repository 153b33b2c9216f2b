"""Filters as objects: `col("ds") >= "2026-01-01"`, combined with `&`, `|` and `~`.

A filter is an immutable tree of tests joined by and, or, not. It prints as the text that the parser reads back into an
equal tree. Must not know: schemas, types of columns, the engine's JSON (binding.py does). Neighbours: literals.py
below; parser.py builds the same trees from text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from headrace.errors import FilterError
from headrace.filters.literals import Literal, canonical, render

# The engine's JSON reader stops at 128 levels, and each level of a filter takes two.
MAX_DEPTH = 50

COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "=", "ne": "!="}
RESERVED = frozenset(
    ["and", "or", "not", "in", "between", "is", "null", "nan", "infinity", "like", "true", "false", "escape"]
)
_PLAIN_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


class Expression:
    """A filter. Combine with ``&``, ``|`` and ``~``; compare with ``==`` for equal trees.

    Examples
    --------
    >>> (col("ds") >= "2026-01-01") & col("country").isin(["US", "CA"])
    ds >= '2026-01-01' and country in ('US', 'CA')
    """

    __slots__ = ()

    @property
    def depth(self) -> int:
        """Levels of and, or, not above the deepest test."""
        return 0

    def __and__(self, other: Expression) -> Expression:
        return _join(And, self, other)

    def __or__(self, other: Expression) -> Expression:
        return _join(Or, self, other)

    def __invert__(self) -> Expression:
        return _bounded(Not(self))

    def __bool__(self) -> NoReturn:
        raise FilterError(
            f"the filter `{self}` has no truth value of its own",
            hint="combine filters with & | ~ and parentheses, not and/or/not/in: (col('a') > 1) & (col('b') < 2)",
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Constant(Expression):
    """Keeps every row (True) or none."""

    value: bool

    def __str__(self) -> str:
        return render(self.value)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Test(Expression):
    """A test of one column.

    Attributes
    ----------
    op : str
        lt le gt ge eq ne in not_in is_null not_null is_nan not_nan starts_with not_starts_with, as in the engine.
    column : str
        Name, with dots between the levels of structs.
    values : tuple
        Canonical literals: several for in and not_in, none for null and NaN tests, else one.
    """

    __test__ = False  # not a test of pytest's

    op: str
    column: str
    values: tuple[Literal, ...] = ()

    def __str__(self) -> str:
        name = render_name(self.column)
        if self.op in COMPARISONS:
            return f"{name} {COMPARISONS[self.op]} {render(self.values[0])}"
        if self.op in ("in", "not_in"):
            return f"{name} {self.op.replace('_', ' ')} ({', '.join(map(render, self.values))})"
        if self.op in ("starts_with", "not_starts_with"):
            return f"{name} {self.op.replace('_', ' ')} {render(self.values[0])}"
        tested, negated = self.op.split("_")[1], self.op.startswith("not_")
        return f"{name} is {'not ' if negated else ''}{tested}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class And(Expression):
    """All of several filters."""

    parts: tuple[Expression, ...]
    levels: int

    @property
    def depth(self) -> int:
        return self.levels

    def __str__(self) -> str:
        return " and ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Or(Expression):
    """Any of several filters."""

    parts: tuple[Expression, ...]
    levels: int

    @property
    def depth(self) -> int:
        return self.levels

    def __str__(self) -> str:
        return " or ".join(map(str, self.parts))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Not(Expression):
    """The opposite of a filter; unknown, as from a comparison with null, stays unknown."""

    part: Expression

    @property
    def depth(self) -> int:
        return self.part.depth + 1

    def __invert__(self) -> Expression:
        return self.part

    def __str__(self) -> str:
        return f"not ({self.part})"


class Column:
    """A column to test, made by `col`. Immutable and hashable; comparing it gives an `Expression`."""

    __slots__ = ("name",)
    name: str

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise FilterError(f"a column is named by text, found {name!r}")
        object.__setattr__(self, "name", name)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"Column is immutable: cannot set {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return Column, (self.name,)

    def __hash__(self) -> int:
        return hash(("column", self.name))

    def __repr__(self) -> str:
        return f"col({self.name!r})"

    def __lt__(self, other: Any) -> Expression:
        return self._compare("lt", other)

    def __le__(self, other: Any) -> Expression:
        return self._compare("le", other)

    def __gt__(self, other: Any) -> Expression:
        return self._compare("gt", other)

    def __ge__(self, other: Any) -> Expression:
        return self._compare("ge", other)

    def __eq__(self, other: Any) -> Expression:  # type: ignore[override]
        return self._compare("eq", other)

    def __ne__(self, other: Any) -> Expression:  # type: ignore[override]
        return self._compare("ne", other)

    def isin(self, values: Iterable[Any]) -> Expression:
        """Equal to one of the values."""
        return Test("in", self.name, literals(values, f"a value for {self!r}"))

    def not_in(self, values: Iterable[Any]) -> Expression:
        """Equal to none of the values; false for null."""
        return Test("not_in", self.name, literals(values, f"a value for {self!r}"))

    def is_null(self) -> Expression:
        """Null."""
        return Test("is_null", self.name)

    def is_not_null(self) -> Expression:
        """Not null."""
        return Test("not_null", self.name)

    def is_nan(self) -> Expression:
        """NaN, in float and double columns; false for null."""
        return Test("is_nan", self.name)

    def is_not_nan(self) -> Expression:
        """A number other than NaN, in float and double columns; false for null."""
        return Test("not_nan", self.name)

    def between(self, low: Any, high: Any) -> Expression:
        """From low to high, both included."""
        return join_all(And, [self._compare("ge", low), self._compare("le", high)])

    def starts_with(self, prefix: str) -> Expression:
        """Text that begins with the prefix."""
        return Test("starts_with", self.name, (canonical(prefix, f"the prefix for {self!r}"),))

    def like(self, pattern: str) -> Expression:
        """Text like ``'abc%'`` (begins with abc) or ``'abc'`` (is abc); other patterns raise FilterError."""
        return like(self.name, pattern)

    def __bool__(self) -> NoReturn:
        raise FilterError(f"{self!r} has no truth value", hint=f"to test a boolean column write {self!r} == True")

    def _no_operator(self, _other: Any = None) -> NoReturn:
        raise FilterError(
            f"{self!r} is not a filter yet",
            hint="& | ~ bind tighter than comparisons: write (col('a') > 1) & (col('b') == True)",
        )

    __and__ = __rand__ = __or__ = __ror__ = __invert__ = _no_operator

    def _compare(self, op: str, other: object) -> Expression:
        if isinstance(other, Column | Expression):
            raise FilterError(
                f"{self!r} is compared with {other!r}, but a filter compares a column with a literal",
                hint="load the columns and compare them there",
            )
        return Test(op, self.name, (canonical(other, f"the value compared with {self!r}"),))


def col(name: str) -> Column:
    """Name a column to filter on.

    Parameters
    ----------
    name : str
        Column name; dots lead into structs (``"address.city"``).

    Examples
    --------
    >>> col("price").between(5, 10) | col("price").is_null()
    price >= 5 and price <= 10 or price is null
    """
    return Column(name)


def like(column: str, pattern: object, negated: bool = False) -> Expression:
    """Turn a LIKE pattern into a test: ``'abc%'`` is a prefix, ``'abc'`` an equality."""
    if not isinstance(pattern, str):
        raise FilterError(f"the pattern for column {column!r} is {pattern!r}, expected text")
    stem = pattern[:-1] if pattern.endswith("%") else pattern
    if any(special in stem for special in "%_\\"):
        raise FilterError(
            f"like {render(pattern)} on column {column!r} is not supported: only 'abc%' and 'abc' are",
            hint="filter on a prefix (starts_with takes % _ and \\ as they are), then narrow the loaded frame",
        )
    literal = canonical(stem)
    if stem == pattern:
        return Test("ne" if negated else "eq", column, (literal,))
    return Test("not_starts_with" if negated else "starts_with", column, (literal,))


def literals(values: Any, what: str) -> tuple[Literal, ...]:
    """Make the values of a list canonical; sets, which have no order, are put into one."""
    if isinstance(values, str | bytes | dict) or not isinstance(values, Iterable):
        raise FilterError(f"{what}: found {type(values).__name__} where a list is expected", hint="isin([...])")
    found = tuple(canonical(value, what) for value in values)
    return tuple(sorted(found, key=render)) if isinstance(values, set | frozenset) else found


def render_name(name: str) -> str:
    """Return a column name as the parser reads it, quoted where it must be."""
    plain = _PLAIN_NAME.fullmatch(name) and name.split(".")[0].lower() not in RESERVED
    return name if plain else '"' + name.replace('"', '""') + '"'


def join_all(kind: type[And] | type[Or], parts: list[Expression]) -> Expression:
    """Join filters, flattening what is joined the same way already."""
    if len(parts) == 1:
        return parts[0]
    flat: list[Expression] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, kind) else (part,))
    return _bounded(kind(tuple(flat), 1 + max(part.depth for part in flat)))


def _join(kind: type[And] | type[Or], left: Expression, right: Any) -> Expression:
    if not isinstance(right, Expression):
        raise FilterError(
            f"`{left}` is combined with {right!r}, which is not a filter",
            hint="& and | bind tighter than comparisons: put each side in parentheses",
        )
    return join_all(kind, [left, right])


def _bounded(expression: Expression) -> Expression:
    if expression.depth > MAX_DEPTH:
        raise FilterError(f"the filter is nested deeper than {MAX_DEPTH} levels", hint="use isin([...]) where it fits")
    return expression
