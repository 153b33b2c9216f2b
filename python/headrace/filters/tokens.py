"""Filter text cut into tokens, and the syntax errors that point into it.

Must not know: the grammar (parser.py). Neighbours: literals.py for the pattern of numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from headrace.errors import FilterError
from headrace.filters.literals import NUMBER_PATTERN

_TOKEN = re.compile(
    rf"""(?P<space>\s+)
    |(?P<bytes>[xX]'[^']*')
    |(?P<text>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`)
    |(?P<number>(?a:{NUMBER_PATTERN})(?!\w))
    |(?P<parameter>:[^\W\d]\w*)
    |(?P<word>[^\W\d]\w*)
    |(?P<symbol><=|>=|<>|!=|==|[=<>(),.+-])""",
    re.VERBOSE,
)
_SHOWN = 60
_HINTS = {
    "&": "in text filters write and",
    "|": "in text filters write or",
    "~": "in text filters write not",
    "!": "in text filters write not, or != for unequal",
    "[": "lists take parentheses: x in (1, 2)",
    "?": "parameters have names: x = :name, with params={'name': ...}",
    "$": "parameters start with a colon: x = :name",
    "%": "parameters start with a colon: x = :name, with params={'name': ...}",
    "*": "arithmetic is not part of filters: compute the literal in Python and pass it in params",
    "/": "arithmetic is not part of filters: compute the literal in Python and pass it in params",
    ";": "a filter is one condition, without the end of a statement",
}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of filter text.

    Attributes
    ----------
    kind : str
        bytes text quoted number parameter word symbol end
    text : str
        As written.
    position : int
        Of its first character.
    """

    kind: str
    text: str
    position: int

    @property
    def lower(self) -> str:
        """Keyword or symbol to compare with; empty for what is quoted."""
        return self.text.lower() if self.kind in ("word", "symbol") else ""

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else f"`{self.text}`" if len(self.text) < _SHOWN else self.kind


def tokens(source: str) -> Iterator[Token]:
    """Cut a filter into tokens; the last one has kind "end"."""
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            raise _unreadable(source, position)
        if match.lastgroup != "space":
            yield Token(str(match.lastgroup), match[0], position)
        position = match.end()
    yield Token("end", "", len(source))


def syntax_error(source: str, position: int, problem: str, hint: str | None = None) -> FilterError:
    """Return an error that shows the line of the filter with a caret under the position."""
    start = source.rfind("\n", 0, position) + 1
    end = source.find("\n", position)
    line = source[start : end if end >= 0 else len(source)]
    column = position - start
    cut = max(0, column - _SHOWN)
    shown = ("..." if cut else "") + line[cut : column + _SHOWN] + ("..." if column + _SHOWN < len(line) else "")
    # Tabs are one column wide here and anything in a terminal, so both lines get spaces.
    caret = " " * (column - cut + (3 if cut else 0)) + "^"
    return FilterError(
        f"filter: {problem} at position {position}\n  {shown.replace(chr(9), ' ')}\n  {caret}", hint=hint
    )


def _unreadable(source: str, position: int) -> FilterError:
    character = source[position]
    if character in "'\"`":
        return syntax_error(
            source, position, f"the quote {character} is not closed", "quotes inside are doubled: 'it''s'"
        )
    if character.isdigit():
        return syntax_error(source, position, "a number runs into a name", "names that start with a digit are quoted")
    return syntax_error(source, position, f"unexpected {character!r}", _HINTS.get(character))
