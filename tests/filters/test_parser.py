"""Filter text: errors point at what is wrong, parameters are all given and all used."""

from __future__ import annotations

import datetime

import pytest
from headrace.errors import FilterError
from headrace.filters import col, parse


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("ds >= and x = 1", 6, "expected a literal, found `and`"),
        ('country = "US"', 10, "single quotes: 'US'"),
        ("country = US", 10, "single quotes: 'US'"),
        ("x = null", 4, "is null"),
        ("x in (1, null)", 9, "is null"),
        ("1 < x < 5", 6, "between 1 and 5"),
        ("x in [1]", 5, "parentheses"),
        ("x in 1", 5, "`\\(`"),
        ("x in (1 2)", 8, "`,` or `\\)`"),
        ("x = 1 y = 2", 6, "`and`, `or` or the end"),
        ("x = 1 && y = 2", 6, "write and"),
        ("(x = 1", 6, "the end"),
        ("x = 1)", 5, "closes nothing"),
        ("x = 'a", 4, "not closed"),
        ('"x = 1', 0, "not closed"),
        ("x = 5abc", 4, "number runs into a name"),
        ("x between 1", 11, "`and`"),
        ("x not = 1", 6, "in, between, like or starts with"),
        ("x is 5", 5, "null, nan or not"),
        ("x like 'a%b'", 7, "'abc%'"),
        ("x like 'a!%' escape '!'", 13, "starts with"),
        ("x = date '2026-02-30'", 9, "not a date"),
        ("x = timestamp 'noon'", 14, "not a timestamp"),
        ("x = time '25:00'", 9, "not a time"),
        ("x = uuid '5'", 9, "not a uuid"),
        ("x = x'abc'", 4, "hexadecimal"),
        ("x = -'5'", 5, "a number after the sign"),
        ("x = ?", 4, "params"),
        ("x = 1 + 1", 6, "`and`, `or` or the end"),
        ("x = 2 * 3", 6, "arithmetic"),
        ("or = 1", 0, 'written "or"'),
        ("5 = 5", 4, "one side of a comparison is a column"),
        ("a. = 1", 3, "a name after the dot"),
        ("x starts 'a'", 9, "with"),
        ("and", 0, "a column or a literal"),
        ("x = 1;", 5, "one condition"),
        ("lower(x) = 'a'", 5, "expected ="),
    ],
)
def test_a_syntax_error_points_at_its_position(text: str, position: int, said: str) -> None:
    with pytest.raises(FilterError, match=said) as caught:
        parse(text)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith(f"at position {position}")
    assert lines[1] == f"  {text}"
    assert lines[2] == " " * (position + 2) + "^"


def test_long_and_many_lined_filters_show_the_line_that_is_wrong() -> None:
    with pytest.raises(FilterError) as caught:
        parse("a = 1\nand\tb = = 2\nor c = 3")
    assert str(caught.value).splitlines()[1:3] == ["  and b = = 2", "          ^"]
    long = " and ".join(["a = 1"] * 100) + " and ! and " + " or ".join(["b = 2"] * 100)
    with pytest.raises(FilterError) as caught:
        parse(long)
    shown, caret = str(caught.value).splitlines()[1:3]
    assert len(shown) < 140
    assert shown[len(caret) - 1] == "!"


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_filter_is_refused(text: str) -> None:
    with pytest.raises(FilterError, match="empty"):
        parse(text)


def test_parameters() -> None:
    assert parse("id = :id", {"id": 5}) == (col("id") == 5)
    assert parse(":id < id", {"id": 5}) == (col("id") > 5)
    assert parse("id in :ids", {"ids": [1, 2]}) == col("id").isin([1, 2])
    assert parse("id not in (:a, 2)", {"a": 1}) == col("id").not_in([1, 2])
    assert parse("d between :a and :a", {"a": datetime.date(2026, 1, 1)}) == col("d").between(
        datetime.date(2026, 1, 1), datetime.date(2026, 1, 1)
    )
    assert parse("s = :s", {"s": "' or 'a' = 'a"}) == (col("s") == "' or 'a' = 'a")
    assert parse("s like :p", {"p": "a%"}) == col("s").starts_with("a")


@pytest.mark.parametrize(
    ("text", "params", "said"),
    [
        ("id = :id", {}, ":id has no value"),
        ("id = :idd", {"id": 1}, "did you mean 'id'"),
        ("id = 1", {"id": 1, "x": 2}, ":id, :x, which the filter does not use"),
        ("id = :id", {"id": [1]}, "in :name"),
        ("id in :id", {"id": 1}, "a list is expected"),
        ("id in :id", {"id": "abc"}, "a list is expected"),
        ("id = :id", {"id": None}, "is null"),
        ("id in :id", {"id": [1, None]}, "is null"),
        (":id", {"id": 1}, "a comparison"),
    ],
)
def test_parameters_that_do_not_fit(text: str, params: dict[str, object], said: str) -> None:
    with pytest.raises(FilterError, match=said):
        parse(text, params)


def test_depth_is_bounded_and_length_is_not() -> None:
    assert parse("(" * 50 + "a = 1" + ")" * 50) == (col("a") == 1)
    for text in ["(" * 51 + "a = 1" + ")" * 51, "(" * 100_000, "not (" * 60 + "a = 1" + ")" * 60]:
        with pytest.raises(FilterError, match="deeper than 50"):
            parse(text)
    assert parse("not " * 10_000 + "a = 1") == (col("a") == 1)
    values = ", ".join(map(str, range(20_000)))
    assert parse(f"a in ({values})") == col("a").isin(range(20_000))


@pytest.mark.parametrize("number", ["1e999999999", "9" * 3000, "1e-999999999"])
def test_numbers_of_any_size_are_refused_before_they_are_built(number: str) -> None:
    with pytest.raises(FilterError, match=r"digits|characters"):
        parse(f"x = {number}")
