"""The built wheel, installed where nothing else is, does the main job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pyarrow
import pytest
from pyiceberg.catalog.sql import SqlCatalog

ROOT = Path(__file__).parents[2]
SYSTEM_LIBRARIES = ("libc.so", "libm.so", "libgcc_s.so", "libpthread.so", "libdl.so", "librt.so", "ld-linux")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as `make wheel` builds it, in the profile that everything else was compiled in."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "maturin", "build", "--release", "--locked", "--out", str(out)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def empty_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the wheel, pip and nothing else."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-index", "--disable-pip-version-check", wheel]
    subprocess.run(install, check=True, capture_output=True)
    return python


@pytest.fixture(scope="module")
def table_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small table of PyIceberg's."""
    folder = tmp_path_factory.mktemp("warehouse")
    catalog = SqlCatalog("x", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
    try:
        catalog.create_namespace("db")
        data = pyarrow.table({"id": pyarrow.array(range(1000)), "name": [f"name {i % 7}" for i in range(1000)]})
        table = catalog.create_table("db.t", data.schema)
        table.append(data)
        return Path(table.location().removeprefix("file://"))
    finally:
        catalog.close()


def run(python: Path, code: str, folder: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [python, "-W", "error", "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_else_is_installed(empty_python: Path) -> None:
    listed = subprocess.run([empty_python, "-m", "pip", "list", "--format=json"], capture_output=True, check=True)
    names = {each["name"] for each in json.loads(listed.stdout)}
    assert names - {"pip", "setuptools"} == {"headrace"}


def test_the_wheel_does_the_main_job(empty_python: Path, table_folder: Path, tmp_path: Path) -> None:
    printed = run(empty_python, f"import headrace; print(headrace.Table.at({str(table_folder)!r}).load())", tmp_path)
    assert "1,000 rows x 2 columns" in printed
    assert "999  name 5" in printed
    code = f"""
import headrace
frame = headrace.Table.at({str(table_folder)!r}).load("id >= 990 and name != 'name 4'", columns=["id"])
print(frame["id"].to_pylist())
"""
    expected = [i for i in range(990, 1000) if i % 7 != 4]
    assert run(empty_python, code, tmp_path).strip() == str(expected)


def test_a_missing_library_is_named_where_it_is_asked_for(
    empty_python: Path, table_folder: Path, tmp_path: Path
) -> None:
    code = f"""
import headrace
try:
    headrace.Table.at({str(table_folder)!r}).load().to_polars()
except Exception as error:
    print(type(error).__mro__[-4].__name__, error)
"""
    assert "pip install polars" in run(empty_python, code, tmp_path)


def test_the_engine_is_one_library_that_needs_the_system_only(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        libraries = [name for name in archive.namelist() if ".so" in name]
        assert [Path(name).name for name in libraries] == ["_engine.abi3.so"]
        assert "headrace/py.typed" in archive.namelist()
        library = archive.extract(libraries[0], tmp_path)
    needed = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
    names = [line.partition("[")[2].rstrip("]") for line in needed.splitlines() if "(NEEDED)" in line]
    assert [name for name in names if not name.startswith(SYSTEM_LIBRARIES)] == []
