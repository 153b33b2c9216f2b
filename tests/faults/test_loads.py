"""A load under faults, planted on every object that it reads: exact rows, or a typed error within seconds.

Each test also asserts that its faults were met: a fault that nothing ran into proves nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import headrace
import pyarrow
import pytest
from headrace.errors import (
    AuthenticationError,
    HeadraceError,
    MetaflowTableNotFound,
    MetaflowTableRateLimitException,
    ObjectChanged,
    ObjectNotFound,
    StorageError,
    UnreachableError,
)

from tests.faults import script
from tests.faults.published import Published, open_table, publish
from tests.faults.server import FaultServer
from tests.table.compare import rows
from tests.table.warehouse import Warehouse

DATA = pyarrow.table({"id": range(5000), "name": [f"a name that is longer than a view {at}" for at in range(5000)]})
ROLES = ["metadata", "manifest_list", "manifest", "data"]


@pytest.fixture(scope="module")
def objects(warehouse: Warehouse) -> tuple[Published, dict[str, bytes]]:
    """The table's objects, made once."""
    with FaultServer() as server:
        published = publish(warehouse.written(DATA), warehouse.server, server)
        return published, dict(server.objects)


@pytest.fixture
def published(objects: tuple[Published, dict[str, bytes]], fault_server: FaultServer) -> Published:
    fault_server.objects.update(objects[1])
    return objects[0]


def path_of(published: Published, role: str) -> str:
    return dict(zip(ROLES, published.objects, strict=True))[role]


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """The work inside ends, well or badly, within this time."""
    started = time.monotonic()
    try:
        yield
    finally:
        assert time.monotonic() - started < seconds


def load(server: FaultServer, published: Published, **properties: object) -> headrace.MetaflowDataFrame:
    return open_table(server, published, s3__request_timeout=1, **properties).load()


PASSING: dict[str, list[script.Fault]] = {
    "throttled twice": [script.SLOW_DOWN, script.SLOW_DOWN],
    "throttled with a delay": [script.Status(429, "TooManyRequests", retry_after_s=1)],
    "an internal error": [script.INTERNAL_ERROR],
    "bad gateway": [script.Status(502, "BadGateway")],
    "reset before the body": [script.Reset(0)],
    "reset in the body": [script.Reset(700)],
    "short body": [script.ShortBody(700)],
    "announced too long": [script.LongLength(10)],
    "stalled in the body": [script.Stall(700)],
    "stalled before the head": [script.Stall(None)],
    "not HTTP": [script.Garbage()],
    "one after another": [script.Reset(10), script.SLOW_DOWN, script.ShortBody(20), script.INTERNAL_ERROR],
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_costs_time_and_no_rows(
    fault_server: FaultServer, published: Published, role: str, name: str
) -> None:
    fault_server.fault(*PASSING[name], path=path_of(published, role))
    with within(10):
        frame = load(fault_server, published)
    assert fault_server.pending() == 0, "the fault was met"
    assert rows(frame) == rows(DATA)


def test_a_slow_answer_is_no_stall(fault_server: FaultServer, published: Published) -> None:
    size = len(fault_server.objects[published.data[0]])
    fault_server.fault(script.Drip(size // 8 + 1, 0.3), path=published.data[0])
    with within(10):
        assert rows(load(fault_server, published)) == rows(DATA)
    assert fault_server.count(published.data[0]) == 1


LASTING: dict[str, tuple[script.Fault, type[HeadraceError]]] = {
    "throttled": (script.SLOW_DOWN, MetaflowTableRateLimitException),
    "internal error": (script.INTERNAL_ERROR, StorageError),
    "denied": (script.ACCESS_DENIED, AuthenticationError),
    "reset": (script.Reset(10), StorageError),
    "short body": (script.ShortBody(10), StorageError),
    "stalled": (script.Stall(10), StorageError),
    "not HTTP": (script.Garbage(), UnreachableError),
}


@pytest.mark.parametrize("role", ["metadata", "data"])
@pytest.mark.parametrize("name", LASTING)
def test_a_fault_that_lasts_is_an_error_that_names_the_object(
    fault_server: FaultServer, published: Published, role: str, name: str
) -> None:
    fault, kind = LASTING[name]
    path = path_of(published, role)
    fault_server.fault(*[fault] * 100, path=path)
    with within(20), pytest.raises(kind) as caught:
        load(fault_server, published, s3__retry__num_retries=2)
    assert caught.value.location == f"s3://{path}"
    assert f"s3://{path}" in str(caught.value)
    assert caught.value.table
    assert caught.value.hint
    assert "testsecret" not in str(caught.value)


@pytest.mark.parametrize("role", ROLES)
def test_an_object_that_is_gone(fault_server: FaultServer, published: Published, role: str) -> None:
    path = path_of(published, role)
    del fault_server.objects[path]
    expected = MetaflowTableNotFound if role == "metadata" else ObjectNotFound
    with within(3), pytest.raises(expected) as caught:
        load(fault_server, published)
    assert caught.value.location == f"s3://{path}"


@pytest.mark.parametrize("role", ROLES)
def test_a_refusal_of_connections(fault_server: FaultServer, published: Published, role: str) -> None:
    """Refused from the start, or in the middle: between opening the table and loading it."""
    if role == "metadata":
        fault_server.refuse()
        with within(8), pytest.raises(UnreachableError, match=r"127\.0\.0\.1"):
            open_table(fault_server, published)
        return
    table = open_table(fault_server, published, s3__retry__num_retries=3)
    if role == "data":
        plan = table.scan()
        fault_server.refuse()
        with pytest.raises(UnreachableError) as caught, within(8):
            plan.load()
    else:
        fault_server.refuse()
        with within(8), pytest.raises(UnreachableError) as caught:
            table.scan()
    assert caught.value.location
    fault_server.accept()
    assert rows(table.load()) == rows(DATA), "the same table works once the server is back"


@pytest.fixture(scope="module")
def large(warehouse: Warehouse) -> tuple[Published, dict[str, bytes], pyarrow.Table]:
    """One file of some 25 MB, which is read in several ranges."""
    import numpy

    random = numpy.random.default_rng(5)
    data = pyarrow.table({f"c{at}": random.integers(0, 2**62, 800_000) for at in range(4)})
    with FaultServer() as server:
        table = warehouse.written(data, properties={"write.parquet.row-group-limit": "100000"})
        return publish(table, warehouse.server, server), dict(server.objects), data


BENT = {
    "another range": script.WrongRange(16),
    "a range that lies": script.LyingRange(16),
    "no Content-Range": script.MissingRange(),
    "the whole object": script.WholeObject(),
}


@pytest.mark.parametrize("name", BENT)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_range_that_is_not_what_was_asked_gives_exact_rows_or_an_error(
    fault_server: FaultServer, large: tuple[Published, dict[str, bytes], pyarrow.Table], name: str, place: int
) -> None:
    published, bodies, data = large
    fault_server.objects.update(bodies)
    fault_server.fault(*[script.OK] * place, BENT[name], path=published.data[0])
    with within(15):
        try:
            frame = load(fault_server, published)
        except StorageError as error:
            assert error.location == f"s3://{published.data[0]}"
            assert error.byte_range is not None
        else:
            assert pyarrow.table(frame).equals(data)
    assert fault_server.pending() == 0, "the fault was met"


@pytest.mark.parametrize("fault", ["replaced", "another ETag"])
@pytest.mark.parametrize("place", [1, 2])
def test_an_object_that_changes_between_two_ranges_is_never_mixed(
    fault_server: FaultServer,
    large: tuple[Published, dict[str, bytes], pyarrow.Table],
    fault: str,
    place: int,
) -> None:
    published, bodies, _ = large
    fault_server.objects.update(bodies)
    path = published.data[0]
    other = bytes(reversed(bodies[path]))
    step = script.Replace(other) if fault == "replaced" else script.OtherETag()
    fault_server.fault(*[script.OK] * place, *([step] * (1 if fault == "replaced" else 100)), path=path)
    with within(15), pytest.raises(ObjectChanged) as caught:
        load(fault_server, published)
    assert caught.value.location == f"s3://{path}"
    assert caught.value.hint


def test_many_faults_on_many_ranges_give_exact_rows(
    fault_server: FaultServer, large: tuple[Published, dict[str, bytes], pyarrow.Table]
) -> None:
    published, bodies, data = large
    fault_server.objects.update(bodies)
    steps = [script.Reset(100_000), script.OK, script.SLOW_DOWN, script.ShortBody(1), script.Stall(5000), script.OK]
    fault_server.fault(*steps, script.INTERNAL_ERROR, path=published.data[0])
    with within(20):
        assert pyarrow.table(load(fault_server, published)).equals(data)
    assert fault_server.pending() == 0
