"""What came out, held to the truth: matches, the links made of them, and the scores on real pairs that people labelled.

Neighbours: flow.py asks at its end; scoring.py scores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import records
import scoring
import tables
from kernel import Kernel


def judge(kernel: Kernel, data: str) -> tuple[dict[str, Any], int, int]:
    """Write the links; returns precision and recall of everything, how many links there are, and their snapshot."""
    matches = tables.table("matches").to_pandas()
    in_order = matches.sort_values(["right_id", "score", "left_id"], ascending=[True, False, True])
    links = in_order.drop_duplicates("right_id")
    table = tables.table("links")
    table.overwrite(links)
    tables.expire("links")
    truth = tables.table("truth").to_pandas()
    quality = {
        "matches": _held_to(truth, matches),
        "links": _held_to(truth, links),
        "labelled": scoring.judge(kernel, records.labelled(records.fetch(Path(data)))),
    }
    assert table.snapshot is not None
    return quality, len(links), table.snapshot.snapshot_id


def _held_to(truth: Any, found: Any) -> dict[str, float]:
    right = len(found.merge(truth, on=["left_id", "right_id"]))
    return {"rows": len(found)} | scoring.quality(len(found), right, len(truth))
