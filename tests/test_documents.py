"""The documents say what is true: the README's names exist, its commands are the Makefile's, the rooms are drawn."""

from __future__ import annotations

import re
from pathlib import Path

import headrace

ROOT = Path(__file__).parent.parent


def test_every_name_that_readme_imports_exists() -> None:
    text = (ROOT / "README.md").read_text()
    names = {name.strip() for line in re.findall(r"from headrace import ([\w, ]+)", text) for name in line.split(",")}
    assert names
    assert names <= set(headrace.__all__)


def test_every_command_that_the_documents_name_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md"):
        commands = set(re.findall(r"\bmake ([a-z-]+)", (ROOT / document).read_text()))
        assert commands <= targets, document


def test_every_room_is_drawn() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    rooms = [each.name.removesuffix(".rs") for each in (ROOT / "engine/core/src").iterdir()]
    rooms += [each.name for each in (ROOT / "python/headrace").iterdir() if not each.name.startswith(("_", "py."))]
    missing = [room for room in rooms if room != "lib" and f"`{room}" not in text and f"`{room}/" not in text]
    assert not [room for room in missing if room.removesuffix(".py") not in text], missing


def test_every_test_that_the_feature_list_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs/iceberg.md").read_text())
    assert named
    for file, test in named:
        assert f"def {test or 'test_'}" in (ROOT / file).read_text(), (file, test)
