"""Variants as Python objects: Parquet's binary encoding of a value of any type.

A column of variants is a struct of two binaries, `metadata` (the names of fields) and `value`; `decode_variant` takes
one pair.
Must not know: columns, tables. Neighbour: `column` decodes whole columns. Spec: Parquet format, VariantEncoding.md.
"""

from __future__ import annotations

import datetime
import decimal
import struct
import uuid
from itertools import pairwise
from typing import Any

from headrace.errors import MetaflowTableInvalidData, UnsupportedError

MAX_DEPTH = 500
"""Variants within variants: Python's own stack ends at about twice that."""
_EPOCH = datetime.datetime(1970, 1, 1)
_UTC = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_FIXED = {3: "<b", 4: "<h", 5: "<i", 6: "<q", 7: "<d", 14: "<f"}
"""Codes of the numbers: int8 to int64, double, float."""
_DECIMALS = {8: 4, 9: 8, 10: 16}
"""Bytes of a decimal's digits by its code."""


def decode_variant(metadata: bytes, value: bytes) -> Any:
    """Return the Python value of a variant.

    Parameters
    ----------
    metadata, value : bytes
        The two binaries of one variant.

    Returns
    -------
    object
        None, bool, int, float, str, bytes, `decimal.Decimal`, `datetime.date`, `datetime.time`, `datetime.datetime`
        (with UTC where the variant has a zone), `uuid.UUID`; an object as a dict, an array as a list. A copy.

    Raises
    ------
    MetaflowTableInvalidData
        The bytes are no variant: cut short, of another version, deeper than 500 levels.
    UnsupportedError
        A type that is not known, or a moment that Python cannot hold: one with a fraction of a microsecond, too.

    Examples
    --------
    >>> decode_variant(b"\\x01\\x01\\x00\\x01a", b"\\x02\\x01\\x00\\x00\\x02\\x0c\\x2a")
    {'a': 42}
    """
    try:
        return _Decoder(_names(metadata), value).value(0, 0)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise MetaflowTableInvalidData(f"a variant that is damaged: {error}") from error
    except (OverflowError, ValueError) as error:
        raise UnsupportedError(f"a variant that Python has no value for: {error}") from error


def _names(metadata: bytes) -> list[str]:
    header = metadata[0]
    if header & 0xF != 1:
        raise MetaflowTableInvalidData(f"a variant of version {header & 0xF}, expected 1")
    width = (header >> 6) + 1
    count = _number(metadata, 1, width)
    texts = 1 + (count + 2) * width
    if texts > len(metadata):
        raise MetaflowTableInvalidData(f"a variant of {count} names in {len(metadata)} bytes")
    ends = [_number(metadata, 1 + (at + 1) * width, width) for at in range(count + 1)]
    return [_slice(metadata, texts + start, end - start).decode() for start, end in pairwise(ends)]


def _number(data: bytes, at: int, width: int) -> int:
    return int.from_bytes(_slice(data, at, width), "little")


def _slice(data: bytes, at: int, length: int) -> bytes:
    if at < 0 or length < 0 or at + length > len(data):
        raise IndexError(f"{length} bytes at {at} of {len(data)}")
    return data[at : at + length]


class _Decoder:
    def __init__(self, names: list[str], data: bytes) -> None:
        self._names, self._data = names, data

    def value(self, at: int, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise MetaflowTableInvalidData(f"variants within variants, deeper than {MAX_DEPTH}")
        header = self._data[at]
        kind, inner = header & 3, header >> 2
        if kind == 0:
            return self._primitive(inner, at + 1)
        if kind == 1:
            return _slice(self._data, at + 1, inner).decode()
        if kind == 2:
            return self._object(inner, at + 1, depth)
        return self._array(inner, at + 1, depth)

    def _object(self, header: int, at: int, depth: int) -> dict[str, Any]:
        offset, id_width = (header & 3) + 1, (header >> 2 & 3) + 1
        count, at = self._count(at, bool(header >> 4 & 1), offset + id_width)
        ids = [_number(self._data, at + each * id_width, id_width) for each in range(count)]
        starts, values = self._offsets(at + count * id_width, count, offset)
        pairs = zip(ids, starts, strict=False)
        return {self._names[each]: self.value(values + start, depth + 1) for each, start in pairs}

    def _array(self, header: int, at: int, depth: int) -> list[Any]:
        offset = (header & 3) + 1
        count, at = self._count(at, bool(header >> 2 & 1), offset)
        starts, values = self._offsets(at, count, offset)
        return [self.value(values + start, depth + 1) for start in starts[:-1]]

    def _count(self, at: int, is_large: bool, item_bytes: int) -> tuple[int, int]:
        width = 4 if is_large else 1
        count = _number(self._data, at, width)
        if count * item_bytes > len(self._data):
            raise IndexError(f"{count} items in {len(self._data)} bytes")
        return count, at + width

    def _offsets(self, at: int, count: int, width: int) -> tuple[list[int], int]:
        return [_number(self._data, at + each * width, width) for each in range(count + 1)], at + (count + 1) * width

    def _primitive(self, code: int, at: int) -> Any:
        data = self._data
        if code <= 2:
            return (None, True, False)[code]
        if code in _FIXED:
            return struct.unpack_from(_FIXED[code], data, at)[0]
        if code in _DECIMALS:
            digits = int.from_bytes(_slice(data, at + 1, _DECIMALS[code]), "little", signed=True)
            return decimal.Decimal(digits).scaleb(-data[at], decimal.Context(prec=40))
        if code == 11:
            return _EPOCH.date() + datetime.timedelta(days=struct.unpack_from("<i", data, at)[0])
        if code in (15, 16):
            found = _slice(data, at + 4, _number(data, at, 4))
            return found if code == 15 else found.decode()
        if code == 20:
            return uuid.UUID(bytes=_slice(data, at, 16))
        if code in (12, 13, 17, 18, 19):
            return _moment(code, struct.unpack_from("<q", data, at)[0])
        raise UnsupportedError(f"a variant of the unknown type {code}")


def _moment(code: int, number: int) -> datetime.datetime | datetime.time:
    if code >= 18:
        if number % 1000:
            raise ValueError(f"{number} ns is no whole number of microseconds")
        number //= 1000
    span = datetime.timedelta(microseconds=number)
    if code == 17:
        return (_EPOCH + span).time()
    return (_UTC if code in (12, 18) else _EPOCH) + span
