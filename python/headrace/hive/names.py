"""Names of partitions: "ds=2026-01-01/name=a%2Fb" ↔ their values as text, None for null.

Must not know: types, metastores. Which characters are escaped is Hive's choice (FileUtils.escapePathName): a writer
escapes as Hive does, a reader takes any escape.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from headrace.errors import MetaflowTableInvalidData
from headrace.metastore.description import DEFAULT_PARTITION

_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
_SPECIAL = frozenset([*map(chr, range(1, 32)), *"\"#%'*/:=?\\{[]^", "\x7f"])


def parse_name(name: str, keys: Sequence[str]) -> list[str | None]:
    """The values in a partition's name.

    Parameters
    ----------
    name : str
        As the metastore gives it.
    keys : sequence of str
        The table's partition keys, in order.

    Raises
    ------
    MetaflowTableInvalidData
        The name has other keys.

    Examples
    --------
    >>> parse_name("ds=2026-01-01/name=a%2Fb", ["ds", "name"])
    ['2026-01-01', 'a/b']
    """
    parts = name.split("/")
    if len(parts) != len(keys):
        raise MetaflowTableInvalidData(f"partition {name[:200]!r}: expected the keys {', '.join(keys)}")
    return [parse_part(part, key) for part, key in zip(parts, keys, strict=True)]


def parse_part(part: str, key: str) -> str | None:
    """The value in one key's part of a name.

    Examples
    --------
    >>> parse_part("name=a%2Fb", "name")
    'a/b'
    """
    found, separator, value = part.partition("=")
    if not separator or (found != key and unescape(found).lower() != key.lower()):
        raise MetaflowTableInvalidData(f"a partition's name: expected key {key!r}, found {part[:80]!r}")
    return from_text(unescape(value))


def make_name(keys: Sequence[str], values: Sequence[str | None]) -> str:
    """The name of a partition, as Hive writes it.

    Examples
    --------
    >>> make_name(["ds", "name"], [None, "a/b"])
    'ds=__HIVE_DEFAULT_PARTITION__/name=a%2Fb'
    """
    return "/".join(f"{escape(key)}={escape(to_text(value))}" for key, value in zip(keys, values, strict=True))


def from_text(value: str) -> str | None:
    """A value as text; None for Hive's name of null."""
    return None if value == DEFAULT_PARTITION else value


def to_text(value: str | None) -> str:
    """A value as the metastore has it. Hive has no empty text as a partition value: it is null."""
    return value or DEFAULT_PARTITION


def escape(text: str) -> str:
    """A text as part of a folder's name."""
    return "".join(f"%{ord(each):02X}" if each in _SPECIAL else each for each in text)


def unescape(text: str) -> str:
    """A part of a folder's name as text."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text) if "%" in text else text
