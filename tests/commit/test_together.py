"""Maintenance beside writers and readers: nothing that is acknowledged is lost, no reader sees less than before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import headrace
import pyarrow
from headrace.catalog import Catalog
from headrace.errors import MetaflowTableConflict, ObjectNotFound

from tests.commit.conftest import make, rows
from tests.commit.readers import check
from tests.table.compare import rows as values

_ROUNDS = 12


def test_appends_compaction_expiry_and_a_reader(catalog: Catalog, name: str) -> None:
    patient = {"commit.retry.num-retries": "50", "commit.retry.min-wait-ms": "5", "commit.retry.max-wait-ms": "50"}
    make(catalog, name, partition_by="ds", **patient)
    written, failures, torn = [0], [], []
    over = threading.Event()

    def append() -> None:
        table = headrace.Table(name, catalog=catalog)
        for at in range(_ROUNDS):
            table.append(pyarrow.concat_tables([rows(2 * at, 1, "a"), rows(2 * at + 1, 1, "b")]))
            written[0] = at + 1

    def maintain() -> None:
        table = headrace.Table(name, catalog=catalog)
        while not over.is_set():
            for act in (
                lambda: table.compact(min_input_files=2),
                table.rewrite_manifests,
                lambda: table.expire_snapshots(timedelta(seconds=1), retain_last=3),
                table.remove_orphan_files,
            ):
                try:
                    act()
                except MetaflowTableConflict:  # appends were faster each time
                    continue

    def read() -> None:
        while not over.is_set():
            at_least = written[0]
            try:
                found = headrace.Table(name, catalog=catalog).load().num_rows
            except ObjectNotFound:  # its snapshot expired while it was read
                continue
            if found < 2 * at_least or found % 2:
                torn.append((at_least, found))

    def guarded(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                failures.append(error)

        return run

    others = [threading.Thread(target=guarded(each)) for each in (maintain, read)]
    for each in others:
        each.start()
    try:
        append()
        time.sleep(0.2)
    finally:
        over.set()
        for each in others:
            each.join()
    assert not failures
    assert not torn
    table = headrace.Table(name, catalog=catalog)
    table.compact(min_input_files=2)
    table.expire_snapshots(timedelta(0))
    assert len(table.scan().files) == 2
    expected = [rows(at, 1, "ab"[at % 2]) for at in range(2 * _ROUNDS)]
    assert values(check(table)) == values(pyarrow.concat_tables(expected))
    # What the refused attempts wrote is gone, too
    data = {location for location, _ in table._access.store().list(f"{table.metadata.location}/data")}
    assert data == set(table.scan().files.locations())
