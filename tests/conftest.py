"""Fixtures that every test may use: real servers, one of each per session, and work folders.

Knows how servers are started; of headrace its environment variables, and what `tests.table.warehouse` knows.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.table.compare", "tests.table.warehouse")

from tests.faults.server import FaultServer  # noqa: E402
from tests.servers import jvm  # noqa: E402
from tests.servers.hive_metastore import VERSIONS, HiveMetastore  # noqa: E402
from tests.servers.moto import Moto  # noqa: E402
from tests.servers.postgres import Postgres  # noqa: E402
from tests.servers.seaweed import SeaweedFS  # noqa: E402
from tests.servers.spark import Spark  # noqa: E402
from tests.table.warehouse import Warehouse  # noqa: E402

NOT_RUN = "interop is NOT RUN"

# The last place where AWS keys are looked for is an address outside this machine: no test may ask it.
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


@pytest.fixture(scope="session")
def server_dir() -> Iterator[Path]:
    """A folder that servers of other accounts can reach (pytest's own temporary folders are closed to them)."""
    folder = Path(tempfile.mkdtemp(prefix="headrace-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def seaweed(server_dir: Path) -> Iterator[SeaweedFS]:
    """S3 (bucket ``data``) and an Iceberg REST catalog (table bucket ``warehouse``) with OAuth2."""
    server = SeaweedFS.start(server_dir / "seaweed")
    yield server
    server.stop(grace_s=0.0)


@pytest.fixture(scope="session")
def warehouse(seaweed: SeaweedFS) -> Warehouse:
    """PyIceberg's catalog of ``seaweed`` and ours, and tables under names of their own."""
    return Warehouse(seaweed)


@pytest.fixture(scope="session")
def seaweed_vended(server_dir: Path) -> Iterator[SeaweedFS]:
    """As ``seaweed``, with a catalog that vends credentials held to a table's own prefix."""
    server = SeaweedFS.start(server_dir / "seaweed-vended", vended=True)
    yield server
    server.stop(grace_s=0.0)


@pytest.fixture(scope="session")
def postgres(server_dir: Path) -> Iterator[Postgres]:
    """PostgreSQL with an empty database; fails, with the command to run, where it is not installed."""
    server = Postgres.start(server_dir / "postgres")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def moto(server_dir: Path) -> Iterator[Moto]:
    """Moto's AWS Glue: for behaviour, never for atomicity."""
    server = Moto.start(server_dir / "moto")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def jdk() -> Path:
    """The folder of a JDK 17. Where there is none, tests with JVM servers are not run, which the summary says."""
    try:
        return jvm.java_home()
    except jvm.Unavailable as error:
        if jvm.required():
            pytest.fail(str(error))
        pytest.skip(f"{NOT_RUN}: {error}")


@pytest.fixture(scope="session")
def metastores(server_dir: Path, jdk: Path) -> Iterator[Callable[[str], HiveMetastore]]:
    """Hive Metastores by version, started when first asked for; fails, with the command to run, without their jars."""
    running: dict[str, HiveMetastore] = {}

    def metastore(version: str) -> HiveMetastore:
        if version not in running:
            running[version] = HiveMetastore.start(server_dir / f"metastore-{version}", version)
        return running[version]

    yield metastore
    for each in running.values():
        each.stop()


@pytest.fixture(scope="session")
def metastore(metastores: Callable[[str], HiveMetastore]) -> HiveMetastore:
    """A Hive Metastore 2.3.10."""
    return metastores("2.3.10")


@pytest.fixture(scope="session")
def impatient_metastore(server_dir: Path, jdk: Path) -> Iterator[HiveMetastore]:
    """A Hive Metastore 2.3.10 that lets go of a lock after three seconds without a heartbeat."""
    server = HiveMetastore.start(server_dir / "metastore-impatient", lock_silence_s=3.0)
    yield server
    server.stop()


@pytest.fixture(params=VERSIONS)
def any_metastore(request: pytest.FixtureRequest, metastores: Callable[[str], HiveMetastore]) -> HiveMetastore:
    """Each version of the Hive Metastore in turn."""
    return metastores(request.param)


@pytest.fixture(scope="session")
def spark(server_dir: Path, seaweed: SeaweedFS, metastores: Callable[[str], HiveMetastore]) -> Iterator[Spark]:
    """Spark with Iceberg on ``seaweed`` (catalog ``rest``) and a metastore 2.3 (``hms``, and the session's own)."""
    session = Spark.start(server_dir / "spark", seaweed, metastores("2.3.10"))
    yield session
    session.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say plainly, whatever the verbosity, that tests with JVM servers were left out, and why."""
    reasons = {each.longrepr[2] for each in terminalreporter.stats.get("skipped", []) if NOT_RUN in each.longrepr[2]}
    for each in sorted(reasons):
        terminalreporter.write_line(each.removeprefix("Skipped: "), yellow=True, bold=True)


@pytest.fixture
def fault_server() -> Iterator[FaultServer]:
    """A scripted S3 server, empty and without faults."""
    with FaultServer() as server:
        yield server


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder whose configuration is the test's own: no variable or file of the user's is seen."""
    for name in list(os.environ):
        if name.startswith(("HEADRACE_", "PYICEBERG_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "headrace"))
    monkeypatch.setenv("PYICEBERG_HOME", str(tmp_path / "home"))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
