"""Settings on their way to a task: Metaflow's own, a catalog's through `@fast_data`, and what is said where none came."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import headrace
import pytest

from tests.metaflow.project import Project, catalog_variables
from tests.servers.seaweed import ACCESS_KEY, REGION, SECRET_KEY
from tests.table.warehouse import Warehouse

Make = Callable[..., headrace.Table]
SECRET = ("credential", "s3.access-key-id", "s3.secret-access-key")
pytestmark = pytest.mark.timeout(300)


def name_of(table: headrace.Table) -> str:
    return f"{table.db}.{table.table_name}"


def test_a_config_reaches_the_tasks_through_the_decorator(
    warehouse: Warehouse, make_table: Make, tmp_path: Path
) -> None:
    project = Project(tmp_path / "project")
    properties = warehouse.server.catalog_properties
    plain = {key: value for key, value in properties.items() if key not in SECRET}
    secrets = catalog_variables("lake", {key: properties[key] for key in SECRET})
    del secrets["HEADRACE_CATALOG"]
    (project.folder / "settings.json").write_text(json.dumps({"name": "lake", "properties": plain}))
    flow = project.copy("configured.py")
    ran = project.succeed(flow, "run", "--source", name_of(make_table(12, 2)), **secrets)
    assert "catalog lake rows 12" in ran.output
    assert "again 12" in ran.output


def test_metaflows_own_settings_of_s3_are_honoured(warehouse: Warehouse, make_table: Make, tmp_path: Path) -> None:
    properties = warehouse.server.catalog_properties
    without_s3 = {key: value for key, value in properties.items() if not key.startswith("s3.")}
    project = Project(tmp_path / "project", without_s3)
    keys = {"region_name": REGION, "aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
    source = name_of(make_table(12, 2))
    flow = project.copy("one_table.py")
    ran = project.succeed(
        flow,
        "run",
        "--source",
        source,
        METAFLOW_S3_ENDPOINT_URL=warehouse.server.endpoint,
        METAFLOW_DATATOOLS_CLIENT_PARAMS=json.dumps(keys),
    )
    assert "loaded 12 rows" in ran.output


def test_keys_come_from_metaflows_client_provider(warehouse: Warehouse, make_table: Make, tmp_path: Path) -> None:
    """A provider of another extension, which is how a company hands out credentials."""
    plugins = tmp_path / "other/metaflow_extensions/acme/plugins"
    plugins.mkdir(parents=True)
    (plugins / "mfextinit_acme.py").write_text('AWS_CLIENT_PROVIDERS_DESC = [("acme", ".provider.Provider")]\n')
    (plugins / "provider.py").write_text(f"""
class Provider:
    name = "acme"

    @staticmethod
    def get_client(module, with_error=False, role_arn=None, session_vars=None, client_params=None):
        import boto3
        from botocore.exceptions import ClientError
        keys = {{"aws_access_key_id": {ACCESS_KEY!r}, "aws_secret_access_key": {SECRET_KEY!r}}}
        print("asked for", module, "as", role_arn)
        return boto3.client(module, **(client_params or {{}}), **keys), ClientError
""")
    properties = dict(warehouse.server.catalog_properties) | {"s3.role-arn": "arn:aws:iam::0:role/reader"}
    for each in SECRET[1:]:
        del properties[each]
    project = Project(tmp_path / "project", properties)
    ran = project.succeed(
        project.copy("one_table.py"),
        "run",
        "--source",
        name_of(make_table(12, 2)),
        PYTHONPATH=str(tmp_path / "other"),
        METAFLOW_DEFAULT_AWS_CLIENT_PROVIDER="acme",
        METAFLOW_DATATOOLS_CLIENT_PARAMS=json.dumps({"region_name": REGION}),
    )
    assert "asked for s3 as arn:aws:iam::0:role/reader" in ran.output
    assert "loaded 12 rows" in ran.output


def test_the_worker_count_is_a_cap(tmp_path: Path) -> None:
    code = """
import metaflow
from headrace import surroundings
print(surroundings.threads(None), surroundings.threads(8), surroundings.threads(1))
"""
    project = Project(tmp_path / "project")
    assert project.python(code, METAFLOW_S3_WORKER_COUNT="1").output.split() == ["1", "1", "1"]
    assert project.python(code, METAFLOW_S3_WORKER_COUNT="500").output.split() == ["None", "8", "1"]


def test_a_remote_task_without_a_catalog_fails_and_says_how_it_comes(tmp_path: Path) -> None:
    """Locally the embedded catalog is a good default; in a container nobody would ever see what is written there."""
    project = Project(tmp_path / "project")
    flow = project.copy("one_table.py")
    ran = project.run(flow, "run", "--source", "db.t", METAFLOW_RUNTIME_ENVIRONMENT="kubernetes")
    assert ran.code != 0
    assert "no catalog is configured in this task, which runs on kubernetes" in ran.output
    assert '@fast_data(catalog="prod"' in ran.output
    named = project.run(
        flow, "run", "--source", "db.t", METAFLOW_RUNTIME_ENVIRONMENT="kubernetes", HEADRACE_CATALOG="prod"
    )
    assert named.code != 0
    assert "unknown catalog 'prod'" in named.output
    local = project.run(flow, "run", "--source", "db.t")
    assert "no catalog is configured" not in local.output
    assert "namespace" in local.output


DECORATED = """
from metaflow import FlowSpec, conda, conda_base, environment, fast_data, pypi, step
from metaflow.user_decorators.mutable_step import MutableStep

class Flow(FlowSpec):
    @fast_data(catalog="prod", type="rest", uri="https://x", s3__path_style_access=True, oauth2_server_uri="https://y")
    @environment(vars={"A": "1", "HEADRACE_CATALOG__PROD__URI": "https://mine"})
    @pypi(packages={"polars": "1.0"}, python="3.12")
    @step
    def start(self):
        self.next(self.middle)

    @fast_data(catalog="prod", version="0.1.7")
    @conda(libraries={}, packages={})
    @step
    def middle(self):
        self.next(self.end)

    @fast_data
    @step
    def end(self):
        pass

flow = Flow(use_cli=False)
for each in (Flow.start, Flow.middle, Flow.end):
    for mutator in each.config_decorators:
        mutator.external_init()
        mutator.mutate(MutableStep(flow, each, statically_defined=True, inserted_by=["test"]))
    print({deco.name: {k: v for k, v in deco.attributes.items() if v} for deco in each.decorators})
"""


def test_the_decorator_adds_environment_and_package(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    (project.folder / "decorated.py").write_text(DECORATED)  # Metaflow reads a flow's source
    ran = project.python("import decorated")
    assert ran.code == 0, ran.output
    start, middle, end = map(eval, ran.output.strip().split("\n"))
    assert start["environment"]["vars"] == {
        "A": "1",
        "HEADRACE_CATALOG": "prod",
        "HEADRACE_CATALOG__PROD__TYPE": "rest",
        "HEADRACE_CATALOG__PROD__URI": "https://mine",
        "HEADRACE_CATALOG__PROD__S3__PATH_STYLE_ACCESS": "true",
        "HEADRACE_CATALOG__PROD__OAUTH2_SERVER_URI": "https://y",
    }
    assert start["pypi"] == {"packages": {"polars": "1.0", "headrace": headrace.__version__}, "python": "3.12"}
    assert middle["conda"]["packages"] == {"headrace": "0.1.7"}
    assert end == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('catalog="prod", credential="id:secret"', "credential would be readable"),
        ('catalog="prod", s3__secret_access_key="x"', "s3.secret-access-key would be readable"),
        ('type="rest"', "properties belong to a catalog"),
        ('catalog="a b"', "name has letters"),
    ],
)
def test_what_the_decorator_refuses(tmp_path: Path, arguments: str, message: str) -> None:
    project = Project(tmp_path / "project")
    flow = project.folder / "flow.py"
    flow.write_text(f"""
from metaflow import FlowSpec, fast_data, step

class Flow(FlowSpec):
    @fast_data({arguments})
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    Flow()
""")
    ran = project.run(flow, "show")
    assert ran.code != 0
    assert message in ran.output
