"""A table without a catalog: a metadata file, or a table folder whose newest metadata file is found.

Must not know: manifests, data files. Everything is read through the engine's Store, local paths too. Neighbours:
`base.py` for what a loaded table is; `Table.at` calls `load_static`.
Iceberg table spec, "File System Tables"; names of metadata files as Iceberg's writers give them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from headrace import config, credentials
from headrace.catalog.base import LoadedTable, ObjectReader, StoreFactory, open_store
from headrace.errors import MetaflowTableInvalidData, MetaflowTableNotFound, ObjectNotFound
from headrace.iceberg import TableMetadata, parse_metadata

HINT = "version-hint.text"
_ENDINGS = (".gz.metadata.json", ".metadata.json.gz", ".metadata.json")
_MOST_TIED = 16
_LONGEST_HINT = 1024
_MOST_AHEAD = 1000
"""Versions that may have been written after the hint: a table that is this far ahead of it is not what it seems."""


def load_static(
    location: str, properties: Mapping[str, str] | None = None, store: StoreFactory | None = None
) -> LoadedTable:
    """Load a table by where it lies.

    Parameters
    ----------
    location : str
        A metadata file (`*.json`, `*.json.gz`) or a table's folder; a path, or a URI of `file:` or `s3:`.
    properties : mapping of str to str or None
        Storage properties (`s3.endpoint`, ...).
    store : callable or None
        Opens the store to read with; None means the engine's.

    Returns
    -------
    LoadedTable
        Its identifier is the name of the table's folder alone.

    Raises
    ------
    MetaflowTableNotFound
        No metadata file there.
    MetaflowTableInvalidData
        The metadata, or the folder's version hint, cannot be read as such.

    Notes
    -----
    In a folder, `metadata/version-hint.text` says which file is current, and later versions beside it win (a writer
    commits the file before the hint). Without a hint it is the highest version number in a name, then the latest
    `last-updated-ms`.
    """
    given = {key: config.as_text(key, value) for key, value in (properties or {}).items()}
    config.check_names(given)
    if credentials.is_s3(location):
        storage, refresh = credentials.storage_properties(given)
    else:
        storage, refresh = credentials.only_storage(given), None
    reader = (store or open_store)(storage, refresh)
    if location.endswith((".json", ".json.gz")):
        file, metadata = location, parse_metadata(_read(reader, location), location)
    else:
        file, metadata = _newest(reader, location.rstrip("/"))
    name = metadata.location.rpartition("/")[2] or "table"
    return LoadedTable((name,), metadata, file, storage, (), refresh)


def _newest(reader: ObjectReader, folder: str) -> tuple[str, TableMetadata]:
    """The current metadata file of a table's folder; the folder `metadata` itself will do too."""
    inner = folder if folder.endswith("/metadata") else f"{folder}/metadata"
    return _by_hint(reader, inner) or _by_listing(reader, inner, folder)


def _by_hint(reader: ObjectReader, folder: str) -> tuple[str, TableMetadata] | None:
    """What the version hint names, or a later version; None where there is no hint or its file is gone."""
    try:
        raw = reader.read(f"{folder}/{HINT}")[: _LONGEST_HINT + 1]
    except ObjectNotFound:
        return None
    text = raw.decode("utf-8", "replace").strip()
    if not re.fullmatch(r"[\w.-]{1,255}", text):
        raise MetaflowTableInvalidData(f"version hint holds no version: {text[:80]!r}", location=f"{folder}/{HINT}")
    found = _first(reader, folder, [text] if text.endswith(_ENDINGS) else _names(text))
    if not text.isdigit():
        return found
    version = int(text)
    for ahead in range(1, _MOST_AHEAD + 1):
        later = _first(reader, folder, _names(str(version + ahead)))
        if later is None:
            break
        found = later
    return found


def _names(hint: str) -> list[str]:
    """File names that a hint may mean: "3" is v3, "00003-<uuid>" stands for itself."""
    stem = f"v{hint}" if hint.isdigit() else hint
    return [f"{stem}.metadata.json", f"{stem}.gz.metadata.json", f"{stem}.metadata.json.gz"]


def _first(reader: ObjectReader, folder: str, names: list[str]) -> tuple[str, TableMetadata] | None:
    for name in names:
        try:
            return f"{folder}/{name}", parse_metadata(reader.read(f"{folder}/{name}"), f"{folder}/{name}")
        except ObjectNotFound:
            continue
    return None


def _by_listing(reader: ObjectReader, inner: str, folder: str) -> tuple[str, TableMetadata]:
    try:
        listed = [location for location, _ in reader.list(f"{inner}/")]
    except ObjectNotFound:
        listed = []
    files = [each for each in listed if each.endswith(_ENDINGS) and each.rpartition("/")[0].endswith("metadata")]
    if not files:
        hint = "give the folder that holds 'metadata/', or a metadata file; for bare Parquet files use read_parquet"
        raise MetaflowTableNotFound("no Iceberg table here: no metadata file", location=folder, hint=hint)
    highest = max(version_of(each) for each in files)
    tied = sorted(each for each in files if version_of(each) == highest)[-_MOST_TIED:]
    loaded = [(each, parse_metadata(_read(reader, each), each)) for each in tied]
    return max(loaded, key=lambda each: each[1].last_updated_ms)


def version_of(location: str) -> int:
    """The version in a metadata file's name ("v3.metadata.json", "00003-<uuid>.metadata.json"); -1 without one."""
    match = re.match(r"v?(\d{1,18})[.-]", location.rpartition("/")[2])
    return int(match[1]) if match else -1


def _read(reader: ObjectReader, location: str) -> bytes:
    try:
        return reader.read(location)
    except ObjectNotFound as error:
        raise MetaflowTableNotFound("no such metadata file", location=location) from error
