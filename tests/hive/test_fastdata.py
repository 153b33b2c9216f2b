"""Fast Data's names, shards, estimates and streams mean the same on a legacy Hive table."""

from __future__ import annotations

import datetime
import json

import pyarrow
import pytest
from headrace import Table
from headrace.errors import (
    InvalidArgument,
    MetaflowTableEmptyPartition,
    MetaflowTableEmptyTable,
    MetaflowTableException,
    MetaflowTableTypeMismatch,
)

from tests.hive.tables import HiveTables, put


@pytest.fixture
def table(tables: HiveTables) -> Table:
    made = tables.make({"id": "bigint", "name": "string"}, {"ds": "date", "h": "int"})
    for day in (1, 2):
        for hour in (0, 1):
            ids = [day * 1000 + hour * 100 + at for at in range(10 * day)]
            put(made.partition(f"2026-01-0{day}", str(hour)), {"id": ids, "name": [f"n{each}" for each in ids]})
    return Table(made.full_name, catalog=tables.catalog)


def ids(frame: object) -> list[int]:
    return sorted(pyarrow.table(frame)["id"].to_pylist())


ALL = [day * 1000 + hour * 100 + at for day in (1, 2) for hour in (0, 1) for at in range(10 * day)]
SECOND = datetime.date(2026, 1, 2)


def test_loads_by_partition(table: Table) -> None:
    assert table.partition_columns == ["ds", "h"]
    assert ids(table.get_all()) == ALL
    assert pyarrow.table(table.get_all(["h", "id"])).column_names == ["h", "id"]
    assert ids(table.get_partitions({"ds": SECOND, "h": 1})) == ALL[40:]
    assert ids(table.get_partitions({"ds": "2026-01-02"})) == ALL[20:]
    assert ids(table.get_partitions(specs=[{"h": 0}, {"ds": SECOND, "h": 1}])) == [*ALL[:10], *ALL[20:]]
    with pytest.raises(MetaflowTableEmptyPartition, match="h=7"):
        table.get_partitions({"h": 7})
    with pytest.raises(MetaflowTableException, match="ds"):
        table.get_partitions({"dss": SECOND})
    with pytest.raises(MetaflowTableTypeMismatch):
        table.get_partitions({"h": "noon"})


def test_locations_in_groups(table: Table) -> None:
    for by in ("size", "record"):
        groups = table.get_all_paths(group_by=by, num_groups=2)
        assert len(groups) == 2
        assert sum(map(len, groups)) == 4
        assert sorted(each for group in groups for each in ids(table.load_parquet(group))) == ALL
        assert groups == table.get_all_paths(group_by=by, num_groups=2)
    (paths,) = table.get_partition_paths({"ds": SECOND})
    assert len(paths) == 2
    assert ids(table.load_parquet(paths, ["id"])) == ALL[20:]
    with pytest.raises(MetaflowTableException, match="no file of"):
        table.load_parquet([paths[0].replace("part-0", "part-9")])


def test_shards_estimates_and_streams(table: Table) -> None:
    plan = table.scan("h = 1")
    assert sorted(each for shard in plan.shards(3) for each in ids(shard.load())) == [*ALL[10:20], *ALL[40:]]
    assert 0.85 < plan.estimate() / plan.load().size < 1.15
    with plan.batches(batch_rows=7) as frames:
        assert sorted(each for frame in frames for each in ids(frame)) == [*ALL[10:20], *ALL[40:]]
    with pytest.raises(InvalidArgument, match="nobody counted the rows"):
        plan.shards(2, by="rows")


def test_writes(table: Table, tables: HiveTables) -> None:
    schema = pyarrow.table(table.scan().with_limit(0).load()).schema
    made = pyarrow.table({"id": [7], "name": ["x"], "ds": [SECOND], "h": [1]}).cast(
        pyarrow.schema([(each, schema.field(each).type) for each in ("id", "name", "ds", "h")])
    )
    staged = json.loads(json.dumps(table.put_data(made)))
    assert ids(table.refresh().get_all()) == ALL
    table.commit(staged, overwrite=True)
    assert ids(table.refresh().get_partitions({"ds": SECOND, "h": 1})) == [7]
    table.put(made)
    assert ids(table.refresh().get_partitions({"ds": SECOND, "h": 1})) == [7, 7]
    assert ids(table.get_partitions({"ds": SECOND, "h": 0})) == ALL[20:40]


def test_an_empty_table(tables: HiveTables) -> None:
    made = tables.make({"id": "bigint"}, {"ds": "string"})
    table = Table(made.full_name, catalog=tables.catalog)
    with pytest.raises(MetaflowTableEmptyTable):
        table.get_all()
    with pytest.raises(MetaflowTableEmptyTable):
        table.get_all_paths()
    assert table.load().num_rows == 0
    assert pyarrow.table(table.load()).column_names == ["id", "ds"]
