"""A bar for work that takes longer than a second, on a terminal; silent everywhere else.

Must not know: what the work is. The engine calls ``tell(done_bytes, total_bytes)`` at most every 50 ms.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

Tell = Callable[[int, int], None]

QUIET_S = 1.0
"""Work shorter than this draws nothing."""
REDRAW_S = 0.1
BAR_CHARACTERS = 24


def resolve(progress: bool | Tell | None, label: str = "loading") -> Tell | None:
    """Return what to tell of progress: a bar, the caller's function, or None for silence.

    Parameters
    ----------
    progress : bool, callable or None
        None draws a bar where standard error is a terminal; True always; False never; a callable gets
        ``(done_bytes, total_bytes)``.
    label : str
        What the work is called.
    """
    if progress is False:
        return None
    if progress is None or progress is True:
        stream = sys.stderr
        wanted = progress is True or (stream is not None and stream.isatty())
        return Bar(stream, label) if wanted and stream is not None else None
    return progress


class Bar:
    """Draws ``label [####    ] 310 MiB of 1.2 GiB, 412 MB/s`` on one line, again and again, and ends the line."""

    def __init__(self, stream: TextIO, label: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._label = label
        self._clock = clock
        self._started = clock()
        self._drawn_at: float | None = None
        self._drawn_length = 0

    def __call__(self, done_bytes: int, total_bytes: int) -> None:
        now = self._clock()
        finished = total_bytes > 0 and done_bytes >= total_bytes
        if self._drawn_at is None and (finished or now - self._started < QUIET_S):
            return
        if self._drawn_at is not None and now - self._drawn_at < REDRAW_S and not finished:
            return
        line = self._line(done_bytes, total_bytes, now - self._started)
        space = " " * max(0, self._drawn_length - len(line))
        self._stream.write(f"\r{line}{space}" + ("\n" if finished else ""))
        self._stream.flush()
        self._drawn_at, self._drawn_length = now, len(line)

    def _line(self, done: int, total: int, elapsed_s: float) -> str:
        filled = int(BAR_CHARACTERS * min(done / total, 1.0)) if total else 0
        bar = "#" * filled + " " * (BAR_CHARACTERS - filled)
        speed = done / elapsed_s / 1e6 if elapsed_s > 0 else 0.0
        return f"{self._label} [{bar}] {bytes_as_text(done)} of {bytes_as_text(total)}, {speed:,.0f} MB/s"


def bytes_as_text(count: int) -> str:
    """Return a number of bytes in the unit that suits it: ``312 B``, ``4.1 KiB``, ``1.2 GiB``."""
    if count < 1024:
        return f"{count} B"
    value, unit = count / 1024, "KiB"
    for larger in ("MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.1f} {unit}"
