"""The forbidden arrows of ARCHITECTURE.md, read from the code's own imports."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "engine/core/src"
PACKAGE = ROOT / "python/headrace"

RUST_ALLOWED = {
    "error": set(),
    "runtime": {"error"},
    "parallel": set(),
    "arena": {"error"},
    "http": {"error", "runtime", "store"},
    "store": {"error", "runtime", "arena", "http"},
    "fetch": {"error", "runtime", "arena", "store"},
    "iceberg": {"error", "runtime", "store", "parallel"},
    "frame": {"error", "arena", "iceberg", "parallel", "runtime"},
    "parquet": {"error", "runtime", "arena", "fetch", "iceberg", "parallel"},
    "metrics": {"error", "frame"},
    "row_deletes": {"error", "runtime", "store", "iceberg", "frame", "load", "write"},
    "write": {"error", "runtime", "arena", "store", "iceberg", "frame", "parquet", "parallel", "metrics"},
    "formats": {"error", "runtime", "arena", "iceberg"},
    "load": {"error", "runtime", "arena", "store", "fetch", "formats", "iceberg", "parquet", "frame", "metrics"},
}

PYTHON_ALLOWED = {
    "errors": set(),
    "surroundings": set(),
    "memory": {"_engine"},
    "progress": {"errors"},
    "config_files": {"errors"},
    "config": {"errors", "config_files", "surroundings"},
    "credentials": {"errors", "config", "surroundings", "_engine"},
    "iceberg": {"errors"},
    "filters": {"errors"},
    "metastore": {"errors", "iceberg"},
    "catalog": {"errors", "config", "credentials", "iceberg", "metastore", "_engine"},
    "access": {"errors", "config", "catalog", "_engine"},
    "handoff": {"errors", "_engine", "column"},
    "variant": {"errors"},
    "column": {"errors", "_engine", "handoff", "dataframe", "variant"},
    "dataframe": {"errors", "_engine", "column", "fastdata", "handoff", "files", "progress"},
    "files": {
        *("errors", "config", "credentials", "filters", "hive", "iceberg", "plan", "progress", "dataframe"),
        *("surroundings", "_engine"),
    },
    "stream": {"dataframe", "_engine"},
    "plan": {"errors", "access", "iceberg", "dataframe", "progress", "stream", "surroundings", "_engine"},
    "writing": {
        *("errors", "access", "catalog", "filters", "iceberg", "plan", "dataframe", "surroundings"),
        "_engine",
    },
    "hive": {
        *("errors", "access", "catalog", "filters", "iceberg", "metastore", "plan", "writing", "dataframe"),
        "_engine",
    },
    "inspection": {"errors", "access", "iceberg", "plan", "writing", "dataframe", "_engine"},
    "changes": {"errors", "access", "filters", "iceberg", "plan", "writing", "_engine"},
    "fastdata": {
        *("errors", "access", "column", "config", "credentials", "dataframe", "files", "filters", "handoff", "iceberg"),
        *("plan", "surroundings", "writing", "_engine"),
    },
    "table": {
        *("errors", "access", "catalog", "fastdata", "filters", "iceberg", "plan", "writing", "inspection"),
        *("changes", "hive", "dataframe", "_engine"),
    },
    "cli": {"errors", "table", "catalog", "plan", "files", "config", "dataframe"},
}


def rust_rooms() -> dict[str, list[Path]]:
    rooms: dict[str, list[Path]] = {}
    for file in CORE.rglob("*.rs"):
        room = file.relative_to(CORE).parts[0].removesuffix(".rs")
        if room != "lib" and not file.stem.endswith("tests") and file.stem not in ("testing", "scripted"):
            rooms.setdefault(room, []).append(file)
    return rooms


def without_tests(text: str) -> str:
    return re.split(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*mod \w+ \{", text)[0]


def rust_arrows(text: str) -> set[str]:
    found = set(re.findall(r"\bcrate::(\w+)", without_tests(text)))
    for group in re.findall(r"\buse crate::\{([^;]*)\};", without_tests(text), re.DOTALL):
        found |= set(re.findall(r"(?:^|,)\s*(\w+)", group))
    return found


@pytest.mark.parametrize("room", sorted(rust_rooms()))
def test_rust_rooms_know_only_what_lies_below_them(room: str) -> None:
    assert room in RUST_ALLOWED, f"a new room {room!r}: draw it in ARCHITECTURE.md and here"
    for file in rust_rooms()[room]:
        code = re.sub(r"//[^\n]*", "", file.read_text())
        beyond = rust_arrows(code) - RUST_ALLOWED[room] - {room}
        assert not beyond, f"{file.relative_to(ROOT)} reaches into {sorted(beyond)}"


def test_unsafe_code_is_only_where_it_is_allowed() -> None:
    core = ["arena/mod", "arena/heap", "arena/memory", "parquet/columns/mod", "frame/contiguous", "metrics"]
    core += [f"parquet/decode/{name}" for name in ("unpack", "spread", "positions")]
    allowed = {f"engine/core/src/{name}.rs" for name in core}
    allowed |= {f"engine/py/src/{name}.rs" for name in ("buffer", "capsule", "dlpack")}
    for file in [*CORE.rglob("*.rs"), *(ROOT / "engine/py/src").rglob("*.rs")]:
        code = re.sub(r"//[^\n]*", "", file.read_text())
        if re.search(r"\bunsafe\s*(\{|fn|impl|extern)", code):
            assert str(file.relative_to(ROOT)) in allowed, f"{file.relative_to(ROOT)} holds unsafe code"


def test_the_core_knows_no_python() -> None:
    manifest = (ROOT / "engine/core/Cargo.toml").read_text()
    assert "pyo3" not in manifest
    assert not [file for file in CORE.rglob("*.rs") if "pyo3" in file.read_text()]


def python_arrows(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "headrace" else [f"headrace.{each.name}" for each in node.names]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("headrace.")}
    return found


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_python_rooms_know_only_what_lies_below_them(file: Path) -> None:
    room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room == "__init__":
        return  # the front door: names only, imported on first use
    assert room in PYTHON_ALLOWED, f"a new room {room!r}: draw it in ARCHITECTURE.md and here"
    beyond = python_arrows(file) - PYTHON_ALLOWED[room] - {room}
    assert not beyond, f"{file.relative_to(ROOT)} reaches into {sorted(beyond)}"


def test_third_party_imports_are_inside_functions() -> None:
    import sys

    for file in PACKAGE.rglob("*.py"):
        for node in ast.parse(file.read_text()).body:
            names = []
            if isinstance(node, ast.Import):
                names = [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in names:
                top = name.split(".")[0]
                assert top == "headrace" or top in sys.stdlib_module_names, f"{file.name} imports {name} at its top"
