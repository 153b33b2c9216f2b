"""Spark and headrace append to one table at the same time: every row of both is there, once."""

from __future__ import annotations

import itertools
import random
import threading
import time

import headrace
import pytest

from tests.interop.sides import Sides
from tests.interop.test_writes import made, name_of, some

COMMITS = 25


@pytest.mark.parametrize("version", [2, 3])
def test_both_append_at_once(sides: Sides, version: int) -> None:
    table = made(sides, version)
    retries = {"commit.retry.num-retries": "100", "commit.retry.min-wait-ms": "10", "commit.retry.max-wait-ms": "500"}
    table.set_properties(retries)
    name = name_of(table)
    failed: list[BaseException] = []
    began = threading.Semaphore(0)
    chance = random.Random(version)

    def append_by_spark() -> None:
        try:
            for each in range(COMMITS):
                began.release()
                sides.sql(
                    f"insert into {{t}} values ({1000 + each}, 'a', {each}.25, timestamp '2026-01-01', null)", name
                )
        except BaseException as error:
            failed.append(error)
            began.release(COMMITS)

    other = threading.Thread(target=append_by_spark)
    other.start()
    ours = headrace.Table(name, catalog=sides.catalog)
    for each in range(COMMITS):
        # We commit in a tenth of the time that Spark takes: spread over the whole of its statement, some fall between
        # its reading of the table and its commit.
        began.acquire(timeout=60)
        time.sleep(chance.uniform(0, 0.3))
        ours.append(some(2000 + each, 1, "a"))
    other.join()

    assert not failed, failed
    found = sorted(sides.check(name)["id"].to_pylist())
    assert found == [*range(60), *range(1000, 1000 + COMMITS), *range(2000, 2000 + COMMITS)]
    commits = [each.summary.get("engine-name", "") for each in sides.ours(name).metadata.snapshots]
    assert (commits.count("headrace"), commits.count("spark")) == (COMMITS + 1, COMMITS)
    interleaved = sum(a != b for a, b in itertools.pairwise(commits))
    assert interleaved >= COMMITS, commits
