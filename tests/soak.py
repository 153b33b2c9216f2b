"""How long random tests run, and from which seed: seconds in `make test`, as long as one likes in `make soak`.

HEADRACE_SOAK_SECONDS   how long each random test runs; unset: the little that each takes in `make test`
HEADRACE_SEED           the first seed; unset: a new one each time, printed, so that a failure can be had again

Knows nothing of headrace.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator


def soak_s() -> float | None:
    """How long each random test is to run; None in `make test`."""
    text = os.environ.get("HEADRACE_SOAK_SECONDS")
    return float(text) if text else None


def first_seed() -> int:
    """The seed to begin with, printed."""
    seed = int(os.environ.get("HEADRACE_SEED") or secrets.randbelow(10**6))
    print(f"HEADRACE_SEED={seed}", flush=True)
    return seed


def seeds(otherwise_s: float) -> Iterator[int]:
    """Seed after seed, each printed before it is used, until the time is over; one at least."""
    seed, ends = first_seed(), time.monotonic() + (soak_s() or otherwise_s)
    while True:
        yield seed
        if time.monotonic() >= ends:
            return
        seed += 1
        print(f"HEADRACE_SEED={seed}", flush=True)
