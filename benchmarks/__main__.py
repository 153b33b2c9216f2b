"""The command: `python -m benchmarks [question ...] [--scale 1] [--rounds 5] [--who headrace polars ...]`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from . import data, report, runner
from .questions import PEERS, QUESTIONS, US


def main() -> int:
    arguments = _arguments()
    questions = [QUESTIONS[name] for name in arguments.questions or QUESTIONS]
    scales = {each.name: arguments.scale if each.scale and arguments.scale else each.scale for each in questions}
    answered = []
    with data.serve(arguments.folder.resolve(), set(scales.values())) as setups:
        for question in questions:
            scale = scales[question.name]
            setup, rounds = setups[scale], arguments.rounds
            answered.append(runner.ask(question, arguments.who, setup, scale=scale, rounds=rounds, say=_say))
    print(f"\nmedians of {arguments.rounds} rounds; worst for us first")
    print(report.table(answered))
    text = json.dumps(report.as_json(answered, arguments.rounds), indent=1)
    report.write(arguments.json or arguments.folder / "results.json", text)
    wrong = [problem for results in answered if (problem := runner.disagreement(results))]
    for problem in wrong:
        print(f"\ndifferent answers: {problem}")
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="headrace and its peers, side by side.")
    parser.add_argument(
        "questions", nargs="*", metavar="question", help=f"any of {', '.join(QUESTIONS)} (default: all)"
    )
    parser.add_argument("--scale", type=float, help="TPC-H scale of lineitem: 6 M rows each (default: each question's)")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds (default 5)")
    parser.add_argument("--who", nargs="+", default=[US, *PEERS], choices=[US, *PEERS], help="contenders (default all)")
    parser.add_argument("--folder", type=Path, default=Path(".work/bench"), help="where data is kept between runs")
    parser.add_argument("--json", type=Path, help="where the results go as JSON (default <folder>/results.json)")
    arguments = parser.parse_args()
    unknown = set(arguments.questions) - set(QUESTIONS)
    if unknown:
        parser.error(f"no such question: {', '.join(sorted(unknown))}; there are {', '.join(QUESTIONS)}")
    return arguments


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
