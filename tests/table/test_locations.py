"""Tables without a catalog: metadata files and folders, local and on S3, hints, copies, PyIceberg's own objects."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import headrace
import pyarrow
import pytest
from headrace.errors import LocationRefused, MetaflowTableInvalidData, MetaflowTableNotFound, UnsupportedError
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table as PyIcebergTable

from tests.table.compare import rows
from tests.table.handmade import HandMade
from tests.table.warehouse import Warehouse

DATA = pyarrow.table({"id": [1, 2, 3], "name": ["a", "b", None]})


@pytest.fixture
def local(tmp_path: Path) -> Iterator[PyIcebergTable]:
    """A table of PyIceberg's in a local folder, of two snapshots."""
    folder = tmp_path / "ware house"
    folder.mkdir()
    catalog = SqlCatalog("local", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{folder}")
    catalog.create_namespace("db")
    table = catalog.create_table("db.t", schema=DATA.schema)
    table.append(DATA)
    table.append(DATA.slice(0, 1))
    yield table
    catalog.close()


def folder_of(table: PyIcebergTable) -> Path:
    return Path(table.location().removeprefix("file://"))


def test_metadata_file_and_folder_on_s3(warehouse: Warehouse) -> None:
    table = warehouse.written(DATA)
    for location in (table.metadata_location, table.location(), table.location() + "/"):
        ours = headrace.Table.at(location, properties=warehouse.storage())
        assert rows(ours.load()) == rows(DATA)
    assert rows(headrace.Table.at(table.location(), properties=warehouse.storage()).load("id = 2")) == [(2, "b")]


def test_metadata_file_and_folder_as_path_and_as_uri(workdir: Path, local: PyIcebergTable) -> None:
    expected = rows(local.scan().to_arrow())
    file = local.metadata_location
    folder = folder_of(local)
    for location in (
        file,
        file.removeprefix("file://"),
        str(folder),
        f"{folder}/",
        folder,
        f"file:{folder}",
        f"{folder}/metadata",
    ):
        assert rows(headrace.Table.at(location).load()) == expected, location


def test_a_relative_path(workdir: Path, local: PyIcebergTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder_of(local).parent)
    assert headrace.Table.at(folder_of(local).name).load().num_rows == 4


def test_older_metadata_gives_the_older_table(workdir: Path, local: PyIcebergTable) -> None:
    before = local.metadata.metadata_log[-1].metadata_file
    assert rows(headrace.Table.at(before).load()) == rows(DATA)
    first = local.metadata.snapshots[0].snapshot_id
    assert rows(headrace.Table.at(local.metadata_location, snapshot_id=first).load()) == rows(DATA)


def test_a_version_hint_wins_over_names(workdir: Path, local: PyIcebergTable) -> None:
    metadata = folder_of(local) / "metadata"
    shutil.copy(local.metadata.metadata_log[-1].metadata_file.removeprefix("file://"), metadata / "v7.metadata.json")
    (metadata / "version-hint.text").write_text("7\n")
    assert headrace.Table.at(str(folder_of(local))).load().num_rows == 3
    (metadata / "version-hint.text").write_text("no version")
    with pytest.raises(MetaflowTableInvalidData, match="version hint"):
        headrace.Table.at(str(folder_of(local)))


def test_a_table_that_was_copied_is_read_through_a_location_map(
    workdir: Path, local: PyIcebergTable, tmp_path: Path
) -> None:
    expected = rows(local.scan().to_arrow())
    moved = tmp_path / "elsewhere" / "copy"
    shutil.copytree(folder_of(local), moved)
    shutil.rmtree(folder_of(local))
    mapping = {"location-map": f"{local.location()}=file://{moved}"}

    ours = headrace.Table.at(str(moved), properties=mapping)

    assert rows(ours.load()) == expected
    assert rows(ours.load("id = 3")) == [(3, None)]
    with pytest.raises((LocationRefused, headrace.errors.ObjectNotFound)):
        headrace.Table.at(str(moved)).load()


def test_a_table_that_was_copied_to_s3(workdir: Path, warehouse: Warehouse, local: PyIcebergTable) -> None:
    target = f"s3://{warehouse.server.bucket}/copies/t"
    for file in folder_of(local).rglob("*.*"):
        warehouse.server.s3.put_file(f"{target}/{file.relative_to(folder_of(local))}", file)

    ours = headrace.Table.at(target, properties=warehouse.storage(**{"location-map": f"{local.location()}={target}"}))

    assert rows(ours.load()) == rows(local.scan().to_arrow())


def test_a_moved_table_in_a_catalog_is_read_with_its_row_deletes_and_not_written(tmp_path: Path) -> None:
    """Metadata, lists, manifests, data and delete files are found at their new place; nothing is at the old one."""
    made = HandMade(tmp_path / "old", {"id": "long"})
    [location] = made.append({"id": [1, 2, 3, 4]})
    made.commit(made.delete_positions([(location, 0)]))
    made.commit(made.delete_values(pyarrow.table({"id": [3]}), {"id": 1}))
    expected = made.rows()
    (tmp_path / "old" / "warehouse").rename(tmp_path / "new")
    mapping = f"file://{tmp_path}/old/warehouse=file://{tmp_path}/new"
    where = {"uri": f"sqlite:///{tmp_path}/old/catalog.db", "warehouse": f"file://{tmp_path}/old/warehouse"}
    catalog = headrace.load_catalog("local", type="sql", **where, **{"location-map": mapping})

    table = headrace.Table("db.t", catalog=catalog)

    assert pyarrow.table(table.load()).to_pylist() == expected == [{"id": 2}, {"id": 4}]
    for write in (
        lambda: table.append(pyarrow.table({"id": [5]})),
        lambda: table.delete("id = 2"),
        lambda: table.expire_snapshots(retain_last=1),
        lambda: table.set_properties({"a": "b"}),
        lambda: table.stage(pyarrow.table({"id": [5]})),
    ):
        with pytest.raises(UnsupportedError, match="location-map"):
            write()
    unmoved = headrace.load_catalog("local", type="sql", **where, **{"location-map": "s3://a/b=/c"})
    with pytest.raises(MetaflowTableNotFound):
        headrace.Table("db.t", catalog=unmoved)


def test_a_map_that_moves_other_tables_leaves_writes_alone(tmp_path: Path) -> None:
    where = {"uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"file://{tmp_path}/warehouse"}
    mapping = f"file://{tmp_path}/ware=file://{tmp_path}/x,s3a://old/w={tmp_path}/y"
    catalog = headrace.load_catalog("some", type="sql", **where, **{"location-map": mapping})
    catalog.create_namespace("db")
    table = headrace.Table.create("db.t", {"id": "long"}, catalog=catalog)
    table.append(pyarrow.table({"id": [5]}))
    assert table.load().num_rows == 1


def test_from_pyiceberg(warehouse: Warehouse, local: PyIcebergTable) -> None:
    table = warehouse.written(DATA)
    assert rows(headrace.Table.from_pyiceberg(table).load("id > 1")) == rows(DATA.slice(1))
    assert rows(headrace.Table.from_pyiceberg(local).load()) == rows(local.scan().to_arrow())


def test_no_table_there_says_what_to_give(workdir: Path, warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for location in (
        str(tmp_path / "empty"),
        str(tmp_path / "nowhere"),
        str(tmp_path / "nowhere" / "v1.metadata.json"),
    ):
        with pytest.raises(MetaflowTableNotFound) as caught:
            headrace.Table.at(location)
        assert location in str(caught.value)
    with pytest.raises(MetaflowTableNotFound, match="s3://data/nothing"):
        headrace.Table.at("s3://data/nothing", properties=warehouse.storage())
