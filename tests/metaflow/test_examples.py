"""The examples run as their README says, and compile for the schedulers that Metaflow has."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import headrace
import pytest

from tests.metaflow.project import Project
from tests.metaflow.test_distribution import METAFLOW_NEEDS, Environment, wheel
from tests.servers.seaweed import ACCESS_KEY, REGION, SECRET_KEY, SeaweedFS

EXAMPLES = Path(__file__).parents[2] / "examples/metaflow"
__all__ = ["wheel"]
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A new user's folder: the examples, and nothing configured."""
    made = Project(tmp_path / "project")
    for each in EXAMPLES.glob("*.py"):
        shutil.copy(each, made.folder)
    return made


def test_the_smallest_flow_runs_with_the_wheels_alone(project: Project, wheel: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "python", "metaflow", "headrace", *METAFLOW_NEEDS)
    environment.install(wheel)
    for _ in range(2):  # run again, it replaces what it made
        ran = environment.run(["hello_table.py", "--no-pylint", "run"], project)
        assert ran.code == 0, ran.output
        assert "500 rows, committed by run" in ran.output
    shown = environment.run(["-c", "import headrace; print(headrace.Table('hello.squares').snapshot.summary)"], project)
    assert "'metaflow.flow': 'HelloTable'" in shown.output


def test_features_with_polars(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = project.succeed("features.py", "run", "--rows", 20_000, "--tasks", 3)
    assert "metaflow.flow = Features" in ran.output
    for name in list(project.environment):
        if name.startswith("HEADRACE_"):
            monkeypatch.setenv(name, project.environment[name])
    raw, features = (headrace.Table(f"trips.{each}").to_polars().sort("trip") for each in ("raw", "features"))
    raw = raw.filter(raw["km"] > 0)
    assert features["trip"].equals(raw["trip"])
    assert features["hour"].to_list() == raw["at"].dt.hour().to_list()
    assert (features["speed"] - raw["km"] / raw["minutes"] * 60).abs().max() < 1e-9


@pytest.fixture
def deployed(project: Project, seaweed: SeaweedFS) -> Project:
    """The same with a datastore on S3 and a catalog in a file, as who deploys has it."""
    project.environment |= {
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DATASTORE_SYSROOT_S3": "s3://data/metaflow",
        "METAFLOW_S3_ENDPOINT_URL": seaweed.endpoint,
        "METAFLOW_KUBERNETES_NAMESPACE": "default",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": REGION,
    }
    catalog = {"name": "lake", "properties": {"type": "rest", "uri": "https://catalog.example.com"}}
    (project.folder / "catalog.json").write_text(json.dumps(catalog))
    return project


def test_the_example_compiles_for_argo(deployed: Project) -> None:
    ran = deployed.succeed(
        "features.py", "--config", "catalog", "catalog.json", "argo-workflows", "create", "--only-json"
    )
    text = ran.output[ran.output.index("{\n") :]
    template, _ = json.JSONDecoder().raw_decode(text)
    assert template["kind"] == "WorkflowTemplate"
    containers = {each["name"]: each["container"] for each in template["spec"]["templates"] if "container" in each}
    for name in ("start", "transform", "join"):
        variables = {each["name"]: each.get("value") for each in containers[name]["env"]}
        assert variables["HEADRACE_CATALOG"] == "lake"
        assert variables["HEADRACE_CATALOG__LAKE__URI"] == "https://catalog.example.com"
        assert variables["METAFLOW_RUNTIME_ENVIRONMENT"] == "kubernetes"


def test_the_example_compiles_for_airflow(deployed: Project) -> None:
    deployed.succeed("features.py", "--config", "catalog", "catalog.json", "airflow", "create", "dag.py")
    dag = (deployed.folder / "dag.py").read_text()
    compile(dag, "dag.py", "exec")
    assert dag.count("HEADRACE_CATALOG__LAKE__URI") >= 3
