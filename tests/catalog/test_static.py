"""Tables without a catalog: which metadata file of a folder is the current one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from catalog_servers import LocalStore
from headrace.catalog import load_static
from headrace.errors import ConfigurationError, MetaflowTableInvalidData, MetaflowTableNotFound
from headrace.iceberg import NestedField, PrimitiveType, Schema
from headrace.iceberg.creation import new_metadata


def _put(folder: Path, name: str, updated_ms: int = 1, **more: Any) -> Path:
    raw = new_metadata(str(folder), Schema((NestedField(1, "a", PrimitiveType("int")),))).raw
    data = json.dumps(raw | {"last-updated-ms": updated_ms} | more).encode()
    path = folder / "metadata" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if ".gz" in name else data)
    return path


def _current(location: object) -> str:
    loaded = load_static(str(location), store=LocalStore)
    return (loaded.metadata_location or "").rpartition("/")[2]


@pytest.mark.parametrize("name", ["v1.metadata.json", "00003-abc.gz.metadata.json", "v2.metadata.json.gz", "any.json"])
def test_a_file(tmp_path: Path, name: str) -> None:
    path = _put(tmp_path / "orders", name)
    loaded = load_static(str(path), store=LocalStore)
    assert loaded.identifier == ("orders",)
    assert loaded.metadata.schema.names == ["a"]
    assert load_static(path.as_uri(), store=LocalStore).metadata_location == path.as_uri()


def test_the_highest_version_in_a_folder(tmp_path: Path) -> None:
    for name in ("00002-x.metadata.json", "00010-y.gz.metadata.json", "00009-z.metadata.json", "odd.metadata.json"):
        _put(tmp_path, name)
    (tmp_path / "metadata/snap-99999999.avro").write_bytes(b"")
    assert _current(tmp_path) == "00010-y.gz.metadata.json"
    assert _current(f"{tmp_path}/") == "00010-y.gz.metadata.json"
    assert _current(tmp_path / "metadata") == "00010-y.gz.metadata.json"
    assert _current(tmp_path.as_uri()) == "00010-y.gz.metadata.json"


def test_of_one_version_the_one_updated_last(tmp_path: Path) -> None:
    _put(tmp_path, "00002-a.metadata.json", updated_ms=20)
    _put(tmp_path, "00002-b.metadata.json", updated_ms=10)
    assert _current(tmp_path) == "00002-a.metadata.json"


def test_the_hint_and_versions_after_it(tmp_path: Path) -> None:
    for version in (1, 2, 3, 7):
        _put(tmp_path, f"v{version}.metadata.json")
    hint = tmp_path / "metadata/version-hint.text"
    hint.write_text("1\n")
    assert _current(tmp_path) == "v3.metadata.json"  # 2 and 3 were committed, the hint lags; 4 to 6 were not
    hint.write_text("2")
    _put(tmp_path, "v4.gz.metadata.json")
    assert _current(tmp_path) == "v4.gz.metadata.json"
    _put(tmp_path, "00005-abc.metadata.json")
    hint.write_text("00005-abc")
    assert _current(tmp_path) == "00005-abc.metadata.json"
    hint.write_text("99")
    assert _current(tmp_path) == "v7.metadata.json"
    hint.write_text("../../etc/passwd")
    with pytest.raises(MetaflowTableInvalidData, match="version hint"):
        _current(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(MetaflowTableNotFound, match="no metadata file"):
        _current(tmp_path)
    with pytest.raises(MetaflowTableNotFound, match="no such metadata file"):
        _current(tmp_path / "v1.metadata.json")
    with pytest.raises(ConfigurationError, match=r"s3\.endpoint"):
        load_static(str(tmp_path), {"s3.endpont": "x"}, store=LocalStore)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = _put(tmp_path, "v1.metadata.json")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(MetaflowTableInvalidData, match=r"not JSON.*") as error:
        _current(tmp_path)
    assert error.value.location == str(path)
    packed = _put(tmp_path, "v2.gz.metadata.json")
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(MetaflowTableInvalidData, match="cut short"):
        _current(tmp_path)
