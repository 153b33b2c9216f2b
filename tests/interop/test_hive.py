"""Beside Spark on a Hive Metastore: Iceberg tables of both, and legacy Hive tables of both.

Spark writes, headrace reads the same rows; headrace writes, Spark reads the same rows; both append to one Iceberg table
at once, under the metastore's lock, and none is lost.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import headrace
import pyarrow
import pyarrow.compute
import pyarrow.parquet
import pytest
from headrace.catalog import Catalog

from tests.interop.sides import assert_same_as_spark
from tests.interop.test_writes import SCHEMA, some
from tests.servers.hive_metastore import HiveMetastore
from tests.servers.seaweed import SeaweedFS
from tests.servers.spark import Spark
from tests.table.compare import rows

_NAMES = itertools.count()
COMMITS = 25


class Beside:
    """Spark and headrace on one metastore. An Iceberg table "beside.t" is ``hms.beside.t`` in Spark's SQL."""

    def __init__(self, spark: Spark, catalog: Catalog) -> None:
        self.spark, self.catalog = spark, catalog

    def name(self) -> str:
        return f"beside.t{next(_NAMES)}"

    def ours(self, name: str) -> headrace.Table:
        return headrace.Table(name, catalog=self.catalog)

    def check(self, name: str, catalog: str = "hms.") -> pyarrow.Table:
        """Our rows are Spark's; returns them. Spark's own catalog is "spark_catalog."."""
        ours = pyarrow.table(self.ours(name).load())
        assert_same_as_spark(ours, self.spark.rows(f"select * from {catalog}{name}"))
        return ours


@pytest.fixture(scope="module")
def beside(spark: Spark, seaweed: SeaweedFS, metastores: Callable[[str], HiveMetastore]) -> Beside:
    """A namespace on S3 that both know."""
    catalog = headrace.load_catalog(
        "beside", type="hive", uri=metastores("2.3.10").uri, warehouse="s3://data/hms", **seaweed.storage_properties
    )
    catalog.create_namespace("beside")
    return Beside(spark, catalog)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_iceberg_tables_of_ours(beside: Beside, version: int) -> None:
    name = beside.name()
    properties = {"format-version": str(version)}
    table = headrace.Table.create(name, SCHEMA, partition_by="ds", properties=properties, catalog=beside.catalog)
    table.append(pyarrow.concat_tables([some(0, 20, "a"), some(20, 20, "b")]))
    assert beside.check(name).num_rows == 40
    beside.spark.sql(f"insert into hms.{name} select id + 100, 'c', price, at, tags from hms.{name} where id < 5")
    beside.spark.sql(f"delete from hms.{name} where id = 21")
    assert beside.check(name).num_rows == 44
    table = beside.ours(name)
    table.delete("ds = 'c'")
    with table.update_schema() as change:
        change.add("late", "date").rename("price", "cost")
    assert beside.check(name).num_rows == 39
    moved = beside.name()
    table.rename(moved)
    assert beside.check(moved).num_rows == 39


@pytest.mark.parametrize("version", [1, 2, 3])
def test_iceberg_tables_of_sparks(beside: Beside, version: int) -> None:
    name = beside.name()
    beside.spark.sql(
        f"create table hms.{name} (id bigint, ds string, at timestamp) using iceberg partitioned by (ds, days(at)) "
        f"tblproperties ('format-version' = '{version}')"
    )
    beside.spark.sql(
        f"insert into hms.{name} select id, concat('d', id % 3), timestamp_micros(id * 40000000000) from range(50)"
    )
    assert beside.check(name).num_rows == 50
    beside.spark.sql(f"alter table hms.{name} add column late int")
    beside.spark.sql(f"update hms.{name} set late = 5 where id % 7 = 0")
    assert beside.check(name).num_rows == 50
    beside.ours(name).delete("id < 10")
    beside.ours(name).append(pyarrow.table(beside.ours(name).load("id < 20")))
    assert beside.check(name).num_rows == 50


def test_both_append_to_one_iceberg_table(beside: Beside) -> None:
    name = beside.name()
    retries = {"commit.retry.num-retries": "100", "commit.retry.min-wait-ms": "10", "commit.retry.max-wait-ms": "500"}
    table = headrace.Table.create(name, SCHEMA, properties=retries, catalog=beside.catalog)
    failed: list[BaseException] = []
    began, chance = threading.Semaphore(0), random.Random(0)

    def append_by_spark() -> None:
        try:
            for each in range(COMMITS):
                began.release()
                beside.spark.sql(f"insert into hms.{name} values ({each}, 'a', 1.25, timestamp '2026-01-01', null)")
        except BaseException as error:
            failed.append(error)
            began.release(COMMITS)

    other = threading.Thread(target=append_by_spark)
    other.start()
    for each in range(COMMITS):
        began.acquire(timeout=60)
        time.sleep(chance.uniform(0, 0.3))
        table.append(some(1000 + each, 1, "a"))
    other.join()

    assert not failed, failed
    found = sorted(beside.check(name)["id"].to_pylist())
    assert found == [*range(COMMITS), *range(1000, 1000 + COMMITS)]


ORC_BY_SPARK = "spark.sql.hive.convertMetastoreOrc"
LEGACY = (
    "flag boolean, tiny tinyint, small smallint, n int, big bigint, f float, d double, money decimal(9, 2), "
    "widest decimal(38, 5), s string, c char(5), v varchar(9), raw binary, day date, ts timestamp, "
    "l array<int>, m map<string, double>, st struct<a:int, b:array<string>>"
)
ROW = (
    "id % 2 = 0, cast(id as tinyint), cast(id as smallint), int(id), id * 5000000000, float(id) / 3, id / 3d, "
    "cast(id as decimal(9, 2)) / 4, cast(id as decimal(38, 5)) * -1, concat('s', id), 'ab', 'vc', unhex(hex(id)), "
    "date_add(date '1969-12-01', int(id)), timestamp_micros(id * 1234567890123), array(int(id), null), "
    "map('k', double(id)), named_struct('a', int(id), 'b', array('x', null))"
)


@pytest.fixture
def folder(server_dir: Path) -> Path:
    """Where legacy tables lie: both sides are on this machine."""
    return server_dir / "legacy" / f"t{next(_NAMES)}"


@pytest.mark.parametrize(("stored", "by_hive"), [("parquet", False), ("orc", False), ("orc", True)])
def test_legacy_tables_of_sparks(beside: Beside, folder: Path, stored: str, by_hive: bool) -> None:
    name, spark = f"default.legacy{next(_NAMES)}", beside.spark

    def write(text: str) -> None:
        """By Hive's own writer or Spark's; what Hive's reader makes of a null key, Spark reads as text."""
        spark.sql(f"set {ORC_BY_SPARK}={str(not by_hive).lower()}")
        spark.sql(text)
        spark.sql(f"set {ORC_BY_SPARK}=true")

    write(
        f"create table spark_catalog.{name} ({LEGACY}) partitioned by (ds date, code string, h int) stored as {stored} "
        f"location 'file://{folder}'"
    )
    keys = "date_add(date '2026-01-01', int(id % 2)), if(id % 5 = 0, null, concat('0', id % 3, '/ =')), int(id % 2)"
    write(f"insert into spark_catalog.{name} select {ROW}, {keys} from range(0, 40, 1, 1)")
    nulls = ", ".join(["null"] * 18)
    write(f"insert into spark_catalog.{name} values ({nulls}, date '2026-01-02', 'x', 7)")
    check_legacy(beside, name, 41)
    write(
        f"insert overwrite table spark_catalog.{name} partition (ds, code, h) select {ROW}, date '2026-01-02', 'x', 7 "
        "from range(100, 105, 1, 1)"
    )
    check_legacy(beside, name, 45)
    write(f"alter table spark_catalog.{name} add columns (late string)")
    write(
        f"insert into spark_catalog.{name} select {ROW}, 'late', date '2026-01-03', 'x', 7 from range(200, 203, 1, 1)"
    )
    check_legacy(beside, name, 48)
    found = beside.ours(name).load("ds = '2026-01-02' and h = 7", columns=["n"])
    assert sorted(pyarrow.table(found)["n"].to_pylist()) == [100, 101, 102, 103, 104]


def check_legacy(beside: Beside, name: str, count: int, padded: str | None = None) -> None:
    """Our rows are Spark's: Hive's timestamps have no zone, Spark's are instants, in this session UTC. `padded`: a CHAR
    column that its writer left as short as it was, as ours does, and Spark pads."""
    ours = pyarrow.table(beside.ours(name).load())
    theirs = beside.spark.rows(f"select * from spark_catalog.{name}")
    assert ours.num_rows == count
    assert ours.column_names == theirs.column_names
    if padded:
        ours, theirs = without_padding(ours, padded), without_padding(theirs, padded)
    assert rows(ours) == rows(theirs)


def without_padding(table: pyarrow.Table, column: str) -> pyarrow.Table:
    short = pyarrow.compute.utf8_rtrim(table[column].cast("string"), " ")
    return table.set_column(table.column_names.index(column), column, short)


def test_legacy_tables_that_we_write(beside: Beside, folder: Path) -> None:
    name, spark = f"default.legacy{next(_NAMES)}", beside.spark
    spark.sql(
        f"create table spark_catalog.{name} (n int, s string, money decimal(9, 2), ts timestamp, l array<int>) "
        f"partitioned by (ds date, code string) stored as parquet location 'file://{folder}'"
    )
    table = beside.ours(name)
    schema = pyarrow.table(table.load()).schema
    given = [
        {"n": at, "s": None if at % 3 == 0 else f"s{at}", "money": None, "ts": at * 10**9, "l": [at, None]}
        | {"ds": at % 2, "code": "a/b"}
        for at in range(20)
    ]
    data = pyarrow.table(
        [pyarrow.array([row[each.name] for row in given], each.type) for each in schema], schema=schema
    )
    table.commit(table.put_data(data))
    check_legacy(beside, name, 20)
    spark.sql(f"insert into spark_catalog.{name} values (100, 'x', 1.5, null, null, date '1970-01-02', 'a/b')")
    check_legacy(beside, name, 21)
    replaced = data.slice(0, 1)
    beside.ours(name).put(replaced, overwrite=True)
    spark.sql(f"refresh table spark_catalog.{name}")
    check_legacy(beside, name, 12)


def test_layouts_of_older_writers(beside: Beside, folder: Path) -> None:
    """Lists of Hive's own writer ("bag", "array_element"), and those that Spark writes for Hive's older readers."""
    name, spark = f"default.legacy{next(_NAMES)}", beside.spark
    spark.sql(
        f"create table spark_catalog.{name} ({LEGACY}) partitioned by (ds date, code string, h int) stored as parquet "
        f"location 'file://{folder}' tblproperties ('avro.schema.url'='file:///nowhere.avsc', 'avro.schema.literal'='?')"
    )
    try:
        for at, (setting, value) in enumerate(LAYOUTS):
            spark.sql(f"set {setting}={value}")
            spark.sql(
                f"insert into spark_catalog.{name} partition (ds, code, h) "
                f"select {ROW}, date '2026-01-01', 'x', {at} from range(0, 30, 1, 1)"
            )
            spark.sql(f"reset {setting}")
    finally:
        for setting, _ in LAYOUTS:
            spark.sql(f"reset {setting}")
    files = [next(folder.glob(f"*/*/h={at}/[!_.]*")) for at in range(len(LAYOUTS))]
    paths = [{column.path for column in columns_of(each)} for each in files]
    assert [any("bag.array" in each for each in of_file) for of_file in paths] == [True, True], paths
    assert paths[0] != paths[1]
    check_legacy(beside, name, 30 * len(LAYOUTS), padded="c")


def columns_of(file: Path) -> list[Any]:
    schema = pyarrow.parquet.ParquetFile(file).schema
    return [schema.column(at) for at in range(len(schema))]


LAYOUTS = (("spark.sql.parquet.writeLegacyFormat", "true"), ("spark.sql.hive.convertMetastoreParquet", "false"))


def test_partition_values_that_are_none_of_their_type(beside: Beside, folder: Path) -> None:
    """Both read them as null."""
    name, spark = f"default.legacy{next(_NAMES)}", beside.spark
    spark.sql(
        f"create table spark_catalog.{name} (id bigint) partitioned by (n int, d date, x decimal(5, 2), b boolean) "
        f"stored as parquet location 'file://{folder}'"
    )
    spark.sql(f"insert into spark_catalog.{name} values (1, 1, date '2026-01-01', 1.25, true)")
    metastore = beside.catalog.metastore
    for at, values in enumerate((["abc", "2026-02-30", "x", "maybe"], ["99999999999", "soon", "1e99", ""])):
        table = metastore.get_table(*name.split("."))
        place = folder / f"odd-{at}"
        place.mkdir()
        pyarrow.parquet.write_table(pyarrow.table({"id": [10 + at]}), place / "part-0")
        table.sd.location = f"file://{place}"
        values = [each or "__HIVE_DEFAULT_PARTITION__" for each in values]
        made = {"dbName": table.dbName, "tableName": table.tableName, "sd": table.sd, "parameters": {}}
        metastore.add_partitions([metastore.types.Partition(values=values, **made)])
    spark.sql(f"refresh table spark_catalog.{name}")
    check_legacy(beside, name, 3)
    assert sorted(pyarrow.table(beside.ours(name).load("n is null"))["id"].to_pylist()) == [10, 11]
