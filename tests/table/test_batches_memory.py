"""A stream's memory is bounded whatever the table's size: the peak of a process that reads a table ten times as large."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import headrace
import numpy
import pyarrow
import pytest

from tests.table.warehouse import Warehouse

CODE = """
    import json, sys
    import headrace

    def peak():
        lines = open("/proc/self/status").read().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))

    asked = json.loads(sys.argv[1])
    table = headrace.Table.at(asked["location"], properties=asked["properties"])
    next(iter(table.scan(limit=1).batches()))  # libraries, threads, connections
    before, rows, sizes = peak(), 0, 0
    for frame in table.scan().batches(asked["memory_limit"], strings=asked["strings"]):
        rows += len(frame)
        sizes += frame.size
    print(json.dumps({"rows": rows, "sizes": sizes, "peak": peak() - before}))
"""
ROWS = 1_800_000


@pytest.fixture(scope="module")
def large(warehouse: Warehouse) -> Any:
    """Some 450 MB in memory, in row groups of up to a million rows: a window is a fraction of one."""
    random = numpy.random.default_rng(9)
    words = numpy.array([f"word {at} of a vocabulary" for at in range(1000)])
    numbers = {f"n{at}": random.integers(0, 1 << 30, ROWS) for at in range(12)}
    text = [f"a text that is its own, {at:x}" for at in random.integers(0, 1 << 60, ROWS).tolist()]
    data = pyarrow.table(numbers | {"word": words[random.integers(0, 1000, ROWS)], "text": text})
    table = warehouse.create(data.schema)
    table.append(data)
    return table


@pytest.mark.parametrize("strings", ["view", "large_string"])
@pytest.mark.parametrize("memory_limit", [64 << 20, 128 << 20, 256 << 20])
def test_the_peak_is_within_the_limit(warehouse: Warehouse, large: Any, memory_limit: int, strings: str) -> None:
    asked = {
        "location": large.metadata_location,
        "properties": dict(warehouse.storage()),
        "memory_limit": memory_limit,
        "strings": strings,
    }
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CODE), json.dumps(asked)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(Path(headrace.__file__).parent.parent)},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rows"] == ROWS
    assert found["sizes"] > 250 << 20, "larger than any limit here"
    assert found["peak"] < memory_limit
