"""Staged work: files that were written and belong to no snapshot yet, as small values that travel between processes.

A value is a dict of plain JSON: the table, schema and spec that its file was written for, and the file's own JSON (the
REST specification's `DataFile`) as text, which only the engine opens. Must not know: commits, catalogs.
Neighbours: `snapshots.py` turns them into a snapshot.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.errors import InvalidArgument, MetaflowTableIncompatible
from headrace.iceberg import TableMetadata

VERSION = 1
_TEXTS = ("table", "path", "file")
_NUMBERS = ("schema", "spec", "rows", "bytes", "at_ms")


@dataclass(frozen=True)
class StagedFile:
    """One data file, written and not committed."""

    table: str
    schema: int
    spec: int
    path: str
    rows: int
    bytes: int
    at_ms: int
    file: str


def stage(
    metadata: TableMetadata, files: Iterable[str], shard: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Values for files that were written for the table's current schema and spec.

    Parameters
    ----------
    metadata : TableMetadata
        As it was when they were written.
    files : iterable of str
        JSON of each file.
    shard : mapping or None
        The shard that the rows are of (`shards.mark`). Without a file one value says that it had no rows.
    """
    now = time.time_ns() // 1_000_000
    staged = []
    for text in files:
        file = json.loads(text)
        staged.append(
            {
                "headrace": VERSION,
                "table": identity(metadata),
                "schema": metadata.schema.schema_id,
                "spec": file["spec-id"],
                "path": file["file-path"],
                "rows": file["record-count"],
                "bytes": file["file-size-in-bytes"],
                "at_ms": now,
                "file": text,
            }
        )
    if shard is None:
        return staged
    whole = staged or [{"headrace": VERSION, "table": identity(metadata), "empty": True}]
    return [each | {"shard": dict(shard)} for each in whole]


def described(metadata: TableMetadata, files: Iterable[str]) -> list[StagedFile]:
    """The same of files that no other process will commit: whichever specs they are of, each of a file as often as it
    is described."""
    return [_parse(each) for each in stage(metadata, files)]


def identity(metadata: TableMetadata) -> str:
    """What tells a table from every other: its UUID, or its location where v1 metadata has none."""
    return metadata.table_uuid or metadata.location


def take(values: Iterable[Any], metadata: TableMetadata) -> list[StagedFile]:
    """Staged files from values, each once, sorted by path, checked against the table as it is now.

    Parameters
    ----------
    values : iterable of dict, or of such iterables
        What `stage` gave, in any order; a value that is there twice counts once.
    metadata : TableMetadata
        The table that they are to be committed to.

    Raises
    ------
    InvalidArgument
        A value that `stage` never gave.
    MetaflowTableIncompatible
        Files of another table, or of a schema or partition spec that the table no longer writes.
    """
    found = {each.path: each for each in _parsed(values)}
    for each in found.values():
        _check(each, metadata)
    return [found[path] for path in sorted(found)]


def paths(values: Iterable[Any]) -> list[str]:
    """Locations of the files of staged values, whichever table they are for."""
    return [each.path for each in _parsed(values)]


def token(files: Sequence[StagedFile], mode: str) -> str:
    """What marks a commit: the same files and mode give the same token, in any process and order."""
    digest = hashlib.sha256()
    for path in sorted(each.path for each in files):
        digest.update(path.encode() + b"\n")
    digest.update(mode.encode())
    return digest.hexdigest()


def _parsed(values: Iterable[Any]) -> Iterator[StagedFile]:
    for each in values:
        if isinstance(each, Mapping):
            if each.get("empty") is not True:
                yield _parse(each)
        elif isinstance(each, list | tuple):
            yield from _parsed(each)
        else:
            raise _not_staged(f"found {type(each).__name__}")


def _parse(value: Mapping[str, Any]) -> StagedFile:
    if value.get("headrace") != VERSION:
        raise _not_staged(f"its version is {value.get('headrace')!r}, expected {VERSION}")
    for names, kind in ((_TEXTS, str), (_NUMBERS, int)):
        for name in names:
            if not isinstance(value.get(name), kind):
                raise _not_staged(f"{name} is {value.get(name)!r}")
    return StagedFile(**{name: value[name] for name in (*_TEXTS, *_NUMBERS)})


def _not_staged(what: str) -> InvalidArgument:
    return InvalidArgument(f"not a value that stage() gave: {what}", hint="pass the lists that stage() returned")


def _check(file: StagedFile, metadata: TableMetadata) -> None:
    again = "stage the rows again for the table as it is now"
    if file.table != identity(metadata):
        message = f"staged for table {file.table}, not for {identity(metadata)}"
        raise MetaflowTableIncompatible(message, location=file.path, hint="was the table dropped and made again?")
    if file.spec != metadata.spec.spec_id:
        message = f"staged under partition spec {file.spec}, but the table's is {metadata.spec.spec_id} now"
        raise MetaflowTableIncompatible(message, location=file.path, hint=again)
    if file.schema == metadata.schema.schema_id:
        return
    if file.schema not in metadata.schemas:
        message = f"staged with schema {file.schema}, which the table does not have"
        raise MetaflowTableIncompatible(message, location=file.path, hint=again)
    written = metadata.schemas[file.schema]
    for field in metadata.schema.fields:
        if field.required and field.initial_default is None and written.field(field.field_id) is None:
            message = f"staged with schema {file.schema}, which lacks the required column {field.name!r}"
            raise MetaflowTableIncompatible(message, location=file.path, hint=again)
