"""The Hive Metastore as a catalog: real metastores of versions 2.3 and 4.0, with PyIceberg as the other party."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from headrace.catalog import load_catalog
from headrace.catalog.hive import HiveCatalog
from headrace.errors import (
    CatalogError,
    ConfigurationError,
    MetaflowTableConflict,
    MetaflowTableExists,
    MetaflowTableNotFound,
    NamespaceExists,
    NamespaceNotFound,
    UnreachableError,
    UnsupportedError,
)
from headrace.iceberg import ListType, NestedField, PartitionField, PartitionSpec, PrimitiveType, Schema, Transform
from headrace.iceberg import updates as change
from headrace.metastore import Metastore
from pyiceberg.catalog import load_catalog as open_pyiceberg

from tests.servers.hive_metastore import HiveMetastore

SCHEMA = Schema(
    (
        NestedField(1, "id", PrimitiveType("long"), required=True),
        NestedField(2, "ds", PrimitiveType("date"), doc="the day"),
        NestedField(3, "at", PrimitiveType("timestamptz")),
        NestedField(4, "tags", ListType(NestedField(5, "element", PrimitiveType("string")))),
    ),
)
BY_DS = PartitionSpec((PartitionField((2,), 1000, "ds", Transform("identity")),))


@pytest.fixture
def catalog(any_metastore: HiveMetastore, tmp_path: Path) -> HiveCatalog:
    """A catalog whose namespaces a test names after itself."""
    found = load_catalog("hms", uri=any_metastore.uri, warehouse=f"file://{tmp_path}/warehouse")
    assert isinstance(found, HiveCatalog)
    return found


@pytest.fixture
def db(catalog: HiveCatalog, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own."""
    name = f"d{abs(hash(request.node.nodeid)) % 10**9}"
    catalog.create_namespace(name, {"comment": "made by a test", "a": "b"})
    return name


def test_namespaces(catalog: HiveCatalog, db: str, tmp_path: Path) -> None:
    assert (db,) in catalog.list_namespaces()
    assert catalog.list_namespaces(db) == []
    properties = catalog.namespace_properties(db)
    assert (properties["comment"], properties["a"]) == ("made by a test", "b")
    assert properties["location"] == f"file://{tmp_path}/warehouse/{db}.db"
    with pytest.raises(NamespaceExists):
        catalog.create_namespace(db)
    with pytest.raises(NamespaceNotFound, match=f"did you mean '{db}'"):
        catalog.list_tables(f"{db}x")
    with pytest.raises(NamespaceNotFound, match="no nested namespaces"):
        catalog.load_table("a.b.c")
    catalog.create_table(f"{db}.t", SCHEMA)
    with pytest.raises(CatalogError, match="not empty"):
        catalog.drop_namespace(db)
    catalog.drop_table(f"{db}.t")
    catalog.drop_namespace(db)
    assert (db,) not in catalog.list_namespaces()


def test_create_rename_register_drop(catalog: HiveCatalog, db: str) -> None:
    made = catalog.create_table(f"{db}.t", SCHEMA, BY_DS, properties={"p": "q"})
    assert catalog.load_table(f"{db}.T").metadata.raw == made.metadata.raw  # a metastore knows lower case only
    assert catalog.table_exists((db, "t"))
    assert not catalog.table_exists("no.such.thing")
    with pytest.raises(MetaflowTableExists):
        catalog.create_table(f"{db}.t", SCHEMA)
    with pytest.raises(MetaflowTableNotFound, match="did you mean 't'"):
        catalog.load_table(f"{db}.tt")
    with pytest.raises(NamespaceNotFound):
        catalog.create_table("nowhere.t", SCHEMA)
    catalog.rename_table(f"{db}.t", f"{db}.u")
    assert catalog.list_tables(db) == [(db, "u")]
    catalog.create_table(f"{db}.taken", SCHEMA)
    with pytest.raises(MetaflowTableExists):
        catalog.rename_table(f"{db}.u", f"{db}.taken")
    with pytest.raises(MetaflowTableNotFound):
        catalog.rename_table(f"{db}.t", f"{db}.v")
    with pytest.raises(UnsupportedError, match="purge"):
        catalog.drop_table(f"{db}.u", purge=True)
    catalog.drop_table(f"{db}.u")
    assert Path(str(made.metadata_location).removeprefix("file://")).exists()
    catalog.register_table(f"{db}.again", str(made.metadata_location))
    assert catalog.load_table(f"{db}.again").metadata.table_uuid == made.metadata.table_uuid
    with pytest.raises(MetaflowTableNotFound):
        catalog.drop_table(f"{db}.u")


def test_what_the_metastore_knows_of_a_table(catalog: HiveCatalog, db: str, any_metastore: HiveMetastore) -> None:
    made = catalog.create_table(f"{db}.t", SCHEMA, properties={"p": "q", "gone": "soon", "long": "x" * 5000})
    table = catalog.metastore.get_table(db, "t")
    zoned = "timestamp" if any_metastore.version.startswith("2") else "timestamp with local time zone"
    columns = [("id", "bigint"), ("ds", "date"), ("at", zoned), ("tags", "array<string>")]
    assert [(each.name, each.type) for each in table.sd.cols] == columns
    assert table.sd.cols[1].comment == "the day"
    assert table.parameters["table_type"] == "ICEBERG"
    assert table.parameters["metadata_location"] == made.metadata_location
    assert "long" not in table.parameters
    table.parameters["theirs"] = "kept"
    catalog.metastore.alter_table(db, "t", table, {})
    updates = [*change.set_properties({"new": "1"}), *change.remove_properties(["gone"])]
    after = catalog.commit_table(f"{db}.t", [], updates)
    parameters = catalog.metastore.get_table(db, "t").parameters
    assert parameters["metadata_location"] == after.metadata_location
    assert parameters["previous_metadata_location"] == made.metadata_location
    assert {key: parameters.get(key) for key in ("p", "new", "gone", "theirs")} == {
        "p": "q", "new": "1", "gone": None, "theirs": "kept"
    }  # fmt: skip
    assert after.metadata.properties["long"] == "x" * 5000


@pytest.mark.parametrize("locks", ["true", "false"])
def test_of_two_commits_one_takes_effect(catalog: HiveCatalog, db: str, locks: str) -> None:
    properties = {"engine.hive.lock-enabled": locks}
    made = catalog.create_table(f"{db}.t", SCHEMA, properties=properties)
    results: list[Any] = []
    barrier = threading.Barrier(4)

    def commit(at: int) -> None:
        barrier.wait()
        try:
            results.append(catalog.commit_table(f"{db}.t", [], change.set_properties({f"k{at}": "v"})))
        except MetaflowTableConflict as error:
            results.append(error)

    threads = [threading.Thread(target=commit, args=(at,)) for at in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    done = [each for each in results if not isinstance(each, Exception)]
    kept = catalog.load_table(f"{db}.t").metadata
    assert len(results) == 4
    assert len([key for key in kept.properties if key.startswith("k")]) == len(done) >= 1
    # Those that were refused left no metadata file behind
    folder = Path(str(made.metadata_location).removeprefix("file://")).parent
    assert len(list(folder.glob("*.metadata.json"))) == 1 + len(done)


def test_requirements_that_do_not_hold(catalog: HiveCatalog, db: str) -> None:
    catalog.create_table(f"{db}.t", SCHEMA)
    with pytest.raises(MetaflowTableConflict) as refused:
        catalog.commit_table(f"{db}.t", [change.assert_ref("main", 5)], change.set_properties({"a": "b"}))
    assert refused.value.table == f"{db}.t"
    assert "a" not in catalog.load_table(f"{db}.t").metadata.properties


def test_pyiceberg_and_headrace_on_one_metastore(metastores: Callable[[str], HiveMetastore], tmp_path: Path) -> None:
    metastore = metastores("2.3.10")  # PyIceberg calls get_table, which version 4 does not serve
    catalog, db = load_catalog("hms", uri=metastore.uri, warehouse=f"file://{tmp_path}/warehouse"), "with_pyiceberg"
    catalog.create_namespace(db)
    theirs = open_pyiceberg("hms", type="hive", uri=metastore.uri, **{"hive.hive2-compatible": "true"})
    made = catalog.create_table(f"{db}.ours", SCHEMA, BY_DS, properties={"p": "q"})
    opened = theirs.load_table(f"{db}.ours")
    assert str(opened.metadata.table_uuid) == made.metadata.table_uuid
    with opened.transaction() as transaction:
        transaction.set_properties(by="pyiceberg")
    after = catalog.load_table(f"{db}.ours").metadata
    assert (after.properties["by"], after.properties["p"]) == ("pyiceberg", "q")
    theirs.create_table(f"{db}.theirs", pyarrow.schema([("id", pyarrow.int64())])).append(pyarrow.table({"id": [1]}))
    assert catalog.list_tables(db) == [(db, "ours"), (db, "theirs")]
    catalog.commit_table(f"{db}.theirs", [], change.set_properties({"by": "headrace"}))
    again = theirs.load_table(f"{db}.theirs")
    assert again.properties["by"] == "headrace"
    assert again.scan().to_arrow().to_pylist() == [{"id": 1}]


def test_properties_that_cannot_be(any_metastore: HiveMetastore) -> None:
    for uri in ("http://h:1", "thrift://", "thrift://h:0", "thrift://h:99999", "h:9083"):
        with pytest.raises(ConfigurationError, match="expected thrift://"):
            Metastore({"uri": uri})
    with pytest.raises(ConfigurationError, match=r"hive\.thrift\.transport"):
        Metastore({"uri": any_metastore.uri, "hive.thrift.transport": "sasl"})
    with pytest.raises(ConfigurationError, match=r"hive\.thrift\.timeout-ms"):
        Metastore({"uri": any_metastore.uri, "hive.thrift.timeout-ms": "soon"})
    with pytest.raises(UnsupportedError, match="Kerberos"):
        Metastore({"uri": any_metastore.uri, "hive.kerberos-authentication": "true"})
    with pytest.raises(UnsupportedError, match="SASL"):
        Metastore({"uri": any_metastore.uri, "hive.metastore.sasl.enabled": "true"})
    with pytest.raises(ConfigurationError, match="'uri' is missing"):
        load_catalog("x", type="hive")
    assert Metastore({"uri": any_metastore.uri, "ugi": "someone:group"}).get_all_databases()


def test_a_server_that_is_no_metastore(fault_server: Any) -> None:
    address = fault_server.endpoint.removeprefix("http://")
    with pytest.raises((UnreachableError, CatalogError), match="Hive Metastore"):
        load_catalog("x", uri=f"thrift://{address}", **{"hive.thrift.timeout-ms": 2000}).list_namespaces()


def test_pickled_and_forked(catalog: HiveCatalog, db: str) -> None:
    again = pickle.loads(pickle.dumps(catalog))
    assert (db,) in again.list_namespaces()
    import multiprocessing

    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        assert pool.map(_count, [catalog] * 4) == [len(catalog.list_namespaces())] * 4
    assert (db,) in catalog.list_namespaces()  # the parent's connection is as it was


def _count(catalog: HiveCatalog) -> int:
    return len(catalog.list_namespaces())


def test_without_thriftpy2_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['thriftpy2'] = None\n"
        "import headrace\n"
        "try: headrace.load_catalog('x', uri='thrift://127.0.0.1:9').list_namespaces()\n"
        "except headrace.errors.ConfigurationError as error: print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "thriftpy2, which is not installed" in told
    assert "pip install 'headrace[hive]'" in told
