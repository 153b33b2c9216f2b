"""Random filters over random tables of every type and transform: a filtered load is a load that plain Python filters.

Tables are of several files, row groups, pages and specs, with nulls, NaN, infinities and zeros of both signs; filters are
trees of every test under and, or, not. The expected rows come from the values that were written, not from a load, so
writing, pruning at every level and the rows' own test are checked at once. SQL's three values: only true keeps a row.
"""

from __future__ import annotations

import datetime
import math
import operator
import random
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import headrace
import hypothesis
import pyarrow as pa
import pytest
from headrace.filters import Expression, col
from hypothesis import strategies as st

EPOCH = datetime.datetime(2025, 12, 30)
ROWS, FILES = 240, 3
Test = tuple[Expression, Callable[[dict[str, Any]], bool | None]]


@dataclass(frozen=True)
class Kind:
    """A column: its type, a random value, the value as Arrow and as a filter takes it, and as Python compares it."""

    iceberg: str
    arrow: pa.DataType
    draw: Callable[[random.Random, int], Any]
    literal: Callable[[Any], Any] = lambda value: value
    key: Callable[[Any], Any] = lambda value: value


def _float32(value: float) -> float:
    found: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return found


def _floating(rng: random.Random, at: int) -> float:
    return rng.choice([0.0, -0.0, 1.5, -2.25, math.nan, math.inf, -math.inf, at / 8, float(at)])


def _nan_last(value: float) -> tuple[bool, float]:
    return math.isnan(value), 0.0 if math.isnan(value) else value


def _moment(rng: random.Random, at: int) -> datetime.datetime:
    return EPOCH + datetime.timedelta(minutes=at * 31, microseconds=rng.randrange(3))


def _text_of_ns(value: int) -> str:
    seconds, rest = divmod(value, 10**9)
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    return f"{moment.isoformat()}.{rest:09d}"


def _ns(rng: random.Random, at: int) -> int:
    return 1_767_000_000 * 10**9 + at * 1_860_000_000_001 + rng.randrange(3)


TEXTS = ["x", "a", "ab", "a much longer name than a view holds", "b'c", "zz", "späte", "", "\U0010ffff", "ab\U0010ffff"]
UTC = datetime.UTC
KINDS: dict[str, Kind] = {
    "i": Kind("int", pa.int32(), lambda rng, at: rng.randrange(-5, 6)),
    "l": Kind("long", pa.int64(), lambda rng, at: at * 3 + rng.randrange(5)),
    "f": Kind("float", pa.float32(), lambda rng, at: _float32(_floating(rng, at)), key=_nan_last),
    "d": Kind("double", pa.float64(), _floating, key=_nan_last),
    "m": Kind("decimal(9, 2)", pa.decimal128(9, 2), lambda rng, at: Decimal(rng.randrange(-300, 300)).scaleb(-2)),
    "w": Kind("decimal(38, 3)", pa.decimal128(38, 3), lambda rng, at: Decimal(rng.choice([0, at, -at, 10**34]))),
    "s": Kind("string", pa.string(), lambda rng, at: rng.choice(TEXTS), key=lambda value: value.encode()),
    "b": Kind("boolean", pa.bool_(), lambda rng, at: rng.random() < 0.5),
    "day": Kind("date", pa.date32(), lambda rng, at: (EPOCH + datetime.timedelta(days=at // 40)).date()),
    "clock": Kind("time", pa.time64("us"), lambda rng, at: datetime.time(at % 24, rng.randrange(60), 0, at)),
    "ts": Kind("timestamp", pa.timestamp("us"), _moment),
    "tz": Kind("timestamptz", pa.timestamp("us", "UTC"), lambda rng, at: _moment(rng, at).replace(tzinfo=UTC)),
    "tn": Kind("timestamp_ns", pa.timestamp("ns"), _ns, literal=_text_of_ns),
    "u": Kind("uuid", pa.binary(16), lambda rng, at: uuid.UUID(int=rng.randrange(40) << 122), key=lambda u: u.bytes),
    "x": Kind("binary", pa.binary(), lambda rng, at: rng.choice([b"", b"\0", b"\xff", b"ab", b"abc"])),
    "fx": Kind("fixed[3]", pa.binary(3), lambda rng, at: bytes([rng.randrange(3), at % 256, 255])),
    "r.a.c": Kind("long", pa.int64(), lambda rng, at: rng.randrange(8)),
    "r.t": Kind("string", pa.string(), lambda rng, at: rng.choice(TEXTS), key=lambda value: value.encode()),
}
FLAT = [each for each in KINDS if "." not in each]
PREFIXED = [each for each, kind in KINDS.items() if kind.iceberg == "string"]
SCHEMA = {"id": "long"} | {each: KINDS[each].iceberg for each in FLAT} | {"r": "struct<a: struct<c: long>, t: string>"}
PARTITIONS: dict[str, list[str] | None] = {
    "none": None,
    "identity": ["i"],
    "bucket": ["bucket(3, s)", "bucket(2, u)"],
    "truncate": ["truncate(1, s)", "truncate(100, l)", "truncate(50, m)"],
    "year-day": ["year(tz)", "day(ts)"],
    "month-hour": ["month(day)", "hour(tn)"],
    "floats and flags": ["b", "d"],
}


def drawn(rng: random.Random) -> list[dict[str, Any]]:
    """Rows by dotted name; a null struct makes its fields null."""
    made = []
    for at in range(ROWS):
        row = {name: None if rng.random() < 0.12 else kind.draw(rng, at) for name, kind in KINDS.items()}
        made.append({"id": at, **row})
    return made


def arrow(rows: list[dict[str, Any]]) -> pa.Table:
    """The rows as Arrow, in the table's types."""

    def column(name: str) -> pa.Array:
        values = [each[name] for each in rows]
        values = [each.bytes if isinstance(each, uuid.UUID) else each for each in values]
        kind = KINDS[name].arrow
        return pa.array(values, pa.int64()).cast(kind) if name == "tn" else pa.array(values, kind)

    inner = pa.StructArray.from_arrays([column("r.a.c")], ["c"])
    nested = pa.StructArray.from_arrays([inner, column("r.t")], ["a", "t"])
    columns = {"id": pa.array([each["id"] for each in rows]), **{name: column(name) for name in FLAT}, "r": nested}
    return pa.table(columns)


@dataclass(frozen=True)
class Made:
    table: headrace.Table
    rows: list[dict[str, Any]]


@pytest.fixture(scope="module", params=list(PARTITIONS))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A table of v3 in several files."""
    folder = tmp_path_factory.mktemp("made")
    rng = random.Random(request.param)
    where = {"uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/warehouse"}
    catalog = headrace.load_catalog("local", type="sql", **where)
    catalog.create_namespace("db")
    properties = {"format-version": "3", "write.parquet.row-group-limit": "30", "write.parquet.page-row-limit": "7"}
    table = headrace.Table.create(
        "db.t", SCHEMA, partition_by=PARTITIONS[request.param], properties=properties, catalog=catalog
    )
    rows = drawn(rng)
    for at in range(FILES):
        share = ROWS // FILES
        table.append(arrow(rows[at * share : (at + 1) * share]))
    return Made(table, rows)


COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "__lt__": operator.lt,
    "__le__": operator.le,
    "__gt__": operator.gt,
    "__ge__": operator.ge,
    "__eq__": operator.eq,
    "__ne__": operator.ne,
}


@st.composite
def leaves(draw: st.DrawFn) -> Test:
    """One test of one column, as an expression and as a function of a row."""
    name = draw(st.sampled_from(list(KINDS)))
    kind, column = KINDS[name], col(name)
    rng = random.Random(draw(st.integers(0, 1 << 20)))
    value = lambda: kind.draw(rng, rng.randrange(ROWS))  # noqa: E731
    choices = ["compare"] * 4 + ["in", "not in", "between", "null", "not null"]
    choices += ["prefix", "no prefix", "like"] if name in PREFIXED else []
    choices += ["nan", "not nan"] if kind.iceberg in ("float", "double") else []
    choice = draw(st.sampled_from(choices))

    def known(test: Callable[[Any], bool]) -> Callable[[dict[str, Any]], bool | None]:
        return lambda row: None if row[name] is None else test(row[name])

    if choice == "null":
        return column.is_null(), lambda row: row[name] is None
    if choice == "not null":
        return column.is_not_null(), lambda row: row[name] is not None
    if choice in ("in", "not in"):
        values = [value() for _ in range(rng.randint(1, 6))]
        keys = [kind.key(each) for each in values]
        given = [kind.literal(each) for each in values]
        is_in = choice == "in"
        made = column.isin(given) if is_in else column.not_in(given)
        return made, known(lambda found: (kind.key(found) in keys) == is_in)
    if choice == "between":
        low, high = value(), value()
        made = column.between(kind.literal(low), kind.literal(high))
        return made, known(lambda found: kind.key(low) <= kind.key(found) <= kind.key(high))
    if choice in ("nan", "not nan"):
        is_nan = choice == "nan"
        made = column.is_nan() if is_nan else column.is_not_nan()
        return made, known(lambda found: math.isnan(found) == is_nan)
    if choice in ("prefix", "no prefix", "like"):
        prefix = draw(st.sampled_from(["a", "ab", "z", "q", "a much longer name", "sp", "ab\U0010ffff", "b'"]))
        made = column.like(prefix + "%") if choice == "like" else column.starts_with(prefix)
        has = known(lambda found: found.startswith(prefix))
        return (~made, negated(has)) if choice == "no prefix" else (made, has)
    op, other = draw(st.sampled_from(list(COMPARED))), value()
    made = getattr(column, op)(kind.literal(other))
    return made, known(lambda found: COMPARED[op](kind.key(found), kind.key(other)))


def negated(test: Callable[[dict[str, Any]], bool | None]) -> Callable[[dict[str, Any]], bool | None]:
    def opposite(row: dict[str, Any]) -> bool | None:
        found = test(row)
        return None if found is None else not found

    return opposite


def joined(left: Test, right: Test, both: bool) -> Test:
    decisive = not both

    def test(row: dict[str, Any]) -> bool | None:
        found = (left[1](row), right[1](row))
        if decisive in found:
            return decisive
        return None if None in found else both

    return (left[0] & right[0] if both else left[0] | right[0]), test


def trees(inner: st.SearchStrategy[Test]) -> st.SearchStrategy[Test]:
    return st.one_of(
        st.builds(joined, inner, inner, st.booleans()),
        inner.map(lambda each: (~each[0], negated(each[1]))),
    )


FILTERS = st.recursive(leaves(), trees, max_leaves=6)


def test_a_filtered_load_is_a_load_that_python_filters(made: Made) -> None:
    pruned = 0

    @hypothesis.seed(20261125)
    @hypothesis.settings(
        max_examples=80,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(FILTERS)
    def check(drawn: Test) -> None:
        nonlocal pruned
        expression, keeps = drawn
        plan = made.table.scan(expression, columns=["id"])
        expected = [row["id"] for row in made.rows if keeps(row) is True]
        assert sorted(pa.table(plan.load())["id"].to_pylist()) == expected, str(expression)
        text = made.table.load(str(expression), columns=["id"])
        assert sorted(pa.table(text)["id"].to_pylist()) == expected, f"as text: {expression}"
        files = plan.report["files"]
        pruned += files["kept"] < (files["total"] or math.inf)

    check()
    assert pruned > 3, "the filters should prune files"


def test_transforms_that_nobody_knows_prune_nothing_wrongly(made: Made, tmp_path: Path) -> None:
    """The same table under names of transforms that a later version may have: every file whose statistics allow stays."""
    assert made.table.metadata.file is not None
    text = Path(made.table.metadata.file.removeprefix("file://")).read_text()
    for known in ("bucket[3]", "truncate[1]", "truncate[100]", "year", "hour", "identity"):
        text = text.replace(f'"transform":"{known}"', '"transform":"later[7]"')
        text = text.replace(f'"transform": "{known}"', '"transform": "later[7]"')
    moved = tmp_path / "v1.metadata.json"
    moved.write_text(text)
    where = {"allowed-locations": made.table.metadata.location}
    table = headrace.Table.at(str(moved), properties=where)

    @hypothesis.seed(7)
    @hypothesis.settings(
        max_examples=25, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(FILTERS)
    def check(drawn: Test) -> None:
        expected = [row["id"] for row in made.rows if drawn[1](row) is True]
        found = table.load(drawn[0], columns=["id"])
        assert sorted(pa.table(found)["id"].to_pylist()) == expected, str(drawn[0])

    check()
