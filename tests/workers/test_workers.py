"""Shards pickled to workers of every kind, staged outputs back, one commit: a user's program on a real catalog."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import headrace
import numpy
import pytest

from tests.metaflow.project import Project
from tests.table.warehouse import Warehouse

PROGRAM = Path(__file__).parents[2] / "examples/workers.py"
ROWS = 20_000
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """A folder for Ray's sockets, whose names may have 107 letters: pytest's own are too long."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    "workers",
    ["--with processes --method fork", "--with processes --method forkserver", "--with processes --method spawn",
     "--with joblib", "--with ray"],
)  # fmt: skip
def test_workers_stage_and_one_commit_makes_it_one_snapshot(
    warehouse: Warehouse, tmp_path: Path, ray_folder: Path, workers: str
) -> None:
    given = ["--rows", str(ROWS), "--shards", "5"]
    before = snapshots(warehouse)
    told = run(warehouse, tmp_path, ray_folder, str(PROGRAM), *workers.split(), *given)
    out = headrace.Table("sensors.fahrenheit", catalog=warehouse.ours)
    assert snapshots(warehouse) == before + 1
    rows = check(out)
    assert f"{rows:,} rows of 5 shards in snapshot {out.snapshot and out.snapshot.snapshot_id}" in told


DYING = """
import os, pathlib, sys
from functools import partial
import workers

def dying(shard, out, flag):
    staged = workers.convert(shard, out)
    if shard.index == 1 and not flag.exists():
        flag.touch()
        os._exit(1)
    return staged

readings, out = workers._tables(int(sys.argv[1]))
shards = readings.scan("celsius > 0").shards(5)
staged = workers.with_ray(partial(dying, out=out, flag=pathlib.Path(sys.argv[2])), shards, 2)
out.commit(staged, mode="overwrite")
"""


def test_a_worker_that_dies_after_it_staged_leaves_no_row_twice(
    warehouse: Warehouse, tmp_path: Path, ray_folder: Path
) -> None:
    """Ray runs its task again; what the first attempt staged is nobody's."""
    flag = tmp_path / "died"
    run(warehouse, tmp_path, ray_folder, "-c", DYING, str(ROWS), str(flag), PYTHONPATH=str(PROGRAM.parent))
    assert flag.exists()
    check(headrace.Table("sensors.fahrenheit", catalog=warehouse.ours))


def run(warehouse: Warehouse, tmp_path: Path, ray_folder: Path, *arguments: str, **more: str) -> str:
    """Run a user's program on the catalog; what it printed. Ray stays on loopback and tells nobody."""
    project = Project(tmp_path / "project", warehouse.server.catalog_properties)
    of_ray = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(ray_folder)}
    environment = project.environment | of_ray | more
    ran = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def check(out: headrace.Table) -> int:
    """The table has every row once; how many these are."""
    frame = out.load()
    ids = frame["id"].to_numpy()
    celsius = numpy.sin(numpy.arange(ROWS)) * 30
    numpy.testing.assert_array_equal(numpy.sort(ids), numpy.flatnonzero(celsius > 0))
    numpy.testing.assert_allclose(frame["fahrenheit"].to_numpy(), celsius[ids] * 1.8 + 32)
    return len(ids)


def snapshots(warehouse: Warehouse) -> int:
    """How many the table of results has; none before there is a table."""
    try:
        return len(headrace.Table("sensors.fahrenheit", catalog=warehouse.ours).metadata.snapshots)
    except headrace.errors.HeadraceError:
        return 0
