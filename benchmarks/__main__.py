"""The command: `python -m benchmarks [--only question ...] [--scale 4] [--rounds 5] [--quick] [--markdown]`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from . import data, report, runner
from .data import NotHere
from .questions import FULL_SCALE, LIBRARIES, QUESTIONS, US, Question, library
from .runner import Result

QUICK_SCALE = 0.1
_ONE_QUESTION_TROUBLES = (NotHere, OSError, RuntimeError, ValueError, subprocess.SubprocessError)


def main() -> int:
    arguments = _arguments()
    pythons = _pythons(arguments.peers)
    results = arguments.json or arguments.folder / "results.json"
    versions = _versions(pythons)
    answered: list[list[Result]] = []
    with data.serve(arguments.folder.resolve()) as prepare:
        for question in [QUESTIONS[name] for name in arguments.only]:
            answered.append(_ask(question, prepare, pythons, arguments))
            # After each question: a run of two hours that is stopped has not been for nothing.
            report.write(results, report.as_json(answered, arguments.rounds, versions))
    rounds = (
        f"medians of {arguments.rounds} rounds" if arguments.rounds > 1 else "one round: a smoke run, no measurement"
    )
    print(f"\n{rounds}; ratios are to the best peer's number")
    print(report.table(answered))
    if arguments.markdown:
        print("\n" + report.markdown(answered))
    wrong = [problem for each in answered if (problem := runner.disagreement(each))]
    for problem in wrong:
        print(f"\ndifferent answers: {problem}")
    return 1 if wrong else 0


def _ask(
    question: Question, prepare: data.Prepare, pythons: dict[str, str], arguments: argparse.Namespace
) -> list[Result]:
    """One question; where its data or server cannot be had, results that say so, and the others go on."""
    contenders = [who for who in (US, *question.peers) if library(who) in arguments.who]
    scale = arguments.scale * question.scale
    try:
        setup = prepare(question, scale)
    except _ONE_QUESTION_TROUBLES as trouble:
        why = str(trouble) if isinstance(trouble, NotHere) else f"no data: {type(trouble).__name__}: {trouble}"[:300]
        _say(f"{question.name}: not run: {why}")
        return runner.not_run(question, contenders, scale, why)
    return runner.ask(
        question,
        contenders,
        setup,
        scale=scale,
        rounds=arguments.rounds,
        warm=not arguments.quick,
        pythons=pythons,
        say=_say,
    )


def _arguments() -> argparse.Namespace:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace" / "bench"
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="headrace and its peers, side by side.")
    add = parser.add_argument
    add(
        "--only",
        nargs="+",
        default=list(QUESTIONS),
        choices=list(QUESTIONS),
        metavar="QUESTION",
        help=", ".join(QUESTIONS),
    )
    add("--scale", type=float, help=f"of the data: TPC-H's for lineitem, 6 M rows each (default {FULL_SCALE:g})")
    add("--rounds", type=int, help="counted rounds (default 5)")
    add("--quick", action="store_true", help=f"a smoke run: scale {QUICK_SCALE:g}, one round, nothing warmed before")
    add("--who", nargs="+", default=list(LIBRARIES), choices=LIBRARIES, help="contenders (default all)")
    add("--markdown", action="store_true", help="print the README's table as well")
    add("--folder", type=Path, default=cache, help="where data is kept between runs (default %(default)s)")
    add("--json", type=Path, help="where the results go as JSON (default <folder>/results.json)")
    add("--peers", type=Path, help="the folder of the peers' environments, peers and daft (default: this one)")
    arguments = parser.parse_args()
    arguments.scale = arguments.scale or (QUICK_SCALE if arguments.quick else FULL_SCALE)
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 5)
    return arguments


def _pythons(folder: Path | None) -> dict[str, str]:
    """Which Python has a peer, as `make bench` laid them out."""
    if folder is None:
        return {}
    apart = {name: "daft" if name == "daft" else "peers" for name in LIBRARIES if name != US}
    return {name: str(folder.resolve() / place / "bin" / "python") for name, place in apart.items()}


def _versions(pythons: dict[str, str]) -> dict[str, str]:
    """What is installed, each as its own Python sees it."""
    script = "import importlib.metadata as m, json, sys\nfound = {}\nfor name in sys.argv[1:]:\n"
    script += (
        "    try: found[name] = m.version(name)\n    except m.PackageNotFoundError: pass\nprint(json.dumps(found))"
    )
    names = report.known_libraries()
    found: dict[str, str] = {}
    for python in {sys.executable, *pythons.values()}:
        said = subprocess.run([python, "-c", script, *names], capture_output=True, text=True, check=True).stdout
        mine = {name for name in names if pythons.get(name, sys.executable) == python}
        found |= {name: version for name, version in json.loads(said).items() if name in mine}
    return found


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
