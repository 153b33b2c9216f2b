"""Literals of a filter: values of Python, NumPy and pandas made canonical, and printed as the parser reads them.

A literal is untyped until it meets a column (see conversion.py), so the canonical forms keep everything that a column
could ask for: numbers are exact, instants have nanoseconds. Must not know: columns, schemas, the engine's JSON.
Neighbours: expression.py and parser.py build literals through here.
"""

from __future__ import annotations

import datetime
import math
import operator
import re
import uuid
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, TypeAlias

from headrace.errors import FilterError

_EPOCH_ORDINAL = datetime.date(1970, 1, 1).toordinal()
SECOND_NS = 10**9
DAY_NS = 86_400 * SECOND_NS

# No column holds numbers past 1e309; the cap keeps a hostile "1e999999999" from becoming gigabytes of digits.
_MAX_DIGITS = 1000
_EXACT = Context(prec=2 * _MAX_DIGITS, Emax=10 * _MAX_DIGITS, Emin=-10 * _MAX_DIGITS)

NUMBER_PATTERN = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_NUMBER = re.compile(rf"\s*[+-]?{NUMBER_PATTERN}\s*", re.ASCII)
_NOT_FINITE = {"nan": math.nan, "infinity": math.inf, "inf": math.inf}
_TIME_PATTERN = r"(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?"
_TIME = re.compile(_TIME_PATTERN, re.ASCII)
_INSTANT = re.compile(
    rf"(\d{{4}})-(\d{{2}})-(\d{{2}})(?:[T ]{_TIME_PATTERN})?\s*(Z|UTC|[+-]\d{{2}}(?::?\d{{2}})?)?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Instant:
    """A date with a time of day.

    Attributes
    ----------
    nanoseconds : int
        Since 1970-01-01 00:00:00; in UTC where ``zoned``, else of the local clock that the column uses.
    zoned : bool
        Whether the literal named a time zone.
    """

    nanoseconds: int
    zoned: bool

    def __str__(self) -> str:
        days, rest = divmod(self.nanoseconds, DAY_NS)
        date = datetime.date.fromordinal(days + _EPOCH_ORDINAL)
        seconds, fraction = divmod(rest, SECOND_NS)
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        digits = f".{fraction:09}".rstrip("0") if fraction else ""
        return f"{date.isoformat()} {clock}{digits}{'+00:00' if self.zoned else ''}"


# Numbers: int where integral, Decimal where not, float only for NaN and the infinities.
Literal: TypeAlias = bool | int | Decimal | float | str | bytes | uuid.UUID | datetime.date | datetime.time | Instant


def canonical(value: Any, what: str = "a literal") -> Literal:
    """Return the canonical form of a value that a filter may compare with.

    Parameters
    ----------
    value : object
        bool, int, float, Decimal, str, bytes, UUID, date, datetime, time, or such a scalar of NumPy, pandas or PyArrow.
    what : str
        What the value is, for errors.

    Raises
    ------
    FilterError
        For null, and for types that no column holds.
    """
    value = _plain(value)
    if value is None or type(value).__name__ in ("NaTType", "NAType"):  # pandas' nulls
        raise FilterError(f"{what} is null: a comparison with null is never true", hint="use is_null() or `x is null`")
    if isinstance(value, bool):
        return value
    if isinstance(value, int | Decimal | float):
        return _number(value, what)
    if isinstance(value, str):
        return _text(str.__str__(value), what)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, datetime.datetime):
        return _instant(value)
    if isinstance(value, datetime.time) and value.tzinfo is not None:
        raise FilterError(f"{what} {value!r} has a time zone, but columns of type time have none")
    if isinstance(value, uuid.UUID | datetime.date | datetime.time | Instant):
        return value
    raise FilterError(f"{what} has type {type(value).__name__}, which no column is compared with", hint=_hint(value))


def number_from_text(text: str, what: str = "a literal") -> int | Decimal | float | None:
    """Return the exact number that a text spells (also NaN and Infinity), or None."""
    if _NUMBER.fullmatch(text):
        if len(text) > 2 * _MAX_DIGITS:
            raise FilterError(f"{what} has {len(text)} characters, a number may have {2 * _MAX_DIGITS}")
        return _number(Decimal(text.strip()), what)
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text)
    value = _NOT_FINITE.get(rest.strip().lower())
    return None if value is None else sign * value


def instant_from_text(text: str) -> Instant | datetime.date | None:
    """Return the date, or date with time of day, that an ISO 8601 text spells, or None."""
    match = _INSTANT.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        date = datetime.date(int(year), int(month), int(day))
        if hour is None:
            return None if zone else date
        clock = _clock_ns(hour, minute, second, fraction)
        offset = _offset_ns(zone)
    except ValueError:
        return None
    nanoseconds = (date.toordinal() - _EPOCH_ORDINAL) * DAY_NS + clock - (offset or 0)
    return _checked(Instant(nanoseconds, offset is not None))


def time_ns_from_text(text: str) -> int | None:
    """Return the nanoseconds since midnight that a text spells, or None."""
    match = _TIME.fullmatch(text.strip())
    try:
        return _clock_ns(*match.groups()) if match else None
    except ValueError:
        return None


def days(date: datetime.date) -> int:
    """Return days since 1970-01-01."""
    return date.toordinal() - _EPOCH_ORDINAL


def render(value: Literal) -> str:
    """Return a literal as the parser reads it."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return "nan" if math.isnan(value) else "infinity" if value > 0 else "-infinity"
        case int() | Decimal():
            return str(value)
        case str():
            return "'" + value.replace("'", "''") + "'"
        case bytes():
            return f"x'{value.hex()}'"
        case uuid.UUID():
            return f"uuid '{value}'"
        case Instant():
            return f"timestamp '{value}'"
        case datetime.time():
            return f"time '{value.isoformat()}'"
        case _:
            return f"date '{value.isoformat()}'"


def _plain(value: Any) -> Any:
    """Unwrap scalars of NumPy (by `item`), PyArrow (by `as_py`) without importing either."""
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    if kind == "M":  # item() of datetime64[ns] is a bare int, so its text is read instead
        return None if str(value) == "NaT" else instant_from_text(str(value)) or value
    if isinstance(value, float | int | str | bytes):
        return value
    for unwrap in ("as_py", "item"):
        method = getattr(value, unwrap, None)
        if callable(method) and not isinstance(value, type):
            try:
                return method()
            except ValueError:
                return value  # an array of several values
    return value


def _number(value: int | Decimal | float, what: str) -> int | Decimal | float:
    if isinstance(value, float):
        if not math.isfinite(value):
            return float(value)
        # A float's fraction means its shortest decimal, so that 0.1 equals 0.10 in a decimal column as it does in SQL
        # and the same float in a double column; integral floats are exact.
        value = int(value) if value.is_integer() else Decimal(float.__repr__(value))
    if isinstance(value, Decimal):
        return _decimal(value, what)
    number = operator.index(value)
    if number.bit_length() > 3 * _MAX_DIGITS:
        raise FilterError(f"{what} has {number.bit_length()} bits, which no column holds")
    return number


def _decimal(value: Decimal, what: str) -> int | Decimal | float:
    if not value.is_finite():
        return float(value)
    if (value and abs(value.adjusted()) > _MAX_DIGITS) or len(value.as_tuple().digits) > _MAX_DIGITS:
        raise FilterError(f"{what} is a number with more than {_MAX_DIGITS} digits, which no column holds")
    if value == value.to_integral_value():
        return int(value)
    return value.normalize(_EXACT)


def _text(value: str, what: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as cause:
        raise FilterError(f"{what} {value!r} is not valid Unicode text") from cause
    return value


def _instant(value: datetime.datetime) -> Instant:
    offset = value.utcoffset()
    seconds = value.hour * 3600 + value.minute * 60 + value.second
    # pandas.Timestamp is a datetime with an attribute of its own for what is below microseconds.
    clock = seconds * SECOND_NS + value.microsecond * 1000 + getattr(value, "nanosecond", 0)
    nanoseconds = days(value) * DAY_NS + clock
    if offset is not None:
        nanoseconds -= (offset // datetime.timedelta(microseconds=1)) * 1000
    return _checked(Instant(nanoseconds, offset is not None))


def _checked(instant: Instant) -> Instant:
    """An offset may push an instant out of the years 1 to 9999, where it has no text."""
    if not 0 < instant.nanoseconds // DAY_NS + _EPOCH_ORDINAL <= datetime.date.max.toordinal():
        raise FilterError("a timestamp lies outside of the years 1 to 9999 in UTC")
    return instant


def _clock_ns(hour: str, minute: str, second: str | None, fraction: str | None) -> int:
    clock = datetime.time(int(hour), int(minute), int(second or 0))
    seconds = clock.hour * 3600 + clock.minute * 60 + clock.second
    return seconds * SECOND_NS + int((fraction or "").ljust(9, "0"))


def _offset_ns(zone: str | None) -> int | None:
    if zone is None:
        return None
    if zone.upper() in ("Z", "UTC"):
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return (-1 if zone[0] == "-" else 1) * _clock_ns(digits[:2], digits[2:], None, None)


def _hint(value: Any) -> str | None:
    if hasattr(value, "__iter__") or hasattr(value, "__len__"):
        return "use isin([...]) for several values"
    return None
