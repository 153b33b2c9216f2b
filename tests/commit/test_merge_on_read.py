"""Merge-on-read: deletes and upserts that leave files where they are, as PyIceberg, DuckDB and headrace read them."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import headrace
import pyarrow
import pytest
from headrace.catalog import Catalog
from headrace.errors import InvalidArgument, MetaflowTableConflict

from tests import soak
from tests.commit import readers
from tests.commit.conftest import make, rows, sqlite
from tests.commit.lossy import FAULTS, LossyProxy
from tests.commit.reachable import stray
from tests.commit.readers import check
from tests.commit.test_compact import lineage
from tests.commit.test_interrupted import eventually, interrupted
from tests.commit.test_interrupted import through as slowly
from tests.commit.test_replace import files_of
from tests.commit.test_unknown import through
from tests.commit.test_writers import Tally, crash
from tests.table.compare import rows as values
from tests.table.warehouse import Warehouse
from tests.writing.proxy import Fault, Proxy, Stall

MODES = {f"write.{each}.mode": "merge-on-read" for each in ("delete", "update", "merge")}


@dataclass
class Place:
    """A catalog, and how a table there is made that takes row deletes."""

    catalog: Catalog
    version: str
    name: str
    data: str | None

    def make(self, partition_by: str | None = None, **properties: str) -> headrace.Table:
        # The table bucket takes no Puffin files
        data = {"write.data.path": self.data} if self.data else {}
        chosen = {"format-version": self.version, **MODES, **data, **properties}
        return make(self.catalog, self.name, partition_by, **chosen)

    def another(self) -> headrace.Table:
        return headrace.Table(self.name, catalog=self.catalog)


@pytest.fixture(params=["sqlite-2", "sqlite-3", "rest-2", "rest-3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> Iterator[Place]:
    kind, version = request.param.split("-")
    if kind == "rest":
        warehouse: Warehouse = request.getfixturevalue("warehouse")
        readers.server = warehouse.server
        yield Place(warehouse.ours, version, name, f"s3://data/{name}")
    else:
        yield Place(sqlite(tmp_path / "sqlite"), version, name, None)


def summary(table: headrace.Table) -> dict[str, str]:
    return dict(table.refresh().snapshot.summary)


def ids(table: headrace.Table) -> list[int]:
    return sorted(check(table)["id"].to_pylist())


def delete_files(table: headrace.Table) -> int:
    return int(table.refresh().scan().report.get("deletes", {}).get("files", 0))


def test_files_stay_and_rows_go(place: Place) -> None:
    table = place.make()
    for first in (0, 10, 20):
        table.append(rows(first, 10))
    before = files_of(table)
    done = table.delete("id = 3 or id = 7 or id >= 18")
    assert done.snapshot_id == table.snapshot.snapshot_id
    assert ids(table) == [each for each in range(18) if each not in (3, 7)]
    found = summary(table)
    assert files_of(table) < before  # of which every row was selected goes unread
    assert (found["operation"], found["deleted-data-files"], found["total-data-files"]) == ("delete", "1", "2")
    assert "added-data-files" not in found
    kind = "added-dvs" if place.version == "3" else "added-position-delete-files"
    assert (found["added-delete-files"], found[kind], found["total-delete-files"]) == ("2", "2", "2")
    assert (found["added-position-deletes"], found["total-position-deletes"]) == ("4", "4")


def test_later_deletes_join_earlier_ones(place: Place) -> None:
    table = place.make()
    table.append(rows(0, 10))
    table.append(rows(10, 10))
    for gone in (1, 2, 15):
        table.delete(f"id = {gone}")
    table.delete("id = 4 or id = 11")
    assert ids(table) == [each for each in range(20) if each not in (1, 2, 15, 4, 11)]
    found = summary(table)
    assert found["total-position-deletes"] == "5"
    if place.version == "3":
        assert delete_files(table) == 2
        assert (found["total-delete-files"], found["removed-dvs"], found["added-dvs"]) == ("2", "2", "2")
        assert (found["added-position-deletes"], found["removed-position-deletes"]) == ("5", "3")
    else:
        assert found["total-delete-files"] == "5"  # one for each data file of each change
    # What is gone already is not deleted again
    assert table.delete("id = 4").snapshot_id is None
    table.delete("id < 100")
    assert ids(table) == []
    if place.version == "3":
        assert summary(table)["total-delete-files"] == "0"


@pytest.mark.parametrize("granularity", ["partition", "file"])
def test_vectors_take_older_positions_along(tmp_path: Path, name: str, granularity: str) -> None:
    place = Place(sqlite(tmp_path / "sqlite"), "2", name, None)
    table = place.make(**{"write.delete.granularity": granularity})
    for first in (0, 10):
        table.append(rows(first, 10))
    table.delete("id = 3 or id = 12")
    table.upgrade(3)
    table.delete("id = 4")
    assert ids(table) == [each for each in range(20) if each not in (3, 4, 12)]
    assert summary(table)["added-position-deletes"] == "2"  # the older one too: a vector is alone
    table.delete("id = 13 or id = 5")
    assert ids(table) == [each for each in range(20) if each not in (3, 4, 5, 12, 13)]


def test_rows_are_replaced_by_key(place: Place) -> None:
    table = place.make()
    for first in (0, 10):
        table.append(rows(first, 10))
    before = files_of(table)
    table.upsert(rows(5, 1, "new"), on=["id"])
    new = pyarrow.concat_tables([rows(5, 1, "newer"), rows(99, 1, "new")])
    table.upsert(new, on=["id"])
    assert before < files_of(table)
    expected = [rows(0, 5), rows(5, 1, "newer"), rows(6, 14), rows(99, 1, "new")]
    assert values(check(table)) == values(pyarrow.concat_tables(expected))
    found = summary(table)
    assert (found["operation"], found["added-data-files"]) == ("overwrite", "1")
    assert found["added-position-deletes"] == "1"


def test_rows_are_replaced_by_filter(place: Place) -> None:
    table = place.make()
    table.append(rows(0, 10))
    before = files_of(table)
    table.overwrite(rows(50, 2, "new"), "id >= 8")
    assert before < files_of(table)
    assert values(check(table)) == values(pyarrow.concat_tables([rows(0, 8), rows(50, 2, "new")]))
    assert summary(table)["operation"] == "overwrite"


@pytest.mark.parametrize("granularity", ["partition", "file"])
def test_partitions_and_specs(place: Place, granularity: str) -> None:
    table = place.make(partition_by="ds", **{"write.delete.granularity": granularity})
    for first in (0, 10):
        table.append(pyarrow.concat_tables([rows(first, 5, "a"), rows(first + 5, 5, "b/ü")]))
    table.update_partitioning(None)
    table.append(rows(20, 5, "c"))
    table.delete("id = 1 or id = 6 or id = 11 or id = 16 or id = 21")
    assert ids(table) == [each for each in range(25) if each % 10 not in (1, 6)]
    expected = 5 if place.version == "3" or granularity == "file" else 3
    assert summary(table)["added-delete-files"] == str(expected)
    assert delete_files(table) == expected
    assert len(table.scan("ds = 'a'").files) == 2
    assert sorted(pyarrow.table(table.load("ds = 'a'"))["id"].to_pylist()) == [0, 2, 3, 4, 10, 12, 13, 14]


def test_many_rows_and_row_groups(place: Place) -> None:
    table = place.make(**{"write.parquet.row-group-limit": "1000"})
    table.append(rows(0, 20_000))
    table.delete("id >= 100 and id < 15000")
    table.delete("id = 19999")
    assert ids(table) == [*range(100), *range(15_000, 19_999)]


def test_compaction_folds_them_in(place: Place) -> None:
    table = place.make(**{"write.delete.granularity": "file"})
    for first in (0, 10):
        table.append(rows(first, 10))
    known = lineage(table) if place.version == "3" else {}
    table.delete("id = 3 or id = 12")
    table.compact(min_input_files=2)
    expected = [each for each in range(20) if each not in (3, 12)]
    assert ids(table) == expected
    assert len(table.scan().files) == 1
    assert table.scan().report.get("deletes", {}).get("apply", 0) == 0
    if place.version == "3":
        assert lineage(table) == {each: known[each] for each in expected}
        found = summary(table)
        assert (found["total-delete-files"], found["total-position-deletes"]) == ("0", "0")


@pytest.mark.parametrize("operation", ["delete", "upsert"])
def test_copies_keep_the_lineage_of_rows(tmp_path: Path, name: str, operation: str) -> None:
    table = make(sqlite(tmp_path / "sqlite"), name, **{"format-version": "3"})
    for first in (0, 10):
        table.append(rows(first, 10))
    known = lineage(table)
    if operation == "delete":
        table.delete("id = 3")
    else:
        table.upsert(rows(3, 1, "new"), on=["id"])
    found = lineage(table)
    assert {each: found[each] for each in known if each != 3} == {each: known[each] for each in known if each != 3}
    assert len(set(found.values())) == len(found)


def test_the_default_is_to_copy(place: Place) -> None:
    table = make(place.catalog, place.name, **{"format-version": place.version})
    table.append(rows(0, 10))
    table.delete("id = 3")
    assert delete_files(table) == 0
    assert ids(table) == [0, 1, 2, *range(4, 10)]


def test_version_1_copies(tmp_path: Path, name: str) -> None:
    table = make(sqlite(tmp_path / "sqlite"), name, **{"format-version": "1", **MODES})
    table.append(rows(0, 10))
    table.delete("id = 3")
    table.upsert(rows(4, 1, "new"), on=["id"])
    expected = pyarrow.concat_tables([rows(0, 3), rows(4, 1, "new"), rows(5, 5)])
    assert values(check(table)) == values(expected)


def test_a_mode_that_nobody_knows(tmp_path: Path, name: str) -> None:
    table = make(sqlite(tmp_path / "sqlite"), name, **{"write.delete.mode": "sometimes"})
    table.append(rows(0, 10))
    with pytest.raises(InvalidArgument, match=r"write\.delete\.mode.*sometimes"):
        table.delete("id = 3")
    assert len(ids(table)) == 10


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Do something else once, after a change was made from its snapshot and before it is committed."""
    from headrace.writing import surface

    commit = surface.commit_change

    def interrupted(*values: Any) -> Any:
        monkeypatch.setattr(surface, "commit_change", commit)
        act()
        return commit(*values)

    monkeypatch.setattr(surface, "commit_change", interrupted)


def test_deletes_of_the_same_file_at_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    table = place.make()
    table.append(rows(0, 10))
    table.append(rows(10, 10))
    other = place.another()
    meanwhile(monkeypatch, lambda: other.delete("id = 4"))
    if place.version == "2":  # files of positions add up
        table.delete("id = 3")
        assert ids(table) == [each for each in range(20) if each not in (3, 4)]
        return
    with pytest.raises(MetaflowTableConflict, match="deleted rows of a file") as error:
        table.delete("id = 3")
    assert error.value.snapshot_id == other.snapshot.snapshot_id
    assert ids(table) == [each for each in range(20) if each != 4]
    assert not stray(table)
    meanwhile(monkeypatch, lambda: other.refresh().delete("id = 13"))
    table.delete("id = 3")
    assert ids(table) == [each for each in range(20) if each not in (3, 4, 13)]


def test_a_file_that_is_gone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    table = place.make(**{"write.delete.isolation-level": "snapshot"})
    for first in (0, 10):
        table.append(rows(first, 10))
    other = place.another()
    meanwhile(monkeypatch, lambda: other.compact(min_input_files=2))
    with pytest.raises(MetaflowTableConflict, match="removed files") as error:
        table.delete("id = 3")
    assert error.value.snapshot_id == other.snapshot.snapshot_id
    assert len(ids(table)) == 20
    assert not stray(table)


def test_two_that_replace_the_same_key(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for level in ("serializable", "snapshot"):
        place.name += level[:2]
        table = place.make(**{"write.merge.isolation-level": level})
        table.append(rows(0, 10))
        other = place.another()
        meanwhile(monkeypatch, lambda other=other: other.upsert(rows(3, 1, "theirs"), on=["id"]))
        with pytest.raises(MetaflowTableConflict) as error:
            table.upsert(rows(3, 1, "ours"), on=["id"])
        assert error.value.snapshot_id == other.snapshot.snapshot_id
        expected = pyarrow.concat_tables([rows(0, 3), rows(3, 1, "theirs"), rows(4, 6)])
        assert values(check(table)) == values(expected)


@pytest.mark.parametrize("level", ["serializable", "snapshot"])
def test_rows_added_meanwhile(place: Place, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = place.make(**{"write.delete.isolation-level": level})
    table.append(rows(0, 10))
    other = place.another()
    meanwhile(monkeypatch, lambda: other.append(rows(3, 1, "late")))
    if level == "serializable":
        with pytest.raises(MetaflowTableConflict, match="added rows"):
            table.delete("id = 3")
        assert len(ids(table)) == 11
        return
    table.delete("id = 3")
    assert values(check(table)) == values(pyarrow.concat_tables([rows(0, 3), rows(4, 6), rows(3, 1, "late")]))


def test_an_overwrite_never_passes_over_row_deletes(place: Place) -> None:
    """The new rows may come from rows that somebody deletes meanwhile, also of files that go as a whole."""
    table = place.make()
    table.append(rows(0, 10))
    other = place.another()
    other.delete("id = 3")
    for filter in (None, "id < 5", "id < 100"):
        with pytest.raises(MetaflowTableConflict, match="deleted rows of a file") as error:
            table.overwrite(rows(50, 1), filter)
        assert error.value.snapshot_id == other.snapshot.snapshot_id
    assert len(ids(table)) == 9
    assert not stray(table)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("version", ["2", "3"])
def test_a_lost_answer(warehouse: Warehouse, name: str, fault: str, version: str) -> None:
    place = Place(warehouse.ours, version, name, f"s3://data/{name}")
    place.make().append(rows(0, 10))
    with LossyProxy(warehouse.server.rest_uri) as proxy:
        table = headrace.Table(name, catalog=through(warehouse, proxy))
        proxy.faults = [fault]
        table.delete("id = 3")
        proxy.faults = [fault]
        table.upsert(rows(4, 1, "new"), on=["id"])
        assert proxy.faults == []
    table = place.another()
    assert len(table.metadata.snapshots) == 3
    expected = pyarrow.concat_tables([rows(0, 3), rows(4, 1, "new"), rows(5, 5)])
    assert values(check(table)) == values(expected)


@pytest.mark.parametrize("version", ["2", "3"])
@pytest.mark.parametrize("operation", ["delete", "upsert"])
def test_ctrl_c_while_row_deletes_are_written(warehouse: Warehouse, name: str, version: str, operation: str) -> None:
    place = Place(warehouse.ours, version, name, f"s3://data/{name}")
    plain = place.make(partition_by="ds")
    before = pyarrow.concat_tables([rows(0, 5, "a"), rows(5, 5, "b")])
    plain.append(before)
    waiting = threading.Event()
    seen: list[str] = []

    def rule(method: str, path: str) -> Fault | None:
        if method != "PUT" or "-deletes" not in path:
            return None
        seen.append(path)
        if version == "2" and len(seen) == 1:
            return None  # the first of two files is there
        waiting.set()
        return Stall()

    with Proxy(warehouse.server.endpoint) as store:
        store.rule = rule
        slow = slowly(warehouse, **{"s3.endpoint": store.endpoint})
        table = headrace.Table(name, catalog=slow)
        if operation == "delete":
            interrupted(lambda: table.delete("id = 3 or id = 7"), waiting)
        else:
            interrupted(lambda: table.upsert(pyarrow.concat_tables([rows(3, 1), rows(7, 1)]), on=["id"]), waiting)
        store.rule = lambda method, path: None
        assert eventually(lambda: stray(plain) == set()), stray(plain)
        assert values(check(plain)) == values(before)
        table.delete("id = 3")  # the same handle goes on
    assert check(plain).num_rows == 9


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_writers_killed_at_any_moment(warehouse: Warehouse, name: str, tmp_path: Path) -> None:
    """Files hold rows of one operation: without bounds of `op` no file is known to go as a whole."""
    for number, seed in enumerate(soak.seeds(otherwise_s=0)):
        for kind, catalog in (("rest", warehouse.ours), ("sqlite", sqlite(tmp_path / f"catalog{number}"))):
            folder, tally = tmp_path / f"{kind}{number}", Tally()
            folder.mkdir()
            place = {"write.data.path": f"s3://data/{name}x{number}"} if kind == "rest" else {}
            properties = {"format-version": "3", **MODES, **place, "write.metadata.metrics.column.op": "none"}
            table = crash(catalog, f"{name}x{number}", folder, random.Random(seed), tally, **properties)
            assert int(summary(table)["total-position-deletes"]) > 0
            print(f"{kind}: {tally}", flush=True)
