"""Layouts that a load is asked for: strings contiguous, dates as seconds, strings as categories."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import headrace
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest
from headrace.errors import ColumnNotFound, HeadraceError

DAY = datetime.date(1969, 12, 30)


def written(folder: Path, name: str, words: list[str | None], **options: Any) -> Path:
    days = [None if at % 5 == 3 else DAY + datetime.timedelta(days=at) for at in range(len(words))]
    table = pyarrow.table(
        {
            "word": pyarrow.array(words, pyarrow.string()),
            "raw": pyarrow.array([word and word.encode() for word in words], pyarrow.binary()),
            "day": pyarrow.array(days, pyarrow.date32()),
            "n": pyarrow.array(range(len(words)), pyarrow.int64()),
        }
    )
    path = folder / f"{name}.parquet"
    pyarrow.parquet.write_table(table, path, **options)
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two files that share some words, each with a dictionary of its own; the second gives up its dictionary."""
    words: list[str | None] = ["b", "a", None, "b", "", "long enough to be no inline string"] * 50
    others: list[str | None] = ["c", "a", "b", None, "zürich"] * 40 + [f"word {at}" for at in range(100)]
    first = written(tmp_path, "1", words, row_group_size=90)
    return [first, written(tmp_path, "2", others, use_dictionary=False, row_group_size=100)]


def test_dates_as_seconds_are_what_pandas_takes_as_it_is(files: list[Path]) -> None:
    frame = headrace.read_parquet(files, dates="seconds")
    assert pyarrow.table(frame).schema.field("day").type == pyarrow.timestamp("s")
    plain = headrace.read_parquet(files).to_pandas()
    pandas.testing.assert_frame_equal(frame.to_pandas(), plain)
    assert frame.to_pandas()["day"].iloc[0] == pandas.Timestamp(DAY)


EVEN = f"n in ({', '.join(str(at) for at in range(0, 300, 2))})"


@pytest.mark.parametrize("filter", [None, EVEN, "n >= 250", "n < 3", "word = 'a'"], ids=range(5))
def test_categories_are_taken_over_from_the_files(files: list[Path], filter: str | None) -> None:
    frame = headrace.read_parquet(files, filter=filter, categories=["word", "raw"])
    plain = headrace.read_parquet(files, filter=filter)

    table = pyarrow.table(frame)
    assert table.schema.field("word").type == pyarrow.dictionary(pyarrow.int32(), pyarrow.large_string())
    assert table.schema.field("raw").type == pyarrow.dictionary(pyarrow.int32(), pyarrow.large_binary())
    words = list(plain["word"].values())
    assert table.column("word").to_pylist() == words
    seen = list(dict.fromkeys(word for word in words if word is not None))
    assert table.column("word").combine_chunks().dictionary.to_pylist() == seen
    assert polars.DataFrame(frame)["word"].to_list() == words


def test_categories_of_pandas_are_the_same_however_they_are_made(files: list[Path]) -> None:
    loaded = headrace.read_parquet(files, categories=["word"], strings="large_string").to_pandas()
    made = headrace.read_parquet(files).to_pandas(categories=["word"])
    pandas.testing.assert_frame_equal(loaded, made)


def test_what_cannot_be_a_category_is_refused_with_the_nearest_name(files: list[Path]) -> None:
    with pytest.raises(ColumnNotFound, match="wrod") as caught:
        headrace.read_parquet(files, categories=["wrod"])
    assert "word" in str(caught.value.hint)
    with pytest.raises(HeadraceError, match="sequence of names"):
        headrace.read_parquet(files, categories="word")
    with pytest.raises(HeadraceError, match="seconds"):
        headrace.read_parquet(files, dates="days")
