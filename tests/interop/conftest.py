"""Fixtures of the interoperability tests: both sides of one catalog."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.interop.sides")

from tests.interop.sides import Sides  # noqa: E402
from tests.servers.spark import Spark  # noqa: E402
from tests.table.warehouse import Warehouse  # noqa: E402


@pytest.fixture(scope="session")
def sides(jdk: object, warehouse: Warehouse, spark: Spark) -> Sides:
    """Spark and headrace on the REST catalog."""
    return Sides(warehouse, spark)
