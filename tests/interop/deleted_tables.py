"""Tables with row deletes of every kind, made by Spark and by Iceberg's own writers: the recipes, by name.

Each recipe takes both sides and gives a table's name; what its rows are, Spark says. Position deletes (v2), deletion
vectors (v3), tables that have both, and equality deletes, which Spark reads but never writes itself (spark_worker.py).
Knows nothing of headrace. Neighbour: test_row_deletes.py compares.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.interop.sides import Sides

MERGE_ON_READ = {f"write.{each}.mode": "merge-on-read" for each in ("delete", "update", "merge")}
COLUMNS = "id bigint, ds string, name string, price decimal(9, 2)"
ROWS = (
    "insert into {t} select id + FIRST, concat('d', id % 2), if(id % 7 = 0, null, concat('n', id + FIRST)), "
    "cast(id as decimal(9, 2)) / 4 from range(0, COUNT, 1, 1)"
)
Recipe = Callable[[Sides], str]
POSITIONS: dict[str, Recipe] = {}
EQUALITY: dict[str, Recipe] = {}


def _position(recipe: Callable[[Sides, int], str]) -> Callable[[Sides, int], str]:
    """The recipe with position deletes, and with deletion vectors."""
    for version, kind in ((2, "v2"), (3, "v3")):
        POSITIONS[f"{recipe.__name__}-{kind}"] = lambda sides, version=version: recipe(sides, version)
    return recipe


def _equality(recipe: Callable[[Sides, int], str]) -> Callable[[Sides, int], str]:
    for version, kind in ((2, "v2"), (3, "v3")):
        EQUALITY[f"{recipe.__name__}-{kind}"] = lambda sides, version=version: recipe(sides, version)
    return recipe


def _table(sides: Sides, version: int, rest: str = "", columns: str = COLUMNS, **properties: str) -> str:
    given = MERGE_ON_READ | {key.replace("_", "."): value for key, value in properties.items()}
    return sides.made(columns, version=version, rest=rest, properties=given)


def _rows(sides: Sides, name: str, first: int, count: int) -> None:
    sides.sql(ROWS.replace("FIRST", str(first)).replace("COUNT", str(count)), name)


@_position
def unpartitioned(sides: Sides, version: int) -> str:
    name = _table(sides, version)
    _rows(sides, name, 0, 100)
    _rows(sides, name, 100, 100)
    sides.sql("delete from {t} where id % 10 = 3", name)
    _rows(sides, name, 3, 1)  # a row that was deleted, again: it stays
    return name


@_position
def partitioned_and_deleted_from_again_and_again(sides: Sides, version: int) -> str:
    name = _table(sides, version, "partitioned by (ds)")
    _rows(sides, name, 0, 60)
    for each in (3, 4, 9):
        sides.sql(f"delete from {{t}} where id % 10 = {each}", name)
    _rows(sides, name, 60, 20)
    sides.sql("delete from {t} where id > 55 and id < 65", name)
    return name


@_position
def one_delete_file_for_a_partition(sides: Sides, version: int) -> str:
    name = _table(sides, version, "partitioned by (ds)", write_delete_granularity="partition")
    _rows(sides, name, 0, 30)
    _rows(sides, name, 30, 30)
    _rows(sides, name, 60, 30)
    sides.sql("delete from {t} where id % 4 < 2 and id > 20", name)
    return name


@_position
def updated_and_merged(sides: Sides, version: int) -> str:
    name = _table(sides, version)
    sides.sql("alter table {t} add partition field bucket(3, id)", name)  # SeaweedFS refuses it at the creation
    _rows(sides, name, 0, 60)
    sides.sql("update {t} set price = 99.99, name = 'updated' where id % 6 = 1", name)
    sides.sql(
        "merge into {t} using (select explode(sequence(50, 70)) as k) s on {t}.id = s.k when matched and s.k % 2 = 0 "
        "then delete when matched then update set name = 'merged' when not matched then insert (id, ds, name, price) "
        "values (s.k, 'new', null, null)",
        name,
    )
    return name


@_position
def partitions_evolved(sides: Sides, version: int) -> str:
    name = _table(sides, version, "partitioned by (ds)")
    _rows(sides, name, 0, 30)
    sides.sql("delete from {t} where id % 5 = 0", name)
    sides.sql("alter table {t} replace partition field ds with bucket(2, id)", name)
    _rows(sides, name, 30, 30)
    sides.sql("delete from {t} where id % 5 = 1; alter table {t} drop partition field bucket(2, id)", name)
    _rows(sides, name, 60, 30)
    sides.sql("delete from {t} where id % 5 = 2", name)
    return name


@_position
def columns_evolved(sides: Sides, version: int) -> str:
    name = _table(sides, version)
    _rows(sides, name, 0, 30)
    sides.sql("delete from {t} where name = 'n5' or price = 2.5", name)
    sides.sql("alter table {t} rename column name to label; alter table {t} drop column price", name)
    sides.sql("alter table {t} add column price string first; delete from {t} where label is null", name)
    return name


@_position
def whole_files_deleted_too(sides: Sides, version: int) -> str:
    name = _table(sides, version, "partitioned by (ds)")
    _rows(sides, name, 0, 40)
    sides.sql("delete from {t} where id < 20", name)
    sides.sql("delete from {t} where ds = 'd0'", name)  # takes the data files, and may leave deletes behind
    return name


@_position
def compacted_and_deleted_from_since(sides: Sides, version: int) -> str:
    name = _table(sides, version)
    for each in range(4):
        _rows(sides, name, each * 20, 20)
    sides.sql("delete from {t} where id % 3 = 0", name)
    sides.sql(f"call rest.system.rewrite_data_files(table => '{name}', where => 'id < 30')")
    sides.sql("delete from {t} where id % 5 = 0", name)
    return name


@_position
def branched(sides: Sides, version: int) -> str:
    name = _table(sides, version)
    _rows(sides, name, 0, 30)
    sides.sql("alter table {t} create branch audit; delete from {t}.branch_audit where id < 10", name)
    sides.sql("delete from {t} where id > 20", name)
    return name


@_position
def every_row_of_a_file_deleted(sides: Sides, version: int) -> str:
    name = _table(sides, version)
    _rows(sides, name, 0, 10)
    _rows(sides, name, 10, 10)
    sides.sql("delete from {t} where id < 9; delete from {t} where name = 'n9'", name)
    return name


@_position
def many_row_groups(sides: Sides, version: int) -> str:
    name = _table(sides, version, **{"write_parquet_row-group-size-bytes": "65536"})
    _rows(sides, name, 0, 60000)
    sides.sql("delete from {t} where id % 1000 = 7 or id between 30000 and 41000", name)
    return name


def upgraded(sides: Sides) -> str:
    """A table of version 2 with position deletes, then of version 3: some files have both, some only the old ones."""
    name = _table(sides, 2, "partitioned by (ds)")
    _rows(sides, name, 0, 40)
    sides.sql("delete from {t} where id % 10 = 1", name)
    _rows(sides, name, 40, 40)
    sides.sql("delete from {t} where id % 10 = 2", name)
    sides.sql("alter table {t} set tblproperties ('format-version' = '3')", name)
    sides.sql("delete from {t} where id < 30 and id % 10 = 3", name)
    _rows(sides, name, 80, 20)
    sides.sql("delete from {t} where ds = 'd1' and id % 10 = 5", name)
    return name


POSITIONS["upgraded"] = upgraded


@_equality
def keys_of_one_column(sides: Sides, version: int) -> str:
    name = _table(sides, version)
    _rows(sides, name, 0, 30)
    sides.spark.equality_delete(f"rest.{name}", "select 4L as id union all select 6L union all select 777L")
    _rows(sides, name, 4, 1)  # added after the delete: it stays
    return name


@_equality
def keys_of_two_columns_with_nulls(sides: Sides, version: int) -> str:
    name = _table(sides, version)
    _rows(sides, name, 0, 30)
    keys = "select 7L as id, cast(null as string) as name union all select 8L, 'n8' union all select 9L, 'n1'"
    sides.spark.equality_delete(f"rest.{name}", keys)
    sides.spark.equality_delete(
        f"rest.{name}", "select cast(null as string) as name, cast(3.5 as decimal(9, 2)) as price"
    )
    return name


@_equality
def keys_within_a_partition(sides: Sides, version: int) -> str:
    name = _table(sides, version, "partitioned by (ds)")
    _rows(sides, name, 0, 30)
    keys = "select 4L as id union all select 5L union all select 6L"
    sides.spark.equality_delete(f"rest.{name}", keys, "ds=d0")  # 5 is in d1: it stays
    sides.spark.equality_delete(f"rest.{name}", "select cast(null as string) as name", "ds=d1")
    sides.spark.equality_delete(f"rest.{name}", "select 'd1' as ds, 'n9' as name", "ds=d1")
    return name


@_equality
def keys_for_all_partitions(sides: Sides, version: int) -> str:
    """Written with an unpartitioned spec, a delete is for every partition; with another spec's, for none."""
    name = _table(sides, version)
    _rows(sides, name, 0, 20)
    sides.sql("alter table {t} add partition field ds", name)
    _rows(sides, name, 20, 20)
    keys = "select 4L as id union all select 5L union all select 24L union all select 25L"
    sides.spark.equality_delete(f"rest.{name}", keys, None, 0)
    sides.sql("alter table {t} replace partition field ds with bucket(2, id)", name)
    _rows(sides, name, 40, 20)
    sides.spark.equality_delete(f"rest.{name}", "select 26L as id union all select 46L", "ds=d0", 1)
    return name


@_equality
def key_column_renamed(sides: Sides, version: int) -> str:
    name = _table(sides, version)
    _rows(sides, name, 0, 20)
    sides.spark.equality_delete(f"rest.{name}", "select 'n4' as name union all select null")
    sides.sql("alter table {t} rename column name to label; alter table {t} alter column label first", name)
    _rows_of(sides, name, "'n4', 100L, 'd0', 1.00")
    sides.spark.equality_delete(f"rest.{name}", "select 'n5' as label")
    return name


@_equality
def key_column_promoted(sides: Sides, version: int) -> str:
    name = _table(sides, version, columns="k int, f float, d decimal(5, 2), v string")
    sides.sql(
        "insert into {t} select int(id), float(float(id) / 3), cast(id as decimal(5, 2)), 'v' from range(0, 20, 1, 1)",
        name,
    )
    sides.spark.equality_delete(f"rest.{name}", "select int(4) as k")
    sides.spark.equality_delete(f"rest.{name}", "select float(float(5) / 3) as f")
    for each, kind in (("k", "bigint"), ("f", "double"), ("d", "decimal(12, 2)")):
        sides.sql(f"alter table {{t}} alter column {each} type {kind}", name)
    sides.sql("insert into {t} values (5000000000, 0.1, 1234567.25, 'new')", name)
    sides.spark.equality_delete(f"rest.{name}", "select 6L as k union all select 5000000000L")
    sides.spark.equality_delete(f"rest.{name}", "select cast(7 as decimal(12, 2)) as d")
    return name


@_equality
def key_column_added_since(sides: Sides, version: int) -> str:
    """Old files do not have the key's column: it is null in them."""
    name = _table(sides, version)
    _rows(sides, name, 0, 10)
    sides.sql("alter table {t} add column late int", name)
    sides.sql("insert into {t} values (100, 'd0', 'x', 1.00, 1), (101, 'd0', 'y', 1.00, null)", name)
    sides.spark.equality_delete(
        f"rest.{name}", "select 3L as id, cast(null as int) as late union all select 100L, null"
    )
    sides.spark.equality_delete(f"rest.{name}", "select 100L as id, 2 as late union all select 101L, null")
    return name


def keys_of_every_type(sides: Sides) -> str:
    values = {
        "boolean": "id % 3 = 0",
        "int": "int(id)",
        "bigint": "id * 4000000000",
        "float": "float(id / 7)",
        "double": "case id when 1 then double('NaN') when 2 then double('-0.0') when 3 then double('0.0') else id / 7 end",
        "decimal(9, 2)": "cast(id as decimal(9, 2))",
        "decimal(38, 3)": "cast(id as decimal(38, 3)) * -1",
        "date": "date_add(date '1969-12-25', int(id))",
        "timestamp": "timestamp_micros((id - 5) * 123456789)",
        "timestamp_ntz": "timestamp_ntz '2026-01-01 00:00:00' + make_interval(0, 0, 0, 0, 0, int(id), 0)",
        "string": "concat('späte Gäste ', id)",
        "binary": "unhex(hex(id))",
    }
    columns = ", ".join(f"c{at} {kind}" for at, kind in enumerate(values))
    name = _table(sides, 2, columns=f"n bigint, {columns}")
    wanted = ", ".join(f"if(id = 19, null, {text}) as c{at}" for at, text in enumerate(values.values()))
    sides.sql(f"insert into {{t}} select id as n, {wanted} from range(0, 60, 1, 1)", name)
    for at in range(1, len(values)):  # two rows a column, by that column alone
        sides.spark.equality_delete(f"rest.{name}", f"select c{at} from rest.{name} where n in ({at + 20}, {at + 40})")
    sides.spark.equality_delete(f"rest.{name}", f"select c4, c0 from rest.{name} where n in (1, 2)")
    return name


EQUALITY["keys_of_every_type"] = keys_of_every_type


@_equality
def keys_and_positions(sides: Sides, version: int) -> str:
    name = _table(sides, version, "partitioned by (ds)")
    _rows(sides, name, 0, 40)
    sides.sql("delete from {t} where id % 10 = 3", name)
    sides.spark.equality_delete(f"rest.{name}", "select 4L as id union all select 10L", "ds=d0")
    _rows(sides, name, 40, 40)
    sides.sql("delete from {t} where id % 10 = 4; update {t} set name = 'u' where id % 10 = 6", name)
    sides.spark.equality_delete(f"rest.{name}", "select 'u' as name, 46L as id", "ds=d0")
    return name


@_equality
def key_in_a_struct(sides: Sides, version: int) -> str:
    name = _table(sides, version, columns="id bigint, s struct<a: int, b: string>")
    sides.sql("insert into {t} select id, named_struct('a', int(id), 'b', 'b') from range(0, 10, 1, 1)", name)
    sides.spark.equality_delete(f"rest.{name}", "select 4L as id")
    sides.sql("insert into {t} values (11, null)", name)
    return name


def _rows_of(sides: Sides, name: str, values: str) -> None:
    sides.sql(f"insert into {{t}} values ({values})", name)
