"""Tables that Spark writes, in every format version: headrace reads the same rows, types exact.

Partition evolution, nested evolution, branches and tags, promotions, filters, files in other formats. Types are in
test_types.py, row deletes in test_row_deletes.py.
"""

from __future__ import annotations

import re

import pyarrow
import pytest

from tests.interop.sides import Sides
from tests.table.compare import rows

VERSIONS = pytest.mark.parametrize("version", [1, 2, 3])
COLUMNS = "id bigint, ds string, at timestamp, price decimal(9, 2)"
ROWS = (
    "select id + {first} as id, concat('d', id % 3) as ds, "
    "timestamp_micros((id + {first}) * 40000000000) as at, cast((id + {first}) / 4 as decimal(9, 2)) as price "
    "from range(0, {count}, 1, 1)"
)
FILTERS = (
    "id = 17",
    "id < 0",
    "ds = 'd1'",
    "ds in ('d0', 'd2') and id >= 40",
    "at >= timestamp '1970-01-15 00:00:00' and at < timestamp '1970-02-02 00:00:00'",
    "price between 5 and 12.5",
    "ds is null or price is null",
    "not (ds = 'd1') and price <> 7.75",
    "ds like 'd%'",
)

OURS = {each: re.sub("timestamp '([^']*)'", r"'\1+00:00'", each) for each in FILTERS}
"""The same filters for us, who want to be told the zone."""


def inserted(sides: Sides, name: str, first: int, count: int) -> None:
    sides.sql(f"insert into {{t}} {ROWS}".replace("{first}", str(first)).replace("{count}", str(count)), name)


def check_filters(sides: Sides, name: str) -> None:
    """Our filtered loads are Spark's, whatever is pruned."""
    for each in FILTERS:
        ours = pyarrow.table(sides.ours(name).load(OURS.get(each, each), columns=["id"]))
        assert rows(ours) == rows(sides.by_spark(name, "id", each)), each


@VERSIONS
def test_appends_overwrites_and_rewrites(sides: Sides, version: int) -> None:
    name = sides.made(COLUMNS, version=version, rest="partitioned by (ds)")
    sides.check(name)  # no snapshot yet
    inserted(sides, name, 0, 60)
    sides.sql("insert into {t} values (null, null, null, null)", name)
    assert sides.check(name).num_rows == 61
    sides.sql("update {t} set price = price + 1 where id % 5 = 0; delete from {t} where ds = 'd2' and id < 30", name)
    sides.sql("insert overwrite {t} select id + 100, ds, at, price from {t} where ds = 'd0'", name)
    sides.sql("delete from {t} where ds = 'd1'", name)
    assert sides.check(name).num_rows < 61
    check_filters(sides, name)
    for each in sides.ours(name).metadata.snapshots:
        sides.check(name, snapshot_id=each.snapshot_id)


@VERSIONS
def test_partition_evolution(sides: Sides, version: int) -> None:
    name = sides.made(COLUMNS, version=version, rest="partitioned by (ds)")
    changes = (
        "alter table {t} add partition field bucket(4, id)",
        "alter table {t} drop partition field ds; alter table {t} add partition field days(at)",
        "alter table {t} replace partition field days(at) with hours(at) as by_hour",
        "alter table {t} drop partition field by_hour; alter table {t} add partition field truncate(10, id) as tens",
        "alter table {t} drop partition field tens; alter table {t} add partition field ds",
        "alter table {t} add partition field truncate(2, price); alter table {t} add partition field years(at)",
    )
    inserted(sides, name, 0, 12)
    for at, change in enumerate(changes, start=1):
        sides.sql(change, name)
        inserted(sides, name, 10 * at, 12)
        sides.check(name)
    assert len(sides.ours(name).metadata.specs) >= 6
    sides.sql("insert into {t} values (null, null, null, null)", name)
    sides.check(name)
    check_filters(sides, name)
    sides.sql("call rest.system.rewrite_manifests('{n}')".replace("{n}", name))
    sides.check(name)
    check_filters(sides, name)
    sides.ours(name).delete("ds = 'd1' and id > 20")
    sides.check(name)


@VERSIONS
def test_nested_evolution(sides: Sides, version: int) -> None:
    columns = (
        "id int, s struct<a: int, b: string, c: struct<x: float>>, l array<struct<k: int, u: int>>, "
        "m map<string, struct<v: int, w: date>>, d decimal(5, 2), f float"
    )
    name = sides.made(columns, version=version)
    sides.sql(
        "insert into {t} select 1, named_struct('a', 1, 'b', 'b', 'c', named_struct('x', float(0.5))), "
        "array(named_struct('k', 1, 'u', 2), null), map('k', named_struct('v', 1, 'w', date '2026-01-01')), 1.25, 0.1f; "
        "insert into {t} values (2, null, null, null, null, null); "
        "insert into {t} values (3, named_struct('a', null, 'b', null, 'c', null), array(), map(), -999.99, -0.0f)",
        name,
    )
    changes = (
        "alter table {t} alter column id type bigint",
        "alter table {t} alter column s.a type bigint",
        "alter table {t} alter column s.c.x type double",
        "alter table {t} alter column d type decimal(20, 2)",
        "alter table {t} alter column f type double",
        "alter table {t} add column s.z timestamp_ntz first",
        "alter table {t} add column s.c.y array<int>",
        "alter table {t} add column l.element.added string after k",
        "alter table {t} add column m.value.added decimal(3, 1)",
        "alter table {t} rename column s.b to bee",
        "alter table {t} rename column l.element.u to you",
        "alter table {t} alter column s.c first",
        "alter table {t} alter column d first",
        "alter table {t} drop column m.value.w",
        "alter table {t} drop column s.a",
        "alter table {t} add column s.a string",
        "alter table {t} add column extra map<int, array<string>>",
        "alter table {t} rename column f to ratio",
        "alter table {t} add column f string after id",
    )
    for change in changes:
        sides.sql(change, name)
        sides.check(name)
    fields = {each["name"]: each["type"] for each in sides.ours(name).schema}
    assert list(fields) == ["d", "id", "f", "s", "l", "m", "ratio", "extra"]
    sides.sql(
        "insert into {t} select 12345678901.25, 4L, 'f', null, array(named_struct('k', 9, 'added', 'new', 'you', 8)), "
        "null, 0.1d, map(1, array('a', null))",
        name,
    )
    assert sides.check(name).num_rows == 4
    for each in sides.ours(name).metadata.snapshots:
        sides.check(name, snapshot_id=each.snapshot_id)


@VERSIONS
def test_branches_tags_and_time(sides: Sides, version: int) -> None:
    name = sides.made(COLUMNS, version=version)
    inserted(sides, name, 0, 10)
    sides.sql("alter table {t} create tag first; alter table {t} create branch audit", name)
    inserted(sides, name, 10, 10)
    sides.sql("insert into {t}.branch_audit select id + 100, ds, at, price from {t}.branch_audit", name)
    sides.sql("delete from {t}.branch_audit where id = 3; alter table {t} add column late int", name)
    assert sides.check(name).num_rows == 20
    assert sides.check(name, branch="audit").num_rows == 19
    assert sides.check(name, tag="first").num_rows == 10
    metadata = sides.ours(name).metadata
    assert {each.name: each.kind for each in metadata.refs.values()} == {
        "main": "branch",
        "audit": "branch",
        "first": "tag",
    }
    sides.sql(f"call rest.system.cherrypick_snapshot('{name}', {_appended_to_audit(sides, name)})")
    assert sides.check(name).num_rows == 30
    sides.sql(f"call rest.system.rollback_to_snapshot('{name}', {metadata.snapshots[0].snapshot_id})")
    assert sides.check(name).num_rows == 10


def _appended_to_audit(sides: Sides, name: str) -> int:
    deleted = sides.ours(name, branch="audit").snapshot
    assert deleted is not None
    assert deleted.parent_snapshot_id is not None
    return deleted.parent_snapshot_id


@VERSIONS
def test_our_metadata_frames_are_sparks(sides: Sides, version: int) -> None:
    name = sides.made(COLUMNS, version=version, rest="partitioned by (ds)")
    inserted(sides, name, 0, 9)
    inserted(sides, name, 9, 9)
    sides.sql("delete from {t} where ds = 'd1'; alter table {t} create tag kept", name)
    table = sides.ours(name)

    files = pyarrow.table(table.files()).to_pylist()
    theirs = sides.by_spark(name, "file_path, record_count, file_size_in_bytes", of="files").to_pylist()
    assert len(files) == len(theirs) == 4
    ours_by_path = {_path(each): each for each in files}
    for each in theirs:
        assert each["record_count"] in ours_by_path[each["file_path"]].values()
        assert each["file_size_in_bytes"] in ours_by_path[each["file_path"]].values()
    snapshots = sides.by_spark(name, "snapshot_id, parent_id, operation", of="snapshots").to_pylist()
    ours = pyarrow.table(table.snapshots()).to_pylist()
    assert [each["snapshot_id"] for each in ours] == [each["snapshot_id"] for each in snapshots]
    assert [each["operation"] for each in ours] == [each["operation"] for each in snapshots]
    refs = sides.by_spark(name, "name, snapshot_id", of="refs").to_pylist()
    assert sorted((each["name"], each["snapshot_id"]) for each in pyarrow.table(table.refs()).to_pylist()) == sorted(
        (each["name"], each["snapshot_id"]) for each in refs
    )
    assert pyarrow.table(table.manifests()).num_rows == sides.by_spark(name, of="manifests").num_rows
    assert pyarrow.table(table.history()).num_rows == sides.by_spark(name, of="history").num_rows
    assert pyarrow.table(table.partitions()).num_rows == sides.by_spark(name, of="partitions").num_rows


def _path(file: dict[str, object]) -> object:
    return next(value for value in file.values() if isinstance(value, str) and value.startswith("s3://"))


@VERSIONS
def test_sorted_and_distributed_writes(sides: Sides, version: int) -> None:
    name = sides.made(COLUMNS, version=version, properties={"write.parquet.bloom-filter-enabled.column.id": "true"})
    sides.sql(
        "alter table {t} write distributed by partition locally ordered by ds desc nulls last, bucket(4, id)", name
    )
    inserted(sides, name, 0, 50)
    sides.check(name)
    check_filters(sides, name)
    sides.ours(name).append(pyarrow.table(sides.ours(name).load("id < 5")))
    assert sides.check(name).num_rows == 55
