"""One measured run, in a process of its own: `python -m benchmarks.child <question> <who>`, the Setup on stdin.

The last line of its output is JSON: what was measured, or the error. Imports and configuration are not measured; user
and system CPU are of all threads and ended children. Peak memory is this process's high-water mark (VmHWM of
/proc/self/status) at the job's end, less its resident memory (VmRSS) when imports and configuration were done.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from . import checks
from .jobs import Steps
from .questions import QUESTIONS, Question
from .setup import Setup


def main(name: str, who: str) -> None:
    warnings.simplefilter("ignore")
    setup, question = Setup.from_json(sys.stdin.read()), QUESTIONS[name]
    library, _, way = who.partition(":")
    try:
        contender = importlib.import_module(f"benchmarks.jobs.{library}_jobs")
        answer = _measure(question, contender, way, setup)
    except Exception as error:
        traceback.print_exc()
        answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
    print("\n" + json.dumps(answer), flush=True)
    os._exit(0)  # some peers abort while the interpreter is taken down, long after they answered


def _measure(question: Question, contender: Any, way: str, setup: Setup) -> dict[str, Any]:
    name = f"{question.job}_{way}" if way else question.job
    if not hasattr(contender, name):
        return {"error": "has no call for this"}
    job = getattr(contender, name)(setup)
    measured: dict[str, Any] = {}
    _forget_peak()
    baseline = _memory_bytes("VmRSS")
    for _ in range(question.loads - 1):
        measured["first_s"] = _timed(job)[0]["wall_s"]
    numbers, result = _timed(job)
    measured |= numbers | {"baseline_bytes": baseline, "peak_bytes": max(_memory_bytes("VmHWM") - baseline, 0)}
    if isinstance(result, Steps):
        measured |= {"load_s": result.load_s, "convert_s": result.convert_s}
        result = result.result
    started = time.perf_counter()
    found = _check(question, contender, way, result, setup)
    measured["result_bytes"] = found.pop("bytes", None)
    return measured | {"check": found or None, "check_s": time.perf_counter() - started}


def _check(question: Question, contender: Any, way: str, result: Any, setup: Setup) -> dict[str, Any]:
    kind = checks.BY_JOB[question.job]
    if way in ("frame", "undeleted"):  # what our other answers are compared with, and no answer to this question
        return {}
    return kind(result, setup) if kind else dict(contender.check(result, setup))


def _timed(job: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    before, started = _cpu(), time.perf_counter()
    result = job()
    wall, after = time.perf_counter() - started, _cpu()
    return {"wall_s": wall, "user_s": after[0] - before[0], "system_s": after[1] - before[1]}, result


def _forget_peak() -> None:
    """Start the high-water mark again from here, so that an import's passing peak is not the job's (proc(5))."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as control:
        control.write("5")


def _memory_bytes(name: str) -> int:
    """A line of /proc/self/status. Not ru_maxrss: it keeps what the runner had when it forked us."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(f"{name}:"))


def _cpu() -> tuple[float, float]:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime for usage in usages), sum(usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main(*sys.argv[1:])
