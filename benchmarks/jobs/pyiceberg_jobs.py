"""PyIceberg's answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import filters, many_files, written
from ..checks import summed
from ..setup import Setup
from . import imported, pyarrow_jobs
from .pyarrow_jobs import as_array


def _imports() -> None:
    """Imports are not measured."""
    imported("pyiceberg.catalog.rest", "pyiceberg.catalog.sql", "pyiceberg.io.pyarrow")


def _scan(setup: Setup, *columns: str, filter: str = "") -> Any:
    from pyiceberg.catalog import load_catalog

    table = load_catalog("bench", **setup.catalog).load_table(setup.table)
    kept: dict[str, Any] = {"row_filter": filter} if filter else {}
    return table.scan(selected_fields=columns or setup.columns or ("*",), **kept)


def s3_frame(setup: Setup) -> Callable[[], Any]:
    _imports()
    return lambda: _scan(setup, filter=filters.TEXT if setup.filtered else "").to_arrow()


def local_frame(setup: Setup) -> Callable[[], Any]:
    from pyiceberg.catalog import load_catalog

    _imports()
    return lambda: load_catalog("bench", **setup.local_catalog).load_table(setup.table).scan().to_arrow()


def s3_pandas(setup: Setup) -> Callable[[], Any]:
    imported("pandas", "pyarrow.pandas_compat")

    _imports()
    return lambda: _scan(setup).to_pandas()


def s3_pandas_arrow(setup: Setup) -> Callable[[], Any]:
    import pandas

    _imports()
    return lambda: _scan(setup).to_pandas(types_mapper=pandas.ArrowDtype)


def s3_pandas_numpy(setup: Setup) -> Callable[[], Any]:
    return s3_pandas(setup)


def s3_array(setup: Setup) -> Callable[[], Any]:
    imported("numpy")

    _imports()
    return lambda: as_array(_scan(setup, "embedding").to_arrow())


def s3_batches(setup: Setup) -> Callable[[], Any]:
    imported("numpy")

    _imports()
    return lambda: summed(_scan(setup).to_arrow_batch_reader(), lambda batch: batch[setup.key].to_numpy())


def plan(setup: Setup) -> Callable[[], Any]:
    _imports()
    return lambda: list(_scan(setup, filter=many_files.FILTER if setup.filtered else "").plan_files())


def write_table(setup: Setup) -> Callable[[], Any]:
    _imports()
    imported("pyiceberg_core", "pyarrow.parquet")
    frame, name = written.arrow(setup), written.make(setup)

    def job() -> str:
        written.catalog(setup).load_table(name).append(frame)
        return name

    return job


def commit_staged(setup: Setup) -> Callable[[], Any]:
    _imports()
    name, count = written.many(setup)
    files = written.data_files(setup, name, count)

    def job() -> str:
        table = written.catalog(setup).load_table(name)
        with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
            for each in files:
                append.append_data_file(each)
        return name

    return job


def append_to_many(setup: Setup) -> Callable[[], Any]:
    _imports()
    imported("pyiceberg_core")
    rows = written.new_rows(setup, setup.table)

    def job() -> str:
        written.catalog(setup).load_table(setup.table).append(rows)
        return setup.table

    return job


def check(result: Any, setup: Setup) -> dict[str, Any]:
    return {"files": len(result)} if isinstance(result, list) else pyarrow_jobs.check(result, setup)
