"""What Bloom filters, dictionaries and page indexes leave out: counted, never a row too many, and the same rows as PyArrow.

Oracle: PyArrow's own filter of the same table. Every test also asks for values that are there, so that pruning that
leaves out too much is seen.
"""

from __future__ import annotations

import datetime
import random
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import headrace
import numpy
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

ROWS, GROUPS = 400_000, 4
GROUP = ROWS // GROUPS


def written(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    """A file of four row groups, larger than those that are read whole."""
    options = {"compression": "none", "row_group_size": GROUP, **options}
    filling = numpy.random.default_rng(1).random(ROWS)
    pq.write_table(pa.table({**columns, "filling": filling}), path, **options)
    assert path.stat().st_size > 2 << 20
    return path


def loaded(path: Path, text: str, **params: Any) -> tuple[pa.Table, dict[str, int]]:
    frame = headrace.read_parquet(path, filter=text, params=params or None, progress=False)
    return pa.table(frame), frame.metrics["pruned"]


def spread(value: Callable[[int], Any], distinct: int = ROWS) -> list[Any]:
    """Values in no order: every row group's bounds hold nearly all of them."""
    return [value(each * 7919 % distinct) for each in range(ROWS)]


KINDS: dict[str, tuple[pa.DataType, Callable[[int], Any]]] = {
    "int": (pa.int32(), lambda at: 2 * at),
    "long": (pa.int64(), lambda at: 2 * at - 300_000),
    "string": (pa.string(), lambda at: f"value-{2 * at:07d}"),
    "binary": (pa.binary(), lambda at: f"value-{2 * at:07d}".encode()),
    "date": (pa.date32(), lambda at: datetime.date(1800, 1, 1) + datetime.timedelta(days=2 * (at % 100_000))),
    "timestamp": (pa.timestamp("us"), lambda at: datetime.datetime(2020, 1, 1) + datetime.timedelta(seconds=2 * at)),
}


def between(kind: str, at: int) -> Any:
    """A value next to the one of this place, within every bound, and in no row."""
    _, value = KINDS[kind]
    if kind in ("int", "long"):
        return value(at) + 1
    if kind == "string":
        return value(at) + "x"
    if kind == "binary":
        return value(at) + b"x"
    return value(at) + datetime.timedelta(days=1) if kind == "date" else value(at) + datetime.timedelta(seconds=1)


@pytest.mark.parametrize("kind", KINDS)
def test_bloom_filters(tmp_path: Path, kind: str) -> None:
    data_type, value = KINDS[kind]
    column = pa.array(spread(value), data_type)
    options = {"bloom_filter_options": {"k": {"ndv": GROUP, "fpp": 0.02}}, "use_dictionary": False}
    path = written(tmp_path / "f.parquet", {"k": column, "n": range(ROWS)}, **options)
    absent, pruned = loaded(path, "k = :v", v=between(kind, 1000))
    assert absent.num_rows == 0
    assert pruned["row_groups_by_bloom"] >= GROUPS - 1  # a false positive is allowed
    there = value(12_345)
    found, pruned = loaded(path, "k = :v", v=there)
    assert found.column("n").to_pylist() == [at for at, each in enumerate(column.to_pylist()) if each == there]
    assert found.num_rows > 0
    if kind != "date":
        assert pruned["row_groups_by_bloom"] >= GROUPS - 2
    found, pruned = loaded(path, "k = :v or n = 5", v=between(kind, 1000))
    assert found.column("n").to_pylist() == [5]
    _, pruned = loaded(path, "k > :v", v=between(kind, 1000))
    assert pruned["row_groups_by_bloom"] == 0


@pytest.mark.parametrize("kind", [each for each in KINDS if each != "timestamp"])
def test_dictionaries_that_every_page_uses(tmp_path: Path, kind: str) -> None:
    data_type, value = KINDS[kind]
    places = random.Random(kind).choices(range(5000), k=ROWS)
    column = pa.array([value(at) for at in places], data_type)
    options = {"compression": "zstd", "use_dictionary": ["k"], "row_group_size": ROWS // 2}
    path = written(tmp_path / "f.parquet", {"k": column, "n": range(ROWS)}, **options)
    absent, pruned = loaded(path, "k in (:a, :b)", a=between(kind, 1000), b=between(kind, 2000))
    assert absent.num_rows == 0
    assert pruned["row_groups_by_dictionary"] == 2
    found, pruned = loaded(path, "k in (:a, :b)", a=between(kind, 1000), b=value(1234))
    assert found.column("n").to_pylist() == [at for at, each in enumerate(places) if each == 1234]
    assert pruned["row_groups_by_dictionary"] == 0


def test_a_dictionary_that_not_every_page_uses_is_not_asked(tmp_path: Path) -> None:
    column = spread(lambda at: 2 * at)  # too many distinct values: the writer gives its dictionary up
    path = written(tmp_path / "f.parquet", {"k": column, "n": range(ROWS)}, use_dictionary=["k"])
    for value in (2 * 77, 2 * 399_999):
        found, pruned = loaded(path, "k = :v", v=value)
        assert found.column("k").to_pylist() == [value]
        assert pruned["row_groups_by_dictionary"] == 0


@pytest.mark.parametrize("compression", ["none", "zstd"])
@pytest.mark.parametrize("dictionary", [False, True])
def test_pages_that_cannot_match_are_not_fetched(tmp_path: Path, compression: str, dictionary: bool) -> None:
    chosen = random.Random(7)
    order = sorted(chosen.sample(range(1 << 50), ROWS))
    columns = {
        "k": pa.array([None if at % 10 == 3 else each for at, each in enumerate(order)], pa.int64()),
        "s": pa.array([f"{each:016d}-{'x' * (each % 40)}" for each in order]),
        "n": range(ROWS),
    }
    options = {"write_page_index": True, "data_page_size": 16 << 10, "compression": compression}
    path = written(tmp_path / "f.parquet", columns, use_dictionary=["s"] if dictionary else False, **options)
    table = pq.read_table(path)
    low, high = order[GROUP + 500], order[GROUP + 4500]
    found, pruned = loaded(path, "k >= :low and k < :high", low=low, high=high)
    kept = pc.and_(pc.greater_equal(table["k"], low), pc.less(table["k"], high))
    assert found.column("n").to_pylist() == table.filter(kept).column("n").to_pylist()
    assert found.num_rows > 3000
    assert pruned["rows_by_pages"] > GROUP // 2
    for low_text, high_text in ((f"{low:016d}", f"{high:016d}"), (f"{order[-50]:016d}", "9")):
        found, pruned = loaded(path, "s > :low and s < :high and n >= 0", low=low_text, high=high_text)
        kept = pc.and_(pc.greater(table["s"], low_text), pc.less(table["s"], high_text))
        assert found.column("n").to_pylist() == table.filter(kept).column("n").to_pylist()
        assert pruned["rows_by_pages"] > GROUP // 2
    found, pruned = loaded(path, f"k = {order[20]} or k = {order[GROUP - 21]}")
    assert sorted(found.column("n").to_pylist()) == [at for at in (20, GROUP - 21) if columns["k"][at].is_valid]
    gap = next(at for at in range(GROUP, ROWS) if order[at] > order[at - 1] + 1)
    assert loaded(path, f"k = {order[gap] - 1}")[0].num_rows == 0


def test_row_groups_without_a_page_that_can_match(tmp_path: Path) -> None:
    """Every row group's bounds hold the value, and no page's: halves of a row group lie on both sides of it."""
    column = [each if each % GROUP < GROUP // 2 else each + 10_000_000 for each in range(ROWS)]
    pages = {"write_page_index": True, "max_rows_per_page": 1000, "write_batch_size": 1000}
    path = written(tmp_path / "f.parquet", {"k": column, "n": range(ROWS)}, use_dictionary=False, **pages)
    found, pruned = loaded(path, "k > 5000000 and k < 6000000")
    assert found.num_rows == 0
    assert pruned["row_groups_by_pages"] >= GROUPS - 1
    told = headrace.read_parquet(path, filter="k > 5000000 and k < 6000000", progress=False).metrics
    assert told["fetch"]["bytes"] < path.stat().st_size // 4


def test_a_filter_on_columns_in_structs_and_on_pages_together(tmp_path: Path) -> None:
    inner = pa.StructArray.from_arrays([pa.array(range(ROWS))], ["x"])
    options = {"write_page_index": True, "data_page_size": 16 << 10, "use_dictionary": False}
    path = written(tmp_path / "f.parquet", {"r": inner, "k": range(ROWS), "n": range(ROWS)}, **options)
    for text in ("r.x >= 1000 and r.x < 1100", "r.x >= 1000 and k < 1100", "r.x = 7 or k = 100007"):
        expected = {"r.x = 7 or k = 100007": [7, 100_007]}.get(text, list(range(1000, 1100)))
        assert loaded(path, text)[0].column("n").to_pylist() == expected


def test_uuids_and_decimals_are_filtered_right(tmp_path: Path) -> None:
    ids = [uuid.UUID(int=each * 7919 % ROWS << 90).bytes for each in range(ROWS)]
    column = pa.array(ids, pa.binary(16))
    options = {"bloom_filter_options": {"k": {"ndv": GROUP, "fpp": 0.02}}, "use_dictionary": False}
    path = written(tmp_path / "f.parquet", {"k": column, "n": range(ROWS)}, **options)
    found, _ = loaded(path, "k = :v", v=ids[4711])
    assert found.column("n").to_pylist() == [4711]
    assert loaded(path, "k = :v", v=uuid.UUID(int=(1 << 90) + 1).bytes)[0].num_rows == 0
