"""The benchmarks run end to end on a little data, and their alarms ring."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import goals, nginx, report, runner
from benchmarks.questions import LIBRARIES, QUESTIONS, library
from benchmarks.runner import Result
from tests.servers import jvm

ROOT = Path(__file__).resolve().parents[1]


def result(question: str, who: str, wall_s: float, rows: int = 10, peak_bytes: int = 1 << 30) -> Result:
    """A planted result of three rounds; its frame takes 1 GiB."""
    common = {"peak_bytes": peak_bytes, "baseline_bytes": 1 << 20, "result_bytes": 1 << 30, "check": {"rows": rows}}
    runs = [{"wall_s": wall_s * factor, "user_s": wall_s, "system_s": 0.5, **common} for factor in (0.5, 1, 9)]
    return Result(question, who, 1, runs)


def test_what_is_furthest_from_its_goal_comes_first() -> None:
    good = [result("s3_to_frame", "headrace", 1.0), result("s3_to_frame", "polars", 4.0)]
    bad = [result("wide", "headrace", 3.0), result("wide", "duckdb", 2.0)]
    bad.append(Result("wide", "pyarrow", 1, error="has no call for this"))
    text = report.table([good, bad])
    assert [each.question for each in report.verdicts([good, bad])][:2] == ["wide", "wide"]
    titles = [line.partition(":")[0] for line in text.splitlines() if ": S3 table" in line]
    assert titles == ["wide", "s3_to_frame"]
    assert "pyarrow  cannot: has no call for this" in text
    assert goals.ratio(bad) == 1.5
    assert report.markdown([good, bad]).count("\n") == 1 + len(report.verdicts([good, bad]))


@pytest.mark.parametrize(
    ("wall_s", "peak_bytes", "words"),
    [(1.0, 1 << 30, ["met", "met", "met"]), (3.0, 2 << 30, ["NOT MET", "NOT MET", "NOT MET"])],
)
def test_goals_are_met_or_not(wall_s: float, peak_bytes: int, words: list[str]) -> None:
    ours = result("s3_to_frame", "headrace", wall_s, peak_bytes=peak_bytes)
    peers = [result("s3_to_frame", "polars:files", 4.0), result("s3_to_frame", "daft", 9.0)]
    found = goals.verdicts([ours, *peers])
    assert [each.word for each in found] == words
    assert [each.best for each in found] == ["polars:files", "polars:files", ""]
    assert found[0].ratio == wall_s / 4.0


def test_what_was_not_run_is_never_met() -> None:
    question = QUESTIONS["objects_tls"]
    results = runner.not_run(question, ["headrace", "obstore"], 1, "no nginx")
    assert [each.word for each in goals.verdicts(results)] == ["not run: no nginx"] * 2
    assert report.verdicts([results])[0].distance == float("inf")
    alone = goals.verdicts([result("objects_tls", "headrace", 1.0)])
    assert {each.word for each in alone} == {"not run: nobody to compare with (every peer)"}


def test_goals_compare_with_contenders_that_are_asked() -> None:
    for question in QUESTIONS.values():
        assert {library(who) for who in question.peers} <= set(LIBRARIES)
        for goal in question.goals:
            assert set(goal.against) <= set(question.peers), question.name
            assert goal.measure in goals.MEASURES


def test_different_answers_are_noticed() -> None:
    same = [result("s3_to_frame", "headrace", 1.0), result("s3_to_frame", "polars", 1.0)]
    assert runner.disagreement(same) is None
    other = result("s3_to_frame", "pyarrow", 1.0, rows=11)
    assert "pyarrow" in str(runner.disagreement([*same, other]))


def test_every_question_runs_on_a_little_data(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--scale", "0.01", "--markdown"]
    command += ["--who", "headrace", "polars", "pyarrow", "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert {each["question"] for each in results} == set(QUESTIONS)
    missing = set() if _has_nginx() else {"objects_http", "objects_tls"}
    missing |= set() if _has_metastore() else {"hive_plan", "hive_load"}
    failed = {(each["question"], each["who"]): each["error"] for each in results if each["error"]}
    assert {question for question, _ in failed} == missing, failed
    rows = {each["runs"][0]["check"]["rows"] for each in results if each["question"] == "s3_to_frame"}
    assert rows == {60175}
    assert "| question | headrace |" in done.stdout


def _has_metastore() -> bool:
    try:
        return bool(jvm.java_home() and jvm.jars("metastore-2") and jvm.pyspark_jars())
    except RuntimeError:
        return False


def _has_nginx() -> bool:
    try:
        nginx.find()
    except FileNotFoundError:
        return False
    return True
