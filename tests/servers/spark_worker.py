"""The process that holds Spark: answers one connection, one request at a time. Started by spark.py; imports no headrace.

A request is a tuple (name, arguments...) of the functions in `Worker`; the answer is (True, value) or (False, text).
"""

from __future__ import annotations

import json
import sys
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any

import pyarrow
from pyspark.sql import DataFrame, SparkSession


class Worker:
    """What may be asked of Spark."""

    def __init__(self, settings: dict[str, Any], hive: bool) -> None:
        builder = SparkSession.builder.master("local[2]").config(map=settings)
        self._spark = (builder.enableHiveSupport() if hive else builder).getOrCreate()
        self._jvm: Any = self._spark._jvm
        self._gateway: Any = self._spark.sparkContext._gateway

    def sql(self, text: str) -> None:
        """Run a statement."""
        self._spark.sql(text).collect()

    def rows(self, text: str) -> bytes:
        """The rows of a query as an Arrow stream, types as Spark has them."""
        return _stream(self._spark.sql(text))

    def insert(self, table: str, data: bytes, branch: str | None = None) -> None:
        """Append the rows of an Arrow stream in one file a partition, columns matched by name."""
        given = pyarrow.ipc.open_stream(data).read_all()
        schema = self._spark.table(table).schema
        rows = [tuple(row[each] for each in schema.names) for row in given.to_pylist()]
        target = f"{table}.branch_{branch}" if branch else table
        self._spark.createDataFrame(rows, schema).coalesce(1).writeTo(target).append()

    def equality_delete(
        self, table: str, keys: str, partition: str | None, spec_id: int | None, file_format: str
    ) -> None:
        """Commit one equality-delete file by Iceberg's own writer; Spark never writes one itself.

        The columns of the query ``keys`` are the delete's, in the types of the table, its rows what is deleted;
        ``partition`` is a path such as "ds=0" in the table's spec, or in the one named.
        """
        iceberg = self._jvm.org.apache.iceberg
        made = self._iceberg_table(table)
        names = self._spark.sql(keys).columns
        schema = made.schema().select(names)
        ids = self._gateway.new_array(self._jvm.int, len(names))
        for at, field in enumerate(schema.columns()):
            ids[at] = field.fieldId()
        spec = made.spec() if spec_id is None else made.specs().get(spec_id)
        part = iceberg.DataFiles.data(spec, partition) if partition else None
        kind = iceberg.FileFormat.fromString(file_format)
        files = iceberg.io.OutputFileFactory.builderFor(made, 1, 1).format(kind).build()
        out = files.newOutputFile(spec, part) if partition else files.newOutputFile()
        factory = iceberg.data.GenericAppenderFactory(made.schema(), spec, ids, schema, None)
        writer = factory.newEqDeleteWriter(out, kind, part)
        self._write_rows(keys, [field.name() for field in schema.columns()], writer)
        writer.close()
        made.newRowDelta().addDeletes(writer.toDeleteFile()).commit()
        self.sql(f"refresh table {table}")

    def _write_rows(self, query: str, names: list[str], writer: Any) -> None:
        """Hand the rows of a query to a writer as Iceberg's generic records.

        They go through a table of their own, since whatever passes through Python changes: a Long becomes an Integer.
        """
        held = "loc.held.rows"
        self.sql("create namespace if not exists loc.held")
        self.sql(f"create table {held} using iceberg as select {', '.join(names)} from ({query})")
        reader = self._jvm.org.apache.iceberg.data.IcebergGenerics.read(self._iceberg_table(held)).build()
        found = reader.iterator()
        while found.hasNext():
            writer.write(found.next())
        reader.close()
        self.sql(f"drop table {held} purge")

    def _iceberg_table(self, name: str) -> Any:
        return self._jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(self._spark._jsparkSession, name)


def _stream(frame: DataFrame) -> bytes:
    from pyspark.sql.pandas.types import to_arrow_schema

    batches = frame._collect_as_arrow()
    table = pyarrow.Table.from_batches(batches) if batches else to_arrow_schema(frame.schema).empty_table()
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def main(socket: str, request: str) -> None:
    given = json.loads(Path(request).read_text())
    worker = Worker(given["settings"], given["hive"])
    with Listener(socket, "AF_UNIX") as listener, listener.accept() as connection:
        while True:
            try:
                name, *arguments = connection.recv()
            except EOFError:
                return
            try:
                answer: tuple[bool, Any] = (True, getattr(worker, name)(*arguments))
            except Exception as error:
                answer = (False, f"{type(error).__name__}: {error}"[:4000])
            connection.send(answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
