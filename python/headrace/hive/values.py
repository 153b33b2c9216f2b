"""Partition values: the metastore's text ↔ values in the engine's units, and columns of them.

Units are those of bound filters (`headrace.filters`): days, microseconds, unscaled decimals. Must not know: names of
partitions, files. Hive's texts: Hive language manual, "Dynamic partitions"; dates and timestamps as SQL writes them.
"""

from __future__ import annotations

import array
import datetime
import re
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from headrace.errors import MetaflowTableInvalidData
from headrace.iceberg import PrimitiveType
from headrace.iceberg.types import DecimalType

if TYPE_CHECKING:
    from headrace._engine import Column

Value = bool | int | float | str | bytes
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_DATE = re.compile(r"\s*(\d{4})-(\d{1,2})-(\d{1,2})\s*")
_TIMESTAMP = re.compile(r"\s*(\d{4}-\d{1,2}-\d{1,2})(?:[ T](\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?)?\s*")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_NO_VALUE = (ValueError, InvalidOperation, OverflowError)
_BOUNDS = {"int": 1 << 31, "long": 1 << 63}
_FORMATS = {
    "boolean": ("b", "B"),
    "int": ("i", "i"),
    "long": ("l", "q"),
    "float": ("f", "f"),
    "double": ("g", "d"),
    "date": ("tdD", "i"),
    "timestamp": ("tsu:", "q"),
    "timestamptz": ("tsu:UTC", "q"),
}
"""Type -> Arrow format, type code of Python's array."""


def parser(kind: PrimitiveType, key: str) -> Callable[[str | None], Value | None]:
    """What reads the texts of a partition key: None stays None.

    The returned function raises MetaflowTableInvalidData for a text that is no value of the type.
    """
    read = _reader(kind)
    known: dict[str | None, Value | None] = {None: None}

    def parse(text: str | None) -> Value | None:
        if text not in known:
            assert text is not None
            try:
                known[text] = read(text)
            except _NO_VALUE:
                message = f"partition key {key!r}: {text[:80]!r} is no {kind}"
                raise MetaflowTableInvalidData(message, hint="the metastore has a partition that cannot be") from None
        return known[text]

    return parse


class Texts(dict[str | None, Value | None]):
    """The texts of a partition key → their values, as Hive reads them: what is no value of the type is null.

    Attributes
    ----------
    kind : PrimitiveType
        The key's type.
    unread : list of str
        Texts that were asked for and are no value of the type.
    """

    def __init__(self, kind: PrimitiveType) -> None:
        super().__init__({None: None})
        self.kind = kind
        self.unread: list[str] = []
        self._read = _reader(kind)

    def __missing__(self, text: str) -> Value | None:
        try:
            value: Value | None = self._read(text)
        except _NO_VALUE:
            self.unread.append(text)
            value = None
        self[text] = value
        return value


def column_of(kind: PrimitiveType, name: str, values: Sequence[Value | None]) -> Column:
    """A column of values, of the type that the engine gives a column of the table."""
    from headrace._engine import Column

    if kind.base == "string":
        return Column.from_values(name, "u", list(values))
    if kind.base == "binary":
        return Column.from_values(name, "z", list(values))
    nulls = bytes(value is None for value in values)
    if isinstance(kind, DecimalType):
        data = b"".join(int(value or 0).to_bytes(16, sys.byteorder, signed=True) for value in values)
        return Column.from_values(name, f"d:{kind.precision},{kind.scale}", data, nulls)
    format, code = _FORMATS[kind.base]
    held: array.array[Any] = array.array(code, [value or 0 for value in values])
    return Column.from_values(name, format, held.tobytes(), nulls)


def _reader(kind: PrimitiveType) -> Callable[[str], Value]:
    if isinstance(kind, DecimalType):
        return lambda text: _decimal(text, kind)
    if kind.base in _BOUNDS:
        return lambda text: _integer(text, _BOUNDS[kind.base])
    readers: dict[str, Callable[[str], Value]] = {
        "string": str,
        "binary": str.encode,
        "boolean": _boolean,
        "float": _float32,
        "double": lambda text: float(_number(text)),
        "date": _date,
        "timestamp": _timestamp,
        "timestamptz": _timestamp,
    }
    return readers[kind.base]


def _integer(text: str, bound: int) -> int:
    value = int(_number(text))
    if not -bound <= value < bound:
        raise ValueError
    return value


def _number(text: str) -> str:
    """A number as SQL writes it: Python would read more ("1_000", other digits)."""
    if not _NUMBER.fullmatch(text := text.strip()):
        raise ValueError
    return text


def _boolean(text: str) -> bool:
    if (found := text.strip().lower()) not in ("true", "false"):
        raise ValueError
    return found == "true"


def _float32(text: str) -> float:
    return float(array.array("f", [float(_number(text))])[0])


def _decimal(text: str, kind: DecimalType) -> int:
    scaled = Decimal(_number(text)).scaleb(kind.scale)
    value = int(scaled)
    if value != scaled or abs(value) >= 10**kind.precision:
        raise ValueError
    return value


def _date(text: str) -> int:
    if len(text) == 10 and text[4] == text[7] == "-" and text.isascii():  # as nearly all are
        return datetime.date.fromisoformat(text).toordinal() - _EPOCH
    match = _DATE.fullmatch(text)
    if not match:
        raise ValueError
    return datetime.date(*map(int, match.groups())).toordinal() - _EPOCH


def _timestamp(text: str) -> int:
    match = _TIMESTAMP.fullmatch(text)
    if not match:
        raise ValueError
    day, hour, minute, second, fraction = match.groups()
    clock = datetime.time(int(hour or 0), int(minute or 0), int(second or 0))
    seconds = _date(day) * 86_400 + clock.hour * 3600 + clock.minute * 60 + clock.second
    return seconds * 1_000_000 + int((fraction or "").ljust(6, "0")[:6])
