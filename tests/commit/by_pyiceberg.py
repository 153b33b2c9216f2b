"""Data files written by PyIceberg, as the JSON that headrace stages: commits are tested apart from our own encoder.

Knows PyIceberg's DataFile and the REST specification's; nothing of commits.
"""

from __future__ import annotations

import decimal
import json
import uuid
from typing import Any

import headrace
import pyarrow
from headrace.writing import staging
from pyiceberg.io import load_file_io
from pyiceberg.io.pyarrow import _dataframe_to_data_files
from pyiceberg.manifest import DataFile
from pyiceberg.table.metadata import TableMetadataUtil


def files_of(table: headrace.Table, data: pyarrow.Table) -> list[str]:
    """Write data files for a table, partitioned as it says; the JSON of each."""
    loaded = table._access.loaded()
    metadata = TableMetadataUtil.parse_obj(loaded.metadata.raw)
    io = load_file_io(dict(loaded.properties_for(loaded.metadata.location)), loaded.metadata.location)
    target = metadata.schema().as_arrow()
    return [
        json_of(each, metadata.default_spec_id) for each in _dataframe_to_data_files(metadata, data.cast(target), io)
    ]


def stage(table: headrace.Table, data: pyarrow.Table) -> list[dict[str, Any]]:
    """The same, staged."""
    return staging.stage(table.metadata, files_of(table, data))


def json_of(file: DataFile, spec_id: int) -> str:
    """The REST specification's JSON of a data file; bounds in hexadecimal."""

    def pairs(found: dict[int, Any] | None) -> Any:
        if found is None:
            return None
        values = [each.hex().upper() if isinstance(each, bytes) else each for each in found.values()]
        return {"keys": list(found), "values": values}

    return json.dumps(
        {
            "content": "data",
            "file-path": file.file_path,
            "file-format": "parquet",
            "spec-id": spec_id,
            "partition": [_single(file.partition[at]) for at in range(len(file.partition))],
            "file-size-in-bytes": file.file_size_in_bytes,
            "record-count": file.record_count,
            "column-sizes": pairs(file.column_sizes),
            "value-counts": pairs(file.value_counts),
            "null-value-counts": pairs(file.null_value_counts),
            "nan-value-counts": pairs(file.nan_value_counts),
            "lower-bounds": pairs(file.lower_bounds),
            "upper-bounds": pairs(file.upper_bounds),
            "split-offsets": file.split_offsets,
            "sort-order-id": file.sort_order_id,
        }
    )


def _single(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, decimal.Decimal | uuid.UUID) else value
