"""Polars' answers. It has no catalog of its own for Iceberg REST and takes PyIceberg's table, as its manual says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..many_files import DAY, ID_BELOW
from ..setup import Setup


def _storage(setup: Setup) -> dict[str, str]:
    return {
        "aws_endpoint_url": setup.endpoint,
        "aws_access_key_id": setup.access_key,
        "aws_secret_access_key": setup.secret_key,
        "aws_region": setup.region,
        "aws_allow_http": "true",
    }


def _scan(setup: Setup, table: str) -> Any:
    import polars
    from pyiceberg.catalog import load_catalog

    found = load_catalog("bench", **setup.catalog).load_table(table)
    return polars.scan_iceberg(found, storage_options=_storage(setup), reader_override="native")


def s3_to_frame(setup: Setup) -> Callable[[], Any]:
    import polars  # noqa: F401  (imports are not measured)
    import pyiceberg.catalog.rest
    import pyiceberg.io.pyarrow  # noqa: F401

    return lambda: _scan(setup, setup.table).collect()


def local_to_frame(setup: Setup) -> Callable[[], Any]:
    import polars

    return lambda: polars.read_parquet(setup.local_files)


def frame_to_pandas(setup: Setup) -> Callable[[], Any]:
    import pandas  # noqa: F401
    import polars  # noqa: F401
    import pyiceberg.catalog.rest
    import pyiceberg.io.pyarrow  # noqa: F401

    return lambda: _scan(setup, setup.table).collect().to_pandas()


def plan_files(setup: Setup) -> Callable[[], Any]:
    import polars  # noqa: F401
    import pyiceberg.catalog.rest
    import pyiceberg.io.pyarrow  # noqa: F401

    return lambda: _scan(setup, setup.many).explain()


def plan_filtered(setup: Setup) -> Callable[[], Any]:
    import polars
    import pyiceberg.catalog.rest
    import pyiceberg.io.pyarrow  # noqa: F401

    wanted = (polars.col("day") == polars.lit(DAY)) & (polars.col("id") < ID_BELOW)
    return lambda: _scan(setup, setup.many).filter(wanted).explain()


def check_frame(frame: Any) -> dict[str, int]:
    return {"rows": frame.height, "orders": frame["l_orderkey"].sum()}


def check_plan(text: str) -> dict[str, int]:
    """Its plan is text and names the first file and how many more there are."""
    import re

    more = re.search(r"\.\.\. (\d+) other", text)
    return {"files": int(more[1]) + text.count("s3://") if more else text.count("s3://")}
