"""Typed access to members of untrusted JSON: the value, or an error that names the field.

Must not know: what the members mean. Used by every parser in this folder. The location of the file is added to the
error by the outermost parser (`metadata.py`), which knows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, overload

from headrace.errors import MetaflowTableInvalidData

Value = TypeVar("Value")
_KINDS = {int: "an integer", str: "a string", dict: "an object", list: "an array", bool: "true or false"}
_LONGEST_SHOWN = 80


def invalid(where: str, found: object, expected: str) -> MetaflowTableInvalidData:
    """The error for a field that holds something else: names field, found, expected."""
    shown = repr(found)
    if len(shown) > _LONGEST_SHOWN:
        shown = shown[:_LONGEST_SHOWN] + "..."
    return MetaflowTableInvalidData(f"{where}: expected {expected}, found {shown}")


def is_a(value: object, kind: type) -> bool:
    """isinstance, except that a JSON boolean is no integer."""
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def member(value: Mapping[str, Any], key: str, kind: type[Value], where: str = "") -> Value:
    """The member `key`, which must be there with this type."""
    name = f"{where}.{key}" if where else key
    if key not in value:
        raise MetaflowTableInvalidData(f"{name}: missing, expected {_KINDS[kind]}")
    found = value[key]
    if not is_a(found, kind):
        raise invalid(name, found, _KINDS[kind])
    return found  # type: ignore[no-any-return]


@overload
def optional(value: Mapping[str, Any], key: str, kind: type[Value], where: str = "") -> Value | None: ...
@overload
def optional(value: Mapping[str, Any], key: str, kind: type[Value], where: str = "", *, default: Value) -> Value: ...


def optional(
    value: Mapping[str, Any], key: str, kind: type[Value], where: str = "", *, default: Value | None = None
) -> Value | None:
    """The member `key`, or `default` where it is absent or null."""
    return default if value.get(key) is None else member(value, key, kind, where)


def objects(value: Mapping[str, Any], key: str, where: str = "") -> list[dict[str, Any]]:
    """An array of objects; empty where it is absent or null."""
    found = optional(value, key, list, where, default=[])
    for position, each in enumerate(found):
        if not isinstance(each, dict):
            raise invalid(f"{where}.{key}[{position}]".lstrip("."), each, "an object")
    return found


def strings(value: Mapping[str, Any], key: str, where: str = "") -> dict[str, str]:
    """An object of strings (properties, summaries); numbers and booleans become text, as some writers leave them."""
    found = optional(value, key, dict, where, default={})
    return {name: _text(each, f"{where}.{key}.{name}".lstrip(".")) for name, each in found.items() if each is not None}


def _text(value: object, where: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise invalid(where, value, "a string")
