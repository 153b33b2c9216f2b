"""The command line, on a table of PyIceberg's in the embedded catalog."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow
import pytest
from headrace.cli import main
from pyiceberg.catalog.sql import SqlCatalog


@pytest.fixture
def embedded(workdir: Path) -> Path:
    home = Path(os.environ["HEADRACE_HOME"])
    home.mkdir()
    catalog = SqlCatalog("default", uri=f"sqlite:///{home}/catalog.db", warehouse=f"file://{home}/warehouse")
    catalog.create_namespace("db")
    data = pyarrow.table({"id": pyarrow.array(range(50)), "name": [f"name {i}" for i in range(50)]})
    table = catalog.create_table("db.t", data.schema)
    table.append(data)
    location = Path(table.location().removeprefix("file://"))
    catalog.close()
    return location


def test_tables_schema_plan_and_rows(embedded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def printed(*arguments: str) -> str:
        assert main(arguments) == 0
        return capsys.readouterr().out

    assert printed("tables") == "db.t\n"
    assert "1: id: optional long" in printed("schema", "db.t")
    assert "files: 1 kept of 1" in printed("plan", "db.t", "--filter", "id > 5")
    shown = printed("show", str(embedded), "--columns", "name", "--filter", "id = 7")
    assert "name 7" in shown
    assert "1 row x 1 column" in shown
    assert "type = sql" in printed("config")


def test_an_error_says_what_to_do(embedded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "db.tt"]) == 1
    said = capsys.readouterr().err
    assert "table not found" in said
    assert "did you mean 't'?" in said
