"""Polars' answers. It has no catalog of its own for Iceberg REST and takes PyIceberg's table, as its manual says.

``polars:files`` is told the data files and does without the table: less work, and sometimes faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .. import filters, hive_days, many_files, written
from ..checks import summed, total
from ..setup import LIST_LENGTH, Setup
from . import Steps, imported


def _imports() -> None:
    """Imports are not measured."""
    imported("polars", "pyiceberg.catalog.rest", "pyiceberg.io.pyarrow")


def _storage(setup: Setup) -> dict[str, str]:
    return {
        "aws_endpoint_url": setup.endpoint,
        "aws_access_key_id": setup.access_key,
        "aws_secret_access_key": setup.secret_key,
        "aws_region": setup.region,
        "aws_allow_http": "true",
    }


def _table(setup: Setup) -> Any:
    import polars
    from pyiceberg.catalog import load_catalog

    found = load_catalog("bench", **setup.catalog).load_table(setup.table)
    return polars.scan_iceberg(found, storage_options=_storage(setup), reader_override="native")


def _files(setup: Setup) -> Any:
    import polars

    return polars.scan_parquet(list(setup.files), storage_options=_storage(setup))


def _wanted(scan: Any, setup: Setup) -> Any:
    import polars

    if setup.filtered:
        column = polars.col(filters.COLUMN)
        scan = scan.filter((column >= filters.FIRST) & (column < filters.BEFORE))
    return scan.select(list(setup.columns)) if setup.columns else scan


def s3_frame(setup: Setup) -> Callable[[], Any]:
    _imports()
    return lambda: _wanted(_table(setup), setup).collect()


def s3_frame_files(setup: Setup) -> Callable[[], Any]:
    _imports()
    return lambda: _wanted(_files(setup), setup).collect()


def local_frame(setup: Setup) -> Callable[[], Any]:
    import polars

    return lambda: polars.read_parquet(list(setup.local_files))


def s3_pandas(setup: Setup) -> Callable[[], Any]:
    imported("pandas")

    _imports()
    return lambda: _table(setup).collect().to_pandas()


def s3_pandas_arrow(setup: Setup) -> Callable[[], Any]:
    imported("pandas")

    _imports()
    return lambda: _table(setup).collect().to_pandas(use_pyarrow_extension_array=True)


def s3_pandas_steps(setup: Setup) -> Callable[[], Any]:
    imported("pandas")

    _imports()

    def job() -> Steps:
        started = time.perf_counter()
        frame = _wanted(_table(setup), setup).collect()
        loaded = time.perf_counter()
        made = frame.to_pandas()
        return Steps(made, loaded - started, time.perf_counter() - loaded)

    return job


def _array(scan: Any) -> Any:
    """Through its fixed-size array type, the way to a 2-D NumPy array."""
    import polars

    column = scan.select("embedding").collect()["embedding"]
    return column.cast(polars.Array(polars.Float32, LIST_LENGTH)).to_numpy()


def s3_array(setup: Setup) -> Callable[[], Any]:
    _imports()
    return lambda: _array(_table(setup))


def s3_array_files(setup: Setup) -> Callable[[], Any]:
    _imports()
    return lambda: _array(_files(setup))


def s3_batches(setup: Setup) -> Callable[[], Any]:
    imported("numpy")

    _imports()
    return lambda: summed(_table(setup).collect_batches(), lambda frame: frame[setup.key].to_numpy())


def plan(setup: Setup) -> Callable[[], Any]:
    import polars

    _imports()
    if not setup.filtered:
        return lambda: _table(setup).explain()
    wanted = (polars.col("day") == polars.lit(many_files.DAY)) & (polars.col("id") < many_files.ID_BELOW)
    return lambda: _table(setup).filter(wanted).explain()


def hive_plan(setup: Setup) -> Callable[[], Any]:
    import polars

    _imports()
    column = polars.col("day")
    return lambda: _hive(setup).filter((column >= hive_days.FROM) & (column < hive_days.BEFORE)).explain()


def hive_frame(setup: Setup) -> Callable[[], Any]:
    _imports()
    return lambda: _hive(setup).collect()


def _hive(setup: Setup) -> Any:
    import polars

    places = f"{setup.hive_root}/**/*.parquet"
    return polars.scan_parquet(places, hive_partitioning=True, storage_options=_storage(setup))


def write_table(setup: Setup) -> Callable[[], Any]:
    """Through PyIceberg's table, as its manual says."""
    import polars

    _imports()
    imported("pyiceberg_core")
    frame, name = polars.read_parquet(list(setup.local_files)), written.make(setup)

    def job() -> str:
        frame.write_iceberg(written.catalog(setup).load_table(name), mode="append")
        return name

    return job


def check(result: Any, setup: Setup) -> dict[str, Any]:
    """A frame, or a plan: that is text and names the first file and how many more there are."""
    import re

    if isinstance(result, str):
        more = re.search(r"\.\.\. (\d+) other", result)
        return {"files": int(more[1]) + result.count("s3://") if more else result.count("s3://")}
    found = {"rows": result.height, "columns": result.width, "sum": total(result[setup.key].sum())}
    return found | {"bytes": int(result.estimated_size())}
