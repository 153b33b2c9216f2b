"""The C++ kernel against DuckDB and sets of Python, fed by every library that has columns."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import duckdb
import headrace
import numpy
import polars
import pyarrow
import pytest


def normalised(text: str) -> str:
    return " ".join(re.findall("[a-z0-9\x80-\U0010ffff]+", text.translate(ASCII_LOWER)))


ASCII_LOWER = {ord(upper): upper.lower() for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def jaccard(left: str, right: str) -> float:
    a, b = (trigrams(each) for each in (left, right))
    return len(a & b) / len(a | b) if a and b else 0.0


def trigrams(text: str) -> set[bytes]:
    padded = f"  {normalised(text)} ".encode() if normalised(text) else b""
    return {padded[at : at + 3] for at in range(len(padded) - 2)}


def jaro_winkler(pairs: list[tuple[str, str]]) -> list[float]:
    """DuckDB's Jaro similarity with Winkler's bonus, which DuckDB gives to similar texts only."""
    sides = [[normalised(each) for each in side] for side in zip(*pairs, strict=True)]
    with duckdb.connect() as database:
        database.register("pairs", pyarrow.table({"n": range(len(pairs)), "a": sides[0], "b": sides[1]}))
        found = database.execute("select jaro_similarity(a, b) from pairs order by n").fetchall()
    return [jaro + bonus(a, b) * (1 - jaro) for (jaro,), a, b in zip(found, *sides, strict=True)]


def bonus(a: str, b: str) -> float:
    same = 0
    while same < min(4, len(a), len(b)) and a[same] == b[same]:
        same += 1
    return same * 0.1


def last_names(authors: str) -> set[bytes]:
    names = [normalised(each) for each in authors.split(",")]
    return {each.split()[-1].encode()[:4] for each in names if each}


@pytest.fixture(scope="module")
def titles() -> list[str]:
    """Titles that share words, in all lengths, with a few that are no titles."""
    chance = random.Random(5)
    words = [
        "an",
        "efficient",
        "query",
        "of",
        "data",
        "Streams",
        "for",
        "XML",
        "views:",
        "object-oriented",
        "(DB)",
        "3D",
    ]
    made = [" ".join(chance.choices(words, k=chance.randint(1, 14))) for _ in range(300)]
    return [*made, "", "?!", "a", "ab", "a b", "Ünïcode / tïtles", "ünicode titles"]


def catalogue(titles: list[str], authors: list[str] | None = None) -> pyarrow.Table:
    return pyarrow.table({"title": titles, "authors": authors or [""] * len(titles)})


def all_pairs(lefts: int, rights: int) -> pyarrow.Table:
    left, right = numpy.divmod(numpy.arange(lefts * rights, dtype=numpy.int32), rights)
    return pyarrow.table({"left_id": left.astype(numpy.int32), "right_id": right.astype(numpy.int32)})


def test_every_pair_above_the_floor_is_found_and_no_other(kernel: Any, titles: list[str]) -> None:
    """The bits that tell most pairs apart may cost time, never a pair."""
    made = kernel.catalogue(catalogue(titles))
    for floor in (0.0, 0.25, 0.5, 1.0):
        scores = kernel.score(made, made, all_pairs(len(titles), len(titles)), floor)
        assert scores.compared == len(titles) ** 2
        found = {
            (left, right): title for left, right, title, _, _ in headrace.MetaflowDataFrame.from_arrow(scores).rows()
        }
        indices = {(x, y): jaccard(a, b) for x, a in enumerate(titles) for y, b in enumerate(titles)}
        wanted = {pair: index for pair, index in indices.items() if numpy.float32(index) >= numpy.float32(floor)}
        assert found.keys() == wanted.keys()
        assert all(found[pair] == pytest.approx(index, abs=1e-6) for pair, index in wanted.items())


def test_jaro_winkler_is_duckdbs(kernel: Any, titles: list[str]) -> None:
    plain = [each for each in titles if each.isascii()][::3]
    made = kernel.catalogue(catalogue(plain))
    scores = headrace.MetaflowDataFrame.from_arrow(kernel.score(made, made, all_pairs(len(plain), len(plain)), 0.0))
    assert len(scores) == len(plain) ** 2
    wanted = jaro_winkler([(plain[left], plain[right]) for left, right, *_ in scores.rows()])
    assert scores["jaro_winkler"].to_pylist() == pytest.approx(wanted, abs=1e-6)


def test_authors_share_last_names(kernel: Any) -> None:
    authors = [
        "Yannis E. Ioannidis, Viswanath Poosala",
        "V. Poosalla, Y. Ioannidis, A. Other",
        "",
        "Poosala",
        "X. Other",
    ]
    made = kernel.catalogue(catalogue(["same"] * len(authors), authors))
    scores = headrace.MetaflowDataFrame.from_arrow(kernel.score(made, made, all_pairs(5, 5), 0.5))
    for left, right, _, found, _ in scores.rows():
        a, b = last_names(authors[left]), last_names(authors[right])
        assert found == pytest.approx(len(a & b) / min(len(a), len(b)) if a and b else 0.0)


def as_given(kind: str, table: pyarrow.Table) -> Any:
    """The same columns as another library, or another Arrow layout, has them."""
    if kind in ("large_string", "string_view", "string"):
        strings = getattr(pyarrow, kind)()
        return table.cast(pyarrow.schema([(each.name, strings) for each in table.schema]))
    if kind == "chunks and offsets":
        return pyarrow.concat_tables(
            [table.slice(0, 7), table.slice(7, 50).slice(3), table.slice(7, 3), table.slice(57)]
        )
    return {"headrace": headrace.MetaflowDataFrame.from_arrow, "Polars": polars.from_arrow}[kind](table)


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view", "chunks and offsets", "headrace", "Polars"])
def test_columns_come_from_anywhere(kernel: Any, titles: list[str], kind: str) -> None:
    table = as_given(kind, catalogue(titles))
    order = [row["title"] for row in pyarrow.table(table).to_pylist()]
    made = kernel.catalogue(table)
    pairs = all_pairs(len(titles), len(titles))
    given = pyarrow.concat_tables([pairs.slice(0, 1000), pairs.slice(1000).slice(0, 0), pairs.slice(1000)])
    scores = pyarrow.RecordBatch.from_struct_array(pyarrow.array(kernel.score(made, made, given, 0.3)))
    wanted = [
        pair for pair in zip(*pairs.to_pydict().values(), strict=True) if jaccard(*(order[at] for at in pair)) >= 0.3
    ]
    assert list(zip(*(scores[name].to_pylist() for name in ("left_id", "right_id")), strict=True)) == wanted


def test_what_has_no_title_is_like_nothing_and_a_result_that_nobody_takes_is_released(kernel: Any) -> None:
    made = kernel.catalogue(
        pyarrow.table({"title": ["some", None, ""], "authors": pyarrow.array([None] * 3, "string")})
    )
    scores = kernel.score(made, made, all_pairs(3, 3), 0.5)
    assert list(headrace.MetaflowDataFrame.from_arrow(scores).rows()) == [(0, 0, 1.0, 0.0, 1.0)]
    kernel.score(made, made, all_pairs(3, 3), 0.5).__arrow_c_array__()


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ({"left_id": [0, 3], "right_id": [0, 0]}, "pair 1: left_id is 3, but the catalogue has 3 rows"),
        ({"left_id": [0], "right_id": [-1]}, "right_id is -1"),
        ({"left_id": [0], "right_id": [None]}, "without nulls"),
        ({"left_id": [0]}, "no column right_id"),
    ],
)
def test_pairs_that_cannot_be_are_refused(kernel: Any, pairs: dict[str, list[int]], said: str) -> None:
    made = kernel.catalogue(catalogue(["a", "b", "c"]))
    table = pyarrow.table({name: pyarrow.array(values, "int32") for name, values in pairs.items()})
    with pytest.raises(ValueError, match=re.escape(said)):
        kernel.score(made, made, table, 0.5)


def test_ids_of_another_type_are_refused(kernel: Any) -> None:
    made = kernel.catalogue(catalogue(["a", "b", "c"]))
    wide = all_pairs(3, 3).cast(pyarrow.schema([("left_id", "int64"), ("right_id", "int64")]))
    with pytest.raises(ValueError, match=r"int32 \(Arrow format i\), found format l"):
        kernel.score(made, made, wide, 0.5)
    with pytest.raises(ValueError, match=r"expected strings .* found format i"):
        kernel.catalogue(pyarrow.table({"title": pyarrow.array([1], "int32"), "authors": ["a"]}))


def test_an_error_on_the_way_comes_through(kernel: Any) -> None:
    """The kernel pulls the stream itself, from code that may fail."""

    def batches() -> Any:
        yield from all_pairs(3, 3).to_batches()
        raise RuntimeError("the network went away")

    made = kernel.catalogue(catalogue(["a", "b", "c"]))
    reader = pyarrow.RecordBatchReader.from_batches(all_pairs(1, 1).schema, batches())
    with pytest.raises(ValueError, match="the network went away"):
        kernel.score(made, made, reader, 0.5)


def test_real_pairs_are_told_as_people_did(kernel: Any, data: Path) -> None:
    import records
    import scoring

    quality = scoring.judge(kernel, records.labelled(records.fetch(data)))
    assert quality["precision"] > 0.97
    assert quality["recall"] > 0.96
