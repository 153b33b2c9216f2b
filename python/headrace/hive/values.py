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
    known: dict[str, Value] = {}

    def parse(text: str | None) -> Value | None:
        if text is None:
            return None
        if text not in known:
            try:
                known[text] = read(text)
            except (ValueError, InvalidOperation, OverflowError):
                message = f"partition key {key!r}: {text[:80]!r} is no {kind}"
                raise MetaflowTableInvalidData(message, hint="the metastore has a partition that cannot be") from None
        return known[text]

    return parse


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
        "double": float,
        "date": _date,
        "timestamp": _timestamp,
        "timestamptz": _timestamp,
    }
    return readers[kind.base]


def _integer(text: str, bound: int) -> int:
    value = int(text)
    if not -bound <= value < bound:
        raise ValueError
    return value


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.strip().lower()] if text.strip().lower() in ("true", "false") else _bad()


def _bad() -> bool:
    raise ValueError


def _float32(text: str) -> float:
    return float(array.array("f", [float(text)])[0])


def _decimal(text: str, kind: DecimalType) -> int:
    scaled = Decimal(text.strip()).scaleb(kind.scale)
    value = int(scaled)
    if value != scaled or abs(value) >= 10**kind.precision:
        raise ValueError
    return value


def _date(text: str) -> int:
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
