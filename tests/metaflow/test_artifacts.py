"""What a flow may keep as an artifact, and how what it may not keep is refused."""

from __future__ import annotations

from collections.abc import Callable

import headrace
import pytest

from tests.metaflow.project import Project

pytestmark = pytest.mark.timeout(300)


def test_tables_plans_and_small_frames_are_artifacts(
    project: Project, make_table: Callable[..., headrace.Table]
) -> None:
    table = make_table(40, 2)
    name = f"{table.db}.{table.table_name}"
    flow = project.copy("artifacts.py")
    project.succeed(flow, "run", "--source", name)
    refused = project.run(flow, "run", "--source", name, "--large", "true")
    assert refused.code != 0
    assert "76.3 MiB is too large to pickle" in refused.output
    assert "put_data" in refused.output


def test_an_error_has_a_headline_and_its_hint(project: Project) -> None:
    ran = project.run(project.copy("artifacts.py"), "run", "--source", "db.no_such_table")
    assert ran.code != 0
    assert "table not found" in ran.output
    assert "no_such_table" in ran.output
