"""AWS Glue as a catalog, on moto: what calls do one after another, with PyIceberg as the other party.

Behaviour only. Moto takes an update whatever version it names, so nothing here shows that two commits at once are safe;
what Glue would answer then (and throttled, and broken answers) is put in by a proxy, `Faults`.
"""

from __future__ import annotations

import http.client
import itertools
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pyarrow
import pyarrow.parquet
import pytest
from headrace import Table
from headrace.catalog import load_catalog
from headrace.catalog.glue import GlueCatalog
from headrace.errors import (
    AuthenticationError,
    CatalogError,
    ConfigurationError,
    MetaflowTableCommitStateUnknownException,
    MetaflowTableConflict,
    MetaflowTableExists,
    MetaflowTableNotFound,
    MetaflowTableRateLimitException,
    NamespaceExists,
    NamespaceNotFound,
    UnreachableError,
    UnsupportedError,
)
from headrace.iceberg import ListType, NestedField, PrimitiveType, Schema
from headrace.iceberg import updates as change
from pyiceberg.catalog.glue import GlueCatalog as PyIcebergGlue

from tests.servers.moto import Moto

SCHEMA = Schema(
    (
        NestedField(1, "id", PrimitiveType("long"), required=True),
        NestedField(2, "ds", PrimitiveType("date"), doc="the day"),
        NestedField(3, "at", PrimitiveType("timestamptz")),
        NestedField(4, "tags", ListType(NestedField(5, "element", PrimitiveType("string")))),
    ),
)
PARQUET = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}
_NAMES = itertools.count()


class Faults:
    """Moto behind a proxy that answers some calls otherwise; `plan` holds (call, answer), each for one request.

    An answer is an error's code and status, or "lost": the call is made, and answered by a broken connection.
    """

    def __init__(self, moto: Moto) -> None:
        self.plan: list[tuple[str, Any]] = []
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.before: Callable[[], None] | None = None
        faults, port = self, int(moto.url.rpartition(":")[2])

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                name = self.headers["X-Amz-Target"].rpartition(".")[2]
                faults.seen.append((name, json.loads(body)))
                fault = faults.plan.pop(0)[1] if faults.plan and faults.plan[0][0] == name else None
                if fault is None or fault == "lost":
                    upstream = http.client.HTTPConnection("127.0.0.1", port)
                    upstream.request("POST", "/", body, dict(self.headers))
                    answer = upstream.getresponse()
                    status, told = answer.status, answer.read()
                    upstream.close()
                    if fault == "lost":
                        self.close_connection = True
                        return
                else:
                    code, status = fault
                    told = json.dumps({"__type": code, "Message": f"told {code}"}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def calls(self, name: str) -> list[dict[str, Any]]:
        return [body for each, body in self.seen if each == name]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def faults(moto: Moto) -> Iterator[Faults]:
    proxy = Faults(moto)
    yield proxy
    proxy.stop()


@pytest.fixture
def catalog(moto: Moto, faults: Faults, tmp_path: Path) -> GlueCatalog:
    given = moto.properties | {"glue.endpoint": faults.url, "warehouse": f"file://{tmp_path}/warehouse"}
    found = load_catalog("glue", type="glue", **given)
    assert isinstance(found, GlueCatalog)
    return found


@pytest.fixture
def db(catalog: GlueCatalog) -> str:
    """A namespace of the test's own."""
    name = f"d{next(_NAMES)}"
    catalog.create_namespace(name, {"comment": "made by a test", "a": "b"})
    return name


@pytest.fixture
def theirs(moto: Moto, tmp_path: Path) -> PyIcebergGlue:
    return PyIcebergGlue("glue", **moto.properties, warehouse=f"file://{tmp_path}/warehouse")


@pytest.fixture
def aws(moto: Moto) -> Any:
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
    return boto3.client("glue", endpoint_url=moto.url, region_name="us-east-1", **keys)


def rows(table: Any, **options: Any) -> list[dict[str, Any]]:
    return sorted(table.load(**options).to_arrow().to_pylist(), key=lambda row: row["id"])


def files_of(location: str | None) -> set[str]:
    assert location is not None
    return {each.name for each in Path(location.removeprefix("file://")).parent.iterdir()}


def test_namespaces(catalog: GlueCatalog, db: str, tmp_path: Path) -> None:
    assert (db,) in catalog.list_namespaces()
    assert catalog.list_namespaces(db) == []
    found = catalog.namespace_properties(db)
    assert found == {"a": "b", "comment": "made by a test", "location": f"file://{tmp_path}/warehouse/{db}.db"}
    with pytest.raises(NamespaceExists):
        catalog.create_namespace(db)
    with pytest.raises(NamespaceNotFound, match=f"did you mean '{db}'"):
        catalog.list_tables(f"{db}x")
    with pytest.raises(NamespaceNotFound, match="no nested namespaces"):
        catalog.load_table("a.b.c")
    catalog.create_table(f"{db}.t", SCHEMA)
    with pytest.raises(CatalogError, match="not empty"):
        catalog.drop_namespace(db)
    assert catalog.table_exists(f"{db}.t")
    catalog.drop_table(f"{db}.t")
    catalog.drop_namespace(db)
    assert (db,) not in catalog.list_namespaces()
    with pytest.raises(NamespaceNotFound):
        catalog.drop_namespace(db)


def test_create_rename_register_drop(catalog: GlueCatalog, db: str) -> None:
    made = catalog.create_table(f"{db}.t", SCHEMA, properties={"p": "q"})
    assert catalog.load_table(f"{db}.t").metadata.raw == made.metadata.raw
    assert catalog.table_exists((db, "t"))
    assert not catalog.table_exists("no.such")
    with pytest.raises(MetaflowTableExists):
        catalog.create_table(f"{db}.t", SCHEMA)
    with pytest.raises(MetaflowTableNotFound, match="did you mean 't'"):
        catalog.load_table(f"{db}.tt")
    with pytest.raises(NamespaceNotFound):
        catalog.create_table("nowhere.t", SCHEMA)
    catalog.rename_table(f"{db}.t", f"{db}.u")
    assert catalog.list_tables(db) == [(db, "u")]
    assert catalog.load_table(f"{db}.u").metadata_location == made.metadata_location
    catalog.create_table(f"{db}.taken", SCHEMA)
    with pytest.raises(MetaflowTableExists):
        catalog.rename_table(f"{db}.u", f"{db}.taken")
    with pytest.raises(MetaflowTableNotFound):
        catalog.rename_table(f"{db}.t", f"{db}.v")
    with pytest.raises(UnsupportedError, match="purge"):
        catalog.drop_table(f"{db}.u", purge=True)
    catalog.drop_table(f"{db}.u")
    with pytest.raises(MetaflowTableNotFound):
        catalog.drop_table(f"{db}.u")
    catalog.register_table(f"{db}.again", str(made.metadata_location))
    assert catalog.load_table(f"{db}.again").metadata.table_uuid == made.metadata.table_uuid


def test_a_rename_whose_second_half_fails_is_undone(catalog: GlueCatalog, db: str, faults: Faults) -> None:
    catalog.create_table(f"{db}.t", SCHEMA)
    faults.plan = [("DeleteTable", ("AccessDeniedException", 400))]
    with pytest.raises(AuthenticationError, match="told AccessDeniedException"):
        catalog.rename_table(f"{db}.t", f"{db}.u")
    assert catalog.list_tables(db) == [(db, "t")]


def test_rows_and_the_other_library(catalog: GlueCatalog, db: str, theirs: PyIcebergGlue) -> None:
    first = pyarrow.table({"id": pyarrow.array([1, 2], pyarrow.int64()), "name": ["a", None]})
    table = Table.create(f"{db}.t", first, catalog=catalog)
    table.append(first)
    assert [row["id"] for row in rows(Table(f"{db}.t", catalog=catalog))] == [1, 2]
    opened = theirs.load_table((db, "t"))
    assert sorted(opened.scan().to_arrow()["id"].to_pylist()) == [1, 2]
    opened.append(pyarrow.table({"id": pyarrow.array([3], pyarrow.int64()), "name": ["c"]}))
    again = Table(f"{db}.t", catalog=catalog)
    assert [row["id"] for row in rows(again)] == [1, 2, 3]
    again.append(first)
    assert theirs.load_table((db, "t")).scan().count() == 5
    theirs.create_table((db, "theirs"), schema=first.schema).append(first)
    assert rows(Table(f"{db}.theirs", catalog=catalog)) == first.to_pylist()
    assert catalog.list_tables(db) == [(db, "t"), (db, "theirs")]


def test_what_glue_knows_of_a_table(catalog: GlueCatalog, db: str, aws: Any, faults: Faults) -> None:
    made = catalog.create_table(f"{db}.t", SCHEMA)
    found = aws.get_table(DatabaseName=db, Name="t")["Table"]
    columns = [("id", "bigint"), ("ds", "date"), ("at", "timestamp"), ("tags", "array<string>")]
    assert [(each["Name"], each["Type"]) for each in found["StorageDescriptor"]["Columns"]] == columns
    assert found["StorageDescriptor"]["Columns"][1]["Comment"] == "the day"
    assert found["StorageDescriptor"]["Location"] == made.metadata.location
    given = {"Name": "t", "Owner": "them", "Parameters": {**found["Parameters"], "theirs": "kept"}}
    aws.update_table(DatabaseName=db, TableInput={**given, "StorageDescriptor": found["StorageDescriptor"]})
    seen = aws.get_table(DatabaseName=db, Name="t")["Table"]
    after = catalog.commit_table(f"{db}.t", [], change.set_properties({"p": "q"}))
    found = aws.get_table(DatabaseName=db, Name="t")["Table"]
    assert found["Owner"] == "them"
    assert found["Parameters"] == {
        "table_type": "ICEBERG",
        "theirs": "kept",
        "metadata_location": after.metadata_location,
        "previous_metadata_location": made.metadata_location,
    }
    sent = faults.calls("UpdateTable")[-1]
    assert (sent["VersionId"], sent["SkipArchive"]) == (seen["VersionId"], True)


def test_requirements_and_refused_commits_change_nothing(catalog: GlueCatalog, db: str, faults: Faults) -> None:
    made = catalog.create_table(f"{db}.t", SCHEMA)
    with pytest.raises(MetaflowTableConflict):
        catalog.commit_table(f"{db}.t", [{"type": "assert-table-uuid", "uuid": "0"}], [])
    for code, error in (
        ("ConcurrentModificationException", MetaflowTableConflict),
        ("EntityNotFoundException", MetaflowTableNotFound),
        ("InvalidInputException", CatalogError),
        ("AccessDeniedException", AuthenticationError),
    ):
        faults.plan = [("UpdateTable", (code, 400))]
        with pytest.raises(error) as told:
            catalog.commit_table(f"{db}.t", [], change.set_properties({"p": code}))
        assert told.value.table == f"{db}.t"
        assert len(files_of(made.metadata_location)) == 1, code
    assert catalog.load_table(f"{db}.t").metadata.raw == made.metadata.raw


def test_an_append_after_another_commit_is_made_again(catalog: GlueCatalog, db: str, faults: Faults) -> None:
    first = pyarrow.table({"id": pyarrow.array([1], pyarrow.int64())})
    table = Table.create(f"{db}.t", first, catalog=catalog)
    table.append(first)
    Table(f"{db}.t", catalog=catalog).append(first)
    faults.plan = [("UpdateTable", ("ConcurrentModificationException", 400))]
    table.append(first)
    assert not faults.plan
    assert len(rows(Table(f"{db}.t", catalog=catalog))) == 3


def test_throttled_commits(catalog: GlueCatalog, db: str, faults: Faults) -> None:
    made = catalog.create_table(f"{db}.t", SCHEMA)
    faults.plan = [("UpdateTable", ("ThrottlingException", 400))] * 2
    catalog.commit_table(f"{db}.t", [], change.set_properties({"p": "1"}))
    assert catalog.load_table(f"{db}.t").metadata.properties["p"] == "1"
    impatient = load_catalog("glue", **{**catalog.properties, "glue.max-retries": "2"})
    faults.plan = [("UpdateTable", ("ThrottlingException", 400))] * 2
    with pytest.raises(MetaflowTableRateLimitException, match="told ThrottlingException"):
        impatient.commit_table(f"{db}.t", [], change.set_properties({"p": "2"}))
    assert len(files_of(made.metadata_location)) == 2


def test_outcomes_that_were_not_told_are_looked_up(catalog: GlueCatalog, db: str, faults: Faults) -> None:
    made = catalog.create_table(f"{db}.t", SCHEMA)
    faults.plan = [("UpdateTable", "lost")]
    after = catalog.commit_table(f"{db}.t", [], change.set_properties({"p": "1"}))
    assert catalog.load_table(f"{db}.t").metadata_location == after.metadata_location
    assert len(faults.calls("UpdateTable")) == 1  # never sent twice: the second would be refused as another's
    faults.plan = [("UpdateTable", ("InternalServiceException", 500))]
    with pytest.raises(MetaflowTableCommitStateUnknownException, match="told InternalServiceException"):
        catalog.commit_table(f"{db}.t", [], change.set_properties({"p": "2"}))
    assert len(files_of(made.metadata_location)) == 3  # its file stays: it may be the table's yet
    faults.plan = [("CreateTable", "lost")]
    lost = catalog.create_table(f"{db}.lost", SCHEMA)
    assert catalog.load_table(f"{db}.lost").metadata.raw == lost.metadata.raw


def test_no_glue_and_no_keys(moto: Moto, tmp_path: Path) -> None:
    given = {**moto.properties, "glue.endpoint": "http://127.0.0.1:9", "glue.max-retries": "1"}
    with pytest.raises(UnreachableError, match="AWS Glue"):
        load_catalog("x", type="glue", **given).list_namespaces()
    without = {key: value for key, value in moto.properties.items() if "key" not in key}
    with pytest.raises(AuthenticationError, match="Unable to locate credentials"):
        load_catalog("x", type="glue", **without).list_namespaces()
    with pytest.raises(ConfigurationError, match=r"glue\.region"):
        load_catalog("x", type="glue").list_namespaces()
    with pytest.raises(ConfigurationError, match="nobody"):
        load_catalog("x", type="glue", **without, **{"glue.profile-name": "nobody"}).list_namespaces()
    client = {
        f"client.{key.partition('.')[2]}": value for key, value in moto.properties.items() if "endpoint" not in key
    }
    assert load_catalog("x", type="glue", **client, **{"glue.endpoint": moto.url}).list_namespaces() is not None


def test_without_boto3_the_error_says_what_to_install() -> None:
    code = """
import sys
sys.modules["boto3"] = None
from headrace.catalog import load_catalog
try:
    load_catalog("x", type="glue").list_namespaces()
except Exception as error:
    print(type(error).__name__, error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.startswith("ConfigurationError")
    assert "pip install 'headrace[glue]'" in told


def test_the_catalog_id_goes_with_every_call_and_keys_with_no_pickle(catalog: GlueCatalog, faults: Faults) -> None:
    other = load_catalog("glue", **{**catalog.properties, "glue.id": "123456789012"})
    other.list_namespaces()
    assert faults.calls("GetDatabases")[-1]["CatalogId"] == "123456789012"
    assert b"secret" not in pickle.dumps(other).replace(b"secret-access-key", b"")
    with pytest.raises(ConfigurationError, match="secrets are never pickled"):
        pickle.loads(pickle.dumps(other)).list_namespaces()


def legacy(aws: Any, db: str, name: str, location: Path, **options: Any) -> None:
    """A Hive table `name` of (id bigint, name string), partitioned by (ds date, kind string)."""
    columns = [{"Name": "id", "Type": "bigint"}, {"Name": "name", "Type": "string"}]
    keys = [{"Name": "ds", "Type": "date"}, {"Name": "kind", "Type": "string"}]
    storage = {**PARQUET, "Columns": columns, "Location": f"file://{location}"}
    given = {"Name": name, "TableType": "EXTERNAL_TABLE", "PartitionKeys": keys, "StorageDescriptor": storage}
    aws.create_table(DatabaseName=db, TableInput=given | {"Parameters": {"EXTERNAL": "TRUE"}} | options)


def partition(aws: Any, db: str, name: str, folder: Path, values: list[str], numbers: list[int]) -> None:
    """A partition with its file."""
    folder.mkdir(parents=True)
    pyarrow.parquet.write_table(
        pyarrow.table({"id": numbers, "name": [str(each) for each in numbers]}), folder / "part-0.parquet"
    )
    storage = {**PARQUET, "Columns": [], "Location": f"file://{folder}"}
    aws.create_partition(
        DatabaseName=db, TableName=name, PartitionInput={"Values": values, "StorageDescriptor": storage}
    )


def test_a_legacy_hive_table(catalog: GlueCatalog, db: str, aws: Any, faults: Faults, tmp_path: Path) -> None:
    legacy(aws, db, "old", tmp_path / "old")
    partition(aws, db, "old", tmp_path / "old/ds=2026-01-01/kind=a", ["2026-01-01", "a"], [1, 2])
    partition(aws, db, "old", tmp_path / "old/ds=2026-01-02/kind=b", ["2026-01-02", "b"], [3])
    partition(aws, db, "old", tmp_path / "elsewhere", ["2026-01-03", "__HIVE_DEFAULT_PARTITION__"], [4])
    table = Table(f"{db}.old", catalog=catalog)
    assert table.is_hive
    found = rows(table)
    assert [(row["id"], str(row["ds"]), row["kind"]) for row in found] == [
        (1, "2026-01-01", "a"),
        (2, "2026-01-01", "a"),
        (3, "2026-01-02", "b"),
        (4, "2026-01-03", None),
    ]
    assert [row["id"] for row in rows(table, filter="ds >= '2026-01-02'")] == [3, 4]
    assert "Expression" not in faults.calls("GetPartitions")[-1]
    assert [row["id"] for row in rows(table, filter="kind = 'a' and id > 1")] == [2]
    assert faults.calls("GetPartitions")[-1]["Expression"] == "kind = 'a'"
    faults.plan = [("GetPartitions", ("InvalidInputException", 400))]
    assert [row["id"] for row in rows(table, filter="kind = 'b'")] == [3]  # its parser has reserved words
    assert not faults.plan
    assert catalog.list_tables(db) == [(db, "old")]
    aws.delete_table(DatabaseName=db, Name="old")
    with pytest.raises(MetaflowTableNotFound):
        table.load()


def test_a_legacy_tables_odd_partitions(catalog: GlueCatalog, db: str, aws: Any, tmp_path: Path) -> None:
    legacy(aws, db, "old", tmp_path / "old")
    partition(aws, db, "old", tmp_path / "old/soon", ["soon", "a"], [1])
    partition(aws, db, "old", tmp_path / "old/first", ["2026-01-01", "b"], [2])
    (tmp_path / "old/first/part-0.parquet").unlink()
    table = Table(f"{db}.old", catalog=catalog)
    assert [(row["id"], row["ds"]) for row in rows(table)] == [(1, None)]
    told = table.scan().explain()
    assert "key ds reads as null where its value is no date, as Hive has it: 'soon'" in told
    assert "1 of these partitions hold no files" in told
    legacy(aws, db, "whole", tmp_path / "whole", PartitionKeys=[])
    table = Table(f"{db}.whole", catalog=catalog)
    assert table.load().num_rows == 0
    aws.delete_table(DatabaseName=db, Name="whole")
    with pytest.raises(MetaflowTableNotFound, match="the table is gone"):
        table.scan()


def test_what_a_legacy_table_is_refused(catalog: GlueCatalog, db: str, aws: Any, tmp_path: Path) -> None:
    legacy(aws, db, "old", tmp_path / "old")
    table = Table(f"{db}.old", catalog=catalog)
    with pytest.raises(UnsupportedError, match="'glue' only reads them"):
        table.append(pyarrow.table({"id": [1], "name": ["a"], "ds": ["2026-01-01"], "kind": ["a"]}))
    with pytest.raises(UnsupportedError, match="partitions would stay behind"):
        catalog.rename_table(f"{db}.old", f"{db}.new")
    with pytest.raises(UnsupportedError, match="Hive table"):
        catalog.commit_table(f"{db}.old", [], [])
    legacy(aws, db, "projected", tmp_path / "projected", Parameters={"projection.enabled": "true"})
    with pytest.raises(UnsupportedError, match="projected"):
        catalog.load_table(f"{db}.projected")
    lists = {"InputFormat": "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat", "Location": f"file://{tmp_path}"}
    legacy(aws, db, "lists", tmp_path, StorageDescriptor={**PARQUET, **lists, "Columns": []})
    with pytest.raises(UnsupportedError, match="SymlinkTextInputFormat"):
        catalog.load_table(f"{db}.lists")
    legacy(aws, db, "seen", tmp_path, TableType="VIRTUAL_VIEW", ViewOriginalText="select 1")
    with pytest.raises(UnsupportedError, match="view"):
        catalog.load_table(f"{db}.seen")
    assert (db, "seen") not in catalog.list_tables(db)
