"""A project whose default catalog is SeaweedFS's, and tables in it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import headrace
import pyarrow
import pytest

from tests.metaflow.project import Project
from tests.table.warehouse import NAMESPACE, Warehouse

_NAMES = itertools.count()
RETRIES = {"commit.retry.num-retries": "50", "commit.retry.min-wait-ms": "20"}


@pytest.fixture
def project(warehouse: Warehouse, tmp_path: Path) -> Project:
    """A user's folder whose default catalog is the warehouse."""
    return Project(tmp_path / "project", warehouse.server.catalog_properties)


@pytest.fixture
def make_table(warehouse: Warehouse) -> Callable[..., headrace.Table]:
    """Makes a table of ids and names, with so many rows in so many files."""

    def make(rows: int = 0, files: int = 1, partition_by: str | None = None) -> headrace.Table:
        schema = {"id": "long", "name": "string", "ds": "string"}
        name = f"{NAMESPACE}.flow{next(_NAMES)}"
        table = headrace.Table.create(
            name, schema, partition_by=partition_by, properties=RETRIES, catalog=warehouse.ours
        )
        each = rows // files
        for at in range(files if rows else 0):
            table.append(ids(at * each, each))
        return table

    return make


def ids(first: int, count: int) -> pyarrow.Table:
    """Rows with the ids from `first` on."""
    numbers = list(range(first, first + count))
    ds = [f"2026-01-0{1 + each % 3}" for each in numbers]
    return pyarrow.table({"id": numbers, "name": [f"n{each}" for each in numbers], "ds": ds})
