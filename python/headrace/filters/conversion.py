"""Literals meet columns: every literal is placed exactly among the values that a column's type can hold.

`place(type, literal)` answers with the largest value of the type that is not above the literal, and the smallest that
is not below it, in the engine's units (see the header of engine/core/src/iceberg/predicate.rs). Both are the same value
where the type holds the literal; None means that the literal lies below or above every value. So no comparison is ever
rounded: binding.py turns `int_column < 5.5` into `int_column <= 5`.

Must not know: names, schemas, trees. Neighbours: literals.py below, binding.py above.
"""

from __future__ import annotations

import datetime
import math
import re
import struct
import uuid
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

from headrace.filters.literals import (
    DAY_NS,
    Instant,
    Literal,
    days,
    instant_from_text,
    number_from_text,
    time_ns_from_text,
)

# A value in the engine's units; decimals are unscaled integers.
Value: TypeAlias = bool | int | float | str | bytes
Placed: TypeAlias = tuple[Value | None, Value | None]

_INT = (-(2**31), 2**31 - 1)
_LONG = (-(2**63), 2**63 - 1)
_MAX_FLOAT = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]
_DECIMAL = re.compile(r"decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_FIXED = re.compile(r"fixed\[\s*(\d+)\s*\]")


class Unfit(Exception):
    """The literal is not a value of the type. Its two arguments: what is expected, and a hint or None."""

    def __init__(self, expected: str, hint: str | None = None) -> None:
        super().__init__(expected, hint)
        self.expected = expected
        self.hint = hint


def is_float(type_text: str) -> bool:
    """Whether NaN can occur in the type."""
    return type_text in ("float", "double")


def is_primitive(type_text: str) -> bool:
    """Whether the engine can test columns of the type."""
    known = type_text in _PLACES or type_text == "unknown"
    return known or bool(_DECIMAL.fullmatch(type_text) or _FIXED.fullmatch(type_text))


def place(type_text: str, literal: Literal) -> Placed:
    """Place a literal among the values of a type.

    Parameters
    ----------
    type_text : str
        A primitive Iceberg type, such as ``"decimal(9, 2)"``.
    literal : Literal
        A canonical literal.

    Returns
    -------
    tuple of (floor, ceiling)
        In the engine's units; equal where the type holds the literal, None where every value is larger (floor) or
        smaller (ceiling).

    Raises
    ------
    Unfit
        Where the two cannot be compared.
    """
    if match := _DECIMAL.fullmatch(type_text):
        precision, scale = int(match[1]), int(match[2])
        limit = 10**precision - 1
        return _on_grid(_number(literal, "a number"), 10**scale, (-limit, limit))
    if match := _FIXED.fullmatch(type_text):
        return _fixed(literal, int(match[1]))
    return _PLACES[type_text](literal)


def _on_grid(value: int | Decimal | Fraction | float, steps: int, limits: tuple[int, int]) -> Placed:
    """Place a number on a grid of `steps` values a unit."""
    low, high = limits
    if isinstance(value, float):  # NaN, larger than every number, and the infinities
        return (None, low) if value == -math.inf else (high, None)
    exact = Fraction(value) * steps
    if exact < low:
        return None, low
    if exact > high:
        return high, None
    return math.floor(exact), math.ceil(exact)


def _number(literal: Literal, expected: str) -> int | Decimal | float:
    if isinstance(literal, str):
        found = number_from_text(literal)
        if found is None or isinstance(found, float):
            raise Unfit(expected)
        return found
    if isinstance(literal, bool) or not isinstance(literal, int | Decimal | float):
        raise Unfit(expected)
    return literal


def _integer(limits: tuple[int, int]) -> Callable[[Literal], Placed]:
    return lambda literal: _on_grid(_number(literal, "a number"), 1, limits)


def _double(literal: Literal) -> Placed:
    value = _floating(literal)
    if isinstance(value, float):
        return value, value
    try:
        guess = float(value)
    except OverflowError:
        largest = math.nextafter(math.inf, 0)
        return (largest, math.inf) if value > 0 else (-math.inf, -largest)
    return _bracket(value, guess, lambda each, towards: math.nextafter(each, towards))


def _float(literal: Literal) -> Placed:
    """A 32-bit column is compared with the double that a literal means, without rounding that to 32 bits."""
    value = _floating(literal)
    if value != value or value in (math.inf, -math.inf):
        return float(value), float(value)
    if abs(value) > _MAX_FLOAT:
        return (_MAX_FLOAT, math.inf) if value > 0 else (-math.inf, -_MAX_FLOAT)
    return _bracket(value, struct.unpack("<f", struct.pack("<f", value))[0], _next_float)


def _floating(literal: Literal) -> int | float:
    """Integers stay exact; a fraction means the nearest double, as in SQL and Python."""
    if isinstance(literal, str) and (found := number_from_text(literal)) is not None:
        literal = found
    if isinstance(literal, bool) or not isinstance(literal, int | Decimal | float):
        raise Unfit("a number")
    return literal if isinstance(literal, int) else float(literal)


def _bracket(value: int | float, guess: float, step: Callable[[float, float], float]) -> Placed:
    """Floor and ceiling of `value` around its rounded `guess`; Python compares int with float exactly."""
    if guess == value:
        zero_unsigned = guess + 0.0  # -0.0 and 0.0 are equal, one of them is enough
        return zero_unsigned, zero_unsigned
    return (guess, step(guess, math.inf)) if guess < value else (step(guess, -math.inf), guess)


def _next_float(value: float, towards: float) -> float:
    """The next 32-bit float above or below, as a double."""
    if value == 0:
        return math.copysign(2.0**-149, towards)
    bits = struct.unpack("<i", struct.pack("<f", value))[0]
    away = (value > 0) == (towards > 0)
    result: float = struct.unpack("<f", struct.pack("<i", bits + (1 if away else -1)))[0]
    return result


def _boolean(literal: Literal) -> Placed:
    if isinstance(literal, str) and literal.lower() in ("true", "false"):
        literal = literal.lower() == "true"
    if not isinstance(literal, bool):
        raise Unfit("true or false")
    return literal, literal


def _string(literal: Literal) -> Placed:
    if not isinstance(literal, str):
        raise Unfit("text", "write it in quotes")
    return literal, literal


def _uuid(literal: Literal) -> Placed:
    if isinstance(literal, str):
        try:
            literal = uuid.UUID(literal)
        except ValueError:
            raise Unfit("a UUID such as 'f79c3e09-677c-4bbd-a479-3f349cb785e7'") from None
    if isinstance(literal, uuid.UUID):
        literal = literal.bytes
    if not isinstance(literal, bytes) or len(literal) != 16:
        raise Unfit("a UUID (uuid.UUID, its text or its 16 bytes)")
    return literal, literal


def _binary(literal: Literal) -> Placed:
    if not isinstance(literal, bytes):
        raise Unfit("bytes", "write them as b'...' in Python or in hexadecimal as x'6162' in text")
    return literal, literal


def _fixed(literal: Literal, length: int) -> Placed:
    value, _ = _binary(literal)
    if not isinstance(value, bytes) or len(value) != length:
        raise Unfit(f"{length} bytes")
    return value, value


def _date(literal: Literal) -> Placed:
    expected = "a date such as '2026-01-31'"
    value = _moment(literal, expected)
    if isinstance(value, Instant):
        if value.zoned:
            raise Unfit(expected, "a date has no time zone: leave the zone out")
        return _on_grid(Fraction(value.nanoseconds, DAY_NS), 1, _INT)
    return _on_grid(days(value), 1, _INT)


def _timestamp(zoned: bool, unit_ns: int) -> Callable[[Literal], Placed]:
    example = "'2026-01-31 10:30:00" + ("+00:00'" if zoned else "'")
    expected = f"a timestamp {'with' if zoned else 'without'} time zone such as {example}"

    def placed(literal: Literal) -> Placed:
        value = _moment(literal, expected)
        instant = value if isinstance(value, Instant) else Instant(days(value) * DAY_NS, False)
        if instant.zoned != zoned:
            fix = f"say which zone it is in: {example}, or datetime(..., tzinfo=timezone.utc)"
            raise Unfit(expected, fix if zoned else "the column stores no time zone: leave it out")
        return _on_grid(Fraction(instant.nanoseconds, unit_ns), 1, _LONG)

    return placed


def _moment(literal: Literal, expected: str) -> Instant | datetime.date:
    found = instant_from_text(literal) if isinstance(literal, str) else literal
    if not isinstance(found, Instant | datetime.date):
        raise Unfit(expected)
    return found


def _time(literal: Literal) -> Placed:
    found = time_ns_from_text(literal) if isinstance(literal, str) else None
    if isinstance(literal, datetime.time):
        found = time_ns_from_text(literal.isoformat())
    if found is None:
        raise Unfit("a time of day such as '10:30:00'")
    return _on_grid(Fraction(found, 1000), 1, (0, DAY_NS // 1000 - 1))


_PLACES: dict[str, Callable[[Literal], Placed]] = {
    "boolean": _boolean,
    "int": _integer(_INT),
    "long": _integer(_LONG),
    "float": _float,
    "double": _double,
    "date": _date,
    "time": _time,
    "timestamp": _timestamp(False, 1000),
    "timestamptz": _timestamp(True, 1000),
    "timestamp_ns": _timestamp(False, 1),
    "timestamptz_ns": _timestamp(True, 1),
    "string": _string,
    "uuid": _uuid,
    "binary": _binary,
}
