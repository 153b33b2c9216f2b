"""A reader process that loads a table again and again while others write, and never may see half of a commit.

    python -m tests.commit.reader '{"catalog": {...}, "name": "...", "table": "db.t", "stop": "<file>"}'

Every load must be a committed state: as many rows as its snapshot's summary says, all five rows of every operation of
`worker.py`, the same again from the same handle. Any error ends it. Prints what it saw when the stop file appears.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import headrace
import pyarrow

from tests.commit.worker import ROWS


def run(asked: dict[str, Any]) -> None:
    catalog = headrace.load_catalog(asked["name"], **asked["catalog"])
    loads, snapshots = 0, set()
    while not Path(asked["stop"]).exists():
        table = headrace.Table(asked["table"], catalog=catalog)
        check(table)
        loads += 1
        time.sleep(0.05)  # the writers need the processor too
        snapshots.add(table.snapshot.snapshot_id if table.snapshot else None)
    print(json.dumps({"loads": loads, "snapshots": len(snapshots)}))


def check(table: headrace.Table) -> None:
    """One handle, loaded twice."""
    first, second = rows(table), rows(table)
    assert first == second, "a handle shows two states"
    summary = table.snapshot.summary if table.snapshot else {"total-records": "0", "total-position-deletes": "0"}
    said = int(summary["total-records"]) - int(summary["total-position-deletes"])
    assert len(first) == said, f"{len(first)} rows, {said} by the summary of {table.snapshot}"
    assert len(set(first)) == len(first), "doubled rows"
    operations = Counter((writer, operation) for writer, operation, _ in first)
    torn = {each: count for each, count in operations.items() if count != ROWS}
    assert not torn, f"operations seen in part: {torn} in {table.snapshot}"


def rows(table: headrace.Table) -> list[tuple[int, int, int]]:
    """The rows of the table, sorted."""
    found = pyarrow.table(table.load(columns=["writer", "op", "row"]))
    return sorted(zip(*(found.column(each).to_pylist() for each in ("writer", "op", "row")), strict=True))


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
