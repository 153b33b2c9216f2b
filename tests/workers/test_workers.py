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
    project = Project(tmp_path / "project", warehouse.server.catalog_properties)
    given = ["--rows", str(ROWS), "--shards", "5"]
    on_loopback = {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TMPDIR": str(ray_folder),
    }
    before = snapshots(warehouse)
    command = [sys.executable, PROGRAM, *workers.split(), *given]
    ran = subprocess.run(command, env=project.environment | on_loopback, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    out = headrace.Table("sensors.fahrenheit", catalog=warehouse.ours)
    assert snapshots(warehouse) == before + 1
    frame = out.load()
    ids = numpy.sort(frame["id"].to_numpy())
    celsius = numpy.sin(numpy.arange(ROWS)) * 30
    numpy.testing.assert_array_equal(ids, numpy.flatnonzero(celsius > 0))
    numpy.testing.assert_allclose(frame["fahrenheit"].to_numpy(), celsius[frame["id"].to_numpy()] * 1.8 + 32)
    assert f"{len(ids):,} rows of 5 shards in snapshot {out.snapshot and out.snapshot.snapshot_id}" in ran.stdout


def snapshots(warehouse: Warehouse) -> int:
    """How many the table of results has; none before there is a table."""
    try:
        return len(headrace.Table("sensors.fahrenheit", catalog=warehouse.ours).metadata.snapshots)
    except headrace.errors.HeadraceError:
        return 0
