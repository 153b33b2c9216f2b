"""Streams on a network that fails, stalls and is watched: early exits end requests, slow consumers hold it back."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import headrace
import numpy
import pyarrow
import pytest
from headrace.errors import HeadraceError, MetaflowTableRateLimitException, ObjectNotFound, StorageError
from headrace.stream import Batches

from tests.faults import script
from tests.faults.published import Published, open_table, publish
from tests.faults.server import FaultServer
from tests.table.warehouse import Warehouse

LIMIT = 32 << 20
FILES = 40
FILE_ROWS = 300_000


@pytest.fixture(scope="module")
def objects(warehouse: Warehouse) -> tuple[Published, dict[str, bytes]]:
    """40 files of 2.4 MB of numbers that do not compress: some 100 MB."""
    random = numpy.random.default_rng(8)
    data = pyarrow.table({"id": random.integers(0, 1 << 62, FILE_ROWS)})
    table = warehouse.create(data.schema)
    for _ in range(FILES):
        table.append(data)
    with FaultServer() as server:
        return publish(table, warehouse.server, server), dict(server.objects)


@pytest.fixture
def published(objects: tuple[Published, dict[str, bytes]], fault_server: FaultServer) -> Published:
    fault_server.objects.update(objects[1])
    return objects[0]


def settled(server: FaultServer) -> int:
    """Requests so far, once none has come for half a second."""
    count, since = len(server.requests), time.monotonic()
    while time.monotonic() - since < 0.5:
        if len(server.requests) != count:
            count, since = len(server.requests), time.monotonic()
        time.sleep(0.02)
    return count


def opened(server: FaultServer) -> int:
    """Data files that were asked for."""
    return len({request.key for request in server.requests if request.key.endswith(".parquet")})


def begin(server: FaultServer, published: Published) -> Batches:
    return open_table(server, published).scan().batches(LIMIT)


def test_a_slow_consumer_holds_the_network_back(fault_server: FaultServer, published: Published) -> None:
    batches = begin(fault_server, published)
    first = settled(fault_server)
    assert opened(fault_server) < FILES, "some files were not even opened"
    seen = next(batches).num_rows
    assert settled(fault_server) <= first + 12, "one window more"
    for frame in batches:
        seen += frame.num_rows
    assert seen == FILES * FILE_ROWS
    assert len(fault_server.requests) > first


def _close(batches: Batches) -> None:
    batches.close()


def _leave(batches: Batches) -> None:
    with batches:
        next(batches)


def _break(batches: Batches) -> None:
    for _ in batches:
        break


@pytest.mark.parametrize("leave", [_close, _leave, _break])
def test_an_early_exit_ends_what_is_on_its_way(
    fault_server: FaultServer, published: Published, leave: Callable[[Batches], None]
) -> None:
    table = open_table(fault_server, published, s3__request_timeout=60)
    for path in published.data[6:]:
        fault_server.fault(script.Drip(1 << 14, 0.02), path=path)
    batches = table.scan().batches(LIMIT)
    next(batches)
    leave(batches)
    del batches
    gc.collect()
    time.sleep(0.2)
    asked, started = len(fault_server.requests), time.monotonic()
    assert settled(fault_server) == asked, "no request after the exit"
    assert time.monotonic() - started < 2
    assert opened(fault_server) < FILES


def test_closing_wakes_whoever_waits(fault_server: FaultServer, published: Published) -> None:
    plan = open_table(fault_server, published, s3__request_timeout=60).scan()
    fault_server.fault(*[script.Stall(1000)] * 200)
    batches = plan.batches(LIMIT)
    found: list[int] = []
    waiting = threading.Thread(target=lambda: found.extend(len(frame) for frame in batches))
    waiting.start()
    time.sleep(0.3)
    started = time.monotonic()
    batches.close()
    waiting.join(5)
    assert not waiting.is_alive()
    assert time.monotonic() - started < 1
    assert found == []


@pytest.mark.parametrize("place", [0, 5, FILES - 1])
def test_an_object_that_is_gone_is_an_error_after_the_frames_before_it(
    fault_server: FaultServer, published: Published, place: int
) -> None:
    plan = open_table(fault_server, published).scan()
    location = plan.files.locations()[place]
    del fault_server.objects[location.removeprefix("s3://")]
    batches, counts = plan.batches(LIMIT, FILE_ROWS), list[int]()
    with pytest.raises(ObjectNotFound) as caught:
        counts.extend(len(frame) for frame in batches)
    assert caught.value.location == location
    assert caught.value.table
    assert sum(counts) <= place * FILE_ROWS
    with pytest.raises(ObjectNotFound, match="ended early"):
        next(batches)


@pytest.mark.parametrize("fault", [script.Reset(10), script.SLOW_DOWN, script.Stall(10), script.Garbage()])
def test_a_fault_that_lasts_is_a_typed_error_and_nothing_hangs(
    fault_server: FaultServer, published: Published, fault: script.Fault
) -> None:
    plan = open_table(fault_server, published, s3__request_timeout=1, s3__retry__num_retries=2).scan()
    fault_server.fault(*[fault] * 100, path=published.data[3])
    started = time.monotonic()
    with pytest.raises(HeadraceError) as caught:
        list(plan.batches(LIMIT))
    assert time.monotonic() - started < 20
    assert isinstance(caught.value, StorageError | MetaflowTableRateLimitException)
    assert caught.value.location == f"s3://{published.data[3]}"


def test_a_consumer_of_the_arrow_stream_sees_the_error(fault_server: FaultServer, published: Published) -> None:
    plan = open_table(fault_server, published).scan()
    del fault_server.objects[published.data[-1]]
    with pytest.raises((OSError, pyarrow.ArrowException), match=published.data[-1]):
        pyarrow.table(plan.batches(LIMIT))


def test_faults_that_pass_cost_no_rows(fault_server: FaultServer, published: Published) -> None:
    plan = open_table(fault_server, published, s3__request_timeout=1).scan()
    steps = [script.OK, script.Reset(1000), script.SLOW_DOWN, script.ShortBody(100), script.INTERNAL_ERROR]
    fault_server.fault(*steps)
    assert sum(len(frame) for frame in plan.batches(LIMIT)) == FILES * FILE_ROWS
    assert fault_server.pending() == 0


CHILD = """
    import sys, time
    import headrace
    table = headrace.Table.at(sys.argv[1], properties={
        "s3.endpoint": sys.argv[2], "s3.region": "us-east-1", "s3.access-key-id": "testkey",
        "s3.secret-access-key": "testsecret", "s3.request-timeout": "60"})
    batches = table.scan().batches(32 << 20)
    print("ready", flush=True)
    try:
        try:
            HOW
        except Exception:  # the consumer's own; the interrupt is raised all the same
            time.sleep(10)
    except KeyboardInterrupt:
        at = time.time()
        print("interrupted", repr(at), flush=True)
        assert list(batches) == []
"""
HOW = {
    "iteration": "for frame in batches: pass",
    "pyarrow": "import pyarrow; pyarrow.table(batches)",
    "polars, which holds the GIL": "import polars; polars.DataFrame(batches)",
}


@pytest.mark.parametrize("how", HOW)
def test_ctrl_c_ends_a_stream(fault_server: FaultServer, published: Published, how: str) -> None:
    for path in published.data:
        fault_server.fault(script.OK, *[script.Stall(1000)] * 10, path=path)
    code = textwrap.dedent(CHILD).replace("HOW", HOW[how])
    child = subprocess.Popen(
        [sys.executable, "-c", code, f"s3://{published.metadata}", fault_server.endpoint],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(headrace.__file__).parent.parent)},
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "ready\n"
        time.sleep(1.0)
        sent = time.time()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        raise
    assert out.startswith("interrupted"), err
    assert float(out.split()[1]) - sent < 0.5
