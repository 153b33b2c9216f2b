"""What a Table's Fast Data calls took. Must not know: tables."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.dataframe import MetaflowDataFrame


class Stats:
    """Sums by name."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}

    def add(self, name: str, amount: float) -> None:
        """Add to one sum."""
        self.found[name] = self.found.get(name, 0) + amount

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the milliseconds that a block takes, also if it fails."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, (time.perf_counter() - began) * 1000)

    def add_load(self, frame: MetaflowDataFrame) -> None:
        """Add what a load moved, from its own metrics."""
        metrics = frame.metrics
        self.add("rows_read", frame.num_rows)
        if metrics:
            self.add("bytes_read", metrics["fetch"]["bytes"])
            self.add("s3_download_time_ms", metrics["fetch"]["busy_s"] * 1000)
            self.add("from_parquet_time_ms", metrics["decode"]["thread_s"] * 1000)
