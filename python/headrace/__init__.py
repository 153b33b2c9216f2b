"""headrace: warehouse tables on S3 into this process's Arrow memory, with nothing installed beside it.

>>> import headrace
>>> frame = headrace.Table("db.table").load("ds = '2026-01-01'")  # doctest: +SKIP
>>> frame.to_pandas()  # doctest: +SKIP

Names are imported on first use (PEP 562), so that `import headrace` stays under 30 ms.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace import errors as errors
    from headrace._engine import __version__ as __version__
    from headrace.catalog import Catalog as Catalog
    from headrace.catalog import load_catalog as load_catalog
    from headrace.column import MetaflowColumn as MetaflowColumn
    from headrace.dataframe import MetaflowDataFrame as MetaflowDataFrame
    from headrace.fastdata.nested import project_struct_fields as project_struct_fields
    from headrace.fastdata.nested import promote_struct_field as promote_struct_field
    from headrace.fastdata.nested import sparse_to_dense as sparse_to_dense
    from headrace.files import read_parquet as read_parquet
    from headrace.filters import col as col
    from headrace.memory import release_memory as release_memory
    from headrace.plan import ScanPlan as ScanPlan
    from headrace.plan import Shard as Shard
    from headrace.table import Table as Table
    from headrace.variant import decode_variant as decode_variant

_HOMES = {
    "Catalog": "headrace.catalog",
    "MetaflowColumn": "headrace.column",
    "MetaflowDataFrame": "headrace.dataframe",
    "ScanPlan": "headrace.plan",
    "Shard": "headrace.plan",
    "Table": "headrace.table",
    "__version__": "headrace._engine",
    "col": "headrace.filters",
    "decode_variant": "headrace.variant",
    "load_catalog": "headrace.catalog",
    "project_struct_fields": "headrace.fastdata.nested",
    "promote_struct_field": "headrace.fastdata.nested",
    "read_parquet": "headrace.files",
    "release_memory": "headrace.memory",
    "sparse_to_dense": "headrace.fastdata.nested",
}

__all__ = [*_HOMES, "errors"]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("headrace.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'headrace' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
