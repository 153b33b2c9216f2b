"""Lost answers: whatever the catalog did before its answer was lost, the rows are there exactly once."""

from __future__ import annotations

from collections.abc import Iterator

import headrace
import pyarrow
import pytest
from headrace.catalog import Catalog
from headrace.errors import MetaflowTableCommitStateUnknownException, MetaflowTableConflict

from tests.commit.conftest import make, rows
from tests.commit.lossy import FAULTS, LossyProxy
from tests.commit.readers import check
from tests.table.compare import rows as values
from tests.table.warehouse import Warehouse


@pytest.fixture
def proxy(warehouse: Warehouse) -> Iterator[LossyProxy]:
    with LossyProxy(warehouse.server.rest_uri) as proxy:
        yield proxy


def through(warehouse: Warehouse, proxy: LossyProxy) -> Catalog:
    properties = {**warehouse.server.catalog_properties, "uri": proxy.uri}
    properties.setdefault("oauth2-server-uri", f"{warehouse.server.rest_uri}/v1/oauth/tokens")
    return headrace.load_catalog("lossy", **properties)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("operation", ["append", "overwrite_partitions", "delete"])
def test_one_lost_answer(warehouse: Warehouse, proxy: LossyProxy, name: str, fault: str, operation: str) -> None:
    make(warehouse.ours, name, partition_by="ds").append(pyarrow.concat_tables([rows(0, 2, "a"), rows(2, 2, "b")]))
    table = headrace.Table(name, catalog=through(warehouse, proxy))
    proxy.faults = [fault]
    if operation == "append":
        done, expected = table.append(rows(4, 2, "b")), [rows(0, 2, "a"), rows(2, 2, "b"), rows(4, 2, "b")]
    elif operation == "delete":
        done, expected = table.delete("id = 1 or ds = 'b'"), [rows(0, 1, "a")]
    else:
        done, expected = table.overwrite_partitions(rows(4, 2, "b")), [rows(0, 2, "a"), rows(4, 2, "b")]
    assert proxy.faults == []
    assert done.snapshot_id == table.snapshot.snapshot_id
    assert len(table.refresh().metadata.snapshots) == 2
    ours = headrace.Table(name, catalog=warehouse.ours)
    assert values(check(ours)) == values(pyarrow.concat_tables(expected))


def test_answers_lost_again_and_again(warehouse: Warehouse, proxy: LossyProxy, name: str) -> None:
    make(warehouse.ours, name)
    table = headrace.Table(name, catalog=through(warehouse, proxy))
    proxy.faults = ["drop before", "503 before", "502 before", "504 after"]
    table.append(rows(0, 3))
    assert values(check(headrace.Table(name, catalog=warehouse.ours))) == values(rows(0, 3))


def test_a_catalog_that_never_answers_leaves_every_file(warehouse: Warehouse, proxy: LossyProxy, name: str) -> None:
    plain = make(warehouse.ours, name, **{"commit.retry.num-retries": "1", "commit.retry.min-wait-ms": "1"})
    table = headrace.Table(name, catalog=through(warehouse, proxy))
    staged = table.stage(rows(0, 3))
    proxy.faults = ["drop before"] * 2
    with pytest.raises(MetaflowTableCommitStateUnknownException, match="not known"):
        table.commit(staged)
    assert plain.refresh().snapshot is None
    store = plain._access.store()
    assert store.size(staged[0]["path"]) > 0
    # The same again is safe, and succeeds
    assert table.commit(staged).snapshot_id is not None
    assert plain.commit(staged).snapshot_id == table.snapshot.snapshot_id
    assert values(check(plain)) == values(rows(0, 3))


def test_a_refused_commit_leaves_no_files(warehouse: Warehouse, name: str) -> None:
    table = make(warehouse.ours, name)
    table.append(rows(0, 3))
    late = headrace.Table(name, catalog=warehouse.ours)
    table.append(rows(3, 3))
    store = table._access.store()
    before = store.list(f"{table.metadata.location}/")
    with pytest.raises(MetaflowTableConflict):
        late.overwrite(rows(9, 1), "id < 100")
    assert store.list(f"{table.metadata.location}/") == before


def test_changes_of_metadata_survive_lost_answers(warehouse: Warehouse, proxy: LossyProxy, name: str) -> None:
    make(warehouse.ours, name).append(rows(0, 1))
    table = headrace.Table(name, catalog=through(warehouse, proxy))
    for fault in FAULTS:
        proxy.faults = [fault]
        with table.update_schema() as change:
            change.add(fault.replace(" ", "_"), "long")
        proxy.faults = [fault]
        table.create_tag(fault.replace(" ", "-"))
    fresh = headrace.Table(name, catalog=warehouse.ours)
    assert len(fresh.metadata.schema.fields) == 3 + len(FAULTS)
    assert len(fresh.metadata.refs) == 1 + len(FAULTS)
