"""Epochs over a table for training: batches in an order that a seed decides, resumable at any step.

An epoch takes the plan's shards in an order of its own, and the rows of each shard in an order of its own; both follow
from the seed, the epoch and the shard alone. So a position is two numbers and a row, it needs no state of a random
generator, and whoever goes on from it sees exactly the batches that an uninterrupted run would have seen. One shard is
in memory and the next on its way. Nothing of Metaflow here: any program can use it. Neighbour: training_epochs.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy

if TYPE_CHECKING:
    from headrace import MetaflowDataFrame
    from headrace.plan import Shard


@dataclass(frozen=True)
class Position:
    """Where the next batch begins: the epoch, which shard of its order, the row of that shard's order."""

    epoch: int = 0
    shard: int = 0
    row: int = 0


@dataclass(frozen=True)
class Epochs:
    """Batches for a number of epochs.

    Parameters
    ----------
    shards : sequence of Shard
        Of one plan, which pins the snapshot: training that goes on tomorrow sees the rows of today.
    epochs : int
    batch_rows : int
        Rows of a batch; the last one of a shard may have fewer.
    seed : int
        The same seed gives the same batches.
    """

    shards: Sequence[Shard]
    epochs: int
    batch_rows: int
    seed: int = 0

    def batches(self, start: Position = Position()) -> Iterator[tuple[dict[str, Any], Position]]:
        """Tensors by column, and the position after them: what `start` is to be to go on from there."""
        where = self._places(start)
        with ThreadPoolExecutor(1) as ahead:
            coming = [self._load(ahead, place) for place in islice(where, 1)]
            while coming:
                (place, loading), coming = coming[0], [self._load(ahead, place) for place in islice(where, 1)]
                yield from self._of_shard(place, loading.result())

    def _places(self, start: Position) -> Iterator[Position]:
        """Where shards begin, from a position on; the first one perhaps at a row in its middle."""
        for epoch in range(start.epoch, self.epochs):
            for shard in range(start.shard if epoch == start.epoch else 0, len(self.shards)):
                at_start = (epoch, shard) == (start.epoch, start.shard)
                yield Position(epoch, shard, start.row if at_start else 0)

    def _load(self, ahead: ThreadPoolExecutor, place: Position) -> tuple[Position, Future[MetaflowDataFrame]]:
        shard = self.shards[self._chance(place.epoch).permutation(len(self.shards))[place.shard]]
        return place, ahead.submit(shard.load, progress=False)

    def _of_shard(self, place: Position, frame: MetaflowDataFrame) -> Iterator[tuple[dict[str, Any], Position]]:
        order = self._chance(place.epoch, place.shard).permutation(len(frame))
        for row in range(place.row, len(frame), self.batch_rows):
            after = row + self.batch_rows
            left = after < len(frame)
            yield (
                frame.gather(order[row:after]).to_torch_tensors(),
                Position(place.epoch, place.shard + (not left), after if left else 0),
            )

    def _chance(self, *where: int) -> numpy.random.Generator:
        return numpy.random.default_rng([self.seed, *where])
