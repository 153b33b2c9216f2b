"""Upserts: rows replaced by key, files without such rows left alone, keys that cannot be matched refused."""

from __future__ import annotations

import math

import headrace
import pyarrow
import pytest
from headrace.catalog import Catalog
from headrace.errors import ColumnNotFound, InvalidArgument, MetaflowTableConflict

from tests.commit.conftest import make, rows
from tests.commit.readers import check
from tests.table.compare import rows as values


def test_rows_are_replaced_by_key(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    for first in (0, 10, 20):
        table.append(rows(first, 10))
    before = set(table.scan().files.locations())
    new = pyarrow.table({"id": [5, 12, 99], "name": ["five", "twelve", None], "ds": ["n", "n", "n"]})
    table.upsert(new, on=["id"])
    assert len(before & set(table.scan().files.locations())) == 1
    old = [each for each in rows(0, 30).to_pylist() if each["id"] not in (5, 12)]
    expected = pyarrow.Table.from_pylist(old + new.to_pylist(), schema=new.schema)
    assert values(check(table)) == values(expected)


def test_keys_that_cannot_be_matched(catalog: Catalog, name: str) -> None:
    table = headrace.Table.create(name, {"k": "double", "v": "long"}, catalog=catalog)
    table.append(pyarrow.table({"k": [1.0, -0.0, None, math.nan], "v": [1, 2, 3, 4]}))
    for keys, message in (([1.0, None], "row 1: key column 'k' is null"), ([math.nan], "NaN"), ([2.0, 2.0], "twice")):
        with pytest.raises(InvalidArgument, match=message.replace("'", '"')):
            table.upsert(pyarrow.table({"k": keys, "v": [9] * len(keys)}), on=["k"])
    with pytest.raises(ColumnNotFound):
        table.upsert(pyarrow.table({"k": [1.0], "v": [9]}), on=["kk"])
    with pytest.raises(InvalidArgument, match="list of key columns"):
        table.upsert(pyarrow.table({"k": [1.0], "v": [9]}), on="k")
    assert len(table.refresh().metadata.snapshots) == 1
    table.upsert(pyarrow.table({"k": [0.0, 7.0], "v": [20, 70]}), on=["k"])
    assert sorted(check(table)["v"].to_pylist()) == [1, 3, 4, 20, 70]


def test_many_keys_and_several_columns(catalog: Catalog, name: str) -> None:
    table = headrace.Table.create(name, {"a": "long", "b": "string", "v": "long"}, catalog=catalog)
    count = 2000
    columns = {"a": [each // 10 for each in range(count)], "b": [str(each % 10) for each in range(count)]}
    table.append(pyarrow.table(columns | {"v": [0] * count}))
    half = {key: column[::2] for key, column in columns.items()}
    table.upsert(pyarrow.table(half | {"v": [1] * (count // 2)}), on=["a", "b"])
    found = check(table)
    assert found.num_rows == count
    assert sum(found["v"].to_pylist()) == count // 2


def test_a_concurrent_change_of_the_same_keys(catalog: Catalog, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = make(catalog, name)
    table.append(rows(0, 10))
    other = headrace.Table(name, catalog=catalog)
    stage = type(table).stage

    def meanwhile(self: headrace.Table, frame: object, **options: int) -> list[dict[str, object]]:
        monkeypatch.setattr(type(table), "stage", stage)
        other.delete("id = 3")
        return stage(self, frame, **options)

    monkeypatch.setattr(type(table), "stage", meanwhile)
    with pytest.raises(MetaflowTableConflict) as error:
        table.upsert(rows(3, 1, "new"), on=["id"])
    assert error.value.snapshot_id == other.snapshot.snapshot_id
    assert check(table).num_rows == 9
