"""Results as a table, the question that is worst for us first, and as JSON. Runs nothing."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .questions import PEERS, QUESTIONS, US
from .runner import Result

_COLUMNS = ("", "wall s", "user s", "system s", "peak GiB", "wall / best peer", "CPU / best peer")


def ratio(results: Sequence[Result], measure: str = "wall") -> float | None:
    """Our median over the best peer's for one question; None where there is nothing to compare."""
    ours = [result for result in results if result.who == US and result.runs]
    best = _best(results, measure)
    return _value(ours[0], measure) / best if ours and best else None


def table(questions: Sequence[Sequence[Result]]) -> str:
    """A text table: questions from worst to best for us, within each the fastest first."""
    ordered = sorted(questions, key=lambda results: -(ratio(results) or float("inf")))
    lines = []
    for results in ordered:
        scale = f", scale {results[0].scale:g}" if results[0].scale else ""
        lines += ["", f"{results[0].question}: {QUESTIONS[results[0].question].title}{scale}"]
        rows = [_COLUMNS, *(_row(result, results) for result in sorted(results, key=_order))]
        widths = [max(len(row[column]) for row in rows if len(row) > 2) for column in range(len(_COLUMNS))]
        for row in rows:
            cells = [f"{row[0]:<{widths[0]}}"]
            cells += (
                [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)] if row[2:] else row[1:]
            )
            lines.append("  " + "  ".join(cells))
    return "\n".join(lines)


def as_json(questions: Sequence[Sequence[Result]], rounds: int) -> dict[str, Any]:
    """Everything measured, and on what."""
    return {
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "versions": {who: _version(who) for who in (US, *PEERS)},
        "rounds": rounds,
        "results": [asdict(result) for results in questions for result in results],
    }


def _row(result: Result, results: Sequence[Result]) -> tuple[str, ...]:
    if not result.runs:
        return (result.who, f"cannot: {result.error}")
    best_wall, best_cpu = _best(results, "wall"), _best(results, "cpu")
    return (
        result.who,
        f"{result.median('wall_s'):.3f}",
        f"{result.median('user_s'):.2f}",
        f"{result.median('system_s'):.2f}",
        f"{result.median('peak_bytes') / 2**30:.2f}",
        f"{_value(result, 'wall') / best_wall:.2f}" if best_wall else "-",
        f"{_value(result, 'cpu') / best_cpu:.2f}" if best_cpu else "-",
    )


def _order(result: Result) -> float:
    return _value(result, "wall") if result.runs else float("inf")


def _best(results: Sequence[Result], measure: str) -> float | None:
    return min((_value(result, measure) for result in results if result.who in PEERS and result.runs), default=None)


def _value(result: Result, measure: str) -> float:
    return result.median("wall_s") if measure == "wall" else result.cpu_s


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
