"""From Python's own values: lists of int, float, bool, str, bytes, date, datetime, or None.

For small frames, without any library beside. Neighbours: `column` calls in here. Must not know: NumPy."""

from __future__ import annotations

import array
import datetime
from collections.abc import Callable, Sequence
from typing import Any

from headrace import _engine
from headrace.errors import InvalidArgument

_EPOCH = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)


def column_of_values(name: str, values: Sequence[Any]) -> _engine.Column:
    """Copy values of one class into a column; ints among floats are floats.

    Raises
    ------
    InvalidArgument
        Values of several classes, or of one that has no column type here.
    """
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return _engine.Column.from_values(name, "u", list(values))
    if kinds == {bytes}:
        return _engine.Column.from_values(name, "z", list(values))
    if kinds == {bool}:
        return _fixed(name, "b", "B", values, int)
    if kinds == {int}:
        return _fixed(name, "l", "q", values, int)
    if kinds <= {int, float}:
        return _fixed(name, "g", "d", values, float)
    if kinds == {datetime.date}:
        return _fixed(name, "tdD", "i", values, lambda value: (value - _EPOCH.date()).days)
    if kinds == {datetime.datetime}:
        return _moments(name, values)
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise InvalidArgument(
        f"column {name!r}: values of {found} where one of int, float, bool, str, bytes, date, datetime is expected",
        hint="a NumPy or Arrow array has a type of its own",
    )


def _moments(name: str, values: Sequence[Any]) -> _engine.Column:
    zoned = {value.tzinfo is not None for value in values if value is not None}
    if len(zoned) > 1:
        raise InvalidArgument(f"column {name!r}: moments with a time zone and without one")
    epoch = _EPOCH.replace(tzinfo=datetime.UTC) if zoned == {True} else _EPOCH
    kind = "tsu:UTC" if zoned == {True} else "tsu:"
    return _fixed(name, kind, "q", values, lambda value: (value - epoch) // _MICROSECOND)


def _fixed(
    name: str, kind: str, code: str, values: Sequence[Any], number: Callable[[Any], int | float]
) -> _engine.Column:
    """Values of fixed width: `kind` is Arrow's name of the type, `code` Python's of the number."""
    try:
        numbers = array.array(code, (0 if value is None else number(value) for value in values))
    except OverflowError as error:
        raise InvalidArgument(f"column {name!r}: {error}", hint="a value beyond 64 bits has no column type") from error
    missing = bytes(value is None for value in values)
    return _engine.Column.from_values(name, kind, numbers.tobytes(), missing if any(missing) else None)
