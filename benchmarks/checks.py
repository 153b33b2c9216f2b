"""What is in a result, found as a user would use it and never measured. Contenders that disagree fail the command.

Here are the results that look the same whoever made them; each contender's module tells of its own frames and plans.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .setup import Setup

STRINGS = {
    "l_returnflag": "R",
    "l_linestatus": "F",
    "l_shipinstruct": "TAKE BACK RETURN",
    "l_shipmode": "AIR",
    "l_comment": "carefully",
}


def total(value: Any) -> str:
    """A sum as text, six digits of it: contenders add floats in different orders."""
    return f"{float(value):.6g}"


def pandas(frame: Any, setup: Setup) -> dict[str, Any]:
    """Use it as a user would: every string column by == and by .str, which string views do not survive."""
    counts = {name: int((frame[name] == value).sum()) for name, value in STRINGS.items()}
    starts = {name: int(frame[name].str.startswith("A").sum()) for name in STRINGS}
    return {
        "rows": len(frame),
        "columns": frame.shape[1],
        "sum": total(frame[setup.key].sum()),
        "quantity": round(float(frame["l_quantity"].astype("float64").sum())),
        "ships": str(frame["l_shipdate"].min())[:10],
        "equal": sum(counts.values()),
        "starts": sum(starts.values()),
    }


def pandas_numpy(frame: Any, setup: Setup) -> dict[str, Any]:
    """As `pandas`, and the same dtypes, and the same objects where a column has objects."""
    kinds = {name: f"{kind} {type(frame[name].iloc[0]).__name__}" for name, kind in frame.dtypes.items()}
    return pandas(frame, setup) | {"kinds": kinds}


def array(values: Any, setup: Setup) -> dict[str, Any]:
    """A 2-D NumPy array; rows come in any order."""
    found = {"shape": list(values.shape), "dtype": str(values.dtype)}
    found |= {"sum": total(values.sum(dtype="f8")), "first": total(values[:, 0].sum(dtype="f8"))}
    return found | {"bytes": values.nbytes}


def objects(buffers: Any, setup: Setup) -> dict[str, Any]:
    """Every byte of every object, in order."""
    views = [memoryview(each) for each in buffers]
    size = sum(each.nbytes for each in views)
    return {"objects": len(views), "size": size, "crc": [zlib.crc32(each) for each in views], "bytes": size}


def batches(found: dict[str, Any], setup: Setup) -> dict[str, Any]:
    """What a job saw of its batches: see `summed`."""
    return found


def summed(batches: Iterable[Any], key: Callable[[Any], Any]) -> dict[str, Any]:
    """Take one batch after another and keep none: rows, and the sum of the key column (``key`` gives an array)."""
    rows, whole = 0, 0
    for batch in batches:
        rows += len(values := key(batch))
        whole += int(values.sum())
    return {"rows": rows, "sum": total(whole)}


def step(result: Any, setup: Setup) -> dict[str, Any]:
    """A pandas frame of numbers and dates."""
    return {"rows": len(result), "columns": result.shape[1], "sum": total(result[setup.key].sum())}


def _written(name: str) -> Callable[[Any, Setup], dict[str, Any]]:
    """A check of a table that was written, by its name."""

    def check(table: Any, setup: Setup) -> dict[str, Any]:
        from . import written

        found: dict[str, Any] = getattr(written, name)(table, setup)
        return found

    return check


BY_JOB: Mapping[str, Callable[[Any, Setup], dict[str, Any]] | None] = {
    "s3_frame": None,
    "local_frame": None,
    "plan": None,
    "hive_plan": None,
    "hive_frame": None,
    "s3_pandas": pandas,
    "s3_pandas_numpy": pandas_numpy,
    "s3_pandas_steps": step,
    "s3_array": array,
    "s3_batches": batches,
    "objects": objects,
    "write_table": _written("check"),
    "commit_staged": _written("check_files"),
    "append_to_many": _written("check_rows"),
}
"""What checks the result of a job; None: the contender's own `check`."""
