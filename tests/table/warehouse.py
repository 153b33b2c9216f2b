"""One server, three parties: PyIceberg writes, headrace reads, DuckDB and PyIceberg check.

Knows how to make tables and how to ask each reader for them; the tests say which tables and what to expect.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import headrace
import pyarrow

from tests.servers import duck
from tests.servers.seaweed import SeaweedFS
from tests.table.compare import assert_same, rows

if TYPE_CHECKING:
    import duckdb
    from pyiceberg.table import Table as PyIcebergTable

NAMESPACE = "db"
_NAMES = itertools.count()
"""One count a process: SeaweedFS answers the creation of a table that exists with the old one."""


class Warehouse:
    """A SeaweedFS server with PyIceberg's catalog of it and ours.

    Attributes
    ----------
    theirs, ours : catalogs
        PyIceberg's and headrace's, of the same server.
    """

    def __init__(self, server: SeaweedFS) -> None:
        self.server = server
        self.theirs = server.pyiceberg()
        self.ours = headrace.load_catalog("seaweed", **server.catalog_properties)
        self.theirs.create_namespace_if_not_exists(NAMESPACE)

    def fresh_name(self) -> str:
        """A table name that nothing has used."""
        return f"{NAMESPACE}.t{next(_NAMES)}"

    def create(self, schema: Any, *, version: int = 2, **options: Any) -> PyIcebergTable:
        """An empty table of PyIceberg's under a name of its own."""
        properties = {"format-version": str(version), **options.pop("properties", {})}
        return self.theirs.create_table(self.fresh_name(), schema=schema, properties=properties, **options)

    def written(self, data: pyarrow.Table, *, version: int = 2, **options: Any) -> PyIcebergTable:
        """A table of PyIceberg's that holds this data."""
        table = self.create(data.schema, version=version, **options)
        table.append(data)
        return table

    def table(self, table: PyIcebergTable, **chosen: Any) -> headrace.Table:
        """Our reader of a table of PyIceberg's."""
        return headrace.Table(".".join(table.name()), catalog=self.ours, **chosen)

    def rewrite(self, location: str, data: pyarrow.Table) -> None:
        """Put another Parquet file of the same size or smaller in a data file's place, padded to the size on record."""
        size = len(self.server.s3.get(location))
        self.server.s3.put(location, padded_parquet(data, size))

    def by_duckdb(self, table: PyIcebergTable, select: str = "*", where: str = "true") -> pyarrow.Table:
        """What DuckDB reads from the table's current metadata file."""
        with duck.connect(self.server) as connection:
            connection.execute("set arrow_lossless_conversion = true")  # a UUID as itself, not as text
            query = f"select {select} from iceberg_scan('{table.metadata_location}') where {where}"
            return connection.sql(query).to_arrow_table()

    @contextlib.contextmanager
    def duckdb_writer(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A DuckDB connection that writes tables, as ``writable.<db>.<table>``."""
        with duck.connect(self.server) as connection:
            connection.execute(
                f"attach '{self.server.warehouse}' as writable (type iceberg, endpoint '{self.server.rest_uri}', "
                "secret catalog, access_delegation_mode 'none', read_only false)"
            )
            yield connection

    def check(self, table: PyIcebergTable, *, duckdb: bool = True) -> pyarrow.Table:
        """Our whole table equals PyIceberg's scan, and DuckDB's; returns it."""
        ours = pyarrow.table(self.table(table).load())
        assert_same(ours, table.scan().to_arrow())
        if duckdb:
            assert rows(ours) == rows(self.by_duckdb(table))
        return ours

    def storage(self, **more: str) -> Mapping[str, str]:
        """Storage properties for `Table.at`."""
        return {**self.server.storage_properties, **more}


def padded_parquet(data: pyarrow.Table, size_bytes: int) -> bytes:
    """A Parquet file of exactly this size: its footer's key-value metadata is filled up, which readers pass over."""
    import pyarrow.parquet

    def encoded(filling: int) -> bytes:
        metadata = {**(data.schema.metadata or {}), b"filling": b"x" * filling}
        sink = pyarrow.BufferOutputStream()
        with pyarrow.parquet.ParquetWriter(sink, data.schema, store_schema=False) as writer:
            writer.add_key_value_metadata(metadata)
            writer.write_table(data)
        return bytes(sink.getvalue())

    filling = size_bytes - len(encoded(0))
    for attempt in range(max(filling - 8, 0), filling + 1):  # the length of the filling is itself of varying length
        if len(found := encoded(attempt)) == size_bytes:
            return found
    raise ValueError(f"{len(encoded(0))} bytes do not fit into {size_bytes}")
