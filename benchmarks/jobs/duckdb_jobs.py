"""DuckDB's answers. Loading its extensions is its import; attaching the catalog is part of the job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.servers import duck

from .. import filters, written
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


def plan(setup: Setup) -> Callable[[], Any]:
    attach = _attached(setup)
    query = f"select file_path from iceberg_metadata('warehouse.{setup.table}') where content = 'EXISTING'"
    return lambda: attach().sql(query).fetchall()


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
    return {"files": len(result)} if isinstance(result, list) else pyarrow_jobs.check(result, setup)
