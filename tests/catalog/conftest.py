"""Fixtures of the catalog tests: no configuration but what a test makes, and one server of a kind per run."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from catalog_servers import postgresql, seaweedfs, urllib_transport
from headrace.catalog.rest import RestCatalog
from headrace.errors import NamespaceNotFound


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty home and working folder, and none of the variables that configuration reads."""
    for name in os.environ:
        if name.upper().startswith(("HEADRACE_", "PYICEBERG_", "AWS_", "XDG_")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    work = tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.chdir(work)
    monkeypatch.setattr("sys.argv", [""])
    return home


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with seaweedfs(tmp_path_factory.mktemp("weed")) as properties:
        deadline = time.monotonic() + 30
        while True:  # the ports accept a moment before the table bucket is made
            try:
                RestCatalog("weed", properties, transport=urllib_transport).list_namespaces()
                break
            except NamespaceNotFound:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield properties


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = Path("/tmp") / f"headrace-pg-{os.getpid()}"  # the server's own user must reach it
    try:
        with postgresql(folder) as uri:
            yield uri
    finally:
        shutil.rmtree(folder, ignore_errors=True)
