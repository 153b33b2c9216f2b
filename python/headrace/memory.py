"""Memory that freed frames leave behind, and manifests that plans keep.

Touching fresh memory costs more than decoding into it, so the memory of a frame that is gone waits for the next load:
up to a quarter of the machine's (or of its control group), ``HEADRACE_POOL_BYTES`` says otherwise. The kernel may take
it whenever it runs short (``MADV_FREE``). Manifests, which never change, wait for the next plan: 256 MiB of them at
most, the catalog property ``io.manifest.cache.max-total-bytes`` says otherwise. Neighbour: `headrace._engine`.
"""

from __future__ import annotations

from headrace import _engine


def release_memory() -> int:
    """Give the memory of freed frames, and of the manifests that plans keep, back to the system now.

    Returns
    -------
    int
        Bytes given back. Frames that are alive keep theirs.
    """
    return _engine.release_memory()
