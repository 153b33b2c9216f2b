"""The same filter text through headrace (text -> tree -> JSON -> rows) and through DuckDB's SQL keeps the same rows."""

from __future__ import annotations

import datetime
import math
import random
import struct
import uuid
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from filter_interpreter import Schema, keeps
from headrace.filters import bind, parse

TYPES = {
    "i": ("INTEGER", "int"),
    "l": ("BIGINT", "long"),
    "f": ("FLOAT", "float"),
    "d": ("DOUBLE", "double"),
    "m": ("DECIMAL(9,2)", "decimal(9, 2)"),
    "w": ("DECIMAL(38,3)", "decimal(38, 3)"),
    "s": ("VARCHAR", "string"),
    "b": ("BOOLEAN", "boolean"),
    "day": ("DATE", "date"),
    "clock": ("TIME", "time"),
    "ts": ("TIMESTAMP", "timestamp"),
    "tz": ("TIMESTAMPTZ", "timestamptz"),
    "u": ("UUID", "uuid"),
    "x": ("BLOB", "binary"),
}
SCHEMA = Schema(**{name: iceberg for name, (_, iceberg) in TYPES.items()})
EPOCH = datetime.datetime(1970, 1, 1)
NUMBERS = [
    "0",
    "1",
    "-1",
    "5",
    "5.5",
    "-5.5",
    "0.25",
    "1.005",
    "-1.999",
    "1e3",
    "2147483647",
    "2147483648",
    "-2147483649",
]
NUMBERS += ["9223372036854775807", "-1e30", "0.1", "9999999.99", "10000000", "1099511627776"]
TEXTS = ["", "a", "ab", "abc", "b", "it''s", "é", "aé"]
UUIDS = [
    "00000000-0000-0000-0000-000000000001",
    "7fffffff-0000-0000-0000-000000000000",
    "f79c3e09-677c-4bbd-a479-3f349cb785e7",
]
DAYS = ["1969-12-31", "1970-01-01", "2026-01-01", "2026-01-02", "0001-01-01"]
CLOCKS = ["00:00:00", "10:30:00", "10:30:00.000001", "23:59:59.999999"]


def _value(name: str, rng: random.Random) -> Any:
    """A random cell as Python hands it to DuckDB."""
    number = rng.choice([0, 1, -1, 5, 6, -5, -6, 1000])
    stamp = EPOCH + datetime.timedelta(
        days=rng.choice([0, 20454, 20455]), microseconds=rng.choice([0, 1, 37_800_000_000])
    )
    return {
        "i": lambda: rng.choice([number, 2**31 - 1, -(2**31)]),
        "l": lambda: rng.choice([number, 2**31, 2**63 - 1, -(2**63), 2**40]),
        "f": lambda: rng.choice(
            [number / 2, -0.0, math.nan, math.inf, -math.inf, struct.unpack("<f", struct.pack("<f", 0.1))[0]]
        ),
        "d": lambda: rng.choice([number / 2, -0.0, 0.1, math.nan, math.inf, -math.inf, 5.5]),
        "m": lambda: Decimal(rng.choice([number * 100, 550, 100, 101, -200, -199, 999999999])).scaleb(-2),
        "w": lambda: rng.choice([Decimal(number), Decimal("1.005"), Decimal("5.5"), Decimal("0.1"), Decimal(10) ** 30]),
        "s": lambda: rng.choice(TEXTS).replace("''", "'"),
        "b": lambda: rng.random() < 0.5,
        "day": lambda: datetime.date.fromisoformat(rng.choice(DAYS)),
        "clock": lambda: datetime.time.fromisoformat(rng.choice(CLOCKS)),
        "ts": lambda: stamp,
        "tz": lambda: stamp.replace(tzinfo=datetime.UTC),
        "u": lambda: uuid.UUID(rng.choice(UUIDS)),
        "x": lambda: rng.choice([b"", b"\x00", b"ab", b"\xff", b"abc"]),
    }[name]()


def _engine(value: Any) -> Any:
    """A cell in the engine's units."""
    match value:
        case Decimal():
            raise AssertionError("decimals need their scale")
        case datetime.datetime():
            return (value.replace(tzinfo=None) - EPOCH) // datetime.timedelta(microseconds=1)
        case datetime.date():
            return value.toordinal() - EPOCH.toordinal()
        case datetime.time():
            return ((value.hour * 60 + value.minute) * 60 + value.second) * 10**6 + value.microsecond
        case uuid.UUID():
            return value.bytes
    return value


def _literal(name: str, rng: random.Random) -> tuple[str, str]:
    """A random literal as headrace and as DuckDB write it."""
    if name in ("i", "l", "f", "d", "m", "w"):
        if name in ("f", "d") and rng.random() < 0.25:
            special = rng.choice(["nan", "infinity", "-infinity"])
            return special, f"'{special}'::DOUBLE"
        text = rng.choice(NUMBERS)
        # DuckDB compares floats with decimals as floats, or refuses wide ones; headrace means doubles.
        return text, f"{text}::DOUBLE" if name in ("f", "d") else text
    moment = f"'{rng.choice(DAYS[1:4])} {rng.choice(CLOCKS)}"
    same = {
        "s": lambda: f"'{rng.choice(TEXTS)}'",
        "b": lambda: rng.choice(["true", "false"]),
        "day": lambda: rng.choice(["", "date "]) + f"'{rng.choice(DAYS)}'",
        "clock": lambda: rng.choice(["", "time "]) + f"'{rng.choice(CLOCKS)}'",
        "ts": lambda: rng.choice(["", "timestamp "]) + moment + "'",
        "tz": lambda: moment + rng.choice(["+00:00'", "-05:30'", "Z'"]),
        "u": lambda: rng.choice(["", "uuid "]) + f"'{rng.choice(UUIDS)}'",
    }
    if name == "x":
        value = rng.choice([b"", b"\x00", b"ab", b"\xfe"])
        return f"x'{value.hex()}'", "'" + "".join(f"\\x{byte:02X}" for byte in value) + "'::BLOB"
    text = same[name]()
    return text, text


def _test(rng: random.Random) -> tuple[str, str]:
    name = rng.choice(list(TYPES))
    sql_name = f"{name}::DOUBLE" if name == "f" else name
    kind = rng.choice(["compare"] * 6 + ["mirrored", "in", "between", "null", "nan", "prefix", "bare"])
    op = rng.choice(["=", "==", "!=", "<>", "<", "<=", ">", ">="])
    negation = rng.choice(["", "not "])
    one, two = _literal(name, rng), _literal(name, rng)
    if kind == "mirrored":
        return f"{one[0]} {op} {name}", f"{one[1]} {op} {sql_name}"
    if kind == "in":
        found = [_literal(name, rng) for _ in range(rng.randint(1, 12))]
        ours, theirs = (", ".join(each[side] for each in found) for side in (0, 1))
        return f"{name} {negation}in ({ours})", f"{sql_name} {negation}in ({theirs})"
    if kind == "between":
        ours, theirs = (f"{negation}between {one[side]} and {two[side]}" for side in (0, 1))
        return f"{name} {ours}", f"{sql_name} {theirs}"
    if kind == "null":
        return (f"{name} is {negation}null",) * 2
    if kind == "nan":
        column = rng.choice(["f", "d"])
        return f"{column} is {negation}nan", f"{negation}isnan({column})"
    if kind == "prefix":
        text = rng.choice(TEXTS)
        return rng.choice(
            [
                (f"s {negation}starts with '{text}'", f"{negation}starts_with(s, '{text}')"),
                (f"s {negation}like '{text}%'",) * 2,
                (f"s {negation}like '{text}'",) * 2,
            ]
        )
    if kind == "bare":
        return rng.choice([("b",) * 2, ("true",) * 2, ("false",) * 2])
    return f"{name} {op} {one[0]}", f"{sql_name} {op} {one[1]}"


def _filter(rng: random.Random, depth: int) -> tuple[str, str]:
    if depth == 0 or rng.random() < 0.3:
        return _test(rng)
    kind = rng.choice(["and", "or", "not", "group"])
    left = _filter(rng, depth - 1)
    if kind == "group":
        return f"({left[0]})", f"({left[1]})"
    if kind == "not":
        return f"not ({left[0]})", f"not ({left[1]})"
    right = _filter(rng, depth - 1)
    return f"{left[0]} {kind} {right[0]}", f"{left[1]} {kind} {right[1]}"


def _table(rng: random.Random, count: int) -> tuple[duckdb.DuckDBPyConnection, list[dict[int, Any]]]:
    connection = duckdb.connect()
    columns = ", ".join(f"{name} {sql}" for name, (sql, _) in TYPES.items())
    connection.execute(f"create table t (row_id integer, {columns})")
    rows = []
    for row_id in range(count):
        cells = {name: None if rng.random() < 0.15 else _value(name, rng) for name in TYPES}
        connection.execute(f"insert into t values ({', '.join('?' * (len(TYPES) + 1))})", [row_id, *cells.values()])
        units = {"m": 100, "w": 1000}
        engine = {
            name: int(value * units[name]) if name in units and value is not None else _engine(value)
            for name, value in cells.items()
        }
        rows.append({SCHEMA.find_field(name).field_id: value for name, value in engine.items()})
    return connection, rows


@pytest.mark.parametrize("seed", range(6))
def test_a_filter_keeps_the_rows_that_sql_keeps(seed: int) -> None:
    rng = random.Random(seed)
    connection, rows = _table(rng, 60)
    partial = 0
    for _ in range(250):
        ours, theirs = _filter(rng, 3)
        expected = {row_id for (row_id,) in connection.execute(f"select row_id from t where {theirs}").fetchall()}
        tree = parse(ours)
        assert parse(str(tree)) == tree, ours
        bound = bind(tree, SCHEMA)
        engine_json = bound.to_engine_json()
        found = {row_id for row_id, row in enumerate(rows) if keeps(engine_json, row)}
        assert found == expected, f"seed {seed}: {ours}\n{theirs}\n{engine_json}"
        partial += 0 < len(found) < len(rows)
    assert partial > 100
