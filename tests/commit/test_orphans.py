"""Orphans: what nothing of a table reaches is listed and removed, and nothing else is."""

from __future__ import annotations

from datetime import timedelta

import headrace
import pyarrow
import pytest
from headrace.catalog import Catalog
from headrace.errors import InvalidArgument, LocationRefused, UnsupportedError

from tests.commit.conftest import make, rows, sqlite
from tests.commit.readers import check
from tests.table.compare import rows as values

NOW = timedelta(0)


def objects(table: headrace.Table) -> set[str]:
    return {location for location, _ in table._access.store().list(table.metadata.location)}


def locations(frame: headrace.MetaflowDataFrame) -> set[str]:
    return set(pyarrow.table(frame)["location"].to_pylist())


def test_orphans_are_found_and_removed(catalog: Catalog, name: str) -> None:
    table = make(catalog, name, partition_by="ds")
    table.append(rows(0, 5, "a b%20"))
    table.append(rows(5, 5, "c"), branch="audit")
    table.create_tag("first")
    table.overwrite_partitions(rows(20, 1, "a b%20"))
    before = objects(table)
    lost = {each["path"] for each in table.stage(rows(10, 5, "lost"))}
    waiting = table.stage(rows(15, 5, "waiting"))
    assert len(table.orphan_files()) == 0  # all of it is younger than three days
    assert locations(table.orphan_files(NOW, staged=waiting, force=True)) == lost
    assert locations(table.orphan_files(NOW, staged=[waiting], force=True)) == lost
    listed = pyarrow.table(table.orphan_files(NOW, staged=waiting, force=True))
    assert listed.schema.names == ["location", "size", "modified"]
    assert listed["size"].to_pylist()[0] > 0
    table.remove_orphan_files(NOW, staged=waiting, force=True, dry_run=True)
    assert lost < objects(table)
    assert locations(table.remove_orphan_files(NOW, staged=waiting, force=True)) == lost
    assert objects(table) == before | {each["path"] for each in waiting}
    table.commit(waiting)
    assert values(check(table)) == values(pyarrow.concat_tables([rows(20, 1, "a b%20"), rows(15, 5, "waiting")]))
    assert len(table.orphan_files(NOW, force=True)) == 0
    assert headrace.Table(name, catalog=catalog, branch="audit").load().num_rows == 10
    assert headrace.Table(name, catalog=catalog, tag="first").load().num_rows == 5


def test_what_a_refused_commit_left(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    table.append(rows(0, 5))
    store, location = table._access.store(), table.metadata.location
    lost = {f"{location}/metadata/11-{kind}.avro" for kind in ("m0", "snap")} | {f"{location}/data/x/12.parquet"}
    for each in lost:
        store.put(each, b"nothing")
    assert locations(table.remove_orphan_files(NOW, force=True)) == lost
    assert values(check(table)) == values(rows(0, 5))


def test_a_short_limit_must_be_forced(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    with pytest.raises(InvalidArgument, match="shorter than 1 day"):
        table.remove_orphan_files(timedelta(hours=23))
    with pytest.raises(InvalidArgument, match="timedelta"):
        table.orphan_files(7)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="not a value that stage"):
        table.orphan_files(staged=["x"])
    with pytest.raises(LocationRefused):
        table.orphan_files(locations=[f"{table.metadata.location}/../other"])
    table.set_properties({"gc.enabled": "false"})
    with pytest.raises(UnsupportedError, match=r"gc\.enabled"):
        table.remove_orphan_files()


def test_another_table_below_this_one(tmp_path, name: str) -> None:  # type: ignore[no-untyped-def]
    catalog = sqlite(tmp_path)
    outer = headrace.Table.create(name, {"id": "long"}, catalog=catalog, location=f"file://{tmp_path}/outer")
    inner = headrace.Table.create(f"{name}i", {"id": "long"}, catalog=catalog, location=f"file://{tmp_path}/outer/in")
    inner.append(pyarrow.table({"id": [1]}))
    with pytest.raises(UnsupportedError, match="another table"):
        outer.remove_orphan_files(NOW, force=True)
    folders = [f"file://{tmp_path}/outer/data", f"file:{tmp_path}/outer//metadata"]
    assert len(outer.remove_orphan_files(NOW, locations=folders, force=True)) == 0
    assert check(inner).num_rows == 1


def test_the_table_may_be_spelled_otherwise_than_its_files(tmp_path, name: str) -> None:  # type: ignore[no-untyped-def]
    catalog = sqlite(tmp_path)
    location = f"file://{tmp_path}/t"
    table = headrace.Table.create(name, {"id": "long"}, catalog=catalog, location=location)
    table.append(pyarrow.table({"id": [1, 2]}))
    for other in (f"file:{tmp_path}/t", f"{tmp_path}//t/", f"file://localhost{tmp_path}/t"):
        assert len(table.orphan_files(NOW, locations=[other], force=True)) == 0
