"""Damaged and hostile tables: each a typed error that names the file and says what to do; never a crash."""

from __future__ import annotations

import io
import random
import time
from pathlib import Path

import fastavro
import headrace
import pyarrow
import pytest
from headrace import errors
from pyiceberg.catalog.sql import SqlCatalog


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table of two files in a folder."""
    catalog = SqlCatalog("x", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    catalog.create_namespace("db")
    data = pyarrow.table({"id": pyarrow.array(range(100)), "name": [f"name {i}" for i in range(100)]})
    table = catalog.create_table("db.t", data.schema)
    table.append(data)
    table.append(data)
    catalog.close()
    return tmp_path / "warehouse/db/t"


def manifests(folder: Path) -> list[Path]:
    return [each for each in (folder / "metadata").glob("*.avro") if not each.name.startswith("snap-")]


def newest_list(folder: Path) -> Path:
    return max((folder / "metadata").glob("snap-*.avro"), key=lambda each: each.stat().st_mtime_ns)


def test_a_manifest_of_garbage(folder: Path) -> None:
    for manifest in manifests(folder):
        manifest.write_bytes(random.Random(1).randbytes(manifest.stat().st_size))
    with pytest.raises(errors.MetaflowTableInvalidData) as raised:
        headrace.Table.at(str(folder)).scan()
    assert str(raised.value.location).endswith(".avro")


@pytest.mark.parametrize("kept", [0, 3, 100, 1000])
def test_a_manifest_list_cut_short(folder: Path, kept: int) -> None:
    file = newest_list(folder)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(errors.HeadraceError) as raised:
        headrace.Table.at(str(folder)).scan()
    assert isinstance(raised.value, errors.MetaflowTableInvalidData | errors.StorageError)


def test_a_data_file_that_is_gone(folder: Path) -> None:
    gone = sorted(folder.glob("data/**/*.parquet"))[0]
    gone.unlink()
    with pytest.raises(errors.ObjectNotFound) as raised:
        headrace.Table.at(str(folder)).load()
    assert str(raised.value.location).endswith(gone.name)


@pytest.mark.parametrize("damage", ["cut", "magic", "length", "noise"])
def test_a_damaged_footer(folder: Path, damage: str) -> None:
    file = sorted(folder.glob("data/**/*.parquet"))[0]
    data = bytearray(file.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "magic":
        data[-4:] = b"PARX"
    elif damage == "length":
        data[-8:-4] = (2**31 - 1).to_bytes(4, "little")
    else:
        footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
        data[footer : footer + 64] = b"\xff" * 64
    file.write_bytes(data)
    with pytest.raises(errors.HeadraceError) as raised:
        headrace.Table.at(str(folder)).load()
    assert isinstance(raised.value, errors.ParquetDecodingException | errors.StorageError)
    assert str(raised.value.location).endswith(file.name)


def test_a_manifest_that_names_a_file_elsewhere(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere" / "secret.parquet"
    secret.parent.mkdir()
    data_file = sorted(folder.glob("data/**/*.parquet"))[0]
    secret.write_bytes(data_file.read_bytes())
    for manifest in manifests(folder):
        _point_elsewhere(manifest, data_file.name, f"file://{secret}")
    with pytest.raises(errors.LocationRefused, match="allowed-locations"):
        headrace.Table.at(str(folder)).load()
    allowed = headrace.Table.at(str(folder), properties={"allowed-locations": f"file://{secret.parent}"})
    assert allowed.load().num_rows == 200


def _point_elsewhere(manifest: Path, name: str, location: str) -> None:
    """Rewrites the location of one data file, keeping the manifest's size for its list."""
    with manifest.open("rb") as file:
        reader = fastavro.reader(file)
        schema, metadata, records = reader.writer_schema, dict(reader.metadata), list(reader)
    for record in records:
        if record["data_file"]["file_path"].endswith(name):
            record["data_file"]["file_path"] = location
    written = io.BytesIO()
    kept = {key: value for key, value in metadata.items() if not key.startswith("avro.")}
    fastavro.writer(written, schema, records, metadata=kept)
    manifest.write_bytes(written.getvalue())


def test_an_endpoint_that_nobody_serves() -> None:
    started = time.monotonic()
    properties = {"s3.endpoint": "http://127.0.0.1:9", "s3.access-key-id": "k", "s3.secret-access-key": "s"}
    with pytest.raises(errors.UnreachableError, match=r"s3\.endpoint|127\.0\.0\.1"):
        headrace.Table.at("s3://bucket/table", properties=properties)
    assert time.monotonic() - started < 15


def test_wrong_names_are_answered_with_the_nearest(workdir: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"s3\.endpoint"):
        headrace.Table.at("s3://bucket/table", properties={"s3.endpont": "http://127.0.0.1:9"})
    with pytest.raises(errors.ConfigurationError, match="did you mean 'rest'"):
        headrace.load_catalog("x", type="rset", uri="http://127.0.0.1:9")
    with pytest.raises(errors.ConfigurationError, match="unknown catalog 'prod'"):
        headrace.Table("db.t", catalog="prod")


def test_wrong_columns_and_filters_say_where(folder: Path) -> None:
    table = headrace.Table.at(str(folder))
    with pytest.raises(errors.ColumnNotFound, match="did you mean 'name'"):
        table.load(columns=["nam"])
    with pytest.raises(errors.ColumnNotFound, match="did you mean 'name'"):
        table.load("nme = 'x'")
    with pytest.raises(errors.FilterError):
        table.load("id = = 5")
    with pytest.raises(errors.FilterError, match="id"):
        table.load("id = 'x'")
    with pytest.raises(errors.InvalidArgument):
        table.scan(limit=-1)


def test_a_load_beyond_the_memory_limit_is_refused_before_it_begins(folder: Path) -> None:
    with pytest.raises(errors.MemoryLimitError, match="memory_limit"):
        headrace.Table.at(str(folder)).scan().load(memory_limit=1000)
