"""Every name of the published interface is there, with its parameters in their order (metaflow-fastdata 0.1.0.dev0)."""

from __future__ import annotations

import inspect
from typing import Any

import headrace
import pytest
from headrace import column, errors

TABLE = {
    "get_all_paths": "group_by num_groups target_group_size",
    "get_partition_paths": "partition_spec allow_all specs group_by num_groups target_group_size",
    "load_parquet": "file_locations columns num_threads",
    "get_all": "columns num_threads",
    "get_partitions": "partition_spec columns allow_all specs num_threads",
    "put_data": "mdf num_threads",
    "put": "mdf overwrite num_threads",
}
FRAME = {
    "from_arrow": "table",
    "from_avro": "data avro_schema",
    "from_buffer": "buffer",
    "from_columns": "columns names",
    "from_pandas": "pandas_df pyarrow_schema iceberg_schema",
    "from_parquet": "urls columns num_threads",
    "from_parquet_with_schema": "urls schema num_threads",
    "from_polars": "polars_df pyarrow_schema iceberg_schema max_chunk_size",
    "from_protobuf": "messages",
    "stack": "mdfs",
    "to_arrow": "",
    "to_buffer": "buffer",
    "to_csv": "path fileobj header delimiter row_filter max_parallel",
    "to_pandas": "",
    "to_parquet": "url compression_type iceberg_schema iceberg_schema_id",
    "to_parquet_set": "url_template compression_type max_file_size iceberg_schema iceberg_schema_id return_num_rows",
    "to_polars": "strict_map_type assemble",
    "to_torch_tensors": "device",
    "rename": "column_names",
    "drop": "columns",
    "rows": "offset",
    "split": "max_rows",
    "take": "indicator treat_null_as max_parallel min_run_threshold",
    "parallel_map": "fun max_parallel",
    "parallel_map_args": "fun args max_parallel",
    "validate_schema": "expected strict check_types",
}
COLUMN = {"values": "offset", "split": "", "is_same_chunking": "other"}
LIST = {"flatten": "", "to_numpy": "shape pad_value null_value as_type as_view", "is_tensor": "", "tensor_shape": ""}
MAP = LIST | {"map_keys": "", "map_values": ""}
PRIMITIVE = {"to_numpy": "null_value as_type as_view"}
METHODS = [
    (cls, name, parameters)
    for cls, methods in (
        (headrace.Table, TABLE),
        (headrace.MetaflowDataFrame, FRAME),
        (column.MetaflowColumn, COLUMN),
        (column.PrimitiveMetaflowColumn, PRIMITIVE),
        (column.ListMetaflowColumn, LIST),
        (column.MapMetaflowColumn, MAP),
        (column.StructMetaflowColumn, {"as_dataframe": ""}),
    )
    for name, parameters in methods.items()
]
PROPERTIES = [
    (headrace.Table, "db table_name catalog path full_path schema is_iceberg is_hive stats partition_columns"),
    (headrace.MetaflowDataFrame, "size schema columns num_rows"),
    (column.MetaflowColumn, "name field_id is_binary is_array_type is_scalar_type size null_count"),
    (column.StructMetaflowColumn, "fields"),
]
ERRORS = """ParquetDecodingException ParquetEncodingException MetaflowDataFrameException MetaflowTableException
    MetaflowTableNotFound MetaflowTableExists MetaflowTableConflict MetaflowTableIncompatible MetaflowTableTypeMismatch
    MetaflowTableEmptyPartition MetaflowTableEmptyTable MetaflowTableInvalidData MetaflowTableRateLimitException
    MetaflowTableCommitStateUnknownException MetaflowDataFrameBufferException MetaflowDataFrameBufferNotLargeEnough
    MetaflowDataFrameInvalidBuffer""".split()  # noqa: SIM905


@pytest.mark.parametrize(("cls", "name", "parameters"), METHODS, ids=lambda each: getattr(each, "__name__", None))
def test_methods(cls: Any, name: str, parameters: str) -> None:
    found = list(inspect.signature(getattr(cls, name)).parameters)
    own = found[1:] if found[:1] == ["self"] else found
    assert own[: len(parameters.split())] == parameters.split()


def test_properties() -> None:
    for cls, names in PROPERTIES:
        for name in names.split():
            assert isinstance(inspect.getattr_static(cls, name), property), name


def test_the_table_is_opened_and_committed_to_as_published() -> None:
    assert list(inspect.signature(headrace.Table).parameters)[:4] == ["db", "table", "catalog", "catalog_name"]
    assert {"data_files", "overwrite"} <= set(inspect.signature(headrace.Table.commit).parameters)


@pytest.mark.parametrize("name", ERRORS)
def test_errors_have_a_headline(name: str) -> None:
    assert getattr(errors, name).headline not in ("", errors.HeadraceError.headline)
