"""headrace's answers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .. import filters, hive_days, many_files, written
from ..checks import summed, total
from ..setup import Setup
from . import Steps, imported

BATCHES_BYTES = 256 << 20


def _imports(*more: str) -> None:
    """What headrace itself imports only when it is first used, too: imports are not measured, of nobody."""
    imported("headrace._engine", "headrace.catalog.rest", "headrace.files", "headrace.table", "headrace.plan")
    imported("headrace.dataframe", "headrace.column", "headrace.progress", "headrace.filters.binding")
    imported("headrace.handoff.pandas", *more)


def _scan(setup: Setup, filter: str | None = None) -> Any:
    import headrace

    catalog = headrace.load_catalog("bench", **setup.catalog)
    return headrace.Table(setup.table, catalog=catalog).scan(filter, list(setup.columns) or None)


def s3_frame(setup: Setup) -> Callable[[], Any]:
    _imports()

    return lambda: _scan(setup, filters.TEXT if setup.filtered else None).load(progress=False)


def s3_frame_undeleted(setup: Setup) -> Callable[[], Any]:
    """The table as it was before rows were deleted."""
    import headrace

    _imports()

    def job() -> Any:
        catalog = headrace.load_catalog("bench", **setup.catalog)
        found = headrace.Table(setup.table, catalog=catalog).metadata.snapshots
        ended = next(each for each in found if each.summary and each.summary["operation"] == "delete")
        before = headrace.Table(setup.table, catalog=catalog, snapshot_id=ended.parent_snapshot_id)
        return before.scan().load(progress=False)

    return job


def local_frame(setup: Setup) -> Callable[[], Any]:
    import headrace

    _imports()
    return lambda: headrace.read_parquet(list(setup.local_files), progress=False)


def s3_pandas(setup: Setup) -> Callable[[], Any]:
    _imports("pandas", "pyarrow.pandas_compat")

    return lambda: _scan(setup).to_pandas(dtype_backend="auto")


def s3_pandas_frame(setup: Setup) -> Callable[[], Any]:
    return s3_frame(setup)


def s3_pandas_numpy(setup: Setup) -> Callable[[], Any]:
    _imports("pandas", "pyarrow.pandas_compat")

    return lambda: _scan(setup).to_pandas(dtype_backend="numpy")


def s3_pandas_steps(setup: Setup) -> Callable[[], Any]:
    _imports("pandas", "pyarrow.pandas_compat")

    def job() -> Steps:
        started = time.perf_counter()
        frame = _scan(setup).load(strings="large_string", dates="seconds", progress=False)
        loaded = time.perf_counter()
        made = frame.to_pandas()
        return Steps(made, loaded - started, time.perf_counter() - loaded)

    return job


def s3_array(setup: Setup) -> Callable[[], Any]:
    _imports("numpy")

    return lambda: _scan(setup).load(["embedding"], progress=False)["embedding"].to_numpy()


def s3_batches(setup: Setup) -> Callable[[], Any]:
    _imports("headrace.stream", "numpy")

    return lambda: summed(_scan(setup).batches(BATCHES_BYTES), lambda frame: frame[setup.key].to_numpy())


def objects(setup: Setup) -> Callable[[], Any]:
    properties = {"s3.endpoint": setup.object_endpoint, "s3.region": setup.region}
    if setup.signed:
        properties |= {"s3.access-key-id": setup.access_key, "s3.secret-access-key": setup.secret_key}
    else:
        properties["s3.anonymous"] = "true"
    if setup.authority:
        os.environ["AWS_CA_BUNDLE"] = setup.authority
    from headrace._engine import Store

    store: Any = Store(properties)
    if hasattr(store, "read_many"):
        return lambda: store.read_many(list(setup.objects))

    def job() -> Any:
        with ThreadPoolExecutor(len(setup.objects)) as threads:
            return list(threads.map(store.read, setup.objects))

    return job


def plan(setup: Setup) -> Callable[[], Any]:
    _imports()

    return lambda: _scan(setup, many_files.FILTER if setup.filtered else None)


def hive_plan(setup: Setup) -> Callable[[], Any]:
    return _hive(setup, lambda table: table.scan(hive_days.FILTER))


def hive_frame(setup: Setup) -> Callable[[], Any]:
    return _hive(setup, lambda table: table.scan().load(progress=False))


def hive_frame_iceberg(setup: Setup) -> Callable[[], Any]:
    import headrace

    _imports()
    name = f"{setup.table}_iceberg"

    def job() -> Any:
        catalog = headrace.load_catalog("bench", **setup.catalog)
        return headrace.Table(name, catalog=catalog).scan().load(progress=False)

    return job


def _hive(setup: Setup, ask: Callable[[Any], Any]) -> Callable[[], Any]:
    import headrace
    from headrace.metastore.connection import interface

    _imports("headrace.hive.planning", "headrace.catalog.hive", "thriftpy2.protocol", "thriftpy2.transport")
    interface()
    storage = {key: value for key, value in setup.catalog.items() if key.startswith("s3.")}

    def job() -> Any:
        catalog = headrace.load_catalog("hive", uri=setup.hive_uri, **storage)
        return ask(headrace.Table(setup.table, catalog=catalog))

    return job


def write_table(setup: Setup) -> Callable[[], Any]:
    import headrace

    _imports("headrace.writing.surface")
    frame = headrace.read_parquet(list(setup.local_files), progress=False)
    name = written.make(setup)

    def job() -> str:
        headrace.Table(name, catalog=headrace.load_catalog("bench", **setup.catalog)).append(frame)
        return name

    return job


def commit_staged(setup: Setup) -> Callable[[], Any]:
    import headrace
    from headrace.writing import staging

    _imports("headrace.writing.surface")
    name, count = written.many(setup)
    catalog = headrace.load_catalog("bench", **setup.catalog)
    files = [written.as_json(each) for each in written.data_files(setup, name, count)]
    staged = staging.stage(headrace.Table(name, catalog=catalog).metadata, files)

    def job() -> str:
        headrace.Table(name, catalog=headrace.load_catalog("bench", **setup.catalog)).commit(staged)
        return name

    return job


def append_to_many(setup: Setup) -> Callable[[], Any]:
    return _append(setup, setup.table)


def append_to_many_empty(setup: Setup) -> Callable[[], Any]:
    return _append(setup, written.empty_of_many(setup))


def _append(setup: Setup, name: str) -> Callable[[], Any]:
    import headrace

    _imports("headrace.writing.surface")
    frame = headrace.MetaflowDataFrame.from_arrow(written.new_rows(setup, name))

    def job() -> str:
        headrace.Table(name, catalog=headrace.load_catalog("bench", **setup.catalog)).append(frame)
        return name

    return job


def check(result: Any, setup: Setup) -> dict[str, Any]:
    if hasattr(result, "files"):
        return {"files": len(result.files)}
    found = {"rows": result.num_rows, "columns": len(result.schema)}
    values = result[setup.key].to_numpy()
    import numpy

    return found | {"sum": total(numpy.nansum(values)), "bytes": result.size}
