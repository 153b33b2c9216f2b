"""The distribution metaflow-headrace: as a wheel in an environment that has little else, in the code package, beside
other extensions, and where headrace is missing, broken or of another version."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import headrace
import pytest

from tests.metaflow.project import Project, Ran

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "integrations/metaflow"
METAFLOW_NEEDS = ["requests", "urllib3", "idna", "certifi", "charset_normalizer", "boto3", "botocore", "s3transfer",
                  "jmespath", "dateutil", "six"]  # fmt: skip
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built of a copy of the sources, which it leaves as they are."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = shutil.copytree(PACKAGE, folder / "sources", ignore=shutil.ignore_patterns("*.egg-info", "build"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(
        [*command, "--no-build-isolation", "--wheel-dir", folder, sources], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


class Environment:
    """A Python of its own that sees only what is linked into it."""

    def __init__(self, folder: Path, *modules: str) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.python = folder / "bin/python"
        (self.site,) = folder.glob("lib/python*/site-packages")
        for name in modules:
            self.link(name)

    def link(self, name: str) -> None:
        """Let an installed package be seen."""
        spec = importlib.util.find_spec(name)
        assert spec is not None, name
        found = Path(spec.submodule_search_locations[0] if spec.submodule_search_locations else str(spec.origin))
        (self.site / found.name).symlink_to(found)

    def install(self, wheel: Path) -> None:
        """Unpack a wheel of Python only."""
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(self.site)

    def run(self, arguments: list[str], project: Project, **environment: str) -> Ran:
        done = subprocess.run(
            [self.python, *arguments],
            cwd=project.folder,
            env=project.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return Ran(done.returncode, done.stdout)


@pytest.fixture
def local(tmp_path: Path) -> Project:
    """A project without any server."""
    return Project(tmp_path / "project")


def test_the_wheel_is_pure_and_a_namespace(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        info = next(name for name in names if name.endswith(".dist-info/METADATA")).rpartition("/")[0]
        assert archive.read(f"{info}/top_level.txt").decode().split() == ["metaflow_extensions"]
        metadata = archive.read(f"{info}/METADATA").decode()
    assert wheel.name.endswith("-py3-none-any.whl")
    assert "Requires-Dist: metaflow" in metadata
    assert "Requires-Dist: headrace" in metadata
    inside = [name for name in names if not name.startswith(info)]
    assert all(name.startswith("metaflow_extensions/headrace/toplevel/") and name.endswith(".py") for name in inside)


def test_the_wheel_works_beside_another_extension(wheel: Path, local: Project, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "python", "metaflow", "headrace", *METAFLOW_NEEDS)
    environment.install(wheel)
    other = tmp_path / "other/metaflow_extensions/acme/toplevel"
    other.mkdir(parents=True)
    (other / "mfextinit_acme.py").write_text('toplevel = "acme"\n')
    (other / "acme.py").write_text('__mf_extensions__ = "acme"\nfrom .tools import Hammer\n')
    (other / "tools.py").write_text("class Hammer:\n    pass\n")
    code = """
import sys
from metaflow import FlowSpec, Hammer, MetaflowDataFrame, Table, fast_data
assert "headrace" not in sys.modules
assert not isinstance(5, Table) and "headrace" not in sys.modules
assert not [each for each in vars(sys.modules["metaflow"]) if each == "annotations"]
import headrace
assert isinstance(MetaflowDataFrame.from_columns([]), headrace.MetaflowDataFrame)
assert issubclass(headrace.errors.HeadraceError, sys.modules["metaflow.exception"].MetaflowException)
print(Hammer, headrace.__file__)
"""
    ran = environment.run(["-c", code], local, PYTHONPATH=str(tmp_path / "other"))
    assert ran.code == 0, ran.output
    assert "acme.toplevel.tools.Hammer" in ran.output


@pytest.mark.parametrize("headrace_is", ["absent", "broken", "of another version"])
def test_a_headrace_that_cannot_be_used_is_told_once_and_stops_nobody_else(
    wheel: Path, local: Project, tmp_path: Path, headrace_is: str
) -> None:
    environment = Environment(tmp_path / "python", "metaflow", *METAFLOW_NEEDS)
    environment.install(wheel)
    if headrace_is != "absent":
        folder = environment.site / "headrace"
        folder.mkdir()
        text = "raise ImportError('no such symbol')" if headrace_is == "broken" else "__version__ = '7.1.0'"
        (folder / "__init__.py").write_text(text)
        (folder / "errors.py").touch()
        first = environment.run(["-c", "try: import headrace.errors\nexcept ImportError: pass\nimport metaflow"], local)
        assert first.code == 0, first.output
    plain = environment.run([str(local.copy("plain.py")), "--no-pylint", "run"], local)
    assert plain.code == 0, plain.output
    assert "imported False answer 42 False" in plain.output
    using = environment.run([str(local.copy("one_table.py")), "--no-pylint", "run", "--source", "db.t"], local)
    assert using.code != 0
    assert "headrace cannot be used" in using.output
    said = {
        "absent": "cannot be imported (ModuleNotFoundError",
        "broken": "no such symbol",
        "of another version": "its version here is 7.1.0",
    }
    assert said[headrace_is] in using.output
    assert "metaflow-headrace 0.1.0 needs headrace 0.1.x" in using.output
    assert '@pypi(packages={"headrace": "0.1.0"})' in using.output


def test_a_step_runs_from_the_code_package(
    project: Project, make_table: Callable[..., headrace.Table], tmp_path: Path
) -> None:
    table = make_table(30, 2)
    archive = tmp_path / "code.tgz"
    saved = project.succeed(project.copy("one_table.py"), "package", "save", archive)
    metadata = json.loads(saved.output.rpartition("with metadata: ")[2])
    extracted = tmp_path / "task"
    extracted.mkdir()
    with tarfile.open(archive) as opened:
        opened.extractall(extracted, filter="data")
    assert not list(extracted.rglob("*.so")), "headrace comes from the step's environment"
    environment = Environment(tmp_path / "python", "headrace", *METAFLOW_NEEDS)  # neither Metaflow nor the extension
    there = Project(extracted)
    there.environment = {key: value for key, value in project.environment.items() if key != "PYTHONPATH"}
    there.environment |= variables_of(project, metadata, extracted) | {
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(extracted)
    }
    name = f"{table.db}.{table.table_name}"
    common = ["one_table.py", "--no-pylint", "--quiet"]
    begun = environment.run([*common, "init", "--run-id", "77", "--task-id", "0", "--source", name], there)
    assert begun.code == 0, begun.output
    step = ["step", "start", "--run-id", "77", "--task-id", "1", "--input-paths", "77/_parameters/0"]
    ran = environment.run([*common, *step], there)
    assert ran.code == 0, ran.output
    assert "loaded 30 rows as OneTable/77" in ran.output
    assert table.refresh().load().num_rows == 60


def variables_of(project: Project, metadata: dict, folder: Path) -> dict[str, str]:
    """What Metaflow's own bootstrap exports after it extracted a code package."""
    code = f"""
import json
from metaflow.package import MetaflowPackage
print(json.dumps(MetaflowPackage.get_post_extract_env_vars({json.dumps(metadata)!r}, dest_dir={str(folder)!r})))
"""
    ran = project.python(code)
    assert ran.code == 0, ran.output
    return {key.rstrip(":"): value for key, value in json.loads(ran.output).items()}


def test_stubs_have_the_names(local: Project, tmp_path: Path) -> None:
    code = f"""
from metaflow.cmd.develop.stub_generator import StubGenerator
StubGenerator({str(tmp_path / "stubs")!r}).write_out()
"""
    ran = local.python(code)
    assert ran.code == 0, ran.output
    top = (tmp_path / "stubs/__init__.pyi").read_text()
    for name in ("Table", "MetaflowDataFrame", "fast_data"):
        assert f"import {name} as {name}" in top
    names = (tmp_path / "stubs/mf_extensions/headrace/toplevel/headrace_names.pyi").read_text()
    assert "class Table(object, metaclass=StandIn)" in names


def test_the_editable_install_is_what_these_tests_run(local: Project) -> None:
    ran = local.python("import metaflow; print(metaflow.Table.__module__)")
    assert ran.output.startswith("metaflow_extensions.headrace.toplevel.headrace_names"), ran.output


def test_errors_are_metaflows_whichever_comes_first(local: Project) -> None:
    for first, second in (("headrace.errors", "metaflow"), ("metaflow", "headrace.errors")):
        code = f"""
import {first}
import {second}
import headrace.errors, pickle
from metaflow.exception import MetaflowException
error = headrace.errors.MetaflowTableNotFound("no such table", table="db.t", hint="look again")
assert isinstance(error, MetaflowException)
assert error.headline == "table not found" and "look again" in error.message and error.line_no is None
assert str(pickle.loads(pickle.dumps(error))) == str(error)
try:
    raise headrace.errors.ObjectNotFound("gone")
except MetaflowException as caught:
    assert isinstance(caught, FileNotFoundError)
"""
        ran = local.python(code)
        assert ran.code == 0, ran.output
