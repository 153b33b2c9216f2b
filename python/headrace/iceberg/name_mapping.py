"""The default name mapping: which columns of files without field ids belong to which field.

Must not know: schemas, files. Kept in the spec's JSON form, which is what the engine receives.
Spec: Iceberg table spec, "Column Projection", "Name Mapping Serialization" (Appendix C).
"""

from __future__ import annotations

import json
from typing import Any

from headrace.errors import MetaflowTableInvalidData
from headrace.iceberg.members import invalid, is_a, objects, optional
from headrace.iceberg.types import MAX_DEPTH


def parse_name_mapping(text: str, where: str = "name mapping") -> list[dict[str, Any]]:
    """Parse and check a name mapping: objects with `names`, an optional `field-id`, and nested `fields`."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MetaflowTableInvalidData(f"{where}: not JSON: {error}") from None
    if not isinstance(found, list):
        raise invalid(where, found, "an array of mapped fields")
    return _fields({"fields": found}, where, 0)


def _fields(json: dict[str, Any], where: str, depth: int) -> list[dict[str, Any]]:
    if depth > MAX_DEPTH:
        raise MetaflowTableInvalidData(f"{where[:200]}: nested deeper than {MAX_DEPTH} levels")
    mapped = []
    for position, each in enumerate(objects(json, "fields", where)):
        inner = f"{where}.fields[{position}]"
        names = optional(each, "names", list, inner, default=[])
        if not all(is_a(name, str) for name in names):
            raise invalid(f"{inner}.names", names, "an array of strings")
        entry: dict[str, Any] = {"names": names}
        if (field_id := optional(each, "field-id", int, inner)) is not None:
            entry["field-id"] = field_id
        if nested := _fields(each, inner, depth + 1):
            entry["fields"] = nested
        mapped.append(entry)
    return mapped
