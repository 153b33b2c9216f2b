"""How often, and after which pauses, a commit is tried again: the table's `commit.retry.*` properties.

Must not know: what is committed. Defaults are Iceberg's own (docs, "Table behavior properties").
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping

_DEFAULTS = {"num-retries": 4, "min-wait-ms": 100, "max-wait-ms": 60_000, "total-timeout-ms": 1_800_000}


class Retry:
    """Counts attempts and waits between them, with full jitter, so that writers that collided part."""

    def __init__(self, properties: Mapping[str, str]) -> None:
        found = {name: _number(properties.get(f"commit.retry.{name}"), default) for name, default in _DEFAULTS.items()}
        self._left = found["num-retries"]
        self._wait_s = found["min-wait-ms"] / 1000
        self._longest_s = max(found["max-wait-ms"] / 1000, self._wait_s)
        self._ends_s = time.monotonic() + found["total-timeout-ms"] / 1000
        self.attempts = 1

    def again(self) -> bool:
        """Wait, unless there have been enough attempts; whether there is one more."""
        if self._left <= 0 or time.monotonic() >= self._ends_s:
            return False
        time.sleep(min(random.uniform(self._wait_s / 2, self._wait_s), max(self._ends_s - time.monotonic(), 0)))
        self._left -= 1
        self._wait_s = min(self._wait_s * 2, self._longest_s)
        self.attempts += 1
        return True


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.strip().isdigit() else default
