"""Memory that freed frames leave behind.

Touching fresh memory costs more than decoding into it, so the memory of a frame that is gone waits for the next load:
up to a quarter of the machine's (or of its control group), ``HEADRACE_POOL_BYTES`` says otherwise. The kernel may take
it whenever it runs short (``MADV_FREE``). Neighbour: `headrace._engine`, whose arena it is.
"""

from __future__ import annotations

from headrace import _engine


def release_memory() -> int:
    """Give the memory of freed frames back to the system now.

    Returns
    -------
    int
        Bytes given back. Frames that are alive keep theirs.
    """
    return _engine.release_memory()
