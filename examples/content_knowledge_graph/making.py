"""The work of the first half: catalogues large enough for the pairs that are wanted, and the pairs themselves.

Neighbours: flow.py calls this in its steps; catalogues.py says what a record is, blocking.py what a pair is.
"""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from random import Random
from typing import Any

import numpy
import records
import tables
from blocking import Ids, Numbers, Runs, count, keys, prefix_with
from catalogues import Generator
from headrace import MetaflowDataFrame
from records import Record

SAMPLE = 4_000


def make_catalogues(data: str, seed: int, pairs: int) -> dict[str, Any]:
    """Write both catalogues and the truth; returns what they are."""
    generator = Generator(records.dblp(records.fetch(Path(data))), seed)
    made = _Made(generator)
    made.grow(SAMPLE)
    while (size := prefix_with(pairs, *made.both_keys())) is None:
        at_hand = len(made.left)
        made.grow(round(at_hand * min(64, 1.02 * sqrt(pairs / max(1, count(*made.both_keys())))) + 100))
    left_keys, right_keys = (each[:size] for each in made.both_keys())
    order = list(range(size))
    Random(seed).shuffle(order)
    written = tables.write_catalogue("left_catalogue", made.left[:size], left_keys)
    written += tables.write_catalogue("right_catalogue", [made.right[at] for at in order], right_keys[order])
    same = numpy.array([(at, place) for place, at in enumerate(order) if made.shared[at]], dtype=numpy.int32)
    truth = MetaflowDataFrame.from_columns(list(same.reshape(-1, 2).T.copy()), ["left_id", "right_id"])
    tables.table("truth").overwrite(truth)
    for name in ("left_catalogue", "right_catalogue", "truth"):
        tables.expire(name)
    agree = (left_keys[same[:, 0]] == right_keys[order][same[:, 1]]).any(axis=1)
    return {"records": size, "same": len(same), "same_in_pairs": int(agree.sum()), "bytes": written}


class _Made:
    """Records that were generated so far, and their keys."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self.left: list[Record] = []
        self.right: list[Record] = []
        self.shared: list[bool] = []
        self._keys: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def grow(self, size: int) -> None:
        for number in range(len(self.left), size):
            left, (right, shared) = self._generator.left(number), self._generator.right(number)
            self.left.append(left)
            self.right.append(right)
            self.shared.append(shared)
            self._keys.append((keys(left), keys(right)))

    def both_keys(self) -> tuple[Numbers, Numbers]:
        both = numpy.array(self._keys, dtype=numpy.int64)
        return both[:, 0], both[:, 1]


def stage_pairs(part: int, begin: int, end: int, slice_pairs: int, file_pairs: int) -> tuple[list[Any], int]:
    """Stage the pairs of an interval of runs, in files of about `file_pairs`; returns what was staged, and how many."""
    runs = Runs(*(tables.read_keys(side) for side in ("left_catalogue", "right_catalogue")))
    pairs = tables.table("pairs")
    staged: list[Any] = []
    held: list[tuple[Ids, Ids]] = []
    rows = 0

    def put() -> None:
        left, right = (numpy.concatenate([each[side] for each in held]) for side in (0, 1))
        parts = numpy.full(len(left), part, dtype=numpy.int32)
        frame = MetaflowDataFrame.from_columns([left, right, parts], ["left_id", "right_id", "part"])
        staged.extend(pairs.put_data(frame, shard=part))
        held.clear()

    for found in runs.pairs(begin, end, slice_pairs):
        held.append(found)
        rows += len(found[0])
        if sum(len(left) for left, _ in held) >= file_pairs:
            put()
    if held:
        put()
    return staged, rows
