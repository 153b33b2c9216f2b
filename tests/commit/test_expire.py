"""Snapshots expire by the table's rules, then files that only they reach go: what remains is read by everyone."""

from __future__ import annotations

from collections.abc import Iterator

import headrace
import pyarrow
import pytest
from headrace.catalog import Catalog
from headrace.errors import (
    InvalidArgument,
    MetaflowTableCommitStateUnknownException,
    MetaflowTableConflict,
    ObjectNotFound,
    UnsupportedError,
)

from tests.commit.conftest import make, rows
from tests.commit.lossy import FAULTS, LossyProxy
from tests.commit.readers import check
from tests.commit.test_orphans import NOW, objects
from tests.commit.test_unknown import through
from tests.table.compare import rows as values
from tests.table.warehouse import Warehouse


@pytest.fixture
def proxy(warehouse: Warehouse) -> Iterator[LossyProxy]:
    with LossyProxy(warehouse.server.rest_uri) as proxy:
        yield proxy


@pytest.mark.parametrize("version", ["1", "2", "3"])
def test_files_go_that_only_expired_snapshots_reach(catalog: Catalog, name: str, version: str) -> None:
    table = make(catalog, name, partition_by="ds", **{"format-version": version})
    first = table.append(pyarrow.concat_tables([rows(0, 5, "a"), rows(5, 5, "b")])).snapshot_id
    replaced = set(table.scan("ds = 'a'").files.locations())
    table.overwrite_partitions(rows(20, 1, "a"))
    last = table.append(rows(30, 2, "c")).snapshot_id
    done = table.expire_snapshots(NOW)
    assert first in done.snapshot_ids
    assert len(done.snapshot_ids) == 2
    assert (done.data_files, done.manifest_lists) == (1, 2)
    assert done.manifests >= 1
    assert {each.snapshot_id for each in table.metadata.snapshots} == {last}
    assert not replaced & objects(table)
    expected = [rows(20, 1, "a"), rows(5, 5, "b"), rows(30, 2, "c")]
    assert values(check(table)) == values(pyarrow.concat_tables(expected))
    # Metadata files of before are all that is left over, and the log still names them
    assert len(table.orphan_files(NOW, force=True)) == 0
    assert table.expire_snapshots(NOW) == type(done)()
    table.append(rows(40, 1, "c"))
    assert check(table).num_rows == 9


def test_what_branches_and_tags_reach_stays(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    first = table.append(rows(0, 2)).snapshot_id
    table.create_tag("v1")
    table.create_branch("audit", min_snapshots_to_keep=2)
    second = table.append(rows(2, 2), branch="audit").snapshot_id
    third = table.append(rows(4, 2), branch="audit").snapshot_id
    table = table.refresh()
    table.delete("id >= 0")
    table.append(rows(9, 1))
    done = table.expire_snapshots(NOW)
    assert done.data_files == 0
    assert len(done.snapshot_ids) == 1
    assert {first, second, third} < {each.snapshot_id for each in table.metadata.snapshots}
    assert values(pyarrow.table(headrace.Table(name, catalog=catalog, tag="v1").load())) == values(rows(0, 2))
    assert values(pyarrow.table(headrace.Table(name, catalog=catalog, branch="audit").load())) == values(rows(0, 6))
    table.drop_tag("v1")
    table.drop_branch("audit")
    done = table.expire_snapshots(NOW)
    assert set(done.snapshot_ids) == {first, second, third}
    assert done.data_files == 3
    assert values(check(table)) == values(rows(9, 1))


def test_snapshots_by_number_age_and_name(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    ids = [table.append(rows(first, 1)).snapshot_id for first in range(6)]
    assert table.expire_snapshots().snapshot_ids == ()  # five days
    assert table.expire_snapshots(NOW, retain_last=5).snapshot_ids == (ids[0],)
    table.set_properties({"history.expire.min-snapshots-to-keep": "4", "history.expire.max-snapshot-age-ms": "0"})
    assert table.expire_snapshots().snapshot_ids == (ids[1],)
    assert table.expire_snapshots(snapshot_ids=[ids[3]]).snapshot_ids == (ids[3],)
    assert values(check(table)) == values(rows(0, 6))
    with pytest.raises(InvalidArgument, match="branch 'main' points to it"):
        table.expire_snapshots(snapshot_ids=[ids[5]])
    with pytest.raises(InvalidArgument, match="no snapshot 7"):
        table.expire_snapshots(snapshot_ids=[7])
    with pytest.raises(InvalidArgument, match="excludes"):
        table.expire_snapshots(NOW, snapshot_ids=[ids[4]])
    with pytest.raises(InvalidArgument, match="at least 1"):
        table.expire_snapshots(NOW, retain_last=0)
    table.set_properties({"gc.enabled": "false"})
    with pytest.raises(UnsupportedError, match=r"gc\.enabled"):
        table.expire_snapshots(NOW)
    assert table.refresh().metadata.snapshot(ids[4]) is not None


def test_branches_and_tags_expire(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    table.append(rows(0, 2))
    table.create_tag("old", max_ref_age_ms=1)
    table.append(rows(2, 2), branch="gone")
    table = table.refresh()
    table.append(rows(4, 1))
    table.create_tag("kept")
    table.set_properties({"history.expire.max-ref-age-ms": "soon"})
    with pytest.raises(InvalidArgument, match="max-ref-age"):
        table.expire_snapshots(NOW)
    table.set_properties({"history.expire.max-ref-age-ms": "3600000"})
    done = table.expire_snapshots(NOW)
    assert done.refs == ("old",)
    assert set(table.metadata.refs) == {"main", "gone", "kept"}
    assert values(check(table)) == values(pyarrow.concat_tables([rows(0, 2), rows(4, 1)]))


def test_files_may_stay(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    table.append(rows(0, 2))
    table.overwrite(rows(2, 2))
    before = objects(table)
    done = table.expire_snapshots(NOW, delete_files=False)
    assert (len(done.snapshot_ids), done.data_files, done.manifests) == (1, 0, 0)
    assert before <= objects(table)
    assert len(table.remove_orphan_files(NOW, force=True)) == 3  # file, manifest, list
    assert values(check(table)) == values(rows(2, 2))


def test_a_handle_at_an_expired_snapshot(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    table.append(rows(0, 2))
    old = headrace.Table(name, catalog=catalog)
    table.overwrite(rows(2, 2))
    table.expire_snapshots(NOW)
    with pytest.raises(ObjectNotFound):
        old.load()


@pytest.mark.parametrize("fault", FAULTS)
def test_lost_answers(warehouse: Warehouse, proxy: LossyProxy, name: str, fault: str) -> None:
    make(warehouse.ours, name).append(rows(0, 2))
    table = headrace.Table(name, catalog=through(warehouse, proxy))
    table.overwrite(rows(2, 2))
    proxy.faults = [fault]
    done = table.expire_snapshots(NOW)
    assert proxy.faults == []
    assert (len(done.snapshot_ids), done.data_files, done.manifest_lists) == (1, 1, 1)
    assert values(check(headrace.Table(name, catalog=warehouse.ours))) == values(rows(2, 2))


def test_an_unknown_outcome_removes_nothing(warehouse: Warehouse, proxy: LossyProxy, name: str) -> None:
    few = {"commit.retry.num-retries": "1", "commit.retry.min-wait-ms": "1"}
    plain = make(warehouse.ours, name, **few)
    plain.append(rows(0, 2))
    plain.overwrite(rows(2, 2))
    before = objects(plain)
    table = headrace.Table(name, catalog=through(warehouse, proxy))
    proxy.faults = ["drop before"] * 2
    with pytest.raises(MetaflowTableCommitStateUnknownException):
        table.expire_snapshots(NOW)
    assert before <= objects(plain)
    assert plain.refresh().metadata.snapshots == plain.metadata.snapshots


def test_staged_files_that_were_compacted_and_expired_are_not_committed_twice(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    staged = table.stage(rows(0, 3))
    table.commit(staged)
    table.append(rows(3, 3))
    table.compact(min_input_files=2)
    table.expire_snapshots(NOW)
    assert len(table.metadata.snapshots) == 1
    with pytest.raises(MetaflowTableConflict, match="are gone") as error:
        table.commit(staged)
    assert error.value.location == staged[0]["path"]
    assert values(check(table)) == values(rows(0, 6))


def test_staged_files_that_were_removed_as_orphans(catalog: Catalog, name: str) -> None:
    table = make(catalog, name)
    staged = [{**each, "at_ms": each["at_ms"] - 2 * 86_400_000} for each in table.stage(rows(0, 3))]
    assert len(table.remove_orphan_files(NOW, force=True)) == 1
    with pytest.raises(MetaflowTableConflict, match="are gone"):
        table.commit(staged)
    assert table.refresh().snapshot is None
