"""Objects that are put: whole or not at all, once, and nothing left of a write that failed."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from headrace import _engine
from headrace.errors import (
    AuthenticationError,
    HeadraceError,
    LocationRefused,
    MetaflowTableRateLimitException,
    ObjectNotFound,
    StorageError,
    UnreachableError,
)
from pyiceberg import types as ice
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform

from tests.servers.seaweed import SeaweedFS
from tests.writing.files import request
from tests.writing.proxy import Fault, Lose, Proxy, Refuse, Stall

SCHEMA = Schema(
    ice.NestedField(1, "k", ice.LongType(), required=False), ice.NestedField(2, "v", ice.LongType(), required=False)
)
BY_KEY = PartitionSpec(PartitionField(1, 1000, IdentityTransform(), "k"))
_FOLDERS = itertools.count()


@pytest.fixture
def proxy(seaweed: SeaweedFS) -> Iterator[Proxy]:
    with Proxy(seaweed.endpoint) as proxy:
        yield proxy


@pytest.fixture
def folder() -> str:
    """A prefix of the plain bucket that nothing has used."""
    return f"s3://data/upload-{os.getpid()}-{next(_FOLDERS)}"


def store(server: SeaweedFS, proxy: Proxy | None = None, **more: str) -> _engine.Store:
    properties = {**server.storage_properties, "s3.request-timeout": "2", **more}
    if proxy:
        properties["s3.endpoint"] = proxy.endpoint
    return _engine.Store(properties)


def left(server: SeaweedFS, folder: str) -> list[str]:
    """Objects below a folder, and uploads that were begun and are neither an object nor given up."""
    objects = [location for location, _ in server.s3.list(f"{folder}/")]
    uploads = server.s3.request("GET", "s3://data/", query={"uploads": ""})[1].decode()
    return objects + [each for each in uploads.split("<Key>")[1:] if each.startswith(folder.removeprefix("s3://data/"))]


def first(count: int, fault: Fault, method: str, *parts: str) -> Callable[[str, str], Fault | None]:
    """The fault for the first so many requests of this method whose path holds these parts."""
    met = itertools.count()
    return lambda how, path: (
        fault if how == method and all(each in path for each in parts) and next(met) < count else None
    )


def test_objects_whole(seaweed: SeaweedFS, folder: str, tmp_path: Path) -> None:
    for place, kept in [(folder, store(seaweed)), (str(tmp_path / "new"), _engine.Store({}))]:
        name = f"{place}/a b+%=ü/x"
        assert kept.put(name, b"one")
        assert kept.put(name, b"two")
        assert kept.read(name) == b"two"
        assert not kept.put(name, b"three", if_absent=True)
        assert kept.read(name) == b"two"
        assert kept.put(f"{place}/y", b"", if_absent=True)
        assert [(location, size) for location, size in kept.list(place)] == [(name, 3), (f"{place}/y", 0)]
        kept.delete([name, f"{place}/y", f"{place}/never"])
        assert kept.list(place) == []


@pytest.mark.parametrize(
    "fault", [Refuse(500, "InternalError"), Refuse(503, "SlowDown"), Lose(False), Lose(True)], ids=str
)
def test_a_put_that_fails_once_is_done_again(seaweed: SeaweedFS, proxy: Proxy, folder: str, fault: Fault) -> None:
    proxy.rule = first(2, fault, "PUT")
    store(seaweed, proxy).put(f"{folder}/x", b"abc")
    assert seaweed.s3.get(f"{folder}/x") == b"abc"


def test_a_creation_whose_answer_was_lost_is_settled_by_looking(seaweed: SeaweedFS, proxy: Proxy, folder: str) -> None:
    kept = store(seaweed, proxy)
    proxy.rule = first(1, Lose(True), "PUT")
    assert kept.put(f"{folder}/x", b"mine", if_absent=True)
    seaweed.s3.put(f"{folder}/y", b"other")
    proxy.rule = first(1, Lose(False), "PUT")
    assert not kept.put(f"{folder}/y", b"mine", if_absent=True)
    assert seaweed.s3.get(f"{folder}/y") == b"other"


def numbers(rows: int) -> _engine.Frame:
    import numpy

    generator = numpy.random.default_rng(1)
    keys = numpy.arange(rows) // (rows // 4)
    return _engine.Frame.from_arrow(pyarrow.table({"k": keys, "v": generator.integers(0, 2**62, rows)}))


LARGE = 5_000_000
"""Rows that make an object of some 40 MB: three parts."""


@pytest.mark.parametrize(
    "rule",
    [
        first(2, Refuse(500, "InternalError"), "PUT", "partNumber"),
        first(1, Lose(True), "PUT", "partNumber=2"),
        first(1, Lose(False), "POST", "uploadId"),
        first(1, Lose(True), "POST", "uploadId"),
        first(1, Stall(), "PUT", "partNumber=1"),
        first(1, Refuse(503, "SlowDown"), "POST", "uploads"),
    ],
    ids=["parts refused", "part's answer lost", "end lost", "end's answer lost", "part stalls", "begin throttled"],
)
def test_faults_that_pass_cost_time_and_no_bytes(seaweed: SeaweedFS, proxy: Proxy, folder: str, rule: Any) -> None:
    proxy.rule = rule
    frame = numbers(LARGE)
    files = _engine.write(store(seaweed, proxy), frame, request(SCHEMA, folder))
    assert len(files) == 1
    [location] = left(seaweed, folder)
    assert any("partNumber=3" in path for _, path in proxy.seen), "it went in parts"
    import pyarrow.parquet

    found = pyarrow.parquet.read_table(pyarrow.BufferReader(seaweed.s3.get(location)))
    assert found.equals(pyarrow.table(frame).cast(found.schema))


LASTING: dict[str, tuple[Fault, type[HeadraceError]]] = {
    "denied": (Refuse(403, "AccessDenied"), AuthenticationError),
    "expired": (Refuse(400, "ExpiredToken"), AuthenticationError),
    "internal error": (Refuse(500, "InternalError"), StorageError),
    "throttled": (Refuse(503, "SlowDown"), MetaflowTableRateLimitException),
    "no answer": (Lose(True), UnreachableError),
}


@pytest.mark.parametrize("name", LASTING)
@pytest.mark.parametrize("which", ["k=2", "k=3"])
def test_a_write_that_fails_midway_leaves_nothing(
    seaweed: SeaweedFS, proxy: Proxy, folder: str, name: str, which: str
) -> None:
    fault, kind = LASTING[name]
    proxy.rule = lambda method, path: fault if method == "PUT" and which in path.replace("%3D", "=") else None
    asked = request(SCHEMA, folder, spec=BY_KEY)
    with pytest.raises(kind) as caught:
        _engine.write(store(seaweed, proxy, **{"s3.retry.num-retries": "2"}), numbers(4000), asked)
    assert caught.value.hint
    assert which in str(caught.value.location)
    assert "testsecret" not in str(caught.value)
    assert left(seaweed, folder) == []


def test_a_part_that_fails_gives_the_upload_up(seaweed: SeaweedFS, proxy: Proxy, folder: str) -> None:
    proxy.rule = lambda method, path: Refuse(403, "AccessDenied") if "partNumber=2" in path else None
    with pytest.raises(AuthenticationError):
        _engine.write(store(seaweed, proxy), numbers(LARGE), request(SCHEMA, folder))
    assert left(seaweed, folder) == []
    assert any(method == "DELETE" and "uploadId" in path for method, path in proxy.seen)


def test_values_that_do_not_fit_late_leave_nothing(seaweed: SeaweedFS, folder: str) -> None:
    values = pyarrow.array([*range(200_000), 2**40])
    frame = _engine.Frame.from_arrow(pyarrow.table({"k": values}))
    schema = Schema(ice.NestedField(1, "k", ice.IntegerType(), required=False))
    properties = {"write.parquet.row-group-limit": "10000", "write.target-file-size-bytes": "20000"}
    asked = request(schema, folder, properties=properties, memory_limit=1 << 18)
    with pytest.raises(HeadraceError, match="row 200000"):
        _engine.write(store(seaweed), frame, asked)
    assert left(seaweed, folder) == []


def test_ctrl_c_ends_at_once_and_leaves_nothing(seaweed: SeaweedFS, proxy: Proxy, folder: str) -> None:
    proxy.rule = lambda method, path: Stall() if method == "PUT" and "k%3D3" in path else None
    press = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    press.start()
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            _engine.write(store(seaweed, proxy), numbers(4000), request(SCHEMA, folder, spec=BY_KEY))
    finally:
        press.cancel()  # where the write failed by itself, the whole run is not to end
    assert time.monotonic() - began < 1.5
    proxy.rule = lambda method, path: None
    proxy.ended.set()
    deadline = time.monotonic() + 20
    while left(seaweed, folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left(seaweed, folder) == []


def test_locations_outside_the_table_are_refused(seaweed: SeaweedFS, folder: str) -> None:
    kept = _engine.Store(seaweed.storage_properties, allowed=[f"{folder}/inside"])
    for work in (
        lambda: kept.put(f"{folder}/outside", b"x"),
        lambda: kept.delete([f"{folder}/outside"]),
        lambda: _engine.write(kept, numbers(100), request(SCHEMA, f"{folder}/outside")),
    ):
        with pytest.raises(LocationRefused):
            work()
    assert left(seaweed, folder) == []


def test_a_bucket_that_is_not_there(seaweed: SeaweedFS, proxy: Proxy, folder: str) -> None:
    proxy.rule = lambda method, path: Refuse(404, "NoSuchBucket") if method == "PUT" else None
    with pytest.raises(ObjectNotFound, match=r'bucket "data"'):
        _engine.write(store(seaweed, proxy), numbers(100), request(SCHEMA, folder))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught:
        _engine.write(_engine.Store({}), numbers(100), request(SCHEMA, f"{tmp_path}/file/data"))
    assert str(tmp_path) in str(caught.value.location)


def test_a_disk_without_room_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk: the same write fails in the same place."""
    code = (
        "import signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from headrace import _engine; from headrace.errors import StorageError\n"
        "from tests.writing.test_upload import SCHEMA, numbers; from tests.writing.files import request\n"
        "try: _engine.write(_engine.Store({}), numbers(400_000), request(SCHEMA, sys.argv[1]))\n"
        "except StorageError as error: print('refused', error)\n"
    )
    limit = (1 << 20, 1 << 20)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert "refused" in done.stdout, done.stderr
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]
