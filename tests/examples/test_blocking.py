"""Candidate pairs against DuckDB's join, and the generator's promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy
import pyarrow
import pytest


@pytest.fixture(scope="module")
def generator(data: Path) -> Any:
    import records
    from catalogues import Generator

    return Generator(records.dblp(records.fetch(data)), 11)


@pytest.fixture(scope="module")
def keys(generator: Any) -> tuple[Any, Any]:
    """Keys of 3,000 records of each catalogue."""
    import blocking

    both = [(blocking.keys(generator.left(at)), blocking.keys(generator.right(at)[0])) for at in range(3000)]
    made = numpy.array(both, dtype=numpy.int64)
    return made[:, 0], made[:, 1]


def joined(left: Any, right: Any) -> list[tuple[int, int]]:
    """What agrees in some key, as DuckDB finds it."""
    sides = [
        pyarrow.table({"id": numpy.arange(len(side))} | {f"k{at}": side[:, at] for at in range(3)})
        for side in (left, right)
    ]
    with duckdb.connect() as database:
        for name, side in zip(("l", "r"), sides, strict=True):
            database.register(name, side)
        condition = " or ".join(f"l.k{at} = r.k{at}" for at in range(3))
        return database.execute(f"select l.id, r.id from l join r on {condition} order by all").fetchall()


@pytest.mark.parametrize(("tasks", "slice_pairs"), [(1, 1 << 30), (3, 1000), (40, 7)])
def test_pairs_are_those_that_agree_in_a_key_and_each_is_there_once(
    keys: tuple[Any, Any], tasks: int, slice_pairs: int
) -> None:
    from blocking import Runs

    left, right = (each[:1000] for each in keys)
    runs = Runs(left, right)
    intervals = runs.cut(tasks)
    found = [pair for begin, end in intervals for some in runs.pairs(begin, end, slice_pairs)
             for pair in zip(*(each.tolist() for each in some), strict=True)]  # fmt: skip
    assert len(intervals) == tasks
    assert sorted(found) == joined(left, right)


def test_slices_are_bounded(keys: tuple[Any, Any]) -> None:
    from blocking import Runs

    runs = Runs(*keys)
    largest = max(len(left) for left, _ in runs.pairs(0, len(runs), 5000))
    assert largest <= 5000


def test_pairs_are_counted_without_making_any(keys: tuple[Any, Any]) -> None:
    import blocking

    left, right = keys
    assert blocking.count(left, right) == len(joined(left, right))
    size = blocking.prefix_with(20_000, left, right)
    assert size is not None
    assert 20_000 <= blocking.count(left[:size], right[:size]) < 20_400
    assert blocking.prefix_with(10**9, left, right) is None
    assert blocking.count(left[:0], right[:0]) == 0


def test_catalogues_follow_from_the_seed(generator: Any, data: Path) -> None:
    import records
    from catalogues import Generator

    real = records.dblp(records.fetch(data))
    again, other = Generator(real, 11), Generator(real, 12)
    numbers = [0, 1, 2000, 2616, 9000, 2616 * 40]
    assert [generator.right(at) for at in numbers] == [again.right(at) for at in numbers]
    assert [generator.right(at) for at in numbers] != [other.right(at) for at in numbers]
    assert generator.left(5) == real[5]
    assert generator.left(5 + len(real)) != real[5]
    shared = sum(generator.right(at)[1] for at in range(2000))
    assert 1400 < shared < 1600
