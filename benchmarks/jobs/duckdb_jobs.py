"""DuckDB's answers. Loading its extensions is its import; attaching the catalog is part of the job."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.servers import duck

from .. import filters, hive_days, written
from ..checks import summed
from ..setup import Setup
from . import imported, pyarrow_jobs


def _attached(setup: Setup, *, read_only: bool = True) -> Callable[[], Any]:
    imported("pyarrow")

    connection = duck.connect()

    def attach() -> Any:
        duck.attach(
            connection,
            endpoint=setup.endpoint,
            rest_uri=setup.rest_uri,
            warehouse=setup.catalog["warehouse"],
            access_key=setup.access_key,
            secret_key=setup.secret_key,
            region=setup.region,
            read_only=read_only,
        )
        return connection

    return attach


def _query(setup: Setup) -> str:
    kept = f" where {filters.SQL}" if setup.filtered else ""
    return f"select {', '.join(setup.columns) or '*'} from warehouse.{setup.table}{kept}"


def s3_frame(setup: Setup) -> Callable[[], Any]:
    attach = _attached(setup)
    return lambda: attach().sql(_query(setup)).to_arrow_table()


def local_frame(setup: Setup) -> Callable[[], Any]:
    imported("pyarrow")

    connection = duck.connect()
    return lambda: connection.read_parquet(list(setup.local_files)).to_arrow_table()


def s3_pandas(setup: Setup) -> Callable[[], Any]:
    """Its decimals become floats, which nobody else's do: not the same answer, and cheaper."""
    imported("pandas")

    attach = _attached(setup)
    return lambda: attach().sql(_query(setup)).df()


def s3_array(setup: Setup) -> Callable[[], Any]:
    imported("numpy")

    attach = _attached(setup)
    query = f"select embedding from warehouse.{setup.table}"
    return lambda: pyarrow_jobs.as_array(attach().sql(query).to_arrow_table())


def s3_batches(setup: Setup) -> Callable[[], Any]:
    imported("numpy")

    attach = _attached(setup)
    return lambda: summed(attach().sql(_query(setup)).to_arrow_reader(), lambda batch: batch[setup.key].to_numpy())


def plan(setup: Setup) -> Callable[[], Any]:
    attach = _attached(setup)
    query = f"select file_path from iceberg_metadata('warehouse.{setup.table}') where content = 'EXISTING'"
    return lambda: attach().sql(query).fetchall()


def hive_plan(setup: Setup) -> Callable[[], Any]:
    attach = _attached(setup)
    return lambda: attach().execute(f"explain select * from {_hive(setup)} where {hive_days.SQL}").fetchall()[0][1]


def hive_frame(setup: Setup) -> Callable[[], Any]:
    attach = _attached(setup)
    return lambda: attach().sql(f"select * from {_hive(setup)}").to_arrow_table()


def _hive(setup: Setup) -> str:
    return f"read_parquet('{setup.hive_root}/*/*.parquet', hive_partitioning = true)"


def write_table(setup: Setup) -> Callable[[], Any]:
    attach = _attached(setup, read_only=False)
    frame, name = written.arrow(setup), written.make(setup)

    def job() -> str:
        connection = attach()
        connection.register("frame", frame)
        connection.execute(f"insert into warehouse.{name} select * from frame")
        return name

    return job


def check(result: Any, setup: Setup) -> dict[str, Any]:
    if isinstance(result, str):  # a plan, drawn in boxes
        return {"files": int(re.search(r"Scanning Files:\s*(\d+)/", re.sub(r"[│\s]+", " ", result))[1])}  # type: ignore[index]
    return {"files": len(result)} if isinstance(result, list) else pyarrow_jobs.check(result, setup)
