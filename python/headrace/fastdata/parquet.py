"""A frame as Parquet files under names of the caller's: written by the engine as a table's are, then put in place.

Must not know: tables, partitions. Neighbours: `schemas.py` says what columns; `headrace.files` finds the store.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headrace import _engine, config, credentials, surroundings
from headrace.errors import InvalidArgument, MetaflowDataFrameException, ParquetEncodingException, nearest
from headrace.fastdata import schemas
from headrace.handoff import required

CODECS = ("snappy", "zstd", "gzip", "lz4", "brotli", "uncompressed")
_ONE_FILE = str((1 << 63) - 1)
_INDEX_DIGITS = 8
Columns = Sequence[Mapping[str, Any]]


def write_one(
    frame: _engine.Frame,
    url: str,
    compression: str,
    columns: Columns | None,
    schema_id: int,
    properties: Mapping[str, str] | None,
) -> None:
    """See `MetaflowDataFrame.to_parquet`."""
    given = _given(properties)
    codec = _codec(compression)
    if not frame.num_rows:
        _write_empty(frame, os.fspath(url), codec, given)
        return
    settings = _settings(given, codec) | {"write.target-file-size-bytes": _ONE_FILE}
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        files = _encode(frame, folder, columns, schema_id, settings)
        if len(files) != 1:
            raise ParquetEncodingException(f"{len(files)} files were written where one was asked for", location=url)
        _place(files[0][0], os.fspath(url), given)


def write_set(
    frame: _engine.Frame,
    template: str,
    compression: str,
    max_file_size: int,
    columns: Columns | None,
    schema_id: int,
    properties: Mapping[str, str] | None,
) -> tuple[list[str], list[int]]:
    """See `MetaflowDataFrame.to_parquet_set`: (files, rows of each)."""
    template = os.fspath(template)
    if "{index}" not in template:
        raise MetaflowDataFrameException(
            f"a set of files needs {{index}} in its name, found {template!r}", hint="part-{index}.parquet"
        )
    if max_file_size < 1:
        raise InvalidArgument(f"max_file_size is a positive number of bytes, found {max_file_size!r}")
    given, codec = _given(properties), _codec(compression)
    if not frame.num_rows:
        return [], []
    settings = _settings(given, codec) | {"write.target-file-size-bytes": str(max_file_size)}
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        files = _encode(frame, folder, columns, schema_id, settings)
        urls = [template.replace("{index}", str(at).zfill(_INDEX_DIGITS)) for at in range(len(files))]
        for (path, _), url in zip(files, urls, strict=True):
            _place(path, url, given)
    return urls, [rows for _, rows in files]


def _encode(
    frame: _engine.Frame, folder: str, columns: Columns | None, schema_id: int, settings: Mapping[str, str]
) -> list[tuple[str, int]]:
    """Files in a folder of this machine, in the order of their rows: (path, rows)."""
    schema = json.loads(_engine.arrow_schema(frame, 2)) if columns is None else _wanted(columns, schema_id)
    request = {
        "schema": schema,
        "spec": {"spec-id": 0, "fields": []},
        "sort_order": None,
        "data_location": folder,
        "file_name": f"{uuid.uuid4()}-0-0",
        "properties": dict(settings),
        "format_version": 2,
        "threads": surroundings.threads(None),
        "memory_limit": None,
    }
    written = [json.loads(each) for each in _engine.write(_engine.Store({}), frame, json.dumps(request))]
    return [(each["file-path"].removeprefix("file://"), each["record-count"]) for each in written]


def _wanted(columns: Columns, schema_id: int) -> dict[str, Any]:
    return schemas.parse(columns, schema_id).to_json()


def _place(path: str, url: str, given: Mapping[str, str]) -> None:
    """Move a file to where it is wanted."""
    if "://" not in url:
        if not Path(url).absolute().parent.is_dir():
            raise ParquetEncodingException("the folder does not exist", location=url, hint="make it first")
        shutil.move(path, url)
        return
    if credentials.is_s3(url):
        storage, refresh = credentials.storage_properties(given)
        store = _engine.Store(storage, refresh=refresh)
    else:
        store = _engine.Store(credentials.only_storage(given))
    store.put(url, Path(path).read_bytes())


def _write_empty(frame: _engine.Frame, url: str, codec: str, given: Mapping[str, str]) -> None:
    """A file without rows, which only PyArrow writes."""
    pyarrow = required("pyarrow", "to_parquet() of a frame without rows")
    parquet = required("pyarrow.parquet", "to_parquet() of a frame without rows")
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        path = str(Path(folder, "empty.parquet"))
        table = pyarrow.table(frame.cast_strings("large_string"))
        parquet.write_table(table, path, compression="none" if codec == "uncompressed" else codec)
        _place(path, url, given)


def _given(properties: Mapping[str, str] | None) -> dict[str, str]:
    return {key: config.as_text(key, value) for key, value in (properties or {}).items()}


def _settings(given: Mapping[str, str], codec: str) -> dict[str, str]:
    own = {key: value for key, value in given.items() if key.startswith("write.")}
    return own | {"write.parquet.compression-codec": codec}


def _codec(name: str) -> str:
    found = "uncompressed" if name.lower() in ("none", "") else name.lower()
    if found not in CODECS:
        raise InvalidArgument(f"compression_type {name!r} is not known", hint=nearest(found, CODECS))
    return found
