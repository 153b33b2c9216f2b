"""Tables that headrace writes, by every operation, in every format version: Spark reads the same rows after each.

Then Spark changes them, by its own inserts and copy-on-write rewrites, and headrace reads that, and writes on.
"""

from __future__ import annotations

import headrace
import pyarrow
import pytest

from tests.interop.sides import Sides
from tests.table.compare import rows

VERSIONS = pytest.mark.parametrize("version", [1, 2, 3])
SCHEMA = pyarrow.schema(
    [
        pyarrow.field("id", pyarrow.int64()),
        pyarrow.field("ds", pyarrow.string()),
        pyarrow.field("price", pyarrow.decimal128(9, 2)),
        pyarrow.field("at", pyarrow.timestamp("us", "UTC")),
        pyarrow.field("tags", pyarrow.list_(pyarrow.string())),
    ]
)


def some(first: int, count: int, ds: str) -> pyarrow.Table:
    """Rows with the ids ``first`` on, every seventh with nulls."""
    found = [
        {"id": each, "ds": ds, "price": None, "at": None, "tags": None}
        if each % 7 == 0
        else {"id": each, "ds": ds, "price": f"{each}.25", "at": each * 3_600_000_000, "tags": [f"t{each}", None]}
        for each in range(first, first + count)
    ]
    columns = {name: [row[name] for row in found] for name in SCHEMA.names}
    price = pyarrow.array(columns["price"], pyarrow.string()).cast(pyarrow.decimal128(9, 2))
    at = pyarrow.array(columns["at"], pyarrow.int64()).cast(SCHEMA.field("at").type)
    return pyarrow.table([columns["id"], columns["ds"], price, at, columns["tags"]], schema=SCHEMA)


def made(sides: Sides, version: int) -> headrace.Table:
    """A partitioned and sorted table with two partitions' rows."""
    table = headrace.Table.create(
        sides.name(),
        SCHEMA,
        partition_by=["ds", "bucket(2, id)"],
        sort_by=["at desc nulls last", "id"],
        properties={"format-version": str(version), "write.metadata.delete-after-commit.enabled": "true"},
        catalog=sides.catalog,
    )
    table.append(pyarrow.concat_tables([some(0, 30, "a"), some(30, 30, "b")]))
    return table


def name_of(table: headrace.Table) -> str:
    return f"{table.db}.{table.table_name}"


def ids(data: pyarrow.Table) -> list[int]:
    return sorted(data["id"].to_pylist())


@VERSIONS
def test_every_write_is_read_by_spark(sides: Sides, version: int) -> None:
    table = made(sides, version)
    name = name_of(table)
    assert rows(sides.check(name)) == rows(pyarrow.concat_tables([some(0, 30, "a"), some(30, 30, "b")]))

    table.append(some(60, 10, "c"))
    assert ids(sides.check(name)) == list(range(70))
    table.delete("ds = 'a' or id = 31")  # whole files, and one that is rewritten
    assert ids(sides.check(name)) == [30, *range(32, 70)]
    table.overwrite(some(100, 3, "b"), "ds = 'b' and id < 40")
    assert ids(sides.check(name)) == [*range(40, 70), 100, 101, 102]
    table.overwrite_partitions(pyarrow.concat_tables([some(200, 6, "c"), some(206, 2, "d")]))
    assert ids(sides.check(name)) == [*range(40, 60), 100, 101, 102, *range(200, 208)]
    table.upsert(some(50, 60, "b"), on=["id"])
    assert ids(sides.check(name)) == [*range(40, 110), *range(200, 208)]
    table.overwrite(some(0, 5, "e"))
    assert ids(sides.check(name)) == list(range(5))
    assert sides.by_spark(name, "operation", of="snapshots").num_rows == 7
    for each in table.refresh().metadata.snapshots:
        sides.check(name, snapshot_id=each.snapshot_id)


@VERSIONS
def test_spark_rewrites_what_we_wrote_and_we_go_on(sides: Sides, version: int) -> None:
    name = name_of(made(sides, version))

    sides.sql("insert into {t} select id + 1000, 'z', price, at, tags from {t} where ds = 'a'", name)
    assert ids(sides.check(name)) == [*range(60), *range(1000, 1030)]
    sides.sql("update {t} set price = 1.00, tags = array('new') where id % 10 = 3", name)
    changed = [each["id"] for each in sides.check(name).to_pylist() if each["tags"] == ["new"]]
    assert {each % 10 for each in changed} == {3}
    sides.sql("delete from {t} where id between 20 and 40", name)
    sides.sql("delete from {t} where ds = 'z'", name)  # whole files: metadata only
    assert ids(sides.check(name)) == [*range(20), *range(41, 60)]
    sides.sql(
        "merge into {t} using (select explode(sequence(50, 64)) as k) s on {t}.id = s.k "
        "when matched and s.k % 2 = 0 then delete when matched then update set price = 9.99 "
        "when not matched then insert (id, ds, price, at, tags) values (s.k, 'm', null, null, null)",
        name,
    )
    assert ids(sides.check(name)) == [*range(20), *range(41, 50), *range(51, 60, 2), *range(60, 65)]
    sides.sql("insert overwrite {t} select id, 'm', price, at, tags from {t} where id = 7", name)

    table = sides.ours(name)
    before = ids(pyarrow.table(table.load()))
    table.append(some(500, 5, "m"))
    table.delete("id = 7")
    table.upsert(some(0, 3, "a"), on=["id"])
    assert set(before) - {7} | {0, 1, 2, *range(500, 505)} == set(ids(sides.check(name)))


@VERSIONS
def test_schemas_of_ours_evolve(sides: Sides, version: int) -> None:
    name = sides.name()
    types = {
        "a": "int",
        "b": "float",
        "c": "decimal(5, 2)",
        "s": "struct<x: int, y: string>",
        "l": "list<struct<k: int, u: int>>",
    }
    types["m"] = "map<string, struct<v: int>>"
    table = headrace.Table.create(name, types, properties={"format-version": str(version)}, catalog=sides.catalog)
    first = {
        "a": 1,
        "b": 0.5,
        "c": "1.25",
        "s": {"x": 1, "y": "y"},
        "l": [{"k": 1, "u": 1}, None],
        "m": [("k", {"v": 1})],
    }
    table.append(like(table, [first, dict.fromkeys(first)]))
    with table.update_schema() as change:
        change.promote("a", "long").promote("b", "double").promote("c", "decimal(12, 2)").promote("s.x", "long")
        change.add("s.z", "date").add("l.element.w", "string").add("m.value.q", "double").add("added", "timestamp")
        change.rename("s.y", "why").rename("b", "ratio").move("c", first=True).move("s.z", first=True)
    second = {"a": 2**40, "ratio": 0.1, "c": "12345678.25", "s": {"z": 3, "x": 2**40, "why": "w"}}
    second |= {"l": [{"k": 2, "u": 2, "w": "w"}], "m": [("k", {"v": 2, "q": 0.25})], "added": 5}
    table.append(like(table, [second]))
    assert sides.check(name).num_rows == 3
    # What is left of each struct has a field that old files have: Spark reads a list of structs as null where all the
    # fields that it asks for were added later.
    with table.update_schema() as change:
        change.drop("s.x").drop("ratio").drop("l.element.u")
        change.add("ratio", "string").add("s.x", "boolean")
    third = {
        "a": 3,
        "c": "1.00",
        "s": {"z": 1, "why": None, "x": True},
        "l": [{"k": 3, "w": None}],
        "m": [],
        "ratio": "r",
    }
    table.append(like(table, [third]))
    assert sides.check(name).num_rows == 4
    for each in table.refresh().metadata.snapshots:
        sides.check(name, snapshot_id=each.snapshot_id)


def like(table: headrace.Table, found: list[dict[str, object]]) -> pyarrow.Table:
    """Rows in the types of a table; decimals given as text, times as numbers."""
    schema = pyarrow.table(table.scan(limit=0).load()).schema
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in found]
        if pyarrow.types.is_decimal(field.type):
            columns.append(pyarrow.array(values, pyarrow.string()).cast(field.type))
        elif pyarrow.types.is_temporal(field.type):
            columns.append(pyarrow.array(values, pyarrow.int64()).cast(field.type))
        else:
            columns.append(pyarrow.array(values, field.type))
    return pyarrow.table(columns, schema=schema)


@pytest.mark.parametrize("version", [2, 3])  # of a v1 table they are not changed
def test_partitions_of_ours_evolve(sides: Sides, version: int) -> None:
    table = made(sides, version)
    name = name_of(table)
    table.update_partitioning(["month(at)", "truncate(10, id)"])
    table.append(some(60, 20, "a"))
    table.update_partitioning(None)
    table.append(some(80, 5, "b"))
    table.update_partitioning("ds")
    table.overwrite_partitions(some(90, 5, "b"))
    assert ids(sides.check(name)) == ids(pyarrow.table(sides.ours(name).load()))
    table.delete("ds = 'b'")
    assert set(sides.check(name)["ds"].to_pylist()) == {"a"}
    sides.sql("delete from {t} where id in (61, 62)", name)
    sides.check(name)


@VERSIONS
def test_branches_and_tags_of_ours(sides: Sides, version: int) -> None:
    table = made(sides, version)
    name = name_of(table)
    table.create_tag("then")
    table.append(some(60, 5, "c"), branch="audit")
    sides.ours(name, branch="audit").delete("id < 10")
    table.append(some(70, 5, "d"))
    assert ids(sides.check(name)) == [*range(60), *range(70, 75)]
    assert ids(sides.check(name, branch="audit")) == [*range(10, 60), *range(60, 65)]
    assert ids(sides.check(name, tag="then")) == list(range(60))
    sides.sql(
        "insert into {t}.branch_audit select id + 100, ds, price, at, tags from {t}.branch_audit where id < 12", name
    )
    assert {110, 111} <= set(ids(sides.check(name, branch="audit")))
    with sides.ours(name).audit("checked") as inside:
        inside.append(some(80, 2, "e"))
    assert {80, 81} <= set(ids(sides.check(name)))
    first = sides.ours(name).metadata.snapshots[0].snapshot_id
    sides.ours(name).rollback(first)
    assert ids(sides.check(name)) == list(range(60))


@VERSIONS
def test_spark_maintains_what_we_wrote(sides: Sides, version: int) -> None:
    table = made(sides, version)
    name = name_of(table)
    for each in range(6):
        table.append(some(100 + each, 1, "a"))
    expected = rows(sides.check(name))
    for call in (
        "rewrite_data_files(table => '{n}', options => map('rewrite-all', 'true'))",
        "rewrite_manifests(table => '{n}', use_caching => false)",
        "expire_snapshots(table => '{n}', older_than => timestamp '2100-01-01 00:00:00', retain_last => 1)",
    ):
        sides.sql(f"call rest.system.{call.format(n=name)}")
        assert rows(sides.check(name)) == expected
    sides.ours(name).append(some(900, 1, "a"))
    assert sides.check(name).num_rows == len(expected) + 1


@VERSIONS
def test_metadata_tables_of_ours(sides: Sides, version: int) -> None:
    table = made(sides, version)
    name = name_of(table)
    table.delete("id < 5")
    table = sides.ours(name)
    assert sides.by_spark(name, "snapshot_id", of="snapshots").num_rows == len(table.metadata.snapshots)
    files = sides.by_spark(name, "file_path, record_count, file_size_in_bytes, sort_order_id, spec_id", of="files")
    assert sorted(files["file_path"].to_pylist()) == sorted(table.scan().files.locations())
    assert sum(files["record_count"].to_pylist()) == 55
    for each in files.to_pylist():
        assert len(sides.warehouse.server.s3.get(each["file_path"])) == each["file_size_in_bytes"]
    metrics = sides.by_spark(name, "readable_metrics.id as m", of="files")["m"].to_pylist()
    assert min(each["lower_bound"] for each in metrics) == 5
    assert max(each["upper_bound"] for each in metrics) == 59
    assert sum(each["value_count"] for each in metrics) == 55
    prices = sides.by_spark(name, "readable_metrics.price as m", of="files")["m"].to_pylist()
    data = pyarrow.table(table.load())
    assert sum(each["null_value_count"] for each in prices) == data["price"].null_count
    for each in ("manifests", "entries", "history", "refs", "partitions", "all_data_files", "metadata_log_entries"):
        assert sides.by_spark(name, of=each).num_rows > 0
    assert sides.by_spark(name, "sum(record_count) as n", of="partitions")["n"].to_pylist() == [55]
