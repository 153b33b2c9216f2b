"""Names of namespaces and tables: "a.b.table" or tuples, always tuples inside.

Must not know: any catalog. A dot always separates in text; a name that holds a dot is given as a tuple.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from headrace.errors import InvalidArgument

Identifier: TypeAlias = tuple[str, ...]
Namespace: TypeAlias = tuple[str, ...]


def parse_identifier(identifier: str | Sequence[str]) -> Identifier:
    """The identifier of a table: at least a namespace and a name.

    Examples
    --------
    >>> parse_identifier("a.b.table")
    ('a', 'b', 'table')
    """
    parts = _parts(identifier, "table")
    if len(parts) < 2:
        hint = f"write it as 'namespace.{parts[0]}'"
        raise InvalidArgument(f"table {dotted(parts)!r} names no namespace", hint=hint)
    return parts


def parse_namespace(namespace: str | Sequence[str]) -> Namespace:
    """A namespace of one or more levels."""
    return _parts(namespace, "namespace")


def dotted(parts: Sequence[str]) -> str:
    """A name for people: levels joined by dots."""
    return ".".join(parts)


def _parts(name: str | Sequence[str], kind: str) -> tuple[str, ...]:
    parts = tuple(name.split(".")) if isinstance(name, str) else tuple(name)
    for part in parts:
        if not isinstance(part, str):
            raise InvalidArgument(f"{kind} name: expected text, found {type(part).__name__} in {name!r}")
        if not part or any(ord(character) < 32 for character in part):
            raise InvalidArgument(f"{kind} name {name!r} has an empty level or a control character")
    if not parts:
        raise InvalidArgument(f"{kind} name is empty")
    return parts
