"""Data and delete files in Avro and ORC by Spark: headrace reads what Spark reads, every type and every row delete."""

from __future__ import annotations

import pytest

from tests.interop.sides import Sides, assert_same_as_spark
from tests.table.compare import rows

COLUMNS = (
    "id bigint, flag boolean, small int, ratio double, money decimal(9, 2), wide decimal(38, 10), day date, "
    "at timestamp_ntz, instant timestamp, text string, blob binary, point struct<x: double, names: array<string>>, "
    "counts map<string, bigint>, by_day map<int, struct<a: int>>"
)
VALUES = (
    "select id, id % 2 = 0, cast(id as int), id / 3.0D, cast(id as decimal(9, 2)), cast(id as decimal(38, 10)), "
    "date_add(date '1969-12-30', cast(id as int)), timestamp_ntz '1969-12-31 23:59:59.999999', "
    "timestamp '2026-01-02 03:04:05.678901', concat('text ', id), cast('x' as binary), "
    "named_struct('x', cast(id as double), 'names', array('a', null)), map('k', id, 'l', null), "
    "map(cast(id as int), named_struct('a', cast(id as int))) from range(100) "
    "union all select 1000, null, null, null, null, null, null, null, null, null, null, null, null, null"
)


@pytest.mark.parametrize("format_", ["avro", "orc"])
@pytest.mark.parametrize("version", [1, 2])
def test_files_of_spark(sides: Sides, format_: str, version: int) -> None:
    modes = dict.fromkeys(("write.delete.mode", "write.update.mode"), "merge-on-read") if version > 1 else {}
    formats = {"write.format.default": format_, "write.delete.format.default": format_}
    name = sides.made(COLUMNS, version=version, properties=formats | modes)
    sides.sql(f"insert into {{t}} {VALUES}", name)
    sides.check(name)
    if version > 1:
        sides.sql("delete from {t} where id % 7 = 3", name)
        found = sides.check(name)
        assert found.num_rows == 101 - len([each for each in range(101) if each % 7 == 3 and each < 100])
        plan = sides.ours(name).scan()
        assert plan.report["deletes"]["position"] > 0
        sides.spark.equality_delete(f"rest.{name}", "select id from range(0, 100, 10)", file_format=format_)
        assert sides.check(name).num_rows == found.num_rows - 8  # 10 and 80 are gone already
    sides.sql("alter table {t} add column late int; alter table {t} rename column text to words", name)
    sides.check(name)
    for where in ("id > 10 and id < 20", "words = 'text 8'", "day is null", "money >= 50"):
        spark = sides.by_spark(name, where=where)
        ours = sides.ours(name).load(where)
        assert rows(ours) == rows(spark)
    assert_same_as_spark(*(each.select(["id", "words"]) for each in (sides.check(name), sides.by_spark(name))))
