"""Filters as objects: equal to their text, printed as it, safe against the traps of Python's operators."""

from __future__ import annotations

import datetime
import pickle
import random
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from headrace.errors import FilterError
from headrace.filters import Column, Expression, as_filter, col, parse

UTC = datetime.UTC
PAIRS = [
    (col("ds") >= "2026-01-01", "ds >= '2026-01-01'"),
    (col("a") == 5, "a = 5"),
    (col("a") == 5, "5 == a"),
    (col("a") > 5, "5 < a"),
    (col("a") != 5.5, "a <> 5.50"),
    (col("a") <= Decimal("-0.10"), "-.1 >= a"),
    (col("a") < 1e3, "a < 1000"),
    (col("a") < 10**40, f"a < {10**40}"),
    (col("f") == float("inf"), "f = infinity"),
    (col("f") > float("-inf"), "f > -Infinity"),
    (col("f") != float("nan"), "f != NaN"),
    (col("b") == True, "b"),  # noqa: E712
    (~(col("b") == True), "not b"),  # noqa: E712
    (col("b") == False, "false = b"),  # noqa: E712
    (col("s") == "it's", "s = 'it''s'"),
    (col("a").isin([1, 2, 3]), "a in (1, 2, 3)"),
    (col("a").not_in((1, 2)), "a NOT IN (1, 2)"),
    (col("a").isin([]), "a in ()"),
    (col("a").is_null(), "a is null"),
    (col("a").is_not_null(), "a IS NOT NULL"),
    (col("a").is_nan(), "a is nan"),
    (col("a").is_not_nan(), "a is not nan"),
    (col("a").between(1, 5), "a between 1 and 5"),
    (~col("a").between(1, 5), "a not between 1 and 5"),
    (col("s").starts_with("x%"), "s starts with 'x%'"),
    (col("s").starts_with("x"), "s starts_with 'x'"),
    (col("s").like("abc%"), "s like 'abc%'"),
    (col("s").like("abc"), "s like 'abc'"),
    (col("a.b") == 1, "a.b = 1"),
    (col("a.b c.d") == 1, 'a."b c".`d` = 1'),
    (col('say "x"') == 1, '"say ""x""" = 1'),
    (col("in") == 1, '"in" = 1'),
    (col("a.in") == 1, "a.in = 1"),
    (col("date") == datetime.date(2026, 1, 2), "date = date '2026-01-02'"),
    (col("t") < datetime.time(10, 30, 0, 5), "t < time '10:30:00.000005'"),
    (col("t") < datetime.datetime(2026, 1, 2, 3), "t < timestamp '2026-01-02T03:00'"),
    (col("t") < datetime.datetime(2026, 1, 2, 3, tzinfo=UTC), "t < timestamp '2026-01-02 04:00:00+01:00'"),
    (col("u") == uuid.UUID(int=5), "u = uuid '00000000-0000-0000-0000-000000000005'"),
    (col("x") == b"\x00ab", "x = X'006162'"),
    ((col("a") > 1) & (col("b") < 2) | (col("c") == 3), "a > 1 and b < 2 or c = 3"),
    ((col("a") > 1) & ((col("b") < 2) | (col("c") == 3)), "a > 1 and (b < 2 or c = 3)"),
    (~((col("a") > 1) | (col("b") < 2)), "not (a > 1 or b < 2)"),
    (~~(col("a") > 1), "not not a > 1"),
    ((col("a") > 1) & (col("b") > 1) & (col("c") > 1), "a > 1 and (b > 1 and c > 1)"),
]


@pytest.mark.parametrize(("built", "text"), PAIRS, ids=[text for _, text in PAIRS])
def test_objects_and_text_build_the_same_tree(built: Expression, text: str) -> None:
    parsed = parse(text)
    assert parsed == built
    assert hash(parsed) == hash(built)
    assert parse(repr(built)) == built
    assert pickle.loads(pickle.dumps(built)) == built


def test_different_filters_are_unequal() -> None:
    trees = [
        col("a") == 1,
        col("a") == True,  # noqa: E712
        col("a") == "1",
        col("a") == b"1",
        col("A") == 1,
        col("a") != 1,
        col("a") == datetime.date(1970, 1, 1),
        col("a") == datetime.datetime(1970, 1, 1),
        col("a") == datetime.datetime(1970, 1, 1, tzinfo=UTC),
        col("a").isin([1]),
        ~(col("a") == 1),
    ]
    assert len({repr(tree) for tree in trees}) == len(set(trees)) == len(trees)
    assert trees[0] != 1


def test_trees_and_columns_are_immutable() -> None:
    tree = col("a") == 1
    with pytest.raises(AttributeError):
        tree.op = "ne"  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        col("a").name = "b"
    restored = pickle.loads(pickle.dumps(col("a")))
    assert isinstance(restored, Column)
    assert restored.name == "a"
    assert hash(restored) == hash(col("a"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: (col("a") > 1) and (col("b") > 1), "& | ~"),
        (lambda: not (col("a") > 1), "& | ~"),
        (lambda: 1 < col("a") < 5, "& | ~"),
        (lambda: col("a") in [1, 2], "& | ~"),
        (lambda: col("a") > 1 & col("b"), "parentheses|not a filter"),
        (lambda: (col("a") > 1) & True, "parentheses"),
        (lambda: col("a") == None, "is_null"),  # noqa: E711
        (lambda: col("a") == col("b"), "literal"),
        (lambda: col("a") == (col("b") == 1), "literal"),
        (lambda: col("a") == [1, 2], "isin"),
        (lambda: col("a") == np.array([1, 2]), "isin"),
        (lambda: col("a") == pd.NaT, "is_null"),
        (lambda: col("a") == pd.NA, "is_null"),
        (lambda: col("a") == np.datetime64("NaT"), "is_null"),
        (lambda: col("a").isin([1, None]), "is_null"),
        (lambda: col("a").isin("abc"), "list"),
        (lambda: col("a").isin(5), "list"),
        (lambda: col("a") == object(), "object"),
        (lambda: col("a") == "\ud800", "Unicode"),
        (lambda: col("a") == datetime.time(1, tzinfo=UTC), "time zone"),
        (lambda: col("a") == Decimal("1e5000"), "digits"),
        (lambda: col("a") == 1 << 5000, "bits"),
        (lambda: col("a").like("a%b"), "prefix"),
        (lambda: col("a").like("_"), "prefix"),
        (lambda: col("a").like(5), "text"),  # type: ignore[arg-type]
        (lambda: col(""), "text"),
        (lambda: as_filter("a" == 5), "col"),  # type: ignore[arg-type]
        (lambda: as_filter(col("a")), "== True"),  # type: ignore[arg-type]
        (lambda: as_filter(5), "int"),  # type: ignore[arg-type]
        (lambda: as_filter(col("a") == 1, {"a": 1}), "params"),
        (lambda: as_filter(None, {"a": 1}), "params"),
    ],
)
def test_what_python_makes_easy_to_get_wrong_says_what_to_write(wrong, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(FilterError, match=said):
        wrong()


@pytest.mark.parametrize(
    ("foreign", "plain"),
    [
        (np.int32(5), 5),
        (np.float64(0.1), 0.1),
        (np.float32(0.1), 0.10000000149011612),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.datetime64("2026-01-02"), datetime.date(2026, 1, 2)),
        (np.datetime64("2026-01-02T03:04:05.123456", "us"), datetime.datetime(2026, 1, 2, 3, 4, 5, 123456)),
        (pd.Timestamp("2026-01-02 03:04:05"), datetime.datetime(2026, 1, 2, 3, 4, 5)),
        (pd.Timestamp("2026-01-02 03:04:05", tz="Asia/Tokyo"), datetime.datetime(2026, 1, 1, 18, 4, 5, tzinfo=UTC)),
        (pa.scalar(5), 5),
        (pa.scalar("a"), "a"),
    ],
)
def test_scalars_of_other_libraries_are_their_python_values(foreign: object, plain: object) -> None:
    assert (col("a") == foreign) == (col("a") == plain)


def test_nanoseconds_survive() -> None:
    expected = parse("t = timestamp '2026-01-02 03:04:05.123456789'")
    assert (col("t") == pd.Timestamp("2026-01-02 03:04:05.123456789")) == expected
    assert (col("t") == np.datetime64("2026-01-02T03:04:05.123456789", "ns")) == expected


def test_arrays_and_sets_are_lists_of_values() -> None:
    assert col("a").isin(np.array([1, 2])) == col("a").isin([1, 2]) == col("a").isin(pd.Series([1, 2]))
    assert col("a").isin({"b", "a", "c"}) == col("a").isin(["a", "b", "c"])


def test_a_loop_of_many_alternatives_stays_flat_and_deep_nesting_is_refused() -> None:
    wide = col("a") == 0
    for number in range(1, 2000):
        wide = wide | (col("a") == number)
    assert wide.depth == 1
    assert parse(str(wide)) == wide
    deep = col("a") == 0
    for number in range(25):
        deep = ~(deep & (col("a") != number))
    assert deep.depth == 50
    assert parse(str(deep)) == deep
    with pytest.raises(FilterError, match="deeper than 50"):
        deep & (col("a") != 0)


def test_random_trees_print_as_the_text_that_parses_back() -> None:
    rng = random.Random(20260102)
    names = ["a", "a.b", "or", "é", "with space", 'q"uote', "1st", "x", "date", "starts", "a.b.or"]
    values = [0, -5, 1.5, -1e-9, 1e300, float("nan"), "", "it's", "\n%_\\", b"\x00", True, datetime.date(1, 1, 1)]
    values += [
        Decimal("0.100"),
        datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
        uuid.UUID(int=1),
        datetime.time(1),
    ]

    def tree(depth: int) -> Expression:
        column = col(rng.choice(names))
        if depth == 0:
            pick = [
                lambda v: column < v,
                lambda v: column == v,
                lambda v: column.isin([v, v]),
                lambda v: column.is_nan(),
            ]
            return rng.choice([*pick, lambda v: column.is_null(), lambda v: column.starts_with("p%")])(
                rng.choice(values)
            )
        left, right = tree(rng.randrange(depth)), tree(rng.randrange(depth))
        return rng.choice([left & right, left | right, ~left, left])

    for _ in range(500):
        built = tree(4)
        assert parse(str(built)) == built


def test_as_filter() -> None:
    assert as_filter(None) is None
    assert as_filter("a = 1") == as_filter(col("a") == 1) == as_filter("a = :x", {"x": 1})
