"""The complement of a filter keeps exactly the rows that the filter drops, nulls and NaN included."""

from __future__ import annotations

import json
import random

import headrace
import pyarrow
from headrace.filters import as_filter, bind
from headrace.filters.complement import not_true
from headrace.iceberg.definitions import schema_of

SCHEMA = schema_of({"a": "long", "b": "string", "c": "double"})
TESTS = (
    "a < 3 a <= 3 a > 3 a >= 3 a = 3 a != 3 a|in|(1,3) a|not|in|(1,3) a|is|null a|is|not|null "
    "b = 'x' b|like|'x%' b|not|like|'x%' c = 1.5 c > 1.5 c|is|nan c|is|not|nan"
)


def leaves() -> list[str]:
    found = [each.replace("|", " ") for each in TESTS.split() if "|" in each]
    return found + [
        f"{column} {op} {value}"
        for column, value in (("a", "3"), ("c", "1.5"), ("b", "'x'"))
        for op in ("<", "<=", "=", "!=", ">")
    ]


def random_filter(chance: random.Random, depth: int) -> str:
    if depth == 0 or chance.random() < 0.3:
        return chance.choice(leaves())
    inner = [random_filter(chance, depth - 1) for _ in range(2)]
    text = f"({inner[0]} {chance.choice(['and', 'or'])} {inner[1]})"
    return f"not {text}" if chance.random() < 0.3 else text


def test_every_row_is_kept_by_one_of_the_two(tmp_path: object) -> None:
    import pyarrow.parquet

    chance = random.Random(7)
    count = 400
    data = pyarrow.table(
        {
            "a": [chance.choice([None, 1, 2, 3, 4]) for _ in range(count)],
            "b": [chance.choice([None, "", "x", "xy", "y"]) for _ in range(count)],
            "c": [chance.choice([None, 1.5, float("nan"), 2.0, -0.0]) for _ in range(count)],
            "row": list(range(count)),
        }
    )
    pyarrow.parquet.write_table(data, f"{tmp_path}/f.parquet")
    for _ in range(60):
        text = random_filter(chance, 3)
        kept = headrace.read_parquet(f"{tmp_path}/f.parquet", filter=text)
        selected = set(pyarrow.table(kept)["row"].to_pylist())
        bound = json.loads(bind(as_filter(text), SCHEMA).to_engine_json())
        twice = not_true(not_true(bound))
        rest = {row for row in range(count) if not matches(bound, data, row)}
        assert selected == set(range(count)) - rest, text
        assert {row for row in range(count) if matches(not_true(bound), data, row)} == rest, text
        assert {row for row in range(count) if matches(twice, data, row)} == selected, text


def matches(filter: dict[str, object], data: pyarrow.Table, row: int) -> bool:
    """Whether a row passes: SQL's meaning, NaN above all numbers, written apart from the engine."""
    if "and" in filter:
        return all(matches(each, data, row) for each in filter["and"])
    if "or" in filter:
        return any(matches(each, data, row) for each in filter["or"])
    op = filter["op"]
    if op in ("true", "false"):
        return op == "true"
    value = data.column(int(filter["field"]) - 1)[row].as_py()
    if op in ("is_null", "not_null"):
        return (value is None) == (op == "is_null")
    if value is None:
        return False
    given = [float(each) if filter["type"] == "double" else each for each in filter.get("values", [])]
    key = rank(value)
    ranks = [rank(each) for each in given]
    return {
        "lt": lambda: key < ranks[0],
        "le": lambda: key <= ranks[0],
        "gt": lambda: key > ranks[0],
        "ge": lambda: key >= ranks[0],
        "eq": lambda: key == ranks[0],
        "ne": lambda: key != ranks[0],
        "in": lambda: key in ranks,
        "not_in": lambda: key not in ranks,
        "is_nan": lambda: value != value,
        "not_nan": lambda: value == value,
        "starts_with": lambda: str(value).startswith(str(given[0])),
        "not_starts_with": lambda: not str(value).startswith(str(given[0])),
    }[op]()


def rank(value: object) -> tuple[int, object]:
    return (1, 0) if value != value else (0, value)
