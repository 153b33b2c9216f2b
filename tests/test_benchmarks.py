"""The benchmarks run end to end on a little data, and their alarms ring."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks import report, runner
from benchmarks.runner import Result

ROOT = Path(__file__).resolve().parents[1]


def result(question: str, who: str, wall_s: float, rows: int = 10) -> Result:
    """A planted result of three rounds."""
    runs = [
        {"wall_s": wall_s * factor, "user_s": wall_s, "system_s": 0.5, "peak_bytes": 1 << 30, "check": {"rows": rows}}
        for factor in (0.5, 1, 9)
    ]
    return Result(question, who, 1, runs)


def test_the_worst_question_comes_first_and_the_fastest_contender() -> None:
    good = [result("s3_to_frame", "headrace", 1.0), result("s3_to_frame", "polars", 4.0)]
    bad = [result("plan_files", "headrace", 3.0), result("plan_files", "duckdb", 2.0)]
    bad.append(Result("plan_files", "pyarrow", 0, error="has no call for this"))
    lines = report.table([good, bad]).splitlines()
    titles = [line.partition(":")[0] for line in lines if line and not line.startswith(" ")]
    assert titles == ["plan_files", "s3_to_frame"]
    names = [line.split()[0] for line in lines if line.startswith("  ") and not line.strip().startswith("wall")]
    assert names == ["duckdb", "headrace", "pyarrow", "headrace", "polars"]
    assert report.ratio(bad) == 1.5
    assert any("cannot: has no call for this" in line for line in lines)


def test_different_answers_are_noticed() -> None:
    same = [result("s3_to_frame", "headrace", 1.0), result("s3_to_frame", "polars", 1.0)]
    assert runner.disagreement(same) is None
    other = result("s3_to_frame", "pyarrow", 1.0, rows=11)
    assert "pyarrow" in str(runner.disagreement([*same, other]))


def test_a_run_on_a_little_data(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "s3_to_frame", "local_to_frame", "frame_to_pandas"]
    command += ["--scale", "0.01", "--rounds", "1", "--who", "headrace", "polars", "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert [each["error"] for each in results] == [None] * 6
    assert {each["runs"][0]["check"]["rows"] for each in results} == {60175}
