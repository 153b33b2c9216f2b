"""DuckDB's answers. Loading its extensions is its import; attaching the catalog is part of the job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.servers import duck

from ..setup import Setup


def _attached(setup: Setup) -> Callable[[], Any]:
    import pyarrow  # noqa: F401  (imports are not measured)

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
        )
        return connection

    return attach


def s3_to_frame(setup: Setup) -> Callable[[], Any]:
    attach = _attached(setup)
    return lambda: attach().sql(f"select * from warehouse.{setup.table}").to_arrow_table()


def local_to_frame(setup: Setup) -> Callable[[], Any]:
    import pyarrow  # noqa: F401

    connection = duck.connect()
    return lambda: connection.read_parquet(setup.local_files).to_arrow_table()


def frame_to_pandas(setup: Setup) -> Callable[[], Any]:
    import pandas  # noqa: F401

    attach = _attached(setup)
    return lambda: attach().sql(f"select * from warehouse.{setup.table}").df()


def plan_files(setup: Setup) -> Callable[[], Any]:
    attach = _attached(setup)
    return lambda: (
        attach()
        .sql(f"select file_path from iceberg_metadata('warehouse.{setup.many}') where content = 'EXISTING'")
        .fetchall()
    )


def check_frame(table: Any) -> dict[str, int]:
    import pyarrow.compute

    return {"rows": table.num_rows, "orders": pyarrow.compute.sum(table["l_orderkey"]).as_py()}


def check_plan(rows: list[Any]) -> dict[str, int]:
    return {"files": len(rows)}
