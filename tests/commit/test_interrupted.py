"""Ctrl-C during a write and during a commit: it ends at once, and the table is as it was or has all of it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import headrace
import numpy
import pyarrow
import pytest
from headrace.catalog import Catalog

from tests import soak
from tests.commit.conftest import make, rows
from tests.commit.lossy import LossyProxy
from tests.commit.reachable import stray
from tests.commit.readers import check
from tests.commit.test_lost_objects import PARTS, READS, WRITES
from tests.table.warehouse import Warehouse
from tests.writing.proxy import Fault, Lose, Proxy, Stall

LONGEST_S = 1.5
"""100 ms is the promise, and then what was written is removed; a loaded machine needs longer."""


@pytest.fixture
def store(warehouse: Warehouse) -> Iterator[Proxy]:
    with Proxy(warehouse.server.endpoint) as proxy:
        yield proxy


def through(warehouse: Warehouse, **more: str) -> Catalog:
    # What is on its way when Ctrl-C comes is waited for, behind the caller's back, before it is removed.
    patience = {"s3.request-timeout": "1", "s3.connect-timeout": "1"}
    return headrace.load_catalog("slow", **{**warehouse.server.catalog_properties, **patience, **more})


def interrupted(act: Callable[[], object], waiting: threading.Event) -> float:
    """Do it, press Ctrl-C once it waits; the seconds until it ended."""
    pressed: list[float] = []

    def press() -> None:
        assert waiting.wait(20)
        time.sleep(0.1)
        pressed.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            act()
        ended = time.monotonic()
    finally:
        with contextlib.suppress(KeyboardInterrupt):  # it may come too late, and is not to end the whole run
            presser.join()
        presser.join()
    return ended - pressed[0]


def eventually(is_so: Callable[[], bool], longest_s: float = 10) -> bool:
    """Within some seconds: what was under way on the server may end a little later."""
    ends = time.monotonic() + longest_s
    while not is_so():
        if time.monotonic() > ends:
            return False
        time.sleep(0.1)
    return True


STAGES = {f"put of {name}": asked for name, asked in WRITES.items()}
STAGES |= {f"get of {name}": asked for name, asked in READS.items()}


@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_while_the_store_is_silent(warehouse: Warehouse, store: Proxy, name: str, stage: str) -> None:
    plain = make(warehouse.ours, name, partition_by="ds")
    plain.append(pyarrow.concat_tables([rows(0, 5, "a"), rows(5, 5, "b")]))
    table = headrace.Table(name, catalog=through(warehouse, **{"s3.endpoint": store.endpoint}))
    waiting = threading.Event()

    def rule(method: str, path: str) -> Fault | None:
        if not STAGES[stage](method, path):
            return None
        waiting.set()
        return Stall()

    store.rule = rule
    assert interrupted(lambda: table.upsert(rows(3, 3, "c"), on=["id"]), waiting) < LONGEST_S
    store.rule = lambda how, path: None
    assert eventually(lambda: stray(plain) == set()), stray(plain)
    before = pyarrow.concat_tables([rows(0, 5, "a"), rows(5, 5, "b")])
    assert sorted(check(plain).to_pylist(), key=str) == sorted(before.to_pylist(), key=str)
    table.append(rows(20, 1))  # the same handle goes on
    assert check(plain).num_rows == 11


@pytest.mark.parametrize("part", ["begin", "part"])
def test_ctrl_c_during_an_upload_in_parts(warehouse: Warehouse, store: Proxy, name: str, part: str) -> None:
    plain = headrace.Table.create(name, {"v": "long"}, catalog=warehouse.ours)
    table = headrace.Table(name, catalog=through(warehouse, **{"s3.endpoint": store.endpoint}))
    waiting = threading.Event()

    def rule(method: str, path: str) -> Fault | None:
        if not PARTS[part](method, path):
            return None
        waiting.set()
        return Stall()

    store.rule = rule
    frame = pyarrow.table({"v": numpy.random.default_rng(1).integers(0, 2**62, 2_400_000)})
    assert interrupted(lambda: table.append(frame), waiting) < LONGEST_S
    store.rule = lambda how, path: None

    clean = eventually(lambda: stray(plain) == set() and not uploads(warehouse, name), 60)
    assert clean, (
        stray(plain),
        uploads(warehouse, name),
        [(how, path.partition("?")[2]) for how, path in store.seen if "/data/" in path],
    )
    assert plain.refresh().snapshot is None


@pytest.mark.parametrize("when", ["before", "after"])
def test_ctrl_c_while_the_catalog_is_silent(warehouse: Warehouse, name: str, when: str) -> None:
    plain = make(warehouse.ours, name, partition_by="ds")
    plain.append(rows(0, 5))
    with LossyProxy(warehouse.server.rest_uri) as proxy:
        table = headrace.Table(name, catalog=through(warehouse, uri=proxy.uri))
        proxy.faults = [f"stall {when}"]
        assert interrupted(lambda: table.append(rows(5, 5)), proxy.stalled) < LONGEST_S
    assert check(plain).num_rows == (10 if when == "after" else 5)
    stray(plain)  # nothing that is live is gone; what may still be committed stays


# Between the opening of a file and its `with`, Python itself warns of what Ctrl-C left open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.soak
@pytest.mark.timeout(0)
def test_ctrl_c_at_any_moment(catalog: Catalog, name: str) -> None:
    tally: Counter[str] = Counter()
    for number, seed in enumerate(soak.seeds(otherwise_s=0)):
        chance, table = random.Random(seed), make(catalog, f"{name}x{number}", partition_by="ds")
        held: set[int] = set()
        for first in range(0, 200, 5):
            new = set(range(first, first + 5))
            act, wanted = chance.choice(
                [
                    (lambda table=table, first=first: table.append(rows(first, 5)), held | new),
                    (lambda table=table, first=first: table.overwrite(rows(first, 5), "id < 50"), None),
                    (lambda table=table, first=first: table.delete(f"id = {first - 3}"), held - {first - 3}),
                ]
            )
            wanted = {each for each in held if each >= 50} | new if wanted is None else wanted
            tally["interrupted" if press_within(act, chance.uniform(0, 0.08)) else "done"] += 1
            table = table.refresh()
            ids = pyarrow.table(table.load())["id"].to_pylist()
            assert len(set(ids)) == len(ids)
            assert set(ids) in (held, wanted)
            held = set(ids)
        check(table)
        tally["left"] += len(stray(table))
        print(f"{catalog.kind}: {dict(tally)}", flush=True)
    assert tally["interrupted"]


WRITER = """
import json, sys
import headrace, numpy, pyarrow
catalog = headrace.load_catalog("writer", **json.loads(sys.argv[1]))
table = headrace.Table(sys.argv[2], catalog=catalog)
frame = pyarrow.table({"v": numpy.random.default_rng(1).integers(0, 2**62, 20_000_000)})
print("writing", flush=True)
table.append(frame)
print("written", flush=True)
"""


@pytest.mark.parametrize("lost", [0, 4])
def test_a_process_that_ctrl_c_ends_leaves_nothing(warehouse: Warehouse, store: Proxy, name: str, lost: int) -> None:
    """It waits until its upload is given up, though the store loses the first requests to do so."""
    table = headrace.Table.create(name, {"v": "long"}, catalog=warehouse.ours)
    requests: list[str] = []

    def rule(method: str, path: str) -> Fault | None:
        if method != "DELETE":
            return None
        requests.append(path)
        return Lose(after=False) if len(requests) <= lost else None

    store.rule = rule
    properties = json.dumps({**warehouse.server.catalog_properties, "s3.endpoint": store.endpoint})
    command = [sys.executable, "-c", WRITER, properties, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert running.stdout.readline() == "writing\n"
        assert eventually(lambda: bool(uploads(warehouse, name)), 60)
        running.send_signal(signal.SIGINT)
        said, error = running.communicate(timeout=60)
    assert said == ""
    assert "KeyboardInterrupt" in error
    assert len(requests) > lost
    # A part that was on its way may be taken by the server a moment later.
    assert eventually(lambda: stray(table) == set() and not uploads(warehouse, name))
    assert table.refresh().snapshot is None


def uploads(warehouse: Warehouse, name: str) -> list[str]:
    """Uploads of a table that were begun, and are neither an object nor given up."""
    text = warehouse.server.s3.request("GET", "s3://warehouse/", query={"uploads": ""})[1].decode()
    return [each for each in text.split("<Key>")[1:] if f"/{name.partition('.')[2]}/" in each.partition("<")[0]]


def press_within(act: Callable[[], object], after_s: float) -> bool:
    """Do it, with Ctrl-C after a while; whether that came before the end."""
    timer = threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGINT))
    try:
        try:
            timer.start()  # it may press before this returns
            act()
        finally:
            timer.cancel()
            timer.join()
            time.sleep(0.001)  # a signal that was sent is handled here, not later
    except KeyboardInterrupt:
        return True
    return False
