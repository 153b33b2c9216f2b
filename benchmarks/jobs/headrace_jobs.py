"""headrace's answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..many_files import FILTER
from ..setup import Setup


def s3_to_frame(setup: Setup) -> Callable[[], Any]:
    import headrace

    def job() -> Any:
        catalog = headrace.load_catalog("bench", **setup.catalog)
        return headrace.Table(setup.table, catalog=catalog).load(progress=False)

    return job


def local_to_frame(setup: Setup) -> Callable[[], Any]:
    import headrace

    return lambda: headrace.read_parquet(setup.local_files, progress=False)


def frame_to_pandas(setup: Setup) -> Callable[[], Any]:
    import headrace
    import pandas  # noqa: F401  (imports are not measured)
    import pyarrow  # noqa: F401

    def job() -> Any:
        catalog = headrace.load_catalog("bench", **setup.catalog)
        return headrace.Table(setup.table, catalog=catalog).to_pandas(dtype_backend="auto")

    return job


def plan_files(setup: Setup) -> Callable[[], Any]:
    import headrace

    def job() -> Any:
        catalog = headrace.load_catalog("bench", **setup.catalog)
        return headrace.Table(setup.many, catalog=catalog).scan()

    return job


def plan_filtered(setup: Setup) -> Callable[[], Any]:
    import headrace

    def job() -> Any:
        catalog = headrace.load_catalog("bench", **setup.catalog)
        return headrace.Table(setup.many, catalog=catalog).scan(filter=FILTER)

    return job


def check_frame(frame: Any) -> dict[str, int]:
    return {"rows": frame.num_rows, "orders": int(frame["l_orderkey"].to_numpy().sum())}


def check_plan(plan: Any) -> dict[str, int]:
    return {"files": len(plan.files)}
