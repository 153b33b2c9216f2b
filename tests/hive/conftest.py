"""Hive tables of the tests: on each version of the metastore, in a folder of the test's own."""

from __future__ import annotations

import contextlib
from pathlib import Path

import headrace
import pytest
from headrace.catalog.hive import HiveCatalog
from headrace.errors import NamespaceExists

from tests.hive.tables import HiveTables
from tests.servers.hive_metastore import HiveMetastore


@pytest.fixture
def catalog(any_metastore: HiveMetastore, tmp_path: Path) -> HiveCatalog:
    """A catalog with a database `legacy`."""
    opened = headrace.load_catalog("hive", uri=any_metastore.uri, warehouse=f"file://{any_metastore.folder}/databases")
    assert isinstance(opened, HiveCatalog)
    with contextlib.suppress(NamespaceExists):
        opened.create_namespace("legacy")
    return opened


@pytest.fixture
def tables(catalog: HiveCatalog, tmp_path: Path) -> HiveTables:
    """Makes tables."""
    return HiveTables(catalog, tmp_path / "tables")
