"""Daft's answers. It takes PyIceberg's table, as its manual says, and runs in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import filters
from ..setup import Setup
from . import imported, pyarrow_jobs


def _imports() -> None:
    """Imports and the start of its runner are not measured."""
    import daft

    imported("pyiceberg.catalog.rest", "pyiceberg.io.pyarrow", "daft.io.iceberg.iceberg_scan", "daft.extension_type")
    daft.set_runner_native()


def _table(setup: Setup) -> Any:
    import daft
    from daft.io import IOConfig, S3Config
    from pyiceberg.catalog import load_catalog

    found = load_catalog("bench", **setup.catalog).load_table(setup.table)
    s3 = S3Config(
        endpoint_url=setup.endpoint,
        region_name=setup.region,
        key_id=setup.access_key,
        access_key=setup.secret_key,
        use_ssl=False,
    )
    frame: Any = daft.read_iceberg(found, io_config=IOConfig(s3=s3))
    if setup.filtered:
        column = daft.col(filters.COLUMN)
        frame = frame.where((column >= filters.FIRST) & (column < filters.BEFORE))
    return frame.select(*setup.columns) if setup.columns else frame


def s3_frame(setup: Setup) -> Callable[[], Any]:
    _imports()
    return lambda: _table(setup).collect()


def local_frame(setup: Setup) -> Callable[[], Any]:
    import daft

    _imports()
    return lambda: daft.read_parquet(list(setup.local_files)).collect()


def s3_pandas(setup: Setup) -> Callable[[], Any]:
    imported("pandas")

    _imports()
    return lambda: _table(setup).to_pandas()


def s3_array(setup: Setup) -> Callable[[], Any]:
    imported("numpy")

    _imports()
    return lambda: pyarrow_jobs.as_array(_table(setup).select("embedding").to_arrow())


def check(frame: Any, setup: Setup) -> dict[str, Any]:
    return pyarrow_jobs.check(frame.to_arrow(), setup)
