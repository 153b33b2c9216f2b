"""What headrace wrote, read by headrace, PyIceberg and DuckDB: all three must see the same rows.

Knows how to open a table's metadata file in each; tests say which rows they expect.
"""

from __future__ import annotations

import headrace
import pyarrow
from pyiceberg.table import StaticTable

from tests.servers import duck
from tests.servers.seaweed import SeaweedFS
from tests.table.compare import rows

server: SeaweedFS | None = None
"""Where tables on S3 are; set by the fixture that starts it."""


def check(table: headrace.Table) -> pyarrow.Table:
    """The table as it is now, by a new handle; the other readers' rows equal it."""
    fresh = table.refresh()
    ours = pyarrow.table(fresh.load())
    loaded = fresh._access.loaded()
    properties = dict(loaded.properties_for(loaded.metadata.location))
    theirs = StaticTable.from_metadata(loaded.metadata_location, properties).scan().to_arrow()
    assert rows(ours) == rows(theirs)
    location = str(loaded.metadata_location).removeprefix("file://")
    with duck.connect(server if location.startswith("s3:") else None) as connection:
        by_duckdb = connection.sql(f"select * from iceberg_scan('{location}')").to_arrow_table()
    assert rows(ours) == rows(by_duckdb)
    return ours
