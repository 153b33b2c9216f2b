"""foreach for real: shards planned, loaded, staged and committed once, whatever dies or is done twice on the way."""

from __future__ import annotations

import contextlib
import random
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import headrace
import psutil
import pytest

from tests.metaflow.project import Project

Make = Callable[..., headrace.Table]
pytestmark = pytest.mark.timeout(600)


def ids_of(table: headrace.Table) -> list[int]:
    """The ids that are in a table now, sorted: a row that is there twice is seen."""
    return sorted(table.refresh().load()["id"].to_pylist())


def summaries(table: headrace.Table) -> list[dict[str, str]]:
    return [dict(each.summary or {}) for each in table.refresh().metadata.snapshots]


def arguments(source: headrace.Table, target: headrace.Table) -> list[str]:
    return ["--source", f"{source.db}.{source.table_name}", "--target", f"{target.db}.{target.table_name}"]


def test_a_flow_loads_shards_and_commits_once(project: Project, make_table: Make) -> None:
    source, target = make_table(600, 5), make_table()
    ran = project.succeed(project.copy("matches.py"), "run", *arguments(source, target))
    assert ids_of(target) == list(range(600))
    (summary,) = summaries(target)
    assert summary["metaflow.flow"] == "Matches"
    assert summary["metaflow.run-id"] == ran.run_id
    assert summary["metaflow.step"] == "join"
    assert summary["metaflow.attempt"] == "0"
    assert summary["metaflow.task-id"].isdigit()
    assert summary["metaflow.user"] == "tester"
    assert summary["added-records"] == "600"


def deaths(project: Project, *points: str) -> dict[str, str]:
    """The environment in which tasks die once at each of these points."""
    folder = project.folder / "deaths"
    folder.mkdir()
    for at, point in enumerate(points):
        (folder / f"{point}-{at}").touch()
    return {"DEATHS": str(folder)}


def test_tasks_and_join_die_at_every_point_and_are_retried(project: Project, make_table: Make) -> None:
    source, target = make_table(600, 5), make_table(partition_by="ds")
    points = ["match-begin-0", "match-loaded-1", "match-staged-2", "match-staged-2", "join-begin", "join-committed"]
    environment = deaths(project, *points)
    ran = project.succeed(project.copy("matches.py"), "run", *arguments(source, target), **environment)
    assert not list(Path(environment["DEATHS"]).iterdir()), "every death took place"
    assert ids_of(target) == list(range(600))
    assert target.refresh().snapshots().num_rows == 1
    assert "600 rows" in ran.output


def test_a_run_whose_join_died_after_its_commit_is_resumed(project: Project, make_table: Make) -> None:
    source, target = make_table(600, 5), make_table(30)
    flow = project.copy("matches.py")
    environment = deaths(project, *["join-committed"] * 5)
    ran = project.run(flow, "run", *arguments(source, target), **environment)
    assert ran.code != 0
    assert ids_of(target) == sorted([*range(30), *range(600)])
    before = target.refresh().snapshots().num_rows
    resumed = project.succeed(flow, "resume", "--origin-run-id", ran.run_id)
    assert "600 rows" in resumed.output
    assert ids_of(target) == sorted([*range(30), *range(600)])
    assert target.refresh().snapshots().num_rows == before


def test_tasks_killed_at_random_moments(project: Project, make_table: Make) -> None:
    source, target = make_table(600, 5), make_table()
    process = project.start(project.copy("matches.py"), "run", *arguments(source, target), "--max-workers", "3")
    killed: list[int] = []
    killer = threading.Thread(target=kill_tasks, args=(process, killed, 4), daemon=True)
    killer.start()
    output, _ = process.communicate(timeout=300)
    killer.join()
    assert process.returncode == 0, output[-4000:]
    assert killed
    assert ids_of(target) == list(range(600))
    assert target.refresh().snapshots().num_rows == 1


def kill_tasks(runtime: subprocess.Popen[str], killed: list[int], count: int) -> None:
    """Kill -9 a few of a runtime's tasks of the steps that are retried, each at a moment of its own life."""
    chance = random.Random(7)
    ends: dict[int, float] = {}
    while runtime.poll() is None and len(killed) < count:
        for task in _retried(runtime):
            now = time.monotonic()
            if now >= ends.setdefault(task.pid, now + chance.uniform(0.0, 1.5)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    task.kill()
                    killed.append(task.pid)
        time.sleep(0.02)


def _retried(runtime: subprocess.Popen[str]) -> list[psutil.Process]:
    """A runtime's tasks that live now, of the steps that are retried."""
    try:
        tasks = psutil.Process(runtime.pid).children()
    except psutil.NoSuchProcess:
        return []
    return [each for each in tasks if _step(each) in ("match", "join")]


def _step(task: psutil.Process) -> str | None:
    """The step of a task; None of a process that has just ended, or is no task."""
    try:
        words = task.cmdline()
    except psutil.NoSuchProcess:
        return None
    return words[words.index("step") + 1] if "step" in words else None


def test_two_runs_at_once_on_one_table(project: Project, make_table: Make, tmp_path: Path) -> None:
    source, target = make_table(300, 3), make_table(partition_by="ds")
    flow = project.copy("matches.py")
    running = [project.start(flow, "run", *arguments(source, target)) for _ in range(2)]
    outputs = [each.communicate(timeout=300)[0] for each in running]
    assert [each.returncode for each in running] == [0, 0], outputs[0][-2000:] + outputs[1][-2000:]
    assert ids_of(target) == sorted([*range(300), *range(300)])
    runs = {each["metaflow.run-id"] for each in summaries(target)}
    assert len(runs) == 2


def test_duplicates_of_a_join_that_still_run(project: Project, make_table: Make) -> None:
    """A scheduler that lost sight of a join starts another one: both commit what the same tasks staged."""
    source, target = make_table(300, 3), make_table(partition_by="ds")
    flow = project.copy("matches.py")
    died = project.run(flow, "run", *arguments(source, target), **deaths(project, *["join-begin"] * 5))
    assert died.code != 0
    assert ids_of(target) == []
    staged = sorted(
        each.name for each in project.folder.glob(f"**/Matches/{died.run_id}/match/*") if each.name.isdigit()
    )
    paths = ",".join(f"{died.run_id}/match/{each}" for each in staged)
    running = [
        project.start(
            flow, "--quiet", "step", "join", "--run-id", died.run_id, "--task-id", task, "--input-paths", paths
        )
        for task in (901, 902, 903)
    ]
    outputs = [each.communicate(timeout=300)[0] for each in running]
    assert [each.returncode for each in running] == [0, 0, 0], outputs[0][-2000:] + outputs[1][-2000:]
    assert ids_of(target) == list(range(300))
    assert len(summaries(target)) == 1


def test_a_caught_shard_fails_the_join_which_says_which(project: Project, make_table: Make) -> None:
    source, target = make_table(90, 3), make_table()
    flow = project.copy("caught.py")
    ran = project.run(flow, "run", *arguments(source, target))
    assert ran.code != 0
    assert "invalid table data" in ran.output
    assert "1 of 3 shards staged nothing: 1 (counted from 0)" in ran.output
    assert "partial=True" in ran.output
    assert ids_of(target) == []
    project.succeed(flow, "run", *arguments(source, target), "--partial", "true")
    assert len(ids_of(target)) == 60


def test_more_shards_than_a_foreach_may_have_are_told_with_the_flag(project: Project, make_table: Make) -> None:
    source, target = make_table(90, 3), make_table()
    ran = project.run(project.copy("matches.py"), "run", *arguments(source, target), "--max-num-splits", 2)
    assert ran.code != 0
    assert "headrace: 3 shards are more than the 2 tasks" in ran.output
    assert "--max-num-splits 3" in ran.output
