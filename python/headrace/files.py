"""Parquet files without a table: `read_parquet`.

Must not know: catalogs, snapshots. Neighbours: `headrace.credentials` finds keys, the engine reads.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace import config, credentials, surroundings
from headrace.errors import InvalidArgument, ObjectNotFound
from headrace.hive.folders import FolderFiles, of_paths, parquet_below
from headrace.plan import ProgressOption

if TYPE_CHECKING:
    from headrace._engine import Store
    from headrace.dataframe import MetaflowDataFrame
    from headrace.filters import Expression


def read_parquet(
    urls: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    columns: Sequence[str] | None = None,
    filter: str | Expression | None = None,
    properties: Mapping[str, str] | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    hive_partitioning: bool = False,
    limit: int | None = None,
    strings: str = "view",
    dates: str = "date",
    categories: Sequence[str] = (),
    progress: ProgressOption = None,
    num_threads: int | None = None,
    memory_limit: int | None = None,
) -> MetaflowDataFrame:
    """Load Parquet files without a table.

    Parameters
    ----------
    urls : path or sequence of paths
        Files (`s3://bucket/key`, local paths); a folder (ending in "/", or a local one) stands for every `*.parquet`
        below it, sorted.
    columns : sequence of str or None
        Top-level columns to give, in this order; None gives all of the first file.
    filter : str, Expression or None
        As in `Table.scan`; exact, row by row.
    properties : mapping of str to str or None
        Storage properties (`s3.endpoint`, ...).
    hive_partitioning : bool, default False
        Folders such as `ds=2026-01-01/` below the given ones are columns, in the order of the folders, after those of
        the files; files that a filter on them leaves out are not opened. Their types are inferred: whole numbers,
        dates, else text. Hidden files (names that begin with "_" or ".") and empty ones are left out.
    params, limit, strings, dates, categories, progress, num_threads, memory_limit
        As in `Table.scan` and `ScanPlan.load`.

    Returns
    -------
    MetaflowDataFrame
        Columns of the first file, matched by name in the others; one that a file lacks is null there.

    Raises
    ------
    ObjectNotFound
        A file, or any file in a folder, is not there.
    ColumnNotFound, FilterError, ParquetDecodingException
        With the nearest name, the place in the text, the file and byte range.
    """
    from headrace import _engine
    from headrace.dataframe import MetaflowDataFrame
    from headrace.filters import as_filter, bind
    from headrace.iceberg import Schema
    from headrace.progress import resolve

    given = {key: config.as_text(key, value) for key, value in (properties or {}).items()}
    config.check_names(given)
    paths = [urls] if isinstance(urls, str | os.PathLike) else list(urls)
    if not paths:
        raise InvalidArgument("no file to read", hint="give at least one path")
    named = [os.fspath(each) for each in paths]
    storage, refresh = _storage(given, named)
    store = _engine.Store(storage, refresh=refresh)
    expand = _hive_files if hive_partitioning else _files
    files = expand(store, named)
    threads = surroundings.threads(num_threads)
    request: dict[str, Any] = {"limit": limit, "strings": strings, "dates": dates, "threads": threads}
    request["memory_limit"] = memory_limit
    expression = as_filter(filter, params)
    bound = None
    if columns is not None or expression is not None or categories:
        schema = files.schema(Schema.from_json(json.loads(_engine.parquet_schema(store, files.locations[0]))))
        if expression is not None:
            found = bind(expression, schema)
            bound = found.to_engine_json()
            left = files.pruned(found)
            if not left.locations:  # the first file tells what columns there are
                left = FolderFiles(files.locations[:1], files.keys, files.values[:1])
                request["limit"] = 0
            files = left
        if categories:
            request["categories"] = schema.select(categories).names
        if columns is not None:
            fields = [schema.find_field(each) for each in columns]
            request["columns"] = [schema.fields.index(each) for each in fields if _is_top_level(schema, each)]
    frame = _engine.read_parquet(
        store, files.locations, json.dumps(request), bound, resolve(progress), folders=files.columns()
    )
    return MetaflowDataFrame(frame)


def schema_text(location: str | os.PathLike[str], properties: Mapping[str, str] | None = None) -> str:
    """The schema of a Parquet file, the first of a folder's, as Iceberg's JSON with ids of its own."""
    from headrace import _engine

    given = {key: config.as_text(key, value) for key, value in (properties or {}).items()}
    storage, refresh = _storage(given, [os.fspath(location)])
    store = _engine.Store(storage, refresh=refresh)
    return _engine.parquet_schema(store, _expand(store, os.fspath(location))[0])


def _is_top_level(schema: Any, field: Any) -> bool:
    if field in schema.fields:
        return True
    raise InvalidArgument(f"column {field.name!r} lies inside another", hint="name the top-level column")


def _storage(given: dict[str, str], locations: Sequence[str]) -> tuple[dict[str, str], Any]:
    if any(credentials.is_s3(each) for each in locations):
        return credentials.storage_properties(given)
    return credentials.only_storage(given), None


def _files(store: Store, locations: Sequence[str]) -> FolderFiles:
    found = [each for location in locations for each in _expand(store, location)]
    return FolderFiles(found, (), [()] * len(found))


def _hive_files(store: Store, locations: Sequence[str]) -> FolderFiles:
    """The files below folders, with what the folders stand for."""
    listed: list[tuple[str, str]] = []
    for location in map(_folder, locations):
        if not location.endswith("/"):
            hint = "give the folder that holds the key=value folders"
            raise InvalidArgument("hive_partitioning is for folders", hint=hint)
        listed += parquet_below(location, store.list(location))
    if not listed:
        raise ObjectNotFound("no Parquet file here", location=locations[0], hint="give another folder")
    return of_paths(listed)


def _folder(location: str) -> str:
    """A location; that of a local folder ends in a slash, as remote ones do."""
    if "://" not in location and not location.startswith("file:"):
        return os.path.abspath(location) + ("/" if location.endswith("/") or os.path.isdir(location) else "")
    return location


def _expand(store: Store, location: str) -> list[str]:
    """The file itself, or every Parquet file below a folder."""
    location = _folder(location)
    if not location.endswith("/"):
        return [location]
    found = [each for each, _ in store.list(location) if each.endswith((".parquet", ".parq"))]
    if not found:
        raise ObjectNotFound("no *.parquet file here", location=location, hint="give files, or another folder")
    return found
