"""One module for each contender, one function for each job that it can do.

A function gets the `Setup`, imports and configures what it needs, and returns the job: what is measured is the call of
the job and nothing before it. A job returns what a user wanted; `check` tells, unmeasured, what is in it: rows,
columns, the sum of the key column, and the bytes that it takes. A second way of doing a job is ``<job>_<way>``.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Steps:
    """A result in two steps, timed by the job itself."""

    result: Any
    load_s: float
    convert_s: float


def imported(*modules: str) -> None:
    """Import what a job will need, so that it is not measured."""
    for module in modules:
        importlib.import_module(module)
