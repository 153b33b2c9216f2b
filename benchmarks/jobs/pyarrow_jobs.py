"""PyArrow's answers. It knows no Iceberg: it is told the data files, so it does less work than the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .. import filters, hive_days
from ..checks import summed, total
from ..setup import LIST_LENGTH, Setup
from . import Steps, imported


def _s3(setup: Setup) -> Any:
    import pyarrow.fs

    return pyarrow.fs.S3FileSystem(
        endpoint_override=setup.endpoint.removeprefix("http://"),
        scheme="http",
        access_key=setup.access_key,
        secret_key=setup.secret_key,
        region=setup.region,
    )


def _table(setup: Setup) -> Any:
    import pyarrow.dataset

    paths = [each.removeprefix("s3://") for each in setup.files]
    column, kept = pyarrow.dataset.field(filters.COLUMN), None
    if setup.filtered:
        kept = (column >= filters.FIRST) & (column < filters.BEFORE)
    files = pyarrow.dataset.dataset(paths, filesystem=_s3(setup), format="parquet")
    return files.to_table(columns=list(setup.columns) or None, filter=kept)


def s3_frame(setup: Setup) -> Callable[[], Any]:
    imported("pyarrow.dataset", "pyarrow.fs")

    return lambda: _table(setup)


def s3_batches(setup: Setup) -> Callable[[], Any]:
    import pyarrow.dataset

    imported("pyarrow.fs", "numpy")
    paths = [each.removeprefix("s3://") for each in setup.files]

    def job() -> Any:
        files = pyarrow.dataset.dataset(paths, filesystem=_s3(setup), format="parquet")
        return summed(files.to_batches(), lambda batch: batch[setup.key].to_numpy())

    return job


def hive_plan(setup: Setup) -> Callable[[], Any]:
    import pyarrow.dataset

    imported("pyarrow.fs")
    day = pyarrow.dataset.field("day")
    kept = (day >= hive_days.FROM) & (day < hive_days.BEFORE)
    return lambda: [each.path for each in _hive(setup).get_fragments(kept)]


def hive_frame(setup: Setup) -> Callable[[], Any]:
    imported("pyarrow.dataset", "pyarrow.fs")
    return lambda: _hive(setup).to_table()


def _hive(setup: Setup) -> Any:
    import pyarrow
    import pyarrow.dataset

    by_day = pyarrow.dataset.partitioning(pyarrow.schema([("day", pyarrow.date32())]), flavor="hive")
    root = setup.hive_root.removeprefix("s3://")
    return pyarrow.dataset.dataset(root, filesystem=_s3(setup), format="parquet", partitioning=by_day)


def local_frame(setup: Setup) -> Callable[[], Any]:
    import pyarrow.dataset

    return lambda: pyarrow.dataset.dataset(list(setup.local_files), format="parquet").to_table()


def s3_pandas(setup: Setup) -> Callable[[], Any]:
    imported("pandas", "pyarrow.pandas_compat")

    frame = s3_frame(setup)
    return lambda: frame().to_pandas()


def s3_pandas_arrow(setup: Setup) -> Callable[[], Any]:
    import pandas

    frame = s3_frame(setup)
    return lambda: frame().to_pandas(types_mapper=pandas.ArrowDtype)


def s3_pandas_numpy(setup: Setup) -> Callable[[], Any]:
    import pandas

    imported("pyarrow.dataset", "pyarrow.fs", "pyarrow.parquet", "pyarrow.pandas_compat", "fsspec.asyn")

    paths = [each.removeprefix("s3://") for each in setup.files]
    return lambda: pandas.read_parquet(paths, engine="pyarrow", filesystem=_s3(setup))


def s3_pandas_steps(setup: Setup) -> Callable[[], Any]:
    imported("pandas", "pyarrow.pandas_compat")

    frame = s3_frame(setup)

    def job() -> Steps:
        started = time.perf_counter()
        table = frame()
        loaded = time.perf_counter()
        made = table.to_pandas()
        return Steps(made, loaded - started, time.perf_counter() - loaded)

    return job


def as_array(table: Any) -> Any:
    """One copy to join the chunks, unless there is one only; the values of the lists then are the array."""
    import pyarrow

    column = table["embedding"]
    joined = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if isinstance(joined, pyarrow.ChunkedArray):
        joined = pyarrow.concat_arrays(joined.chunks)
    return joined.flatten().to_numpy().reshape(-1, LIST_LENGTH)


def s3_array(setup: Setup) -> Callable[[], Any]:
    import dataclasses

    imported("numpy")

    frame = s3_frame(dataclasses.replace(setup, columns=("embedding",)))
    return lambda: as_array(frame())


def objects(setup: Setup) -> Callable[[], Any]:
    import pyarrow.fs

    scheme, _, host = setup.object_endpoint.partition("://")
    keys = {"access_key": setup.access_key, "secret_key": setup.secret_key} if setup.signed else {"anonymous": True}
    trust = {"tls_ca_file_path": setup.authority} if setup.authority else {}
    files: Any = pyarrow.fs.S3FileSystem(endpoint_override=host, scheme=scheme, region=setup.region, **keys, **trust)

    def read(location: str) -> Any:
        with files.open_input_file(location.removeprefix("s3://")) as file:
            return file.read_buffer()

    def job() -> Any:
        with ThreadPoolExecutor(len(setup.objects)) as threads:
            return list(threads.map(read, setup.objects))

    return job


def check(table: Any, setup: Setup) -> dict[str, Any]:
    import pyarrow.compute

    if isinstance(table, list):
        return {"files": len(table)}
    found = {"rows": table.num_rows, "columns": table.num_columns}
    return found | {"sum": total(pyarrow.compute.sum(table[setup.key]).as_py()), "bytes": table.nbytes}
