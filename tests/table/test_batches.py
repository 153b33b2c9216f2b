"""`batches()`: the rows of a load as one frame after another, exact, the same every time, readable by whoever reads Arrow."""

from __future__ import annotations

import itertools
import multiprocessing
import threading
from typing import Any

import duckdb
import headrace
import numpy
import polars
import pyarrow
import pytest
from headrace.errors import ColumnNotFound, InvalidArgument, MemoryLimitError
from headrace.plan import ScanPlan

from tests.table.compare import rows
from tests.table.warehouse import Warehouse

ROWS = 300_000
LIMIT = 32 << 20


def data() -> pyarrow.Table:
    """Numbers with nulls, strings short and long, few and many, a list and a struct."""
    random = numpy.random.default_rng(6)
    lengths = random.integers(0, 4, ROWS)
    offsets = pyarrow.array(numpy.concatenate([[0], numpy.cumsum(lengths)]), pyarrow.int32())
    return pyarrow.table(
        {
            "id": numpy.arange(ROWS),
            "value": pyarrow.array(random.random(ROWS), mask=random.random(ROWS) < 0.1),
            "flag": random.random(ROWS) < 0.5,
            "code": numpy.array(["AB", "CDE", "a code that is long"])[random.integers(0, 3, ROWS)],
            "text": [None if at % 11 == 0 else f"a text of its own {at}" * (at % 3) for at in range(ROWS)],
            "list": pyarrow.ListArray.from_arrays(offsets, random.integers(0, 9, int(lengths.sum()))),
            "place": pyarrow.array([{"x": at, "name": f"x{at}"} for at in range(ROWS)]),
        }
    )


@pytest.fixture(scope="module")
def written(warehouse: Warehouse) -> tuple[Any, pyarrow.Table]:
    """Three files: one row group of 200,000 rows, several small ones, and a single one."""
    whole = data()
    table = warehouse.create(whole.schema)
    table.append(whole.slice(290_000))  # a plan lists the newest files first
    with table.transaction() as transaction:
        transaction.set_properties({"write.parquet.row-group-limit": "7000"})
    table.append(whole.slice(200_000, 90_000))
    with table.transaction() as transaction:
        transaction.set_properties({"write.parquet.row-group-limit": "1000000"})
    table.append(whole.slice(0, 200_000))
    return table, whole


@pytest.fixture
def plan(warehouse: Warehouse, written: tuple[Any, pyarrow.Table]) -> ScanPlan:
    return warehouse.table(written[0]).scan()


def joined(batches: Any) -> pyarrow.Table:
    return pyarrow.concat_tables([pyarrow.table(frame) for frame in batches])


@pytest.mark.parametrize("strings", ["view", "large_string"])
@pytest.mark.parametrize("memory_limit", [None, LIMIT])
@pytest.mark.parametrize("batch_rows", [None, 1000, 30_001, ROWS])
def test_batches_are_the_rows_of_a_load(
    plan: ScanPlan, memory_limit: int | None, batch_rows: int | None, strings: str
) -> None:
    if batch_rows == ROWS and (memory_limit or strings == "view"):
        with pytest.raises(MemoryLimitError, match=f"{ROWS} rows"):
            list(plan.batches(memory_limit, batch_rows, strings=strings))
        return
    frames = list(plan.batches(memory_limit, batch_rows, strings=strings))
    assert joined(frames).equals(pyarrow.table(plan.load(strings=strings)))
    counts = [len(frame) for frame in frames]
    if batch_rows:
        assert set(counts[:-1]) <= {batch_rows}
        assert 0 < counts[-1] <= batch_rows
    elif memory_limit:
        # What the strings of a struct point into is kept by the page.
        assert max(frame.size for frame in frames) < 1.2 * memory_limit / 8 + (2 << 20)
        assert len(frames) > 5
    again = [len(frame) for frame in plan.batches(memory_limit, batch_rows, strings=strings)]
    assert counts == again, "the same every time"


def test_a_limit_that_an_error_names_works(plan: ScanPlan) -> None:
    with pytest.raises(MemoryLimitError) as caught:
        list(plan.batches(LIMIT, ROWS))
    assert caught.value.hint
    named = int(caught.value.hint.removeprefix("memory_limit=").split(" ")[0]) << 20
    (only,) = plan.batches(named, ROWS)
    assert len(only) == ROWS


FILTERS = ["id >= 150000 and id < 250000", "value > 0.999", "code = 'AB' and text is not null", "id < 0"]


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("limit", [None, 1, 60_000])
@pytest.mark.parametrize("batch_rows", [None, 7000])
def test_batches_of_a_filter_and_a_limit_are_exact(
    warehouse: Warehouse, written: tuple[Any, pyarrow.Table], filter: str, limit: int | None, batch_rows: int | None
) -> None:
    plan = warehouse.table(written[0]).scan(filter, limit=limit)
    expected = pyarrow.table(plan.load())
    frames = list(plan.batches(LIMIT, batch_rows))
    if expected.num_rows == 0:
        assert frames == []
    else:
        assert joined(frames).equals(expected)
    if batch_rows:
        assert {len(frame) for frame in frames[:-1]} <= {batch_rows}


@pytest.mark.parametrize("filter", [None, "few < 50", "id < 90000"])
@pytest.mark.parametrize("strings", ["view", "large_string"])
def test_windows_end_where_pages_begin(warehouse: Warehouse, filter: str | None, strings: str) -> None:
    """Of one row group with pages of 20,000 rows, a dictionary that every page needs, and one that only the first do."""
    random = numpy.random.default_rng(8)
    numbers = random.permutation(400_000)
    whole = pyarrow.table(
        {
            "id": numbers,
            "few": random.integers(0, 100, len(numbers)),
            "code": numpy.array(["AB", "a code that is long"])[random.integers(0, 2, len(numbers))],
            "text": [f"a text of its own {number}" for number in numbers.tolist()],
        }
    )
    created = warehouse.create(whole.schema)
    warehouse.table(created).append(whole)  # our writer's pages are of 20,000 rows
    plan = warehouse.table(created).scan(filter)
    frames = list(plan.batches(LIMIT, strings=strings))
    assert joined(frames).equals(pyarrow.table(plan.load(strings=strings)))
    if not filter:
        counts = [len(frame) for frame in frames]
        assert len(counts) > 3
        assert all(count % 20_000 == 0 for count in counts), counts


def test_columns_of_batches(plan: ScanPlan) -> None:
    with plan.batches(columns=["text", "place.x"]) as batches:
        assert batches.schema == ["text", "place"]
        assert joined(batches).equals(pyarrow.table(plan.load(["text", "place.x"])))
    with pytest.raises(ColumnNotFound, match="test"):
        plan.batches(columns=["test"])


def test_batches_of_shards(plan: ScanPlan) -> None:
    shards = plan.shards(4)
    assert joined(itertools.chain(*(shard.batches(LIMIT) for shard in shards))).equals(pyarrow.table(plan.load()))


def test_bad_arguments(plan: ScanPlan) -> None:
    with pytest.raises(InvalidArgument, match="memory_limit"):
        plan.batches(0)
    with pytest.raises(InvalidArgument, match="memory_limit is 1000 bytes"):
        plan.batches(1000)
    with pytest.raises(InvalidArgument, match="batch_rows"):
        plan.batches(batch_rows=0)


def test_duckdb_reads_batches(plan: ScanPlan) -> None:
    query = "select count(*), sum(id), count(value), max(text) from given"
    with duckdb.connect() as connection:
        found = connection.register("given", plan.batches(LIMIT)).sql(query).fetchone()
        assert found == connection.register("given", plan.load()).sql(query).fetchone()


def test_duckdb_stops_early(plan: ScanPlan) -> None:
    with duckdb.connect() as connection, plan.batches(LIMIT) as batches:
        connection.register("given", batches)
        assert connection.sql("select id from given limit 3").fetchall() == [(0,), (1,), (2,)]


def test_pyarrow_reads_batches(plan: ScanPlan) -> None:
    reader = pyarrow.RecordBatchReader.from_stream(plan.batches(LIMIT, strings="large_string"))
    whole = pyarrow.table(plan.load(strings="large_string"))
    assert reader.schema.equals(whole.schema)
    assert reader.read_all().equals(whole)
    assert pyarrow.table(plan.batches(LIMIT)).equals(pyarrow.table(plan.load()))
    assert pyarrow.schema(plan.batches()).equals(pyarrow.schema(plan.load()))


def test_a_requested_schema_is_honoured(plan: ScanPlan) -> None:
    requested = pyarrow.schema({"code": pyarrow.string(), "id": pyarrow.int32()})
    reader = pyarrow.RecordBatchReader.from_stream(plan.batches(LIMIT, columns=["code", "id"]), requested)
    assert reader.schema.types == requested.types
    assert reader.read_all().column("id").to_pylist() == list(range(ROWS))


def test_polars_reads_batches(plan: ScanPlan) -> None:
    assert polars.DataFrame(plan.batches(LIMIT)).equals(plan.load().to_polars())


def test_a_consumer_that_is_handed_a_stream_twice_gets_what_is_left(plan: ScanPlan) -> None:
    batches = plan.batches(LIMIT)
    first = next(batches)
    rest = pyarrow.table(batches)
    assert len(first) + rest.num_rows == ROWS
    assert pyarrow.table(batches).num_rows == 0


def test_a_closed_stream_ends(plan: ScanPlan) -> None:
    batches = plan.batches(LIMIT)
    next(batches)
    batches.close()
    assert list(batches) == []
    batches.close()


def test_threads_share_a_stream(plan: ScanPlan) -> None:
    batches, counts = plan.batches(LIMIT, 5000), []
    threads = [threading.Thread(target=lambda: counts.extend(len(frame) for frame in batches)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(counts) == [5000] * (ROWS // 5000)


def test_frames_outlive_their_stream(plan: ScanPlan) -> None:
    with plan.batches(LIMIT) as batches:
        kept = list(batches)
    del batches
    assert joined(kept).equals(pyarrow.table(plan.load()))


def _in_a_child(batches: headrace.stream.Batches, plan: ScanPlan, answers: Any) -> None:
    try:
        next(batches)
    except InvalidArgument as error:
        answers.put(str(error))
    answers.put(sum(len(frame) for frame in plan.batches(LIMIT)))


def test_a_forked_child_begins_its_own(plan: ScanPlan) -> None:
    context = multiprocessing.get_context("fork")
    batches, answers = plan.batches(LIMIT), context.Queue()
    first = next(batches)
    child = context.Process(target=_in_a_child, args=(batches, plan, answers))
    child.start()
    assert "forked child" in answers.get(timeout=60)
    assert answers.get(timeout=60) == ROWS
    child.join(60)
    assert child.exitcode == 0
    assert len(first) + sum(map(len, batches)) == ROWS, "the parent's goes on"


def test_progress_is_told_to_the_end(plan: ScanPlan) -> None:
    told: list[tuple[int, int]] = []
    for _ in plan.batches(LIMIT, progress=lambda *at: told.append(at)):
        pass
    assert told[-1] == (plan.bytes, plan.bytes)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_rows_of_an_empty_table(warehouse: Warehouse) -> None:
    ours = warehouse.table(warehouse.create(pyarrow.schema({"id": pyarrow.int64()})))
    assert list(ours.scan().batches()) == []
    assert pyarrow.table(ours.scan().batches()).schema.names == ["id"]


def test_evolved_files_give_one_schema(warehouse: Warehouse) -> None:
    table = warehouse.written(pyarrow.table({"id": [1, 2]}))
    with table.update_schema() as update:
        from pyiceberg.types import StringType

        update.add_column("name", StringType())
    table.append(pyarrow.table({"id": [3], "name": ["new"]}))
    frames = pyarrow.table(warehouse.table(table).scan().batches(batch_rows=1))
    assert rows(frames) == [(1, None), (2, None), (3, "new")]
