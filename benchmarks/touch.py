"""Touch as much memory as the next run will need, and exit: `python touch.py <bytes>`. Standard library only.

A virtual machine that hands freed memory back to its host pays up to 2.5 s per GB to get it again. Whoever runs first
after a quiet moment would pay that, so this pays it right before every run.
"""

from __future__ import annotations

import mmap
import sys

PAGE_BYTES, STEP_BYTES = mmap.PAGESIZE, 256 << 20


def touch(size_bytes: int) -> None:
    """Write one byte in each page of a fresh anonymous mapping."""
    with mmap.mmap(-1, size_bytes) as memory, memoryview(memory) as view:
        for start in range(0, size_bytes, STEP_BYTES):
            with view[start : start + STEP_BYTES] as step, step[::PAGE_BYTES] as first:
                first[:] = b"\x01" * len(first)


if __name__ == "__main__":
    touch(int(sys.argv[1]))
