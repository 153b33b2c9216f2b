"""PyArrow's answers. It knows no Iceberg: it is told the data files, so it does less work than the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..setup import Setup


def _s3_dataset(setup: Setup) -> Callable[[], Any]:
    import pyarrow.dataset
    import pyarrow.fs

    def open_dataset() -> Any:
        host = setup.endpoint.removeprefix("http://")
        files = pyarrow.fs.S3FileSystem(
            endpoint_override=host,
            scheme="http",
            access_key=setup.access_key,
            secret_key=setup.secret_key,
            region=setup.region,
        )
        paths = [each.removeprefix("s3://") for each in setup.files]
        return pyarrow.dataset.dataset(paths, filesystem=files, format="parquet")

    return open_dataset


def s3_to_frame(setup: Setup) -> Callable[[], Any]:
    dataset = _s3_dataset(setup)
    return lambda: dataset().to_table()


def local_to_frame(setup: Setup) -> Callable[[], Any]:
    import pyarrow.dataset

    return lambda: pyarrow.dataset.dataset(setup.local_files, format="parquet").to_table()


def frame_to_pandas(setup: Setup) -> Callable[[], Any]:
    import pandas  # noqa: F401  (imports are not measured)

    dataset = _s3_dataset(setup)
    return lambda: dataset().to_table().to_pandas()


def check_frame(table: Any) -> dict[str, int]:
    import pyarrow.compute

    return {"rows": table.num_rows, "orders": pyarrow.compute.sum(table["l_orderkey"]).as_py()}
