"""Parquet files read as columns of a schema that they need not have: each file's columns matched, cast, filled up.

Must not know: tables, snapshots. Neighbours: `headrace.files` reads files; `schemas.py` says what is wanted.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace import _engine
from headrace.errors import HeadraceError, MetaflowTableTypeMismatch
from headrace.fastdata import schemas
from headrace.handoff import required
from headrace.iceberg import NestedField, Schema

if TYPE_CHECKING:
    from headrace.dataframe import MetaflowDataFrame

_WIDTHS = {"b": 1, "i": 4, "l": 8, "f": 4, "g": 8, "tdD": 4, "ttu": 8}
_TEXT = ("u", "U", "vu")
_BYTES = ("z", "Z", "vz")


def from_parquet_with_schema(
    urls: Sequence[str] | str,
    schema: Sequence[Mapping[str, Any]] | None,
    num_threads: int | None,
    properties: Mapping[str, str] | None,
) -> MetaflowDataFrame:
    """See `MetaflowDataFrame.from_parquet_with_schema`."""
    from headrace import files
    from headrace.dataframe import MetaflowDataFrame

    paths = [urls] if isinstance(urls, str | os.PathLike) else list(urls)
    if schema is None:
        return files.read_parquet(paths, properties=properties, num_threads=num_threads)
    wanted = schemas.parse(schema)
    described = [(path, files.schema_text(path, properties)) for path in paths]
    frames = []
    # Files of one schema are read at once; a folder's files must have one
    for _, group in itertools.groupby(described, key=lambda each: each[1]):
        same = [path for path, _ in group]
        frames.append(evolved(files.read_parquet(same, properties=properties, num_threads=num_threads), wanted))
    return MetaflowDataFrame.stack(frames)


def evolved(frame: MetaflowDataFrame, schema: Schema) -> MetaflowDataFrame:
    """The columns of a schema, of those that a frame has."""
    from headrace.dataframe import MetaflowDataFrame

    columns = [frame._frame.column(at) for at in range(frame._frame.num_columns)]
    by_id = {each.field_id: each for each in columns if each.field_id is not None}
    by_name = {each.name: each for each in columns}
    made = []
    for field in schema.fields:
        found = by_id.get(field.field_id) if by_id else by_name.get(field.name)
        made.append(_nulls(field, frame.num_rows) if found is None else _cast(found, field))
    return MetaflowDataFrame(_engine.Frame.from_columns(made))


def _cast(column: _engine.Column, field: NestedField) -> _engine.Column:
    """A column under a field's name, as its type."""
    wanted = schemas.arrow_format(field.field_type)
    column = column.decoded().rename(field.name)
    if wanted is None:
        return _cast_nested(column, field)
    if column.type == wanted or any(column.type in kinds and wanted in kinds for kinds in (_TEXT, _BYTES)):
        return column
    try:
        return column.cast(wanted)
    except (HeadraceError, ValueError) as error:
        message = f"column {field.name!r} ({column.type_name}) is not {field.field_type}: {error}"
        raise MetaflowTableTypeMismatch(message) from error


def _cast_nested(column: _engine.Column, field: NestedField) -> _engine.Column:
    if str(field.field_type).replace(" ", "") == column.type_name.replace(" ", ""):
        return column
    pyarrow = required("pyarrow", f"column {field.name!r}, whose nested type must be cast,")
    wanted = schemas.pyarrow_type(pyarrow, field.field_type)
    try:
        made = pyarrow.array(column).cast(wanted)
    except pyarrow.ArrowInvalid as error:
        message = f"column {field.name!r} ({column.type_name}) is not {field.field_type}: {error}"
        raise MetaflowTableTypeMismatch(message) from error
    return _engine.Column.from_arrow(made, field.name)


def _nulls(field: NestedField, rows: int) -> _engine.Column:
    """A column without any value."""
    kind = schemas.arrow_format(field.field_type)
    if kind in ("U", "Z"):
        return _engine.Column.from_values(field.name, kind.lower(), [None] * rows)
    width = _WIDTHS.get(kind or "", 8 if (kind or "").startswith("ts") else 0)
    if kind is not None and width:
        return _engine.Column.from_values(field.name, kind, bytes(width * rows), bytes([1]) * rows)
    pyarrow = required("pyarrow", f"column {field.name!r}, which a file lacks and whose type is {field.field_type},")
    return _engine.Column.from_arrow(pyarrow.nulls(rows, schemas.pyarrow_type(pyarrow, field.field_type)), field.name)
