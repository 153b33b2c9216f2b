"""Several writer processes on one table: no row lost, none doubled, also when they are killed at any moment.

A reader loops beside them and must never see half of a commit. Neighbours: `worker.py` writes, `reader.py` reads.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import headrace
import pytest
from headrace.catalog import Catalog

from tests import soak
from tests.commit.conftest import hive
from tests.commit.readers import check
from tests.commit.worker import expected, read
from tests.servers.hive_metastore import HiveMetastore
from tests.table.warehouse import Warehouse

ROOT = Path(__file__).parent.parent.parent
SCHEMA = {"writer": "long", "op": "long", "row": "long", "ds": "string"}
RETRIES = {"commit.retry.num-retries": "200", "commit.retry.min-wait-ms": "10", "commit.retry.max-wait-ms": "500"}
WRITERS, COUNT, SOAK_COUNT = 8, 13, 60
"""Writers, and commits of each in one round: 312 on the three catalogs in `make test`."""
HIVE_COUNT = 5
"""The same on a metastore."""
LOCK_WRITERS, LOCK_COUNT = 4, 4
"""Of those that die with a metastore's lock: each of some ten deaths holds up the others for three seconds."""
KINDS = ["append", "append", "overwrite_partitions", "delete"]
PATIENCE_S = 500


def spawn(module: str, catalog: Catalog, table: str, output: Path, **more: Any) -> subprocess.Popen[bytes]:
    """A writer or reader; what it says goes to a file."""
    asked = {"catalog": dict(catalog.properties) | {"type": catalog.kind}, "name": catalog.name, "table": table, **more}
    command = [sys.executable, "-m", f"tests.commit.{module}", json.dumps(asked)]
    environment = os.environ | {"AWS_EC2_METADATA_DISABLED": "true"}
    with output.open("ab") as said:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=said)


def start(catalog: Catalog, table: str, writer: int, folder: Path, **more: Any) -> subprocess.Popen[bytes]:
    more |= {"writer": writer, "log": str(folder / f"writer{writer}.log")}
    return spawn("worker", catalog, table, folder / f"errors{writer}", **more)


@contextlib.contextmanager
def read_meanwhile(catalog: Catalog, table: str, folder: Path) -> Iterator[dict[str, int]]:
    """A reader beside the block, which must end well; yields what it saw, filled when the block ends."""
    output, stop, seen = folder / "reader", folder / "stop", {}
    stop.unlink(missing_ok=True)
    output.unlink(missing_ok=True)
    reader = spawn("reader", catalog, table, output, stop=str(stop))
    try:
        yield seen
        stop.touch()
        assert reader.wait(60) == 0, output.read_text()[-3000:]
        seen |= json.loads(output.read_text().splitlines()[-1])
    finally:
        reader.kill()
        reader.wait()


def compare(table: headrace.Table, folder: Path) -> int:
    """The table holds exactly what the writers' logs say, what was not acknowledged wholly or not at all.

    The number of acknowledged commits.
    """
    logs = [read(each) for each in sorted(folder.glob("writer*.log"))]
    found = check(table)
    rows = sorted(zip(*(found.column(each).to_pylist() for each in SCHEMA), strict=True))
    assert len(set(rows)) == len(rows), "doubled rows"
    for writer, log in enumerate(logs):
        own = {each for each in rows if each[0] == writer}
        assert own in (expected(log), expected(log, unacknowledged=True)), f"writer {writer}"
    assert {each[0] for each in rows} <= set(range(len(logs)))
    return sum(each["step"] == "done" for log in logs for each in log)


@pytest.mark.timeout(300)
def test_two_writers_lose_nothing(catalog: Catalog, name: str, tmp_path: Path) -> None:
    table = headrace.Table.create(name, SCHEMA, partition_by="ds", properties=RETRIES, catalog=catalog)
    more = {"count": 50, "kinds": ["append"]}
    with read_meanwhile(catalog, name, tmp_path) as seen:
        running = [start(catalog, name, each, tmp_path, **more) for each in range(2)]
        codes = [each.wait() for each in running]
    assert codes == [0, 0], [(tmp_path / f"errors{each}").read_text()[-2000:] for each in range(2)]
    assert compare(table, tmp_path) == 100
    assert table.refresh().load().num_rows == 500
    assert seen["snapshots"] > 2


@dataclass
class Tally:
    """What a crash test did."""

    commits: int = 0
    deaths: int = 0
    abandoned: int = 0
    loads: int = 0


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_writers_killed_at_any_moment(catalog: Catalog, name: str, tmp_path: Path) -> None:
    tally = Tally()
    # A writer that dies while it holds or awaits a metastore's lock holds up all others until that lock ends, and a
    # killed one holds or awaits it nearly always: in a soak, and in the test below.
    lockless = {"engine.hive.lock-enabled": "false"} if catalog.kind == "hive" and not soak.soak_s() else {}
    for number, seed in enumerate(soak.seeds(otherwise_s=0)):
        folder = tmp_path / str(number)
        folder.mkdir()
        crash(catalog, f"{name}x{number}", folder, random.Random(seed), tally, **lockless)
        print(f"{catalog.kind}: {tally}", flush=True)


def crash(
    catalog: Catalog, name: str, folder: Path, chance: random.Random, tally: Tally, **properties: str
) -> headrace.Table:
    """One table: writers that die and start again until all is done, then once more and never again."""
    table = headrace.Table.create(name, SCHEMA, partition_by="ds", properties=RETRIES | properties, catalog=catalog)
    count = SOAK_COUNT if soak.soak_s() else HIVE_COUNT if catalog.kind == "hive" else COUNT
    with read_meanwhile(catalog, name, folder) as seen:
        deaths = run_to_the_end(catalog, name, folder, chance, count)
        assert deaths >= count // 2
        assert compare(table, folder) == WRITERS * count
        abandon(catalog, name, folder, count + 1)
    assert compare(table, folder) >= WRITERS * count  # a delete that finds no row ends well before it could die
    tally.commits += WRITERS * count
    tally.deaths += deaths
    tally.abandoned += WRITERS
    tally.loads += seen["loads"]
    return table.refresh()


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_writers_killed_with_a_metastores_lock(
    impatient_metastore: HiveMetastore, name: str, tmp_path: Path, warehouse: Warehouse
) -> None:
    """The others wait until the metastore lets go of a dead writer's lock, and no longer; nothing is lost."""
    catalog, deaths = hive(impatient_metastore.uri, tmp_path, heartbeat_ms=500), 0
    for number, seed in enumerate(soak.seeds(otherwise_s=0)):
        folder, own = tmp_path / str(number), f"{name}x{number}"
        folder.mkdir()
        table = headrace.Table.create(own, SCHEMA, partition_by="ds", properties=RETRIES, catalog=catalog)
        more = {"deaths_with_lock": 0.2, "killed": 0.0}
        deaths += run_to_the_end(catalog, own, folder, random.Random(seed), LOCK_COUNT, writers=LOCK_WRITERS, **more)
        assert compare(table, folder) == LOCK_WRITERS * LOCK_COUNT
        print(f"{number + 1} rounds, {deaths} deaths with a lock", flush=True)
    assert deaths


def run_to_the_end(
    catalog: Catalog,
    name: str,
    folder: Path,
    chance: random.Random,
    count: int,
    writers: int = WRITERS,
    killed: float = 0.003,
    **deaths: float,
) -> int:
    """Writers that are killed at any moment, and started again, until all have done all; the number of deaths."""
    more = {"count": count, "kinds": KINDS, **(deaths or {"deaths": 0.2})}
    running = {each: start(catalog, name, each, folder, **more) for each in range(writers)}
    deaths = 0
    ends = time.monotonic() + PATIENCE_S
    try:
        while running and time.monotonic() < ends:
            time.sleep(0.05)
            for writer, process in list(running.items()):
                if process.poll() == 0:
                    del running[writer]
                elif process.poll() is not None:
                    assert process.returncode == -9, (folder / f"errors{writer}").read_text()[-2000:]
                    deaths += 1
                    running[writer] = start(catalog, name, writer, folder, **more)
                elif chance.random() < killed:
                    process.kill()
        assert not running, f"{len(running)} writers hang"
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    return deaths


def abandon(catalog: Catalog, name: str, folder: Path, count: int) -> None:
    """One more operation of each writer, which dies just before or after its commit and never comes back."""
    more = {"count": count, "kinds": KINDS, "deaths": 1.0}
    dying = [start(catalog, name, each, folder, **more) for each in range(WRITERS)]
    codes = [each.wait(PATIENCE_S) for each in dying]
    assert all(code in (0, -9) for code in codes), codes
    assert -9 in codes
