"""The Content Knowledge Graph from end to end, as its README runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import headrace
import pytest

from tests.examples.conftest import EXAMPLE
from tests.metaflow.project import Project
from tests.table.warehouse import Warehouse

pytestmark = pytest.mark.timeout(600)
KEYS = ("key_name", "key_word", "key_begin")


def run(project: Project, data: Path, **options: Any) -> dict[str, Any]:
    """Run it as a user does; its report."""
    folder = project.folder / "graph"
    given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, EXAMPLE / "run.py", "--folder", folder, "--data", data, *given]
    done = subprocess.run(command, env=project.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    assert f"{report['stages']['pairs']['rows']:,} candidate pairs" in done.stdout
    return report


def tables(catalog: headrace.catalog.Catalog) -> dict[str, headrace.Table]:
    return {name: headrace.Table(f"graph.{name}", catalog=catalog) for name in ("pairs", "matches", "links", "truth")}


def wanted_pairs(catalog: headrace.catalog.Catalog) -> int:
    """How many pairs agree in a key, as DuckDB counts them; fails where the table has not just these, each once."""
    pairs = headrace.Table("graph.pairs", catalog=catalog).to_arrow()
    left, right = (
        headrace.Table(f"graph.{side}_catalogue", catalog=catalog).to_arrow(columns=["id", *KEYS])
        for side in ("left", "right")
    )
    with duckdb.connect() as database:
        for name, table in (("pairs", pairs), ("lefts", left), ("rights", right)):
            database.register(name, table)
        agree = " or ".join(f"l.{key} = r.{key}" for key in KEYS)
        database.execute(
            f"create table wanted as select l.id left_id, r.id right_id from lefts l join rights r on {agree}"
        )
        amiss = (
            "select count(*) from ((from {0} select left_id, right_id) except all (from {1} select left_id, right_id))"
        )
        for one, other in (("pairs", "wanted"), ("wanted", "pairs")):
            assert database.execute(amiss.format(one, other)).fetchone() == (0,)
        count = database.execute("select count(*) from wanted").fetchone()
    assert count is not None
    return int(count[0])


def test_a_million_pairs(tmp_path: Path, data: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(tmp_path / "project")
    report = run(project, data, pairs=1_000_000)
    monkeypatch.setenv("HEADRACE_HOME", str(project.folder / "graph/headrace"))
    catalog = headrace.load_catalog()
    stages, quality = report["stages"], report["quality"]
    assert 1_000_000 <= stages["pairs"]["rows"] < 1_020_000
    assert stages["matches"]["rows"] == stages["pairs"]["rows"] == wanted_pairs(catalog)
    assert quality["links"]["precision"] > 0.98
    assert quality["links"]["recall"] > 0.94
    assert quality["matches"]["precision"] > 0.9
    assert quality["labelled"]["precision"] > 0.97
    assert all(each["peak_rss_bytes"] < 512 << 20 for each in stages.values())
    found = tables(catalog)
    truth = set(found["truth"].load().rows())
    links = list(found["links"].load(columns=["left_id", "right_id"]).rows())
    assert len({right for _, right in links}) == len(links) == stages["links"]["rows"]
    assert len(truth & set(links)) / len(links) == pytest.approx(quality["links"]["precision"])
    for name in ("pairs", "matches", "links"):
        snapshot = found[name].snapshot
        assert snapshot is not None
        assert snapshot.snapshot_id == stages[name]["snapshot"]
        assert (snapshot.summary or {})["metaflow.flow"] == "ContentKnowledgeGraph"
    assert report["lineage"]["metaflow.step"] == "join_matches"


def test_on_a_rest_catalog_and_again(warehouse: Warehouse, tmp_path: Path, data: Path) -> None:
    """The same seed gives the same graph; a second run replaces the first one's tables and leaves nothing of them."""
    project = Project(tmp_path / "project", warehouse.server.catalog_properties)
    first = run(project, data, pairs=20_000, seed=3)
    second = run(project, data, pairs=20_000, seed=3, workers=1)
    assert first["quality"] == second["quality"]
    assert first["catalogues"] == second["catalogues"]
    assert first["stages"]["matches"]["snapshot"] != second["stages"]["matches"]["snapshot"]
    assert second["stages"]["pairs"]["rows"] == wanted_pairs(warehouse.ours)
    for table in tables(warehouse.ours).values():
        assert len(table.metadata.snapshots) == 1
