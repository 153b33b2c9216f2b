"""PyIceberg's answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..many_files import FILTER
from ..setup import Setup


def _table(properties: dict[str, str], name: str) -> Any:
    from pyiceberg.catalog import load_catalog

    return load_catalog("bench", **properties).load_table(name)


def s3_to_frame(setup: Setup) -> Callable[[], Any]:
    import pyiceberg.catalog.rest  # imports are not measured
    import pyiceberg.io.pyarrow  # noqa: F401

    return lambda: _table(setup.catalog, setup.table).scan().to_arrow()


def local_to_frame(setup: Setup) -> Callable[[], Any]:
    import pyiceberg.catalog.sql
    import pyiceberg.io.pyarrow  # noqa: F401

    return lambda: _table(setup.local_catalog, setup.local_table).scan().to_arrow()


def frame_to_pandas(setup: Setup) -> Callable[[], Any]:
    import pandas  # noqa: F401
    import pyiceberg.catalog.rest
    import pyiceberg.io.pyarrow  # noqa: F401

    return lambda: _table(setup.catalog, setup.table).scan().to_pandas()


def plan_files(setup: Setup) -> Callable[[], Any]:
    import pyiceberg.catalog.rest
    import pyiceberg.io.pyarrow  # noqa: F401

    return lambda: list(_table(setup.catalog, setup.many).scan().plan_files())


def plan_filtered(setup: Setup) -> Callable[[], Any]:
    import pyiceberg.catalog.rest
    import pyiceberg.io.pyarrow  # noqa: F401

    return lambda: list(_table(setup.catalog, setup.many).scan(row_filter=FILTER).plan_files())


def check_frame(table: Any) -> dict[str, int]:
    import pyarrow.compute

    return {"rows": table.num_rows, "orders": pyarrow.compute.sum(table["l_orderkey"]).as_py()}


def check_plan(tasks: list[Any]) -> dict[str, int]:
    return {"files": len(tasks)}
