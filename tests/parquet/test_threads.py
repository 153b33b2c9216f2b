"""Many threads load at once, the same files and others, with filters and without, and hand over to pandas meanwhile.

Every answer equals the one that a thread alone got from the reference decoder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random

import headrace
import pandas.testing
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from headrace import _engine
from headrace.errors import MemoryLimitError, ObjectNotFound
from headrace.filters import as_filter, bind
from headrace.iceberg import Schema

from tests.parquet.comparison import assert_same
from tests.parquet.values import PRIMITIVE, primitive

ROWS = 20_000
FILES = 4
THREADS = 12
#: Columns that hold the same in pandas whichever way they come.
PANDAS = ["id", "int32", "float64", "string", "timestamp_us", "bool", "decimal_9_2"]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of the same columns, `id` counting through all of them."""
    folder = tmp_path_factory.mktemp("threads")
    made = []
    for at in range(FILES):
        random = Random(at)
        columns = {"id": pa.array(range(at * ROWS, (at + 1) * ROWS))}
        columns |= {name: primitive(random, name, ROWS, "some") for name in PRIMITIVE}
        made.append(folder / f"{at}.parquet")
        pq.write_table(pa.table(columns), made[-1], row_group_size=3000, data_page_size=8192)
    return made


Job = tuple[tuple[int, ...], str | None, str]


def jobs() -> Iterator[Job]:
    """Files by number, a filter, a layout of strings: every kind of load, several times over."""
    run = f"id >= {ROWS // 2} and id < {3 * ROWS // 2}"
    filters = [None, run, "int32 > 0 and string is not null", "id in (5, 40000, 79999)", "id < 0"]
    for chosen in [(0,), (1, 2), (3,), (0, 1, 2, 3)]:
        for filter in filters:
            for strings in ("view", "large_string"):
                yield chosen, filter, strings


def load(paths: list[Path], job: Job) -> pa.Table:
    """The job's answer as users ask for it."""
    chosen, filter, strings = job
    return pa.table(headrace.read_parquet([paths[at] for at in chosen], filter=filter, strings=strings, num_threads=2))


def alone(paths: list[Path], job: Job) -> pa.Table:
    """The job's answer from the reference decoder, on one thread."""
    chosen, filter, strings = job
    store, locations = _engine.Store({}), [str(paths[at]) for at in chosen]
    schema = Schema.from_json(json.loads(_engine.parquet_schema(store, locations[0])))
    expression = as_filter(filter)
    bound = None if expression is None else bind(expression, schema).to_engine_json()
    options = json.dumps({"strings": strings, "decoder": "reference", "threads": 1})
    return pa.table(_engine.read_parquet(store, locations, options, bound))


def check(ours: pa.Table, expected: pa.Table) -> None:
    """The same types and values."""
    assert_same(ours, expected, dict(zip(expected.schema.names, expected.schema.types, strict=True)))


def at_once(tasks: Sequence[Callable[[], object]]) -> None:
    """Runs tasks on many threads, all begun together; raises what one of them raised."""
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(task) for task in tasks]:
            done.result(timeout=300)


@pytest.fixture(scope="module")
def answers(paths: list[Path]) -> dict[Job, pa.Table]:
    return {job: alone(paths, job) for job in jobs()}


def test_one_file_loaded_by_all_threads(paths: list[Path], answers: dict[Job, pa.Table]) -> None:
    job: Job = ((0,), None, "view")
    at_once([lambda: check(load(paths, job), answers[job])] * (THREADS * 2))


def test_all_files_with_all_filters(paths: list[Path], answers: dict[Job, pa.Table]) -> None:
    tasks = [partial(lambda job: check(load(paths, job), answers[job]), job) for job in jobs()]
    Random(1).shuffle(tasks)
    at_once(tasks)


def test_frames_outlive_the_threads_that_made_them(paths: list[Path], answers: dict[Job, pa.Table]) -> None:
    chosen = [job for job in jobs() if job[2] == "view"]
    with ThreadPoolExecutor(THREADS) as pool:
        made = list(pool.map(lambda job: load(paths, job), chosen))
    for job, table in zip(chosen, made, strict=True):
        check(table, answers[job])


def test_to_pandas_while_others_load(paths: list[Path], answers: dict[Job, pa.Table]) -> None:
    shared = headrace.read_parquet(paths, columns=PANDAS)
    expected = shared.to_pandas()

    def convert() -> None:
        pandas.testing.assert_frame_equal(shared.to_pandas(), expected)

    def fresh() -> None:
        pandas.testing.assert_frame_equal(headrace.read_parquet(paths, columns=PANDAS).to_pandas(), expected)

    tasks: list[Callable[[], object]] = [convert, fresh] * THREADS
    tasks += [partial(lambda job: check(load(paths, job), answers[job]), job) for job in jobs()]
    Random(2).shuffle(tasks)
    at_once(tasks)


def test_an_error_in_one_thread_is_no_error_in_others(paths: list[Path], answers: dict[Job, pa.Table]) -> None:
    job: Job = ((0, 1, 2, 3), None, "view")

    def fails() -> None:
        with pytest.raises(ObjectNotFound):
            headrace.read_parquet([paths[0], paths[0].parent / "missing.parquet"])

    def refused() -> None:
        with pytest.raises(MemoryLimitError):
            headrace.read_parquet(paths, memory_limit=1000)

    at_once([fails, refused, lambda: check(load(paths, job), answers[job])] * THREADS)
