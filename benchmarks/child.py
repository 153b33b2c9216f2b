"""One measured run, in a process of its own: `python -m benchmarks.child <question> <who>`, the Setup on stdin.

The last line of its output is JSON: what was measured, or the error. Imports and configuration are not measured; user
and system CPU are of all threads and ended children; peak memory is the process's up to the job's end.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
import traceback
import warnings
from typing import Any

from .setup import Setup

STRINGS = {
    "l_returnflag": "R",
    "l_linestatus": "F",
    "l_shipinstruct": "TAKE BACK RETURN",
    "l_shipmode": "AIR",
    "l_comment": "carefully",
}


def main(question: str, who: str) -> None:
    warnings.simplefilter("ignore")
    setup = Setup.from_json(sys.stdin.read())
    try:
        answer = _measure(question, importlib.import_module(f"benchmarks.jobs.{who}_jobs"), setup)
    except Exception as error:
        traceback.print_exc()
        answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
    print("\n" + json.dumps(answer), flush=True)


def _measure(question: str, contender: Any, setup: Setup) -> dict[str, Any]:
    if not hasattr(contender, question):
        return {"error": "has no call for this"}
    job = getattr(contender, question)(setup)
    before, started = _cpu(), time.perf_counter()
    result = job()
    wall, after = time.perf_counter() - started, _cpu()
    peak = _peak_bytes()
    measured: dict[str, Any] = {
        "wall_s": wall,
        "user_s": after[0] - before[0],
        "system_s": after[1] - before[1],
        "peak_bytes": peak,
    }
    started = time.perf_counter()
    measured["check"] = _check(question, contender, result)
    return measured | {"check_s": time.perf_counter() - started}


def _check(question: str, contender: Any, result: Any) -> dict[str, Any]:
    if question.startswith("plan_"):
        return dict(contender.check_plan(result))
    if question == "frame_to_pandas":
        return _check_pandas(result)
    return dict(contender.check_frame(result))


def _check_pandas(frame: Any) -> dict[str, Any]:
    """Use it as a user would: every string column by == and by .str, which string views do not survive."""
    counts = {name: int((frame[name] == value).sum()) for name, value in STRINGS.items()}
    starts = {name: int(frame[name].str.startswith("A").sum()) for name in STRINGS}
    return {
        "rows": len(frame),
        "columns": frame.shape[1],
        "orders": int(frame["l_orderkey"].sum()),
        "quantity": round(float(frame["l_quantity"].astype("float64").sum())),
        "ships": str(frame["l_shipdate"].min())[:10],
        "equal": sum(counts.values()),
        "starts": sum(starts.values()),
    }


def _peak_bytes() -> int:
    """The high-water mark of resident memory. Not ru_maxrss: it keeps what the runner had when it forked us."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def _cpu() -> tuple[float, float]:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime for usage in usages), sum(usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main(*sys.argv[1:])
