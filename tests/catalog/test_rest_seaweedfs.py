"""The REST catalog on a real server: SeaweedFS, with OAuth2 and vended credentials; PyIceberg as the other party."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from typing import Any

import pyarrow
import pytest
from catalog_servers import urllib_transport
from headrace.catalog.rest import RestCatalog
from headrace.errors import (
    AuthenticationError,
    CatalogError,
    ConfigurationError,
    MetaflowTableExists,
    MetaflowTableNotFound,
    NamespaceExists,
    NamespaceNotFound,
    UnreachableError,
)
from headrace.iceberg import NestedField, PartitionField, PartitionSpec, PrimitiveType, Schema, Transform
from pyiceberg.catalog import load_catalog as open_pyiceberg

SCHEMA = Schema((NestedField(1, "id", PrimitiveType("long")), NestedField(2, "ds", PrimitiveType("string"))))


@pytest.fixture
def catalog(weed: dict[str, str]) -> Iterator[RestCatalog]:
    made = RestCatalog("weed", weed, transport=urllib_transport)
    yield made
    for namespace in made.list_namespaces():
        for table in made.list_tables(namespace):
            made.drop_table(table, purge=True)
        for inner in made.list_namespaces(namespace):
            for table in made.list_tables(inner):
                made.drop_table(table, purge=True)
            made.drop_namespace(inner)
        made.drop_namespace(namespace)


def _pyiceberg(weed: dict[str, str]) -> Any:
    return open_pyiceberg("x", **weed, **{"oauth2-server-uri": f"{weed['uri']}/v1/oauth/tokens"})


def _s3(properties: Any) -> Any:
    from pyarrow.fs import S3FileSystem

    return S3FileSystem(
        access_key=properties["s3.access-key-id"],
        secret_key=properties["s3.secret-access-key"],
        session_token=properties["s3.session-token"],
        endpoint_override=properties["s3.endpoint"].removeprefix("http://"),
        scheme="http",
        region="us-east-1",
    )


def test_a_table_that_pyiceberg_wrote(catalog: RestCatalog, weed: dict[str, str]) -> None:
    other = _pyiceberg(weed)
    other.create_namespace("db")
    theirs = other.create_table("db.t", pyarrow.schema([("id", pyarrow.int64())]))
    theirs.append(pyarrow.table({"id": [1, 2, 3]}))
    ours = catalog.load_table("db.t")
    assert ours.metadata_location == other.load_table("db.t").metadata_location
    assert ours.metadata.current_snapshot is not None
    assert (ours.metadata.current_snapshot.summary or {})["total-records"] == "3"
    assert "credential" not in ours.properties


def test_vended_credentials_read_the_table_and_can_be_renewed(catalog: RestCatalog) -> None:
    catalog.create_namespace("db")
    catalog.create_table("db.t", SCHEMA)
    loaded = catalog.load_table("db.t")
    assert loaded.properties["s3.access-key-id"] != "testkey"
    assert loaded.storage_credentials
    assert loaded.storage_credentials[0][0].startswith("s3://warehouse")
    assert "s3.session-token" in loaded.properties_for(loaded.metadata.location + "/data/x.parquet")
    path = (loaded.metadata_location or "").removeprefix("s3://")
    with _s3(loaded.properties).open_input_stream(path) as file:
        assert json.loads(file.read()) == loaded.metadata.raw
    assert loaded.refresh is not None
    fresh = loaded.refresh()
    with _s3(fresh).open_input_stream(path) as file:
        assert file.read(1) == b"{"
    assert loaded.properties["s3.secret-access-key"] not in repr(loaded)
    with pytest.raises(ValueError, match="credentials"):
        pickle.dumps(loaded)


def test_namespaces_of_two_levels_and_pages(weed: dict[str, str], catalog: RestCatalog) -> None:
    paged = RestCatalog("paged", {**weed, "rest-page-size": "2"}, transport=urllib_transport)
    for each in range(5):
        catalog.create_namespace(f"n{each}", {"number": str(each)})
    catalog.create_namespace("n0.inner")
    for each in range(5):
        catalog.create_table(f"n0.inner.t{each}", SCHEMA)
    assert [each for each in paged.list_namespaces() if len(each) == 1] == [(f"n{each}",) for each in range(5)]
    assert paged.list_namespaces("n0") == [("n0", "inner")]
    assert paged.list_tables("n0.inner") == [("n0", "inner", f"t{each}") for each in range(5)]
    assert paged.load_table(("n0", "inner", "t3")).identifier == ("n0", "inner", "t3")
    assert catalog.namespace_properties("n3")["number"] == "3"


def test_create_rename_register_drop(catalog: RestCatalog, weed: dict[str, str]) -> None:
    catalog.create_namespace("db")
    spec = PartitionSpec((PartitionField((2,), 1000, "ds_bucket", Transform("bucket", 4)),))
    made = catalog.create_table("db.t", SCHEMA, spec, properties={"a": "b"})
    assert made.metadata.properties["a"] == "b"
    assert str(made.metadata.spec.fields[0].transform) == "bucket[4]"
    theirs = _pyiceberg(weed).load_table("db.t")
    assert [each.name for each in theirs.schema().fields] == ["id", "ds"]
    with pytest.raises(MetaflowTableExists):
        catalog.create_table("db.t", SCHEMA)
    catalog.rename_table("db.t", "db.u")
    assert [catalog.table_exists(name) for name in ("db.t", "db.u")] == [False, True]
    with pytest.raises(MetaflowTableNotFound):
        catalog.rename_table("db.t", "db.v")
    with pytest.raises(MetaflowTableExists):
        catalog.register_table("db.u", made.metadata_location or "")
    again = catalog.register_table("db.r", made.metadata_location or "")
    assert again.metadata.table_uuid == made.metadata.table_uuid
    with pytest.raises(CatalogError):
        catalog.drop_namespace("db")
    catalog.drop_table("db.r")
    with pytest.raises(MetaflowTableNotFound):
        catalog.drop_table("db.r")


def test_names_that_are_not_there(catalog: RestCatalog) -> None:
    catalog.create_namespace("sales")
    with pytest.raises(NamespaceExists):
        catalog.create_namespace("sales")
    catalog.create_table("sales.orders", SCHEMA)
    with pytest.raises(MetaflowTableNotFound, match="did you mean 'orders'"):
        catalog.load_table("sales.ordesr")
    for act in (catalog.list_tables, catalog.namespace_properties, catalog.drop_namespace):
        with pytest.raises(NamespaceNotFound, match="did you mean 'sales'"):
            act("salse")
    with pytest.raises(NamespaceNotFound, match="did you mean 'sales'"):
        catalog.load_table("salse.orders")
    with pytest.raises(NamespaceNotFound):
        catalog.create_table("salse.t", SCHEMA)


def test_raw_commit(catalog: RestCatalog) -> None:
    catalog.create_namespace("db")
    made = catalog.create_table("db.t", SCHEMA)
    update = [{"action": "set-properties", "updates": {"k": "v"}}]
    mine = [{"type": "assert-table-uuid", "uuid": made.metadata.table_uuid}]
    assert catalog.commit_table("db.t", mine, update).metadata.properties["k"] == "v"


def test_wrong_keys_and_addresses(weed: dict[str, str]) -> None:
    wrong = RestCatalog("c", {**weed, "credential": "testkey:n0tright"}, transport=urllib_transport)
    with pytest.raises(AuthenticationError) as refused:
        wrong.list_namespaces()
    assert "n0tright" not in str(refused.value)
    bad = {key: value for key, value in weed.items() if key != "credential"} | {"token": "t0ken-of-nobody"}
    with pytest.raises(AuthenticationError) as unknown:
        RestCatalog("c", bad, transport=urllib_transport).list_namespaces()
    assert "t0ken-of-nobody" not in str(unknown.value)
    nobody = RestCatalog("c", {**weed, "uri": "http://127.0.0.1:9"}, transport=urllib_transport)
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9"):
        nobody.list_namespaces()
    with pytest.raises(AuthenticationError, match="not an Iceberg REST catalog"):
        RestCatalog("c", {**weed, "uri": weed["s3.endpoint"], "token": "t"}, transport=urllib_transport).list_tables(
            "a"
        )
    with pytest.raises(ConfigurationError, match="uri"):
        RestCatalog("c", {"uri": "127.0.0.1:9"})
