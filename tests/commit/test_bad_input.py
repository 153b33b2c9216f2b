"""What goes wrong around a write: each a typed error that says what to do, the table as it was, and nothing left."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import headrace
import pyarrow
import pytest
from headrace.catalog import Catalog
from headrace.errors import (
    AuthenticationError,
    HeadraceError,
    InvalidArgument,
    MetaflowTableIncompatible,
    MetaflowTableNotFound,
    StorageError,
)

from tests.commit.conftest import make, rows, sqlite
from tests.commit.lossy import LossyProxy
from tests.commit.reachable import stray
from tests.commit.readers import check
from tests.table.compare import rows as values
from tests.table.warehouse import Warehouse
from tests.writing.proxy import Proxy, Refuse

ROOT = Path(__file__).parents[2]


@pytest.fixture
def table(catalog: Catalog, name: str) -> Iterator[headrace.Table]:
    """A table with five rows, which has them still, and nothing else, when the test is over."""
    table = make(catalog, name, partition_by="ds")
    table.append(rows(0, 5))
    yield table
    assert values(check(headrace.Table(name, catalog=catalog))) == values(rows(0, 5))
    assert stray(table) == set()


def refused(kind: type[HeadraceError], act: Callable[[], object], match: str = ".") -> None:
    with pytest.raises(kind, match=match) as caught:
        act()
    assert caught.value.table or caught.value.location or caught.value.hint, "it does not say where"


def test_columns_that_clash(table: headrace.Table) -> None:
    one, two = pyarrow.array([1]), pyarrow.array([2])
    twice = pyarrow.table([one, two], names=["id", "id"])
    for act in (table.append, table.overwrite_partitions, table.overwrite, table.stage):
        refused(HeadraceError, lambda act=act: act(twice), "id")
    clash = pyarrow.table([one, two], names=["id", "ID"])
    refused(InvalidArgument, lambda: table.append(clash), "differ in case only")
    refused(HeadraceError, lambda: table.append(twice, evolve=True), "id")
    refused(HeadraceError, lambda: table.append(clash, evolve=True), "ID")
    refused(HeadraceError, lambda: table.upsert(twice, on=["id"]), "id")


def test_properties_that_are_none(table: headrace.Table) -> None:
    table.set_properties({"write.update.isolation-level": "sometimes"})
    for act in (table.overwrite_partitions, table.overwrite):
        refused(InvalidArgument, lambda act=act: act(rows(5, 5)), "isolation")
    table.set_properties({}, remove=["write.update.isolation-level"])


def test_a_partition_spec_that_changed_after_staging(table: headrace.Table, catalog: Catalog) -> None:
    stale = headrace.Table(f"{table.db}.{table.table_name}", catalog=catalog)
    staged = stale.stage(rows(5, 5))
    table.update_partitioning("bucket(2, id)")
    for handle in (stale, table):
        refused(MetaflowTableIncompatible, lambda handle=handle: handle.commit(staged), "partition spec 0")
    refused(MetaflowTableIncompatible, lambda: stale.append(rows(5, 5)), "partition spec 0")
    table._access.store().delete([each["path"] for each in staged])


def test_an_older_schema_that_still_fits(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    staged = table.stage(rows(0, 2))
    with table.update_schema() as change:
        change.add("more", "long").rename("name", "label")
        change.drop("ds")
    table.commit(staged)
    expected = pyarrow.table({"id": [0, 1], "label": ["n0", "n1"], "more": pyarrow.nulls(2, pyarrow.int64())})
    assert values(check(table)) == values(expected)


def test_a_table_that_was_dropped_after_staging(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    table.append(rows(0, 5))
    staged = table.stage(rows(5, 5))
    headrace.Table(name, catalog=catalog).drop()
    for act in (
        lambda: table.commit(staged),
        lambda: table.append(rows(5, 5)),
        lambda: table.overwrite(rows(5, 5)),
        lambda: table.delete("id = 1"),
        lambda: table.upsert(rows(1, 1), on=["id"]),
        lambda: table.create_tag("t"),
    ):
        refused(MetaflowTableNotFound, act, name.partition(".")[2])
    again = make(catalog, name)
    refused(MetaflowTableIncompatible, lambda: again.commit(staged), "staged for table")
    assert again.refresh().snapshot is None


def test_a_write_to_a_table_that_is_gone_leaves_no_file(tmp_path: Path) -> None:
    catalog = sqlite(tmp_path)
    table = make(catalog, "db.t")
    catalog.drop_table("db.t")
    before = {each for each in tmp_path.rglob("*") if each.is_file()}
    refused(MetaflowTableNotFound, lambda: table.append(rows(0, 5)), "db.t")
    assert {each for each in tmp_path.rglob("*") if each.is_file()} == before


def test_a_warehouse_that_cannot_be_written(tmp_path: Path) -> None:
    catalog = sqlite(tmp_path)
    table = make(catalog, "db.t")
    folder = tmp_path / "warehouse" / "db.db" / "t"
    (folder / "data").write_text("a file where a folder should be")
    refused(StorageError, lambda: table.append(rows(0, 5)))
    assert table.refresh().snapshot is None
    (tmp_path / "blocked").write_text("")
    closed = headrace.load_catalog(
        "closed", type="sql", uri=f"sqlite:///{tmp_path}/catalog2.db", warehouse=f"file://{tmp_path}/blocked/w"
    )
    closed.create_namespace("db")
    refused(StorageError, lambda: make(closed, "db.t"), "cannot be written")
    assert not closed.table_exists("db.t")


FULL = """
import json, signal, resource, sys
import headrace
from headrace.errors import HeadraceError
from tests.commit.conftest import rows
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
catalog = headrace.load_catalog("local", **json.loads(sys.argv[1]))
table = headrace.Table("db.t", catalog=catalog)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    table.append(rows(5, int(sys.argv[3])))
    print("done")
except HeadraceError as error:
    print("refused", type(error).__name__, error)
"""


@pytest.mark.parametrize(("limit", "count"), [(20_000, 100_000), (500, 5), (2_000, 5), (4_000, 5), (5_000, 5)])
def test_a_full_disk(tmp_path: Path, limit: int, count: int) -> None:
    """A limit on the size of files stands in for the disk: small ones fail in the data, larger ones in the metadata."""
    catalog = sqlite(tmp_path)
    table = make(catalog, "db.t")
    table.append(rows(0, 5))
    properties = json.dumps(dict(catalog.properties) | {"type": "sql"})
    done = subprocess.run(
        [sys.executable, "-c", FULL, properties, str(limit), str(count)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    # With room for Iceberg's files, but none for the catalog's, SQLite cannot tell whether its COMMIT was done
    unknown = "CommitStateUnknown" in done.stdout
    expected = ("refused StorageError", "refused CatalogError", "refused MetaflowTableCommitStateUnknownException")
    assert done.stdout.startswith(expected), done.stdout + done.stderr
    assert "db.t" in done.stdout
    assert values(pyarrow.table(table.refresh().load())) == values(rows(0, 5))
    assert unknown or stray(table) == set()
    assert not list(tmp_path.rglob("*.tmp"))
    table.append(rows(5, 5))
    assert table.refresh().load().num_rows == 10


def test_credentials_that_expire_before_the_commit(warehouse: Warehouse, name: str) -> None:
    plain = make(warehouse.ours, name)
    plain.append(rows(0, 5))
    with Proxy(warehouse.server.endpoint) as store, LossyProxy(warehouse.server.rest_uri) as proxy:
        properties = warehouse.server.catalog_properties | {"s3.endpoint": store.endpoint, "uri": proxy.uri}
        table = headrace.Table(name, catalog=headrace.load_catalog("expiring", **properties))
        staged = table.stage(rows(5, 5))
        for code, status in (("ExpiredToken", 400), ("InvalidAccessKeyId", 403), ("AccessDenied", 403)):
            store.rule = lambda how, path, status=status, code=code: Refuse(status, code)
            refused(AuthenticationError, lambda: table.commit(staged))
            refused(AuthenticationError, lambda: table.append(rows(10, 5)))
        store.rule = lambda how, path: None
        proxy.faults = ["401 before"] * 10
        refused(AuthenticationError, lambda: table.commit(staged))
        proxy.faults = []
        assert values(check(plain)) == values(rows(0, 5))
        table.commit(staged)
    assert values(check(plain)) == values(rows(0, 10))
    assert stray(plain) == set()


def test_keys_of_an_upsert(table: headrace.Table) -> None:
    keys = pyarrow.table({"id": [1, 1], "name": ["a", "b"], "ds": ["a", "a"]})
    refused(InvalidArgument, lambda: table.upsert(keys, on=["id"]), "twice")
    refused(InvalidArgument, lambda: table.upsert(pyarrow.table({"id": [1, None]}), on=["id"]), "null")


def test_keys_of_an_upsert_that_are_no_numbers(catalog: Catalog, name: str) -> None:
    table = headrace.Table.create(name, {"k": "double", "v": "long"}, catalog=catalog)
    table.append(pyarrow.table({"k": [1.0], "v": [1]}))
    for keys, match in (([float("nan")], "NaN"), ([0.0, -0.0], "twice")):
        frame = pyarrow.table({"k": keys, "v": [2] * len(keys)})
        refused(InvalidArgument, lambda frame=frame: table.upsert(frame, on=["k"]), match)
    assert values(check(table)) == [(1.0, 1)]
    assert stray(table) == set()
