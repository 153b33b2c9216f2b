"""A table on the session's SeaweedFS, written by PyIceberg, and how another process finds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow
import pytest

from tests.servers.seaweed import SeaweedFS

ROWS = 20_000


@dataclass(frozen=True)
class Served:
    """The catalog's properties, as arguments and as environment."""

    properties: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        names = {name: name.upper().replace(".", "__").replace("-", "_") for name in self.properties}
        return {f"HEADRACE_CATALOG__CITIZEN__{names[name]}": value for name, value in self.properties.items()}


@pytest.fixture(scope="session")
def served(seaweed: SeaweedFS) -> Iterator[Served]:
    catalog = seaweed.pyiceberg()
    catalog.create_namespace_if_not_exists("citizen")
    data = pyarrow.table({"id": pyarrow.array(range(ROWS)), "name": [f"a longer name {i % 97}" for i in range(ROWS)]})
    table = catalog.create_table("citizen.t", data.schema)
    table.append(data.slice(0, ROWS // 2))
    table.append(data.slice(ROWS // 2))
    yield Served({"type": "rest", **seaweed.catalog_properties})
    catalog.drop_table("citizen.t")


@pytest.fixture
def configured(served: Served, workdir: object, monkeypatch: pytest.MonkeyPatch) -> Served:
    """The catalog "citizen", configured by variables."""
    for name, value in served.environment.items():
        monkeypatch.setenv(name, value)
    return served
