"""Runs of one question: round robin over the contenders, each run in a fresh process, memory touched before it.

Knows no contender's library, only which Python has it. Neighbours: child.py is the other end, goals.py and report.py
take what comes out of here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from .questions import FULL_SCALE, Question, library
from .setup import Setup

ROOT = Path(__file__).resolve().parents[1]
RUN_TIMEOUT_S = 900
_SPARE_BYTES = 2 << 30


@dataclass
class Result:
    """What one contender did with one question. ``runs`` are child.py's answers; the median of each number counts."""

    question: str
    who: str
    scale: float
    runs: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None

    def median(self, name: str) -> float:
        return float(median(run[name] for run in self.runs))

    @property
    def check(self) -> dict[str, Any] | None:
        return self.runs[-1]["check"] if self.runs else None


def ask(
    question: Question,
    contenders: Sequence[str],
    setup: Setup,
    *,
    scale: float,
    rounds: int,
    warm: bool = True,
    pythons: Mapping[str, str],
    say: Callable[[str], None],
) -> list[Result]:
    """Ask every contender ``rounds`` times, in turns, after one turn that is not counted (it warms the page cache).

    ``pythons`` names the interpreter of each library that is not installed beside this one.
    """
    results = [Result(question.name, who, scale) for who in contenders]
    needed = dict.fromkeys(contenders, int(question.gib * 2**30 * scale / FULL_SCALE))
    for number in range(0 if warm else 1, rounds + 1):
        for result in results:
            if result.error:
                continue
            _touch(needed[result.who])
            run = _run(question.name, result.who, setup, pythons.get(library(result.who), sys.executable))
            if "error" in run:
                result.error = run["error"]
                say(f"{question.name} {result.who}: {result.error}")
                continue
            needed[result.who] = int((run["baseline_bytes"] + run["peak_bytes"]) * 1.05)
            if number:
                result.runs.append(run)
            say(f"{question.name} round {number} {result.who}: {_line(run)}")
    return results


def not_run(question: Question, contenders: Sequence[str], scale: float, why: str) -> list[Result]:
    """The results of a question whose data or server cannot be had here."""
    return [Result(question.name, who, scale, error=why) for who in contenders]


def disagreement(results: Sequence[Result]) -> str | None:
    """What contenders found differently, None when all who answered found the same."""
    checks = {result.who: json.dumps(result.check, sort_keys=True) for result in results if result.check is not None}
    return None if len(set(checks.values())) < 2 else "; ".join(f"{who} {check}" for who, check in checks.items())


def _touch(size_bytes: int) -> None:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            size_bytes = min(size_bytes, int(line.split()[1]) * 1024 - _SPARE_BYTES)
    if size_bytes > 0:
        subprocess.run([sys.executable, str(ROOT / "benchmarks" / "touch.py"), str(size_bytes)], check=True)


def _run(question: str, who: str, setup: Setup, python: str) -> dict[str, Any]:
    command = [python, "-m", "benchmarks.child", question, who]
    try:
        done = subprocess.run(
            command, input=setup.to_json(), capture_output=True, text=True, cwd=ROOT, timeout=RUN_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer in {RUN_TIMEOUT_S} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        return {"error": f"status {done.returncode}: {(done.stderr.strip().splitlines() or ['no output'])[-1][:200]}"}
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer


def _line(run: dict[str, Any]) -> str:
    return (
        f"wall {run['wall_s']:.3f} s, user {run['user_s']:.2f} s, system {run['system_s']:.2f} s, "
        f"peak {run['peak_bytes'] / 2**30:.2f} GiB"
    )
