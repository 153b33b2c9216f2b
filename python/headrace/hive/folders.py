"""Hive-style folders without a metastore: "ds=2026-01-01/h=3/part-0.parquet" as columns ds and h.

Must not know: metastores, Parquet. Types are inferred from all values of a key: whole numbers, dates, else text; a
number with leading zeros is text, since nobody can tell it from one. Neighbours: `headrace.files` reads the files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.errors import MetaflowTableInvalidData
from headrace.filters import Bound
from headrace.hive.listing import is_hidden
from headrace.hive.names import from_text, unescape
from headrace.hive.pruning import compile_filter
from headrace.hive.values import column_of, parser
from headrace.iceberg import NestedField, PrimitiveType, Schema

if TYPE_CHECKING:
    from headrace._engine import Column

FIRST_FOLDER_ID = 1 << 20
"""Of the columns that folders stand for (engine/core/src/load/source.rs)."""

_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,17})")
_DATE = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")


@dataclass(frozen=True)
class FolderFiles:
    """Files, and the values that their folders stand for: one a file for each of `keys`."""

    locations: list[str]
    keys: tuple[NestedField, ...]
    values: list[tuple[str | None, ...]]

    def schema(self, of_files: Schema) -> Schema:
        """The columns of the files, and those of their folders in place of columns of their names."""
        names = {each.name for each in self.keys}
        return Schema((*(each for each in of_files.fields if each.name not in names), *self.keys))

    def pruned(self, bound: Bound) -> FolderFiles:
        """The files that may hold rows which pass a filter."""
        read = [(each.field_id, parser(_primitive(each), each.name)) for each in self.keys]
        keeps = compile_filter(bound, frozenset(field_id for field_id, _ in read))
        known: dict[tuple[str | None, ...], bool] = {}
        for values in self.values:
            if values not in known:
                row = {field_id: parse(text) for (field_id, parse), text in zip(read, values, strict=True)}
                known[values] = keeps(row)
        kept = [at for at, values in enumerate(self.values) if known[values]]
        return FolderFiles([self.locations[at] for at in kept], self.keys, [self.values[at] for at in kept])

    def columns(self) -> list[Column]:
        """The values as columns of the engine."""
        made = []
        for at, key in enumerate(self.keys):
            parse = parser(_primitive(key), key.name)
            made.append(column_of(_primitive(key), key.name, [parse(values[at]) for values in self.values]))
        return made


def parquet_below(root: str, listed: Sequence[tuple[str, int]]) -> list[tuple[str, str]]:
    """The Parquet files in a listing of a folder: (location, path below it)."""
    found = [(location, location[len(root) :]) for location, size in listed if size > 0]
    return [(location, path) for location, path in found if not is_hidden(path) and _is_parquet(path)]


def of_paths(files: Sequence[tuple[str, str]]) -> FolderFiles:
    """Files by (location, path below the folder), with the values that their folders stand for.

    Raises
    ------
    MetaflowTableInvalidData
        Files in folders of different keys.
    """
    keys: list[str] | None = None
    values = []
    for location, path in files:
        pairs = [each.partition("=") for each in path.split("/")[:-1] if "=" in each]
        names = [unescape(key) for key, _, _ in pairs]
        if keys is None:
            keys = names
        if names != keys:
            message = f"files in folders of the keys {names} beside others of {keys}"
            raise MetaflowTableInvalidData(message, location=location, hint="read folders of the same keys")
        values.append(tuple(from_text(unescape(value)) for _, _, value in pairs))
    columns = list(zip(*values, strict=True)) if keys else []
    fields = [NestedField(FIRST_FOLDER_ID + at, name, _infer(columns[at])) for at, name in enumerate(keys or [])]
    return FolderFiles([location for location, _ in files], tuple(fields), values)


def _infer(texts: Sequence[str | None]) -> PrimitiveType:
    distinct = {each for each in texts if each is not None}
    for pattern, name in ((_NUMBER, "long"), (_DATE, "date")):
        if distinct and all(pattern.fullmatch(each) for each in distinct):
            return PrimitiveType(name)
    return PrimitiveType("string")


def _is_parquet(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.endswith((".parquet", ".parq")) or "." not in name


def _primitive(field: NestedField) -> PrimitiveType:
    assert isinstance(field.type, PrimitiveType)
    return field.type
