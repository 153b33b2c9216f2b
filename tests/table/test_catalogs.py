"""The same rows through every catalog: embedded SQLite, PostgreSQL, REST with vended credentials."""

from __future__ import annotations

import os
from pathlib import Path

import headrace
import pyarrow
import pytest
from headrace import config
from headrace.iceberg import NestedField, PrimitiveType, Schema
from pyiceberg.catalog.sql import SqlCatalog

from tests.servers.postgres import Postgres
from tests.servers.seaweed import SeaweedFS
from tests.table.compare import rows
from tests.table.warehouse import Warehouse

DATA = pyarrow.table({"id": [1, 2, 3], "name": ["a", "b", None]})


def test_the_embedded_catalog_is_shared_with_pyiceberg(workdir: Path) -> None:
    """Nothing configured: PyIceberg writes into the very database, and headrace reads with no argument at all."""
    home = Path(os.environ["HEADRACE_HOME"])
    catalog = headrace.load_catalog()
    catalog.create_namespace("db")
    theirs = SqlCatalog(catalog.name, uri=f"sqlite:///{home}/catalog.db", warehouse=f"file://{home}/warehouse")
    try:
        theirs.create_table("db.events", schema=DATA.schema).append(DATA)
    finally:
        theirs.close()

    assert catalog.list_tables("db") == [("db", "events")]
    assert rows(headrace.Table("db.events").load()) == rows(DATA)
    assert rows(headrace.Table("db", "events").load("name is null")) == [(3, None)]
    assert headrace.Table("db.events").full_path.endswith("/db/events")


def test_a_table_that_headrace_creates_is_pyicebergs_too(workdir: Path) -> None:
    home = Path(os.environ["HEADRACE_HOME"])
    catalog = headrace.load_catalog()
    catalog.create_namespace("db")
    fields = [
        NestedField(1, "id", PrimitiveType("long")),
        NestedField(2, "name", PrimitiveType("string")),
    ]
    catalog.create_table("db.made", Schema(tuple(fields)))
    theirs = SqlCatalog(catalog.name, uri=f"sqlite:///{home}/catalog.db", warehouse=f"file://{home}/warehouse")
    try:
        theirs.load_table("db.made").append(DATA)
    finally:
        theirs.close()
    assert rows(headrace.Table("db.made").load()) == rows(DATA)


def test_postgresql_with_a_warehouse_on_s3(workdir: Path, postgres: Postgres, seaweed: SeaweedFS) -> None:
    storage = seaweed.storage_properties
    theirs = SqlCatalog("pg", uri=postgres.sqlalchemy_uri, warehouse="s3://data/pg", **storage)
    try:
        theirs.create_namespace("db")
        theirs.create_table("db.t", schema=DATA.schema).append(DATA)
    finally:
        theirs.close()

    catalog = headrace.load_catalog("pg", type="sql", uri=postgres.uri, warehouse="s3://data/pg", **storage)

    assert catalog.list_tables("db") == [("db", "t")]
    assert rows(headrace.Table("db.t", catalog=catalog).load()) == rows(DATA)


def test_vended_credentials_read_the_table(seaweed_vended: SeaweedFS, workdir: Path) -> None:
    """The client has no key of its own: what it reads with comes from the catalog."""
    theirs = Warehouse(seaweed_vended).written(DATA)
    properties = {key: value for key, value in seaweed_vended.catalog_properties.items() if not key.startswith("s3.")}

    catalog = headrace.load_catalog("vended", **properties, **{"s3.region": "us-east-1"})

    table = headrace.Table(".".join(theirs.name()), catalog=catalog)
    assert rows(table.load()) == rows(DATA)


def test_configured_by_the_environment_alone(
    warehouse: Warehouse, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = warehouse.written(DATA)
    for key, value in warehouse.server.catalog_properties.items():
        monkeypatch.setenv(config.variable("lake", key), value)
    monkeypatch.setenv("HEADRACE_CATALOG", "lake")

    ours = headrace.Table(".".join(table.name()))

    assert rows(ours.load()) == rows(DATA)
    assert ours.full_path == "lake/" + "/".join(table.name())


def test_the_embedded_catalog_in_a_folder_with_a_space(
    workdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "my späte data"
    monkeypatch.setenv("HEADRACE_HOME", str(home))
    catalog = headrace.load_catalog()
    catalog.create_namespace("db")
    catalog.create_table("db.t", Schema((NestedField(1, "id", PrimitiveType("long")),)))
    theirs = SqlCatalog(catalog.name, uri=f"sqlite:///{home}/catalog.db")
    try:
        theirs.load_table("db.t").append(DATA.select(["id"]))
    finally:
        theirs.close()
    assert headrace.Table("db.t").load().num_rows == 3
    assert (home / "warehouse").is_dir()
