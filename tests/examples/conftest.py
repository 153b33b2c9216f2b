"""The Content Knowledge Graph's own modules, its real records, and its compiled kernel."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
EXAMPLE = EXAMPLES / "content_knowledge_graph"
sys.path[:0] = [str(EXAMPLE), str(EXAMPLES / "metaflow")]  # a program's modules are found beside it


@pytest.fixture(scope="session")
def data() -> Path:
    """Where the package with the real records is kept: beside the other things that tests need once."""
    import records

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "headrace/examples"
    records.fetch(folder)
    return folder


@pytest.fixture(scope="session")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The C++ kernel, compiled."""
    from kernel import Kernel

    return Kernel(tmp_path_factory.mktemp("kernel"))
