"""Several writer processes on one table: no row lost, none doubled, also when they are killed at any moment."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import headrace
import pytest
from headrace.catalog import Catalog

from tests.commit.readers import check
from tests.commit.worker import expected, read

ROOT = Path(__file__).parent.parent.parent
SCHEMA = {"writer": "long", "op": "long", "row": "long", "ds": "string"}
RETRIES = {"commit.retry.num-retries": "200", "commit.retry.min-wait-ms": "10", "commit.retry.max-wait-ms": "500"}
COUNT = int(os.environ.get("HEADRACE_CRASH_COUNT", "25"))
"""Commits of each of four writers."""
SEED = int(os.environ.get("HEADRACE_CRASH_SEED", "0"))


def start(catalog: Catalog, table: str, writer: int, folder: Path, **more: Any) -> subprocess.Popen[bytes]:
    asked = {
        "catalog": dict(catalog.properties) | {"type": catalog.kind},
        "name": catalog.name,
        "table": table,
        "writer": writer,
        "log": str(folder / f"writer{writer}.log"),
        **more,
    }
    command = [sys.executable, "-m", "tests.commit.worker", json.dumps(asked)]
    environment = os.environ | {"AWS_EC2_METADATA_DISABLED": "true"}
    with (folder / f"errors{writer}").open("ab") as errors:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=errors)


def compare(table: headrace.Table, folder: Path) -> int:
    """The table holds exactly what the writers' logs say; the number of acknowledged commits."""
    logs = [read(each) for each in sorted(folder.glob("writer*.log"))]
    wanted = sorted(row for log in logs for row in expected(log))
    found = check(table)
    names = ("writer", "op", "row", "ds")
    assert sorted(zip(*(found.column(each).to_pylist() for each in names), strict=True)) == wanted
    return sum(each["step"] == "done" for log in logs for each in log)


@pytest.mark.timeout(300)
def test_two_writers_lose_nothing(catalog: Catalog, name: str, tmp_path: Path) -> None:
    table = headrace.Table.create(name, SCHEMA, partition_by="ds", properties=RETRIES, catalog=catalog)
    more = {"count": 50, "kinds": ["append"]}
    running = [start(catalog, name, each, tmp_path, **more) for each in range(2)]
    codes = [each.wait() for each in running]
    assert codes == [0, 0], [(tmp_path / f"errors{each}").read_text()[-2000:] for each in range(2)]
    assert compare(table, tmp_path) == 100
    assert table.refresh().load().num_rows == 500


@pytest.mark.timeout(600)
def test_writers_killed_at_any_moment(catalog: Catalog, name: str, tmp_path: Path) -> None:
    table = headrace.Table.create(name, SCHEMA, partition_by="ds", properties=RETRIES, catalog=catalog)
    chance = random.Random(SEED)
    more = {"count": COUNT, "kinds": ["append", "append", "overwrite_partitions", "delete"], "deaths": 0.3}
    writers = range(4)
    running = {each: start(catalog, name, each, tmp_path, **more) for each in writers}
    deaths = 0
    ends = time.monotonic() + 500
    while running and time.monotonic() < ends:
        time.sleep(0.05)
        for writer, process in list(running.items()):
            if process.poll() == 0:
                del running[writer]
            elif process.poll() is not None:
                assert process.returncode == -9, (tmp_path / f"errors{writer}").read_text()[-2000:]
                deaths += 1
                running[writer] = start(catalog, name, writer, tmp_path, **more)
            elif chance.random() < 0.006:
                process.kill()
    for process in running.values():
        process.kill()
    assert not running
    assert deaths >= COUNT // 2
    assert compare(table, tmp_path) == 4 * COUNT
    print(f"{4 * COUNT} commits acknowledged, {deaths} deaths")
