"""Frames written by the engine, as files of a PyIceberg table: committed by PyIceberg, so that every reader can check them.

Knows the engine's request and PyIceberg's metadata objects; nothing of what the tests expect.
"""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow
from headrace import _engine
from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, SortOrder
from pyiceberg.typedef import Record
from pyiceberg.types import DoubleType, FloatType, IcebergType, UUIDType

if TYPE_CHECKING:
    from pyiceberg.table import Table as PyIcebergTable


def request(
    schema: Schema,
    location: str,
    *,
    spec: PartitionSpec = UNPARTITIONED_PARTITION_SPEC,
    order: SortOrder = UNSORTED_SORT_ORDER,
    properties: Mapping[str, str] | None = None,
    **more: Any,
) -> str:
    """The JSON that the engine's `write` takes; ``location`` is the table's folder of data."""
    return json.dumps(
        {
            "schema": json.loads(schema.model_dump_json()),
            "spec": json.loads(spec.model_dump_json()),
            "sort_order": json.loads(order.model_dump_json()) if order.fields else None,
            "data_location": location,
            "file_name": f"{uuid.uuid4()}-0-0",
            "properties": dict(properties or {}),
            "format_version": 2,
            "threads": 2,
            **more,
        }
    )


def written(data: Any, schema: Schema, location: str, **options: Any) -> list[dict[str, Any]]:
    """Write to a local folder or, with ``storage``, to S3; the files' descriptions."""
    store = _engine.Store(options.pop("storage", {}))
    frame = _engine.Frame.from_arrow(data)
    return [json.loads(each) for each in _engine.write(store, frame, request(schema, location, **options))]


def written_to(table: PyIcebergTable, data: Any, **options: Any) -> list[dict[str, Any]]:
    """Write with a table's own schema, spec, order and properties, and commit with PyIceberg."""
    files = written(
        data,
        table.schema(),
        f"{table.location()}/data",
        spec=table.spec(),
        order=table.sort_order(),
        properties=table.properties,
        storage={key: value for key, value in table.io.properties.items() if key.startswith("s3.")},
        **options,
    )
    with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
        for file in files:
            append.append_data_file(data_file(file, table))
    return files


def pairs(file: Mapping[str, Any], name: str) -> dict[int, Any]:
    """A map of a description as one."""
    return dict(zip(file[name]["keys"], file[name]["values"], strict=True))


def bounds(file: Mapping[str, Any], name: str) -> dict[int, bytes]:
    """Bounds in their binary form."""
    return {key: bytes.fromhex(value) for key, value in pairs(file, name).items()}


def bound_values(file: Mapping[str, Any], name: str, schema: Schema) -> dict[str, Any]:
    """Bounds as values, by full column name."""
    return {
        schema.find_column_name(key) or "": from_bytes(schema.find_type(key), value)  # type: ignore[arg-type]
        for key, value in bounds(file, name).items()
    }


def data_file(file: Mapping[str, Any], table: PyIcebergTable) -> DataFile:
    """PyIceberg's object of a description."""
    made = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=file["file-path"],
        file_format=FileFormat.PARQUET,
        partition=Record(*partition_values(file, table.schema(), table.spec())),
        record_count=file["record-count"],
        file_size_in_bytes=file["file-size-in-bytes"],
        column_sizes=pairs(file, "column-sizes"),
        value_counts=pairs(file, "value-counts"),
        null_value_counts=pairs(file, "null-value-counts"),
        nan_value_counts=pairs(file, "nan-value-counts"),
        lower_bounds=bounds(file, "lower-bounds"),
        upper_bounds=bounds(file, "upper-bounds"),
        split_offsets=file["split-offsets"],
        sort_order_id=file["sort-order-id"],
    )
    made.spec_id = file["spec-id"]
    return made


def partition_values(file: Mapping[str, Any], schema: Schema, spec: PartitionSpec) -> list[Any]:
    """Partition values of a description as PyIceberg holds them."""
    from pyiceberg.conversions import from_json

    def held(kind: IcebergType, value: Any) -> Any:
        if isinstance(kind, FloatType | DoubleType):
            return float(value)  # "Infinity" and "NaN" are no numbers of JSON's
        return internal(from_json(kind, value), kind)  # type: ignore[arg-type]

    types = [field.field_type for field in spec.partition_type(schema).fields]
    pairs = zip(types, file["partition"], strict=True)
    return [None if value is None else held(kind, value) for kind, value in pairs]


def internal(value: Any, kind: IcebergType) -> Any:
    """A Python value as PyIceberg's transforms and bounds have it."""
    from pyiceberg.conversions import to_bytes

    if isinstance(kind, UUIDType) and isinstance(value, bytes):
        value = uuid.UUID(bytes=value)
    if isinstance(value, datetime.datetime):
        value = (value.replace(tzinfo=None) - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)
    elif isinstance(value, datetime.date):
        value = (value - datetime.date(1970, 1, 1)).days
    elif isinstance(value, datetime.time):
        value = ((value.hour * 60 + value.minute) * 60 + value.second) * 10**6 + value.microsecond
    return from_bytes(kind, to_bytes(kind, value))  # type: ignore[arg-type]


def read(files: list[dict[str, Any]]) -> pyarrow.Table:
    """Rows of local files as PyArrow reads them, in the files' order."""
    import pyarrow.parquet

    return pyarrow.concat_tables([pyarrow.parquet.ParquetFile(path(file)).read() for file in files])


def path(file: Mapping[str, Any]) -> str:
    """Path of a local file."""
    return str(file["file-path"]).removeprefix("file://")
