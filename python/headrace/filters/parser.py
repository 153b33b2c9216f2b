"""Filter text to trees: `"ds >= '2026-01-01' and country in ('US', 'CA')"`.

The grammar, in the order of binding, loosest first (keywords in any case):

    filter     := conjunction ("or" conjunction)*
    conjunction:= negation ("and" negation)*
    negation   := "not"* ( "(" filter ")" | "true" | "false" | literal comparison column | column test )
    test       := comparison literal | ["not"] "in" ( "(" literals ")" | :parameter )
                | ["not"] "between" literal "and" literal | "is" ["not"] ( "null" | "nan" )
                | ["not"] "like" text | ["not"] "starts" "with" text | nothing (a boolean column)
    comparison := = == != <> < <= > >=
    literal    := text | number | true | false | nan | infinity | :parameter | x'6162'
                | ("date" | "time" | "timestamp" | "uuid") text
    column     := name ("." name)*, each plain, "quoted" or `quoted`

Must not know: types of columns. Neighbours: tokens.py, literals.py below; it builds the trees of expression.py.
"""

from __future__ import annotations

import datetime
import math
import uuid
from collections.abc import Mapping
from typing import Any

from headrace.errors import FilterError, nearest
from headrace.filters.expression import (
    MAX_DEPTH,
    RESERVED,
    And,
    Constant,
    Expression,
    Or,
    Test,
    join_all,
    like,
    literals,
)
from headrace.filters.literals import (
    DAY_NS,
    Instant,
    Literal,
    canonical,
    days,
    instant_from_text,
    number_from_text,
    time_ns_from_text,
)
from headrace.filters.tokens import Token, syntax_error, tokens

_COMPARISONS = {"=": "eq", "==": "eq", "!=": "ne", "<>": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_MIRRORED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
_TYPED = ("date", "time", "timestamp", "timestamptz", "uuid")
_CONSTANTS: dict[str, Literal] = {"true": True, "false": False, "nan": math.nan, "infinity": math.inf}
_TESTS = "=, !=, <, <=, >, >=, in, between, like, starts with or is"


def parse(source: str, params: Mapping[str, Any] | None = None) -> Expression:
    """Parse a filter.

    Parameters
    ----------
    source : str
        The filter; see the head of this module for the grammar.
    params : mapping, optional
        Values of the ``:name`` parameters; a list for ``in :names``.

    Returns
    -------
    Expression
        The tree that `col` would have built.

    Raises
    ------
    FilterError
        With the position of what could not be read, for a missing parameter and for one that is not used.

    Examples
    --------
    >>> parse("id = :id or not active", {"id": 5})
    id = 5 or not (active = true)
    """
    return _Parser(source, dict(params or {})).parse()


class _Parser:
    def __init__(self, source: str, params: dict[str, Any]) -> None:
        self._source = source
        self._tokens = list(tokens(source))
        self._at = 0
        self._params = params
        self._used: set[str] = set()

    def parse(self) -> Expression:
        if self._next.kind == "end":
            raise FilterError("the filter is empty", hint="filter=None reads every row")
        tree = self._filter(0)
        if self._next.lower == ")":
            raise syntax_error(self._source, self._next.position, "this `)` closes nothing")
        if self._next.kind != "end":
            raise self._expected("`and`, `or` or the end")
        if unused := sorted(set(self._params) - self._used):
            named = ", ".join(f":{name}" for name in unused)
            raise FilterError(f"params has {named}, which the filter does not use: {self._source!r}")
        return tree

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _ahead(self, count: int) -> Token:
        return self._tokens[min(self._at + count, len(self._tokens) - 1)]

    def _take(self) -> Token:
        token = self._next
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _accept(self, *words: str) -> bool:
        """Take the words if they come next."""
        found = all(self._ahead(offset).lower == word for offset, word in enumerate(words))
        if found:
            self._at += len(words)
        return found

    def _expect(self, word: str, meaning: str) -> None:
        if not self._accept(word):
            raise self._expected(meaning)

    def _expected(self, what: str, hint: str | None = None) -> FilterError:
        token = self._next
        if hint is None and token.lower in _COMPARISONS:
            hint = "a chain such as 1 < x < 5 is written x > 1 and x < 5, or x between 1 and 5 with both ends"
        return syntax_error(self._source, token.position, f"expected {what}, found {token}", hint)

    def _filter(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            problem = f"nested deeper than {MAX_DEPTH} levels"
            raise syntax_error(self._source, self._next.position, problem, "use in (...) where it fits")
        parts = [self._conjunction(depth)]
        while self._accept("or"):
            parts.append(self._conjunction(depth))
        return join_all(Or, parts)

    def _conjunction(self, depth: int) -> Expression:
        parts = [self._negation(depth)]
        while self._accept("and"):
            parts.append(self._negation(depth))
        return join_all(And, parts)

    def _negation(self, depth: int) -> Expression:
        negated = False
        while self._accept("not"):
            negated = not negated
        if self._accept("("):
            found = self._filter(depth + 1)
            self._expect(")", "`and`, `or` or `)`")
        else:
            found = self._predicate()
        return ~found if negated else found

    def _predicate(self) -> Expression:
        if self._next.lower in ("true", "false") and self._ahead(1).lower not in _COMPARISONS:
            return Constant(self._take().lower == "true")
        if self._starts_literal():
            value = self._literal()
            op = self._comparison(f"a comparison ({', '.join(_COMPARISONS)}) with a column")
            return Test(_MIRRORED[op], self._column("a column (one side of a comparison is a column)"), (value,))
        return self._test(self._column("a column or a literal"))

    def _test(self, column: str) -> Expression:
        if self._next.lower in _COMPARISONS:
            return Test(self._comparison(_TESTS), column, (self._literal(),))
        if self._accept("is"):
            negated = self._accept("not")
            for word in ("null", "nan"):
                if self._accept(word):
                    return Test(f"{'not' if negated else 'is'}_{word}", column)
            raise self._expected("null or nan" if negated else "null, nan or not")
        negated = self._accept("not")
        if self._accept("in"):
            return Test("not_in" if negated else "in", column, self._list(column))
        if self._accept("between"):
            return self._between(column, negated)
        if self._next.lower in ("like", "starts", "starts_with"):
            return self._pattern(column, negated)
        if negated:
            raise self._expected("in, between, like or starts with")
        if self._next.kind != "end" and self._next.lower not in ("and", "or", ")"):
            raise self._expected(_TESTS)
        return Test("eq", column, (True,))

    def _between(self, column: str, negated: bool) -> Expression:
        low = self._literal()
        self._expect("and", "`and` between the two ends")
        both = join_all(And, [Test("ge", column, (low,)), Test("le", column, (self._literal(),))])
        return ~both if negated else both

    def _pattern(self, column: str, negated: bool) -> Expression:
        if self._accept("like"):
            position = self._next.position
            pattern = self._literal()
            if self._next.lower == "escape":
                raise self._expected("no escape", "starts with takes % and _ as they are")
            try:
                return like(column, pattern, negated)
            except FilterError as error:
                raise syntax_error(self._source, position, error.reason, error.hint) from None
        if not self._accept("starts_with"):
            self._take()
            self._expect("with", "with (starts with)")
        return Test("not_starts_with" if negated else "starts_with", column, (self._literal(),))

    def _comparison(self, expected: str) -> str:
        if self._next.lower not in _COMPARISONS:
            raise self._expected(expected)
        return _COMPARISONS[self._take().lower]

    def _column(self, expected: str) -> str:
        parts = [self._name(expected)]
        while self._accept("."):
            parts.append(self._name("a name after the dot", after_dot=True))
        return ".".join(parts)

    def _name(self, expected: str, after_dot: bool = False) -> str:
        token = self._next
        if token.kind == "quoted" and len(token.text) > 2:
            quote = token.text[0]
            return self._take().text[1:-1].replace(quote * 2, quote)
        if token.kind == "word" and (after_dot or token.lower not in RESERVED):
            return self._take().text
        hint = f'a column of this name is written "{token.text}"' if token.lower in RESERVED else None
        raise self._expected(expected, hint)

    def _starts_literal(self) -> bool:
        token = self._next
        typed = token.lower in _TYPED and self._ahead(1).kind == "text"
        return typed or token.kind in ("text", "number", "bytes", "parameter") or token.lower in (*_CONSTANTS, "+", "-")

    def _literal(self) -> Literal:
        token = self._next
        if not self._starts_literal():
            raise self._expected("a literal", _literal_hint(token))
        if token.kind == "parameter":
            return self._parameter(token)
        if token.lower in _TYPED:
            return self._typed(self._take().lower, self._take())
        if token.kind == "text":
            return canonical(_unquoted(self._take()))
        if token.kind == "bytes":
            return self._bytes(self._take())
        sign = -1 if self._accept("-") else 1
        if sign == 1:
            self._accept("+")
        return self._signed(sign, token)

    def _signed(self, sign: int, first: Token) -> Literal:
        token = self._take()
        constant = _CONSTANTS.get(token.lower)
        if isinstance(constant, float):
            return sign * constant
        if constant is not None and token is first:
            return constant
        number = (
            number_from_text(token.text, f"the number at position {token.position}") if token.kind == "number" else None
        )
        if number is None:
            raise syntax_error(self._source, token.position, f"expected a number after the sign, found {token}")
        return -number if sign < 0 else number

    def _typed(self, type_name: str, token: Token) -> Literal:
        text = _unquoted(token)
        value: Literal | None = None
        if type_name == "uuid":
            try:
                value = uuid.UUID(text)
            except ValueError:
                value = None
        elif type_name == "time":
            value = _time(text)
        else:
            value = instant_from_text(text)
            if type_name != "date" and isinstance(value, datetime.date):
                value = Instant(days(value) * DAY_NS, False)
            if type_name == "date" and isinstance(value, Instant):
                value = None
        if value is None:
            raise syntax_error(self._source, token.position, f"{token} is not a {type_name}")
        return value

    def _bytes(self, token: Token) -> Literal:
        try:
            return bytes.fromhex(token.text[2:-1])
        except ValueError:
            problem = f"{token} is not hexadecimal"
            raise syntax_error(self._source, token.position, problem, "two digits a byte, such as x'00ff'") from None

    def _list(self, column: str) -> tuple[Literal, ...]:
        if self._next.kind == "parameter":
            token = self._take()
            value = self._value(token)
            try:
                return literals(value, f"parameter {token.text} for column {column!r}")
            except FilterError as error:
                raise syntax_error(self._source, token.position, error.reason, error.hint) from None
        self._expect("(", "`(` or a parameter that is a list")
        found: list[Literal] = []
        while not self._accept(")"):
            if found:
                self._expect(",", "`,` or `)`")
            found.append(self._literal())
        return tuple(found)

    def _parameter(self, token: Token) -> Literal:
        self._take()
        value = self._value(token)
        try:
            return canonical(value, f"parameter {token.text}")
        except FilterError as error:
            hint = "a list is for `in :name`" if isinstance(value, list | tuple | set | frozenset) else error.hint
            raise syntax_error(self._source, token.position, error.reason, hint) from None

    def _value(self, token: Token) -> Any:
        name = token.text[1:]
        if name not in self._params:
            problem = f"parameter :{name} has no value in params"
            raise syntax_error(self._source, token.position, problem, nearest(name, map(str, self._params)))
        self._used.add(name)
        return self._params[name]


def _time(text: str) -> Literal | None:
    found = time_ns_from_text(text)
    if found is None or found % 1000:
        return None
    seconds, microsecond = divmod(found // 1000, 10**6)
    return datetime.time(seconds // 3600, seconds // 60 % 60, seconds % 60, microsecond)


def _unquoted(token: Token) -> str:
    return token.text[1:-1].replace("''", "'")


def _literal_hint(token: Token) -> str | None:
    if token.lower == "null":
        return "a comparison with null is never true: use `is null` or `is not null`"
    if token.kind == "quoted":
        return f"double quotes name columns; text takes single quotes: '{token.text[1:-1]}'"
    if token.kind == "word" and token.lower not in RESERVED:
        return f"a column is compared with a literal; text takes single quotes: '{token.text}'"
    return None
