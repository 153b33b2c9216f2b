"""Hive-style folders without a metastore, with DuckDB as the other reader."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import duckdb
import headrace
import pyarrow
import pytest
from headrace.errors import ColumnNotFound, InvalidArgument, MetaflowTableInvalidData, ObjectNotFound

from tests.hive.tables import put
from tests.servers.seaweed import SeaweedFS


def read(folder: Path | str, **options: Any) -> list[dict[str, Any]]:
    frame = headrace.read_parquet(folder, hive_partitioning=True, **options)
    return sorted(pyarrow.table(frame).to_pylist(), key=repr)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for day in ("2026-01-01", "2026-01-02"):
        for hour in ("1", "2", "__HIVE_DEFAULT_PARTITION__"):
            at = tmp_path / f"t/ds={day}/h={hour}/name=a%2Fb"
            put(at, {"id": [1, 2], "tags": [["x"], None]}, "part.parquet")
    (tmp_path / "t/_SUCCESS").touch()
    put(tmp_path / "t/_temporary/ds=2026-01-09/h=9/name=x", {"id": [9], "tags": [["x"]]}, "p.parquet")
    return tmp_path / "t"


def test_folders_are_columns(folder: Path) -> None:
    found = read(folder)
    assert len(found) == 12
    assert found[0] == {"id": 1, "tags": ["x"], "ds": datetime.date(2026, 1, 1), "h": 1, "name": "a/b"}
    assert {each["h"] for each in found} == {1, 2, None}
    sql = f"select * from read_parquet('{folder}/ds=*/**/*.parquet', hive_partitioning = true)"
    theirs = duckdb.sql(sql).to_arrow_table().to_pylist()
    assert sorted(theirs, key=repr) == found


def test_filters_leave_files_out(folder: Path) -> None:
    wanted = headrace.read_parquet(
        folder, ["h", "id"], "ds = '2026-01-02' and h = 2 and id > 1", hive_partitioning=True
    )
    assert pyarrow.table(wanted).to_pylist() == [{"h": 2, "id": 2}]
    damaged = folder / "ds=2026-01-01/h=2/name=a%2Fb/part.parquet"
    damaged.write_bytes(b"no Parquet file")
    assert len(read(folder, filter="ds > '2026-01-01'")) == 6
    assert read(folder, filter="h is null", columns=["ds"], limit=1) == [{"ds": datetime.date(2026, 1, 1)}]
    damaged.unlink()
    nothing = headrace.read_parquet(folder, filter="h = 77", hive_partitioning=True)
    assert (nothing.num_rows, nothing.schema) == (0, ["id", "tags", "ds", "h", "name"])


def test_types_of_values(tmp_path: Path) -> None:
    values = {"zeros": ("007", "8"), "whole": ("-3", "9000000000"), "big": ("9" * 19, "1"), "mixed": ("1", "x")}
    for at in range(2):
        path = "/".join(f"{key}={texts[at]}" for key, texts in values.items())
        put(tmp_path / "t" / path, {"id": [at], "whole": [5]}, "f.parquet")
    assert read(tmp_path / "t") == [
        {"id": 0, "zeros": "007", "whole": -3, "big": "9" * 19, "mixed": "1"},
        {"id": 1, "zeros": "8", "whole": 9_000_000_000, "big": "1", "mixed": "x"},
    ]


def test_on_s3(seaweed: SeaweedFS, folder: Path) -> None:
    for file in folder.rglob("*.parquet"):
        seaweed.s3.put(f"s3://data/folders/{file.relative_to(folder).as_posix()}", file.read_bytes())
    assert read("s3://data/folders/", properties=seaweed.storage_properties) == read(folder)


def test_folders_that_make_no_sense(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ColumnNotFound, match="no column 'day'"):
        headrace.read_parquet(folder, ["day"], hive_partitioning=True)
    with pytest.raises(ObjectNotFound):
        read(f"{tmp_path}/t/ds=2026-01-01/h=7/")
    with pytest.raises(InvalidArgument, match="for folders"):
        read(folder / "ds=2026-01-01/h=1/name=a%2Fb/part.parquet")
    put(folder / "ds=2026-01-01", {"id": [1]}, "stray.parquet")
    with pytest.raises(MetaflowTableInvalidData, match=r"keys \['ds'\]"):
        read(folder)
