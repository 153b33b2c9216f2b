"""One warehouse for all table tests."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.table.compare", "tests.table.warehouse")

from tests.servers.seaweed import SeaweedFS  # noqa: E402
from tests.table.warehouse import Warehouse  # noqa: E402


@pytest.fixture(scope="session")
def warehouse(seaweed: SeaweedFS) -> Warehouse:
    return Warehouse(seaweed)
