"""Names of partitions are pruned as rows are filtered, and 100,000 of them quickly. Needs no metastore."""

from __future__ import annotations

import datetime
import time
import tracemalloc
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from headrace.errors import MetaflowTableInvalidData
from headrace.filters import as_filter, bind
from headrace.hive.names import make_name
from headrace.hive.partitions import find_partitions
from headrace.metastore.description import HiveColumn, HiveTable


class Partitions:
    """A metastore's partitions of one table, by their names; counts what is fetched."""

    def __init__(self, keys: Sequence[str], values: Sequence[Sequence[str | None]]) -> None:
        self._by_name = {make_name(keys, each): each for each in values}
        self.names = list(self._by_name)
        self.fetched: list[str] = []

    def has_table(self, database: str, name: str) -> bool:
        return True

    def get_partition_names(self, database: str, name: str) -> list[str]:
        return self.names

    def get_partition_names_ps(self, database: str, name: str, values: Sequence[str]) -> list[str]:
        return self.names  # as much as it likes: it is tested again

    def partition_places(self, database: str, name: str, names: Sequence[str]) -> Iterable[Any]:
        self.fetched = list(names)
        for each in names:
            texts = ["__HIVE_DEFAULT_PARTITION__" if text is None else text for text in self._by_name[each]]
            yield SimpleNamespace(values=texts, sd=SimpleNamespace(location=f"s3://b/t/{each}"))


def table(**keys: str) -> HiveTable:
    columns = tuple(HiveColumn(name, kind) for name, kind in keys.items())
    return HiveTable("db", "t", "s3://b/t", (HiveColumn("id", "bigint"),), columns)


def kept(made: HiveTable, calls: Partitions, filter: str) -> list[str]:
    expression = as_filter(filter, None)
    assert expression is not None
    calls.fetched = []
    find_partitions(calls, made, bind(expression, made.metadata.schema, case_sensitive=False))
    return calls.fetched


ORDERED = {
    "int": ["-5", "0", "7", "10"],
    "double": ["-1e10", "-0.5", "2.5", "10", "NaN"],  # NaN is larger than every number, and equals itself
    "string": ["", "A", "a", "a b", "b", "ä", "\uffff", "\U0001f600"],  # as UTF-8
    "date": ["1969-12-31", "2026-01-02", "2026-01-10"],
    "decimal(9,2)": ["-1.50", "0", "0.01", "100.00"],
}


@pytest.mark.parametrize("kind", ORDERED)
def test_every_comparison(kind: str) -> None:
    values = ORDERED[kind]
    calls = Partitions(["k"], [(None,), *((each,) for each in values)])
    made, names = table(k=kind), dict(zip(values, [make_name(["k"], [each]) for each in values], strict=True))
    for at, each in enumerate(values):
        if each in ("NaN", ""):
            continue  # no literal; Hive has no empty text
        literal = f"'{each}'" if kind in ("string", "date") else each
        expected = {"<": values[:at], "<=": values[: at + 1], ">": values[at + 1 :], ">=": values[at:]}
        expected |= {"=": [each], "!=": values[:at] + values[at + 1 :]}
        for op, wanted in expected.items():
            found = kept(made, calls, f"k {op} {literal}")
            assert found == [names[value] for value in wanted if value], (op, each)
        assert kept(made, calls, f"k in ({literal})") == [names[each]]
        assert names[each] not in kept(made, calls, f"k not in ({literal})")
    assert kept(made, calls, "k is null")[0] == "k=__HIVE_DEFAULT_PARTITION__"
    assert kept(made, calls, "not (k is null or k is not null)") == []


def test_joined_by_and_or_and_not() -> None:
    calls = Partitions(["a", "b"], [(str(a), str(b)) for a in range(5) for b in range(5)])
    made = table(a="int", b="string")
    pairs = {f"a={a}/b={b}": (a, b) for a in range(5) for b in range(5)}
    for text, keeps in {
        "a > 1 and b = '2'": lambda a, b: a > 1 and b == 2,
        "a = 1 or b >= '3'": lambda a, b: a == 1 or b >= 3,
        "not (a in (1, 2) or b = '0') and id > 5": lambda a, b: not (a in (1, 2) or b == 0),
        "a = 1 or id = 5": lambda a, b: True,
        "(a < 2 and b < '2') or (a > 3 and b > '3')": lambda a, b: (a < 2 and b < 2) or (a > 3 and b > 3),
        "id is null": lambda a, b: True,
    }.items():
        assert kept(made, calls, text) == [name for name, pair in pairs.items() if keeps(*pair)], text


def test_names_that_are_none() -> None:
    made = table(a="int", b="string")
    for name in ("a=1", "a=1/b=2/c=3", "a=1/c=2", "b=1/a=2", "a/b=1"):
        calls = Partitions(["a", "b"], [])
        calls.names = [name]
        with pytest.raises(MetaflowTableInvalidData, match="partition"):
            kept(made, calls, "a = 1 and b > '0'")


def test_a_hundred_thousand_names() -> None:
    """The goal is 2 s and 200 MB with a metastore's own work; without it a fraction."""
    days = [(datetime.date(2020, 1, 1) + datetime.timedelta(days=at)).isoformat() for at in range(1000)]
    calls = Partitions(["ds", "h"], [(day, str(hour)) for day in days for hour in range(100)])
    made, filter = table(ds="date", h="int"), "ds >= '2021-01-01' and ds < '2021-01-11' and h = 7"
    started = time.process_time()
    assert len(kept(made, calls, filter)) == 10
    assert time.process_time() - started < 1.5
    tracemalloc.start()
    kept(made, calls, filter)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
