"""Catalogs that commits are tested on: SeaweedFS's REST catalog, SQLite on local files, PostgreSQL, Hive Metastores."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import headrace
import pyarrow
import pytest
from headrace.catalog import Catalog
from headrace.errors import NamespaceExists
from headrace.iceberg import NestedField, PartitionField, PartitionSpec, PrimitiveType, Schema, Transform

from tests.commit import readers
from tests.servers.hive_metastore import VERSIONS, HiveMetastore
from tests.servers.postgres import Postgres
from tests.table.warehouse import NAMESPACE, Warehouse

_NAMES = itertools.count()
SCHEMA = pyarrow.schema([("id", pyarrow.int64()), ("name", pyarrow.string()), ("ds", pyarrow.string())])


def rows(first: int, count: int, ds: str = "a") -> pyarrow.Table:
    """Rows with the ids `first` to `first + count`."""
    ids = range(first, first + count)
    columns = [list(ids), [f"n{each}" for each in ids], [ds] * count]
    return pyarrow.table(columns, schema=SCHEMA)


def make(catalog: Catalog, name: str, partition_by: str | None = None, **properties: str) -> headrace.Table:
    """An empty table of `SCHEMA`, partitioned by one of its columns as it is."""
    kinds = {"int64": "long", "string": "string"}
    fields = [NestedField(at + 1, each.name, PrimitiveType(kinds[str(each.type)])) for at, each in enumerate(SCHEMA)]
    spec = None
    if partition_by:
        source = 1 + SCHEMA.names.index(partition_by)
        spec = PartitionSpec((PartitionField((source,), 1000, partition_by, Transform("identity")),))
    catalog.create_table(name, Schema(tuple(fields)), spec, properties=properties)
    return headrace.Table(name, catalog=catalog)


def sqlite(folder: Path) -> Catalog:
    """A catalog of its own in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    catalog = headrace.load_catalog(
        "local", type="sql", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse"
    )
    catalog.create_namespace("db")
    return catalog


def hive(uri: str, folder: Path, locks: bool = True, heartbeat_ms: int = 2000) -> Catalog:
    """A catalog in a Hive Metastore, with a database of its own in a folder under the name `db`."""
    # The metastore of the tests lets go of a lock after 10 s without a heartbeat, not after 300
    options = {"hive.lock-heartbeat-interval-ms": str(heartbeat_ms), "engine.hive.lock-enabled": str(locks).lower()}
    catalog = headrace.load_catalog("hive", uri=uri, warehouse=f"file://{folder}/warehouse", **options)
    with contextlib.suppress(NamespaceExists):
        catalog.create_namespace("db")
    return catalog


@pytest.fixture(params=["sqlite", "postgres", "rest", *(f"hive-{each}" for each in VERSIONS)])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    """Each kind of catalog in turn, with a namespace `db`."""
    if request.param == "rest":
        warehouse: Warehouse = request.getfixturevalue("warehouse")
        yield warehouse.ours
    elif request.param.startswith("hive-"):
        # Version 4 on Derby: a writer that is killed while it waits for a lock leaves the metastore's own lock manager
        # waiting for ever. So commits there go by expectation; test_unknown_hive.py has its locks, without deaths.
        metastores: Callable[[str], HiveMetastore] = request.getfixturevalue("metastores")
        version = request.param.removeprefix("hive-")
        yield hive(metastores(version).uri, tmp_path, locks=version.startswith("2."))
    elif request.param == "sqlite":
        yield sqlite(tmp_path / "sqlite")
    else:
        server: Postgres = request.getfixturevalue("postgres")
        name = f"pg{next(_NAMES)}"
        catalog = headrace.load_catalog(name, type="sql", uri=server.uri, warehouse=f"file://{tmp_path}/warehouse")
        catalog.create_namespace("db")
        yield catalog


@pytest.fixture
def name() -> str:
    """A table name that nothing has used."""
    return f"{NAMESPACE}.c{next(_NAMES)}"


@pytest.fixture(autouse=True)
def _readers(request: pytest.FixtureRequest) -> None:
    """DuckDB is told where tables on S3 are."""
    if "warehouse" in request.fixturenames or "catalog" in request.fixturenames:
        warehouse: Warehouse = request.getfixturevalue("warehouse")
        readers.server = warehouse.server
