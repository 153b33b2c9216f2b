"""Results held against goals. Runs nothing and prints nothing; neighbours: questions.py, report.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from .questions import QUESTIONS, US, Goal, library
from .runner import Result

MEASURES: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], float]]] = {
    "wall": ("wall time", lambda run: float(run["wall_s"])),
    "user": ("user CPU", lambda run: float(run["user_s"])),
    "system": ("system CPU", lambda run: float(run["system_s"])),
    "cpu": ("CPU", lambda run: float(run["user_s"] + run["system_s"])),
    "peak": ("peak memory", lambda run: float(run["peak_bytes"])),
    "beyond": ("peak memory beyond what was there, MiB", lambda run: float(run["peak_bytes"] / 2**20)),
    "memory": ("peak memory / bytes of the result", lambda run: float(run["peak_bytes"] / run["result_bytes"])),
    "conversion": ("conversion", lambda run: float(run["convert_s"] / run["load_s"])),
    "entry": ("user CPU a file, microseconds", lambda run: float(run["user_s"] * 1e6 / run["check"]["files"])),
    "again": ("second load", lambda run: float(run["wall_s"] / run["first_s"])),
}
"""What each measure is called, and how a run's numbers give it."""


@dataclass(frozen=True)
class Verdict:
    """One goal, and what was found; ``ratio`` is None where something was not run, and ``why`` says what."""

    question: str
    goal: Goal
    ratio: float | None
    best: str = ""
    why: str = ""

    @property
    def distance(self) -> float:
        """How far from the goal: 1 is just met, infinity is unknown."""
        return float("inf") if self.ratio is None else self.ratio / self.goal.limit

    @property
    def word(self) -> str:
        if self.ratio is None:
            return f"not run: {self.why}"
        return "met" if self.ratio <= self.goal.limit else "NOT MET"


def value(result: Result, measure: str) -> float:
    """The median of a measure over a contender's runs."""
    return float(median(MEASURES[measure][1](run) for run in result.runs))


def best(results: Sequence[Result], measure: str, among: Sequence[str]) -> Result | None:
    """Who of those that answered has the smallest median."""
    able = [result for result in results if result.runs and result.who in among]
    return min(able, key=lambda result: value(result, measure), default=None)


def peers(results: Sequence[Result]) -> list[str]:
    """Everybody but ourselves, whichever way we did it."""
    return [result.who for result in results if library(result.who) != US]


def ratio(results: Sequence[Result], measure: str = "wall") -> float | None:
    """Our median over the best peer's for one question; None where there is nothing to compare."""
    ours, rival = best(results, measure, [US]), best(results, measure, peers(results))
    over = value(rival, measure) if rival else 0.0
    return value(ours, measure) / over if ours and over else None


def verdicts(results: Sequence[Result]) -> list[Verdict]:
    """Each of the question's goals, held against what was measured."""
    return [_verdict(results, goal) for goal in QUESTIONS[results[0].question].goals]


def _verdict(results: Sequence[Result], goal: Goal) -> Verdict:
    question, ours = results[0].question, best(results, goal.measure, [US])
    if ours is None:
        return Verdict(question, goal, None, why=next((each.error or "" for each in results if each.who == US), US))
    found = value(ours, goal.measure)
    if not goal.against:
        return Verdict(question, goal, found)
    rival = best(results, goal.measure, goal.against)
    over = value(rival, goal.measure) if rival else 0.0
    if rival is None or not over:
        return Verdict(question, goal, None, why=f"nobody to compare with ({goal.said})")
    return Verdict(question, goal, found / over, best=rival.who)
