"""Two sides of one table: headrace and Spark, through the REST catalog, and what each of them reads of it.

Types are compared exactly, but for what Spark does not have: it reads a UUID as text and fixed bytes as binary. Knows
nothing of what tests do to a table. Neighbour: tests/table/compare.py has the canonical form of values.
"""

from __future__ import annotations

import uuid
from typing import Any

import headrace
import pyarrow

from tests.servers.spark import Spark
from tests.table.compare import plain_schema, rows
from tests.table.warehouse import NAMESPACE, Warehouse


class Sides:
    """Spark and headrace on one catalog. A table's name, "db.t", is the same for both; Spark's SQL has it as ``rest.db.t``."""

    def __init__(self, warehouse: Warehouse, spark: Spark) -> None:
        self.warehouse, self.spark, self.catalog = warehouse, spark, warehouse.ours

    def name(self) -> str:
        """A table name that nothing has used."""
        return self.warehouse.fresh_name()

    def ours(self, name: str, **chosen: Any) -> headrace.Table:
        """The table as it is now, opened by headrace."""
        return headrace.Table(name, catalog=self.catalog, **chosen)

    def sql(self, text: str, name: str = "") -> None:
        """Statements of Spark, separated by semicolons; ``{t}`` is the table."""
        for each in filter(str.strip, text.format(t=f"rest.{name}").split(";")):
            self.spark.sql(each)

    def made(self, columns: str, *, version: int = 2, rest: str = "", properties: dict[str, str] | None = None) -> str:
        """The name of a new table of Spark's; ``rest`` follows ``using iceberg``.

        Its files are in the plain bucket, since SeaweedFS's table bucket takes no Puffin files.
        """
        name = self.name()
        given = {"format-version": str(version), "write.data.path": f"s3://data/{name.replace('.', '/')}"}
        listed = ", ".join(f"'{key}' = '{value}'" for key, value in (given | (properties or {})).items())
        self.sql(f"create table {{t}} ({columns}) using iceberg {rest} tblproperties ({listed})", name)
        return name

    def by_spark(self, name: str, select: str = "*", where: str = "true", of: str = "") -> pyarrow.Table:
        """What Spark reads; ``of`` is "branch_x", "tag_x", "files" or the like, or "version as of 5"."""
        place = f".{of}" if of and " " not in of else f" {of}"
        return self.spark.rows(f"select {select} from rest.{name}{place} where {where}")

    def check(self, name: str, **chosen: Any) -> pyarrow.Table:
        """Our whole table, or a branch, tag or snapshot of it, equals Spark's; returns it."""
        of = ""
        for kind, value in chosen.items():
            of = f"version as of {value}" if kind == "snapshot_id" else f"{kind}_{value}"
        ours = pyarrow.table(self.ours(name, **chosen).load())
        assert_same_as_spark(ours, self.by_spark(name, of=of))
        return ours


def assert_same_as_spark(ours: pyarrow.Table, spark: pyarrow.Table) -> None:
    """The same columns in order, the same types, the same rows in any order."""
    ours = _as_spark_has_it(ours, spark.schema)
    assert plain_schema(ours) == plain_schema(spark)
    assert rows(ours) == rows(spark)


def _as_spark_has_it(data: pyarrow.Table, spark: pyarrow.Schema) -> pyarrow.Table:
    """UUIDs (16 bytes that Spark has as text) as text, other fixed bytes as binary."""
    for at, field in enumerate(data.schema):
        if not pyarrow.types.is_fixed_size_binary(field.type):
            continue
        column = data.column(at).cast(pyarrow.binary())
        if (
            field.type.byte_width == 16
            and field.name in spark.names
            and spark.field(field.name).type == pyarrow.string()
        ):
            texts = [None if each is None else str(uuid.UUID(bytes=each)) for each in column.to_pylist()]
            column = pyarrow.chunked_array([texts], pyarrow.string())
        data = data.set_column(at, field.name, column)
    return data


__all__ = ["NAMESPACE", "Sides", "assert_same_as_spark"]
