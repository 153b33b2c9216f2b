"""The SQL catalog on real SQLite and PostgreSQL, with PyIceberg as the other party."""

from __future__ import annotations

import json
import pickle
import sqlite3
import threading
from pathlib import Path
from typing import Any, ClassVar

import pyarrow
import pytest
from catalog_servers import LocalStore
from headrace.catalog import load_catalog
from headrace.catalog.sql import SqlCatalog
from headrace.errors import (
    AuthenticationError,
    CatalogError,
    ConfigurationError,
    InvalidArgument,
    MetaflowTableExists,
    MetaflowTableNotFound,
    NamespaceExists,
    NamespaceNotFound,
    UnreachableError,
    UnsupportedError,
)
from headrace.iceberg import NestedField, PartitionField, PartitionSpec, PrimitiveType, Schema, Transform
from pyiceberg.catalog import load_catalog as open_pyiceberg

SCHEMA = Schema(
    (NestedField(1, "id", PrimitiveType("long"), required=True), NestedField(2, "ds", PrimitiveType("date"))),
)
BY_DS = PartitionSpec((PartitionField((2,), 1000, "ds", Transform("identity")),))
BY_DAY = PartitionSpec((PartitionField((2,), 1000, "ds_day", Transform("day")),))


@pytest.fixture(params=["sqlite", "postgres"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> SqlCatalog:
    """A catalog with a name of its own; both databases must keep the same contract."""
    is_sqlite = request.param == "sqlite"
    uri = f"sqlite:///{tmp_path}/catalog.db" if is_sqlite else request.getfixturevalue("postgres")
    properties = {"uri": uri, "warehouse": f"file://{tmp_path}/warehouse"}
    return SqlCatalog(f"c{abs(hash(str(tmp_path))) % 10**9}", properties, LocalStore)


def _pyiceberg(catalog: SqlCatalog) -> Any:
    uri = catalog.properties["uri"].replace("postgresql://", "postgresql+psycopg2://")
    properties = {"type": "sql", "uri": uri, "warehouse": catalog.properties["warehouse"]}
    return open_pyiceberg(catalog.name, **properties)


def test_pyiceberg_opens_writes_and_we_read_what_we_created(catalog: SqlCatalog) -> None:
    catalog.create_namespace("db", {"owner": "me"})
    made = catalog.create_table("db.t", SCHEMA, BY_DS, properties={"a": "b"})
    other = _pyiceberg(catalog)
    theirs = other.load_table("db.t")
    assert theirs.schema().as_arrow().names == ["id", "ds"]
    assert [field.name for field in theirs.spec().fields] == ["ds"]
    assert theirs.properties == {"a": "b"}
    assert str(theirs.metadata.table_uuid) == made.metadata.table_uuid
    assert other.load_namespace_properties("db") == {"owner": "me"}
    columns = pyarrow.schema([pyarrow.field("id", pyarrow.int64(), nullable=False), ("ds", pyarrow.date32())])
    theirs.append(pyarrow.table({"id": [1, 2], "ds": [None, None]}, schema=columns))
    again = catalog.load_table("db.t")
    assert again.metadata.current_snapshot is not None
    assert again.metadata.current_snapshot.operation == "append"
    assert again.metadata_location == theirs.refresh().metadata_location


def test_we_open_what_pyiceberg_created(catalog: SqlCatalog) -> None:
    other = _pyiceberg(catalog)
    other.create_namespace("one.two")
    columns = pyarrow.schema([("s", pyarrow.struct([("x", pyarrow.int32())])), ("l", pyarrow.list_(pyarrow.string()))])
    theirs = other.create_table("one.two.t", columns)
    ours = catalog.load_table("one.two.t")
    assert ours.metadata.schema.names_by_id == {1: "s", 2: "l", 3: "s.x", 4: "l.element"}
    assert ours.metadata.table_uuid == str(theirs.metadata.table_uuid)
    assert catalog.list_namespaces() == [("one",)]
    assert catalog.list_namespaces("one") == [("one", "two")]
    assert catalog.list_tables("one.two") == [("one", "two", "t")]
    assert catalog.namespace_properties("one.two") == {"exists": "true"}


@pytest.mark.parametrize("version", ["1", "2"])
def test_both_format_versions_are_readable_by_pyiceberg(catalog: SqlCatalog, version: str) -> None:
    catalog.create_namespace("db")
    made = catalog.create_table("db.t", SCHEMA, BY_DAY, properties={"format-version": version})
    theirs = _pyiceberg(catalog).load_table("db.t")
    assert theirs.metadata.format_version == made.metadata.format_version == int(version)
    assert theirs.current_snapshot() is None
    assert len(theirs.scan().to_arrow()) == 0


def test_names_that_are_not_there_offer_the_nearest(catalog: SqlCatalog) -> None:
    with pytest.raises(NamespaceNotFound):
        catalog.load_table("sales.orders")
    catalog.create_namespace("sales")
    catalog.create_table("sales.orders", SCHEMA)
    with pytest.raises(MetaflowTableNotFound, match="did you mean 'orders'"):
        catalog.load_table("sales.order")
    with pytest.raises(NamespaceNotFound, match="did you mean 'sales'"):
        catalog.list_tables("salse")
    with pytest.raises(NamespaceNotFound):
        catalog.create_table("elsewhere.t", SCHEMA)
    with pytest.raises(InvalidArgument, match="names no namespace"):
        catalog.load_table("orders")
    assert not catalog.table_exists("sales.order")
    assert catalog.table_exists(("sales", "orders"))


def test_what_exists_is_not_made_again(catalog: SqlCatalog) -> None:
    catalog.create_namespace("db")
    with pytest.raises(NamespaceExists):
        catalog.create_namespace("db")
    first = catalog.create_table("db.t", SCHEMA)
    with pytest.raises(MetaflowTableExists):
        catalog.create_table("db.t", SCHEMA)
    with pytest.raises(MetaflowTableExists):
        catalog.register_table("db.t", first.metadata_location or "")
    with pytest.raises(CatalogError, match=r"not empty: it holds db\.t"):
        catalog.drop_namespace("db")


def test_one_of_many_creators_wins(catalog: SqlCatalog, tmp_path: Path) -> None:
    catalog.create_namespace("db")
    won: list[str] = []
    lost: list[Exception] = []
    barrier = threading.Barrier(6)

    def create() -> None:
        barrier.wait()
        try:
            won.append(catalog.create_table("db.t", SCHEMA).metadata_location or "")
        except MetaflowTableExists as error:
            lost.append(error)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (len(won), len(lost)) == (1, 5)
    assert catalog.load_table("db.t").metadata_location == won[0]
    files = list((tmp_path / "warehouse/db.db/t/metadata").iterdir())
    assert [f"file://{each}" for each in files] == won  # losers took their metadata away again


def test_rename_register_and_drop(catalog: SqlCatalog) -> None:
    catalog.create_namespace("db")
    catalog.create_namespace("other")
    made = catalog.create_table("db.t", SCHEMA)
    catalog.create_table("other.taken", SCHEMA)
    with pytest.raises(MetaflowTableExists):
        catalog.rename_table("db.t", "other.taken")
    with pytest.raises(MetaflowTableNotFound):
        catalog.rename_table("db.missing", "db.u")
    catalog.rename_table("db.t", "other.u")
    assert catalog.load_table("other.u").metadata_location == made.metadata_location
    catalog.drop_table("other.u")
    assert not catalog.table_exists("other.u")
    assert Path((made.metadata_location or "").removeprefix("file://")).exists()
    catalog.register_table("db.again", made.metadata_location or "")
    assert catalog.load_table("db.again").metadata.table_uuid == made.metadata.table_uuid
    with pytest.raises(MetaflowTableNotFound):
        catalog.drop_table("db.t")
    with pytest.raises(MetaflowTableNotFound, match="metadata file is gone"):
        catalog.register_table("db.nothing", "/nowhere/v1.metadata.json")
    catalog.drop_table("db.again")
    catalog.drop_namespace("db")
    assert catalog.list_namespaces() == [("other",)]


def test_purge_removes_a_folder_of_the_warehouse_and_nothing_else(catalog: SqlCatalog, tmp_path: Path) -> None:
    catalog.create_namespace("db")
    catalog.create_table("db.t", SCHEMA)
    outside = catalog.create_table("db.outside", SCHEMA, location=f"{tmp_path}/outside")
    catalog.create_table("db.nest", SCHEMA)
    catalog.create_table("db.inner", SCHEMA, location=f"{tmp_path}/warehouse/db.db/nest/inner")
    catalog.drop_table("db.t", purge=True)
    assert not (tmp_path / "warehouse/db.db/t").exists()
    for name in ("db.outside", "db.nest"):
        with pytest.raises(UnsupportedError, match="purge"):
            catalog.drop_table(name, purge=True)
        assert catalog.table_exists(name)
    assert Path(outside.metadata_location or "").exists()


def test_tables_of_the_first_layout_and_views(tmp_path: Path) -> None:
    """The JDBC catalog's first layout has no iceberg_type; in the second one a view is no table."""
    file = tmp_path / "old.db"
    with sqlite3.connect(file) as connection:
        connection.execute(
            "create table iceberg_tables (catalog_name text, table_namespace text, table_name text, metadata_location"
            " text, previous_metadata_location text, primary key (catalog_name, table_namespace, table_name))"
        )
    connection.close()
    catalog = SqlCatalog("c", {"uri": f"sqlite:///{file}", "warehouse": str(tmp_path / "w")}, LocalStore)
    catalog.create_namespace("db")
    catalog.create_table("db.t", SCHEMA)
    assert catalog.list_tables("db") == [("db", "t")]
    with sqlite3.connect(file) as connection:
        connection.execute("alter table iceberg_tables add column iceberg_type varchar(5)")
        connection.execute("insert into iceberg_tables values ('c', 'db', 'v', '/v.json', null, 'VIEW')")
    connection.close()
    assert catalog.list_tables("db") == [("db", "t")]
    assert not catalog.table_exists("db.v")
    catalog.drop_table("db.t")


def test_reading_makes_no_file(tmp_path: Path) -> None:
    catalog = SqlCatalog("c", {"uri": f"sqlite:///{tmp_path}/none.db"}, LocalStore)
    assert catalog.list_namespaces() == []
    with pytest.raises(NamespaceNotFound):
        catalog.load_table("db.t")
    assert not (tmp_path / "none.db").exists()


def test_bad_addresses_are_typed_errors(tmp_path: Path, postgres: str) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        SqlCatalog("c", {"uri": f"sqlite:///{tmp_path}/no/such.db"}).create_namespace("db")
    with pytest.raises(ConfigurationError, match="memory"):
        SqlCatalog("c", {"uri": "sqlite:///:memory:"})
    with pytest.raises(ConfigurationError, match=r"expected sqlite"):
        SqlCatalog("c", {"uri": "mysql://me:hidden@host/db"})
    (tmp_path / "junk.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(CatalogError, match="SQLite"):
        SqlCatalog("c", {"uri": f"sqlite:///{tmp_path}/junk.db"}).list_namespaces()
    with pytest.raises(AuthenticationError) as wrong:
        SqlCatalog("c", {"uri": postgres.replace("pg-secret", "wr0ng")}).list_namespaces()
    assert "wr0ng" not in str(wrong.value)
    with pytest.raises(UnreachableError) as nobody:
        SqlCatalog("c", {"uri": "postgresql://u:hidden@127.0.0.1:9/x"}).list_namespaces()
    assert "hidden" not in str(nobody.value)


class RemoteStore(LocalStore):
    """A store of objects in memory."""

    objects: ClassVar[dict[str, bytes]] = {}

    def read(self, location: str, start: int | None = None, end: int | None = None) -> bytes:
        return self.objects[location]

    def put(self, location: str, data: bytes, if_absent: bool = False) -> bool:
        assert if_absent
        assert location not in self.objects
        self.objects[location] = data
        return True


def test_metadata_of_remote_warehouses_goes_through_the_store(tmp_path: Path) -> None:
    properties = {"uri": f"sqlite:///{tmp_path}/c.db", "warehouse": "s3://bucket/w"}
    catalog = SqlCatalog("c", properties | {"s3.region": "us-east-1"}, RemoteStore)
    catalog.create_namespace("db")
    location = catalog.create_table("db.t", SCHEMA).metadata_location
    assert list(RemoteStore.objects) == [location]
    assert catalog.load_table("db.t").metadata.location == "s3://bucket/w/db.db/t"
    catalog.commit_table("db.t", [], [{"action": "set-properties", "updates": {"a": "b"}}])
    assert catalog.load_table("db.t").metadata.properties == {"a": "b"}
    assert len(RemoteStore.objects) == 2


def test_schemas_that_cannot_be(catalog: SqlCatalog) -> None:
    catalog.create_namespace("db")
    with pytest.raises(InvalidArgument, match="source id 9"):
        catalog.create_table("db.t", SCHEMA, PartitionSpec((PartitionField((9,), 1000, "x", Transform("identity")),)))
    with pytest.raises(InvalidArgument, match="ids start at 1"):
        catalog.create_table("db.t", Schema((NestedField(0, "a", PrimitiveType("int")),)))
    with pytest.raises(UnsupportedError, match="format version 3"):
        catalog.create_table("db.t", Schema((NestedField(1, "a", PrimitiveType("timestamp_ns")),)))
    assert catalog.list_tables("db") == []


def test_a_pickled_catalog_finds_its_password_again_or_says_which(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = load_catalog("shop", uri=postgres, **{"s3.region": "eu-west-1"})
    data = pickle.dumps(catalog)
    assert b"pg-secret" not in data
    assert "pg-secret" not in repr(catalog)
    with pytest.raises(ConfigurationError, match="HEADRACE_CATALOG__SHOP__URI"):
        pickle.loads(data).list_namespaces()
    monkeypatch.setenv("HEADRACE_CATALOG__SHOP__URI", postgres)
    again = pickle.loads(data)
    assert again.list_namespaces() == []
    assert again.properties["s3.region"] == "eu-west-1"
    monkeypatch.setenv("HEADRACE_CATALOG__SHOP__URI", postgres.replace("postgres", "other", 2))
    with pytest.raises(ConfigurationError):  # another database is not the one that was pickled
        pickle.loads(data).list_namespaces()


def test_the_embedded_catalog(bare_environment: Path) -> None:
    catalog = load_catalog()
    assert isinstance(catalog, SqlCatalog)
    folder = bare_environment / ".local/share/headrace"
    assert catalog.list_namespaces() == []
    assert not folder.exists()
    catalog.create_namespace("db")
    made = catalog.create_table("db.t", SCHEMA)
    assert json.loads(Path((made.metadata_location or "").removeprefix("file://")).read_text()) == made.metadata.raw
    theirs = open_pyiceberg("default", type="sql", uri=f"sqlite:///{folder}/catalog.db")
    assert theirs.load_table("db.t").metadata_location == made.metadata_location
