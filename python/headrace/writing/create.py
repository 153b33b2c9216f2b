"""A new table from a few words: its schema of a frame, an Arrow schema, a dataclass or a dict; partitions as text.

Must not know: rows. Neighbours: `headrace.table` calls it; `iceberg.definitions` reads the words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.catalog import Catalog
from headrace.errors import InvalidArgument, MetaflowTableExists, MetaflowTableIncompatible
from headrace.iceberg import Schema
from headrace.iceberg.creation import DEFAULT_FORMAT_VERSION, FORMAT_VERSION
from headrace.iceberg.definitions import partition_spec, schema_of, sort_order

IF_EXISTS = ("error", "ok", "replace")


def create(
    catalog: Catalog,
    identifier: Sequence[str],
    schema: Any,
    partition_by: str | Sequence[str] | None,
    sort_by: str | Sequence[str] | None,
    properties: Mapping[str, str] | None,
    location: str | None,
    if_exists: str,
) -> Schema | None:
    """Make a table; see `Table.create`. If there is one, which is to be replaced: the schema that it is to have."""
    if if_exists not in IF_EXISTS:
        raise InvalidArgument(f"if_exists: expected 'error', 'ok' or 'replace', found {if_exists!r}")
    kept = {str(key): str(value) for key, value in (properties or {}).items()}
    made = described(schema, int(kept.get(FORMAT_VERSION, DEFAULT_FORMAT_VERSION)))
    spec, order = partition_spec(partition_by, made), sort_order(sort_by, made)
    try:
        if if_exists == "error" or not catalog.table_exists(identifier):
            catalog.create_table(identifier, made, spec, order, location, kept)
            return None
    except MetaflowTableExists:
        if if_exists == "error":
            raise
    if if_exists == "replace":
        return made
    _check_same(catalog, identifier, made)
    return None


def described(schema: Any, format_version: int) -> Schema:
    """The schema that a definition means: anything with an Arrow schema, or words."""
    has_rows = any(hasattr(schema, each) for each in ("__arrow_c_stream__", "__arrow_c_array__"))
    if type(schema).__module__.partition(".")[0] == "pandas" or (
        has_rows and not hasattr(schema, "__arrow_c_schema__")
    ):
        from headrace.writing.selecting import as_frame

        schema = as_frame(schema)
    if hasattr(schema, "__arrow_c_schema__"):
        from headrace import _engine

        parsed = Schema.from_json(json.loads(_engine.arrow_schema(schema, format_version)))
        return schema_of(parsed)
    return schema_of(schema)


def _check_same(catalog: Catalog, identifier: Sequence[str], wanted: Schema) -> None:
    """A table that is there serves if it has the columns that were asked for."""
    found = catalog.load_table(identifier).metadata.schema
    for field in wanted.fields:
        there = next((each for each in found.fields if each.name == field.name), None)
        if there is None or str(there.type) != str(field.type):
            has = "does not have it" if there is None else f"has it as {there.type}"
            message = f"the table exists, but column {field.name!r} ({field.type}) was asked for and it {has}"
            raise MetaflowTableIncompatible(message, table=".".join(identifier))
