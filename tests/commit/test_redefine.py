"""Tables defined anew, v1 tables partitioned otherwise, old metadata files removed, columns added by any write."""

from __future__ import annotations

from pathlib import Path

import headrace
import pyarrow
import pytest
from headrace.catalog import Catalog
from headrace.errors import InvalidArgument, MetaflowTableConflict, MetaflowTableTypeMismatch

from tests.commit.conftest import make, rows, sqlite
from tests.commit.readers import check
from tests.table.compare import rows as values


@pytest.mark.parametrize("version", ["1", "2", "3"])
def test_a_table_is_replaced_and_keeps_its_history(catalog: Catalog, name: str, version: str) -> None:
    table = make(catalog, name, partition_by="ds", **{"format-version": version, "kept": "yes"})
    first = table.append(rows(0, 5)).snapshot_id
    table.create_tag("before")
    other = {"id": "long", "name": "int", "note": "string"}
    if version == "1":  # whose void partition field stays; SeaweedFS wants its column to stay too
        other["ds"] = "string"
    made = headrace.Table.create(
        name, other, partition_by="note", sort_by="id", properties={"new": "1"}, catalog=catalog, if_exists="replace"
    )
    assert made.metadata.table_uuid == table.metadata.table_uuid
    assert made.snapshot is None
    ids = {each["name"]: each["field_id"] for each in made.schema}
    assert ids["id"] == 1
    assert ids["name"] > 3  # of another type, so not the column that it was
    assert (made.metadata.properties["kept"], made.metadata.properties["new"]) == ("yes", "1")
    assert made.partition_columns == ["note"]
    data = pyarrow.table({"id": [1], "name": pyarrow.array([7], "int32"), "note": ["x"]})
    data = data.append_column("ds", [["y"]]) if version == "1" else data
    made.append(data)
    assert values(check(made)) == values(data)
    assert values(pyarrow.table(headrace.Table(name, catalog=catalog, tag="before").load())) == values(rows(0, 5))
    assert {each.snapshot_id for each in made.metadata.snapshots} == {first, made.snapshot.snapshot_id}
    again = headrace.Table.create(name, other, partition_by="note", catalog=catalog, if_exists="replace")
    assert check(again).num_rows == 0
    assert len(again.metadata.schemas) == len(made.metadata.schemas)


def test_replace_makes_a_table_that_is_not_there(catalog: Catalog, name: str) -> None:
    table = headrace.Table.create(name, rows(0, 1), catalog=catalog, if_exists="replace")
    table.append(rows(0, 1))
    assert check(table).num_rows == 1
    with pytest.raises(InvalidArgument, match="'replace'"):
        headrace.Table.create(name, rows(0, 1), catalog=catalog, if_exists="overwrite")


def test_partitions_of_a_v1_table_keep_their_places(catalog: Catalog, name: str) -> None:
    table = make(catalog, name, partition_by="ds", **{"format-version": "1"})
    table.append(rows(0, 3))
    table.update_partitioning(["bucket(4, id)"])
    spec = table.metadata.spec
    assert [(each.name, str(each.transform), each.field_id) for each in spec.fields] == [
        ("ds", "void", 1000),
        ("id_bucket", "bucket[4]", 1001),
    ]
    table.append(rows(3, 3, "b"))
    table.update_partitioning(["ds", "bucket(4, id)"])
    names = [(each.name, str(each.transform)) for each in table.metadata.spec.fields]
    assert names == [("ds_1000", "void"), ("id_bucket", "bucket[4]"), ("ds", "identity")]
    table.append(rows(6, 3, "c"))
    specs = dict(table.metadata.specs)
    table.update_partitioning(["bucket(4, id)", "ds"])  # in another order: they keep their places
    assert table.metadata.specs == specs
    table.update_partitioning(None)
    assert table.metadata.spec.is_unpartitioned
    table.append(rows(9, 3, "d"))
    expected = [rows(0, 3), rows(3, 3, "b"), rows(6, 3, "c"), rows(9, 3, "d")]
    assert values(check(table)) == values(pyarrow.concat_tables(expected))
    assert table.scan("ds = 'c'").load().num_rows == 3


def test_old_metadata_files_go(tmp_path: Path, name: str) -> None:
    keep = {"write.metadata.previous-versions-max": "2"}
    table = make(sqlite(tmp_path), name, **keep)
    folder = Path(table.metadata.location.removeprefix("file://")) / "metadata"

    def files() -> set[str]:
        return {each.name for each in folder.glob("*.metadata.json")}

    for first in range(3):
        table.append(rows(first, 1))
    assert len(files()) == 4
    assert len(table.metadata.raw["metadata-log"]) == 2
    table.set_properties({"write.metadata.delete-after-commit.enabled": "true"})
    before = files()
    table.append(rows(3, 1))
    assert len(before - files()) == 1
    table.append(rows(4, 1))
    log = [each["metadata-file"].rpartition("/")[2] for each in table.metadata.raw["metadata-log"]]
    assert len(log) == 2
    assert set(log) < files()
    assert check(table).num_rows == 5


def test_every_write_may_add_columns(catalog: Catalog, name: str) -> None:
    table = make(catalog, name, partition_by="ds")
    table.append(rows(0, 3))

    def wider(first: int, column: str) -> pyarrow.Table:
        return rows(first, 1).append_column(column, pyarrow.array([first]))

    with pytest.raises(MetaflowTableTypeMismatch, match="extra"):
        table.overwrite(wider(0, "extra"), "id = 0")
    table.overwrite(wider(0, "by_overwrite"), "id = 0", evolve=True)
    table.upsert(wider(1, "by_upsert"), ["id"], evolve=True)
    table.commit(table.stage(wider(7, "by_stage"), evolve=True))
    found = sorted(check(table).to_pylist(), key=lambda row: row["id"])
    assert [each["id"] for each in found] == [0, 1, 2, 7]
    assert [each["by_overwrite"] for each in found] == [0, None, None, None]
    assert [each["by_upsert"] for each in found] == [None, 1, None, None]
    assert [each["by_stage"] for each in found] == [None, None, None, 7]
    table.overwrite_partitions(wider(9, "by_partitions"), evolve=True)
    assert check(table).column_names[3:] == ["by_overwrite", "by_upsert", "by_stage", "by_partitions"]
    assert check(table).num_rows == 1


def test_adding_columns_hides_no_conflict(catalog: Catalog, name: str) -> None:
    table = make(catalog, name, partition_by="ds")
    table.append(rows(0, 3))
    late = [headrace.Table(name, catalog=catalog) for _ in range(2)]
    other = table.append(rows(3, 3))
    wider = rows(9, 1).append_column("extra", pyarrow.array([1]))
    with pytest.raises(MetaflowTableConflict, match=str(other.snapshot_id)):
        late[0].overwrite(wider, "ds = 'a'", evolve=True)
    with pytest.raises(MetaflowTableConflict, match=str(other.snapshot_id)):
        late[1].overwrite_partitions(wider, evolve=True)
    assert check(table).num_rows == 6


def test_upsert_touches_only_files_with_a_key(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    for first in range(0, 50, 10):
        table.append(rows(first, 10))
    before = set(table.scan().files.locations())
    new = pyarrow.concat_tables([rows(12, 1, "new"), rows(45, 7, "new")])
    table.upsert(new, ["id"])
    after = set(table.refresh().scan().files.locations())
    assert len(before & after) == 3
    kept = [rows(0, 12), rows(13, 32), new]
    assert values(check(table)) == values(pyarrow.concat_tables(kept))
