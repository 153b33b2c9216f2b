"""What a task's work took: rows, seconds, processor seconds, and the most memory that its process ever had.

Knows the operating system's accounts, nothing of the work. Neighbours: flow.py measures its steps, report.py adds up.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


@contextmanager
def measured() -> Iterator[dict[str, Any]]:
    """Measure a block of code: the dict, where the block counts `rows`, has the figures when it ends."""
    figures: dict[str, Any] = {"rows": 0}
    began_s, cpu_s = time.perf_counter(), _cpu_s()
    yield figures
    figures |= {"wall_s": time.perf_counter() - began_s, "cpu_s": _cpu_s() - cpu_s, "peak_rss_bytes": _peak_bytes()}


def stage(tasks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of a stage, from those of its tasks: sums; of memory the largest; rows per second of one task."""
    rows, wall_s = (sum(each[name] for each in tasks) for name in ("rows", "wall_s"))
    return {
        "tasks": len(tasks),
        "rows": rows,
        "task_seconds": wall_s,
        "cpu_seconds": sum(each["cpu_s"] for each in tasks),
        "rows_per_task_second": rows / wall_s if wall_s else 0.0,
        "peak_rss_bytes": max(each["peak_rss_bytes"] for each in tasks),
    }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT_BYTES
