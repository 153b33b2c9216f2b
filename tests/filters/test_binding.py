"""Literals against columns: exact or refused, whatever the type; `not` and constants folded as SQL means them."""

from __future__ import annotations

import datetime
import json
import math
import random
import struct
import uuid
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from filter_interpreter import Schema, keeps
from headrace.errors import ColumnNotFound, FilterError
from headrace.filters import Expression, bind, col, parse

SCHEMA = Schema(
    i="int",
    l="long",
    f="float",
    d="double",
    m="decimal(9, 2)",
    b="boolean",
    s="string",
    day="date",
    clock="time",
    ts="timestamp",
    tz="timestamptz",
    ns="timestamp_ns",
    tzns="timestamptz_ns",
    u="uuid",
    x="binary",
    fx="fixed[2]",
    n="unknown",
    st="struct<a: int>",
    st__a="int",
    li="list<int>",
    li__element="int",
    ge="geometry",
)
UTC = datetime.UTC


def bound(text: str | Expression) -> Any:
    """op, type and values of the one test that a filter is, or the op of a constant."""
    found = json.loads(bind(parse(text) if isinstance(text, str) else text, SCHEMA).to_engine_json())
    return (found["op"], *found.get("values", [])) if "op" in found else found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("i < 5.5", ("le", 5)),
        ("i <= 5.5", ("le", 5)),
        ("i > 5.5", ("ge", 6)),
        ("i >= -5.5", ("ge", -5)),
        ("i = 5.5", ("false",)),
        ("i != 5.5", ("not_null",)),
        ("i = 5.0", ("eq", 5)),
        ("i = '5'", ("eq", 5)),
        ("i < 1099511627776", ("not_null",)),
        ("i > 1099511627776", ("false",)),
        ("i >= -1099511627776", ("not_null",)),
        ("not i > 1099511627776", ("not_null",)),
        ("not i = 5.5", ("not_null",)),
        ("i < nan", ("not_null",)),
        ("i >= nan", ("false",)),
        ("i > -infinity", ("not_null",)),
        ("l = 9223372036854775807", ("eq", 2**63 - 1)),
        ("l = 9223372036854775808", ("false",)),
        ("i in (5, 5.5, 5.0, 1e30)", ("eq", 5)),
        ("i not in (5.5, 1e30)", ("not_null",)),
        ("i in (5.5)", ("false",)),
        ("i in ()", ("false",)),
        ("i not in ()", ("true",)),
        ("not i in (1, 2, 1)", ("not_in", 1, 2)),
        ("m = 1.25", ("eq", "125")),
        ("m < 1.255", ("le", "125")),
        ("m > 1.255", ("ge", "126")),
        ("m = 1.255", ("false",)),
        ("m < 10000000", ("not_null",)),
        ("m <= 9999999.99", ("le", "999999999")),
        (col("m") >= 0.1, ("ge", "10")),
        ("d = 0.1", ("eq", "0.1")),
        ("d < 9007199254740993", ("le", "9007199254740992.0")),
        ("d = 9007199254740993", ("false",)),
        ("d > -1e400", ("ge", "-1.7976931348623157e+308")),
        ("d < 1e400", ("le", "1.7976931348623157e+308")),
        ("d = -0.0", ("eq", "0.0")),
        ("d = nan", ("is_nan",)),
        ("d < nan", ("not_nan",)),
        ("d <= 'NaN'", ("not_null",)),
        ("d > nan", ("false",)),
        ("d in (nan)", ("is_nan",)),
        ("d in (nan, 1)", ("in", "NaN", "1.0")),
        ("d = infinity", ("eq", "Infinity")),
        ("d >= -infinity", ("ge", "-Infinity")),
        ("f = 0.5", ("eq", "0.5")),
        ("f = 0.1", ("false",)),
        (col("f") == struct.unpack("<f", struct.pack("<f", 0.1))[0], ("eq", "0.10000000149011612")),
        ("f < 0.1", ("le", "0.09999999403953552")),
        ("f > 0.1", ("ge", "0.10000000149011612")),
        ("f < 1e39", ("le", "3.4028234663852886e+38")),
        ("f > 1e39", ("ge", "Infinity")),
        ("b", ("eq", True)),
        ("not b", ("ne", True)),
        ("b = 'false'", ("eq", False)),
        ("s = 'a'", ("eq", "a")),
        ("s like 'a%'", ("starts_with", "a")),
        ("s not like 'a%'", ("not_starts_with", "a")),
        ("s like '%'", ("not_null",)),
        ("s not like '%'", ("false",)),
        ("day = '2026-01-02'", ("eq", 20455)),
        (col("day") == datetime.date(2026, 1, 2), ("eq", 20455)),
        ("day < timestamp '2026-01-02 12:00:00'", ("le", 20455)),
        ("day = '2026-01-02 12:00:00'", ("false",)),
        ("clock >= '10:30'", ("ge", 37_800_000_000)),
        ("clock < '10:30:00.0000005'", ("le", 37_800_000_000)),
        ("ts >= '1970-01-01 00:00:01.5'", ("ge", 1_500_000)),
        ("ts >= date '1970-01-02'", ("ge", 86_400_000_000)),
        ("ts > '1970-01-01 00:00:00.000000001'", ("ge", 1)),
        ("ns > '1970-01-01 00:00:00.000000001'", ("gt", 1)),
        ("ns < '2300-01-01'", ("not_null",)),
        ("tz = '1970-01-01T01:00:00+01:00'", ("eq", 0)),
        (col("tz") == datetime.datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), ("eq", 1_000_000)),
        ("tzns = '1970-01-01T00:00:00Z'", ("eq", 0)),
        ("u = 'F79C3E09-677C-4BBD-A479-3F349CB785E7'", ("eq", "f79c3e09677c4bbda4793f349cb785e7")),
        (col("u") == uuid.UUID(int=5).bytes, ("eq", "0" * 31 + "5")),
        ("x = x'00ff'", ("eq", "00ff")),
        ("fx = x'00ff'", ("eq", "00ff")),
        ("st.a = 5", ("eq", 5)),
        ("n = 5", ("false",)),
        ("n is null", ("true",)),
        ("n is not null", ("false",)),
        ("i = 1 and false", ("false",)),
        ("i = 1 and true", ("eq", 1)),
        ("i = 1 or true", ("true",)),
        ("i = 1 or i = 1", ("eq", 1)),
        ("i = 1 and l = 5.5", ("false",)),
        ("not (i is null)", ("not_null",)),
        ("not (d is nan)", ("not_nan",)),
    ],
)
def test_literals_are_exact(text: str | Expression, expected: tuple[Any, ...]) -> None:
    assert bound(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("i = 'abc'", "column i of type int cannot be compared with 'abc': expected a number"),
        ("i = 'nan'", "expected a number"),
        ("i = true", "expected a number"),
        ("d = true", "expected a number"),
        ("m = date '2026-01-01'", "decimal"),
        ("b = 1", "true or false"),
        ("s = 5", "in quotes"),
        ("s starts with 5", "starting with 5"),
        ("i starts with '5'", "type int"),
        ("day = '01.02.2026'", "'2026-01-31'"),
        ("day = '2026-01-01T00:00:00Z'", "no time zone"),
        ("day = 5", "a date"),
        ("ts = '2026-01-01 00:00:00Z'", "leave it out"),
        ("tz = '2026-01-01 00:00:00'", "which zone"),
        ("tz = '2026-01-01'", "which zone"),
        (col("tz") == datetime.datetime(2026, 1, 1), "tzinfo"),
        ("clock = '2026-01-01'", "a time of day"),
        ("u = '5'", "UUID"),
        ("u = x'00'", "16 bytes"),
        ("x = 'ab'", "x'6162'"),
        ("fx = x'00'", "2 bytes"),
        ("i is nan", "no NaN"),
        ("st is null", "a field inside it"),
        ("li is null", "filters cannot test"),
        ("li.element = 1", "many values a row"),
        ("ge is null", "geometry"),
    ],
)
def test_literals_that_do_not_fit_are_refused(text: str | Expression, said: str) -> None:
    with pytest.raises(FilterError) as caught:
        bound(text)
    assert said in str(caught.value)


def test_names() -> None:
    with pytest.raises(ColumnNotFound, match="did you mean 'clock'"):
        bound("clok is null")
    with pytest.raises(ColumnNotFound):
        bound("CLOCK is null")
    assert bind(parse("CLOCK is null"), SCHEMA, case_sensitive=False) == bind(parse("clock is null"), SCHEMA)


def test_json_has_the_engines_form() -> None:
    tree = parse("day >= '2023-01-01' and (s = 'a' or not (i = 1 or m in (1, 2)))")
    assert json.loads(bind(tree, SCHEMA).to_engine_json()) == {
        "and": [
            {"op": "ge", "field": 8, "type": "date", "values": [19358]},
            {
                "or": [
                    {"op": "eq", "field": 7, "type": "string", "values": ["a"]},
                    {
                        "and": [
                            {"op": "ne", "field": 1, "type": "int", "values": [1]},
                            {"op": "not_in", "field": 5, "type": "decimal(9, 2)", "values": ["100", "200"]},
                        ]
                    },
                ]
            },
        ]
    }


def _holds(value: Fraction, op: str, literal: Fraction) -> bool:
    return {
        "<": value < literal,
        "<=": value <= literal,
        ">": value > literal,
        ">=": value >= literal,
        "=": value == literal,
        "!=": value != literal,
    }[op]


@pytest.mark.parametrize("seed", range(3))
def test_comparisons_agree_with_exact_arithmetic(seed: int) -> None:
    """For every type of number: random values and literals of more digits than it holds, against fractions."""
    rng = random.Random(seed)
    kinds = {"i": (1, 31), "l": (1, 63), "m": (100, 29), "f": (0, 0), "d": (0, 0)}
    for _ in range(4000):
        name = rng.choice(list(kinds))
        steps, bits = kinds[name]
        if steps:
            unit: Any = rng.randint(-(2**bits) + 1, 2**bits - 1) >> rng.randrange(bits)
            value = Fraction(unit, steps)
            near = value + Fraction(rng.choice([0, 0, 1, -1, 1000, -(10**12)]), rng.choice([1, 10, 1000]) * steps)
            literal: Any = int(near) if near.denominator == 1 else Decimal(near.numerator) / Decimal(near.denominator)
            exact = Fraction(literal)
        else:
            unit = rng.uniform(-1, 1) * 10.0 ** rng.randint(-30, 30)
            if name == "f":
                unit = struct.unpack("<f", struct.pack("<f", unit))[0]
            value = Fraction(unit)
            literal = rng.choice(
                [unit, math.nextafter(unit, math.inf), math.nextafter(unit, -math.inf), int(unit), int(unit) + 1]
            )
            exact = Fraction(literal)
        op = rng.choice(["<", "<=", ">", ">=", "=", "!="])
        tree = parse(f"{name} {op} :v", {"v": literal})
        row = {SCHEMA.find_field(name).field_id: unit}
        engine_json = bind(tree, SCHEMA).to_engine_json()
        assert keeps(engine_json, row) == _holds(value, op, exact), f"seed {seed}: {value} {op} {exact}: {engine_json}"
        opposite = bind(~tree, SCHEMA).to_engine_json()
        assert keeps(opposite, row) != _holds(value, op, exact), f"seed {seed}: not {value} {op} {exact}: {opposite}"
        assert not keeps(engine_json, {SCHEMA.find_field(name).field_id: None})
        assert not keeps(opposite, {SCHEMA.find_field(name).field_id: None})
