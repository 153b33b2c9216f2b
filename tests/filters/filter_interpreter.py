"""What the tests of filters share: a schema without the rest of headrace, and a tiny interpreter of the engine's JSON.

The interpreter follows the header of engine/core/src/iceberg/predicate.rs, row by row, and nothing else.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from headrace.errors import ColumnNotFound, nearest


@dataclass(frozen=True)
class Field:
    field_id: int
    name: str
    field_type: str


class Schema:
    """Dotted names to types, numbered in order."""

    def __init__(self, **types: str) -> None:
        names = {name.replace("__", "."): text for name, text in types.items()}
        self.fields = {name: Field(number, name, text) for number, (name, text) in enumerate(names.items(), 1)}

    def find_field(self, name: str, case_sensitive: bool = True) -> Field:
        for known, field in self.fields.items():
            if known == name or (not case_sensitive and known.lower() == name.lower()):
                return field
        raise ColumnNotFound(f"no column {name!r}", hint=nearest(name, self.fields))


def keeps(engine_json: str, row: dict[int, Any]) -> bool:
    """Whether a row (field id to value in the engine's units, None for null) is kept."""
    return _walk(json.loads(engine_json), row)


def _walk(node: dict[str, Any], row: dict[int, Any]) -> bool:
    if "and" in node:
        return all(_walk(part, row) for part in node["and"])
    if "or" in node:
        return any(_walk(part, row) for part in node["or"])
    if node["op"] in ("true", "false"):
        return node["op"] == "true"
    return _leaf(node, row[node["field"]])


def _leaf(node: dict[str, Any], value: Any) -> bool:
    op = node["op"]
    if value is None:
        return op == "is_null"
    key = _key(value)
    keys = [_key(_literal(each, node["type"])) for each in node.get("values", [])]
    tests = {
        "is_null": lambda: False,
        "not_null": lambda: True,
        "is_nan": lambda: math.isnan(value),
        "not_nan": lambda: not math.isnan(value),
        "lt": lambda: key < keys[0],
        "le": lambda: key <= keys[0],
        "gt": lambda: key > keys[0],
        "ge": lambda: key >= keys[0],
        "eq": lambda: key == keys[0],
        "ne": lambda: key != keys[0],
        "in": lambda: key in keys,
        "not_in": lambda: key not in keys,
        "starts_with": lambda: value.startswith(node["values"][0]),
        "not_starts_with": lambda: not value.startswith(node["values"][0]),
    }
    return tests[op]()


def _key(value: Any) -> tuple[bool, Any]:
    """NaN equals itself and is larger than every number; text is compared as UTF-8."""
    if isinstance(value, float) and math.isnan(value):
        return True, 0.0
    return False, value.encode() if isinstance(value, str) else value


def _literal(value: Any, type_text: str) -> Any:
    if type_text in ("float", "double"):
        assert isinstance(value, str)
        return float(value)
    if type_text.startswith("decimal"):
        assert isinstance(value, str)
        return int(value)
    if type_text in ("uuid", "binary") or type_text.startswith("fixed"):
        return bytes.fromhex(value)
    assert isinstance(value, str if type_text == "string" else bool if type_text == "boolean" else int)
    return value
