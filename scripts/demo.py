"""`make demo`: a real server with a real table, then the examples. Run again, it reuses what stands.

State is under .work/demo: the server's data, the generated rows, the embedded catalog, and `environment` (variables for
a shell). The server keeps running in the background until `make demo-stop`. Somebody else's writer (PyIceberg) makes
all tables. The server, its data and PyIceberg are started here; headrace only in the examples.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.servers import tpch  # noqa: E402
from tests.servers.seaweed import SeaweedFS  # noqa: E402

STATE = ROOT / ".work" / "demo"
HOME = STATE / "home"
PARTS = 4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--stop", action="store_true", help="end the server; its data stays")
    parser.add_argument("--scale", type=float, default=1, help="TPC-H scale of lineitem: 6 M rows each (default 1)")
    arguments = parser.parse_args()
    if arguments.stop:
        return stop()
    server = running_server()
    put_lineitem(server, arguments.scale)
    put_nation()
    variables = catalog_variables(server)
    write_environment(variables)
    return run("quickstart.py", variables) or run("embedded.py", {})


def stop() -> int:
    server = SeaweedFS.attach(STATE / "seaweed")
    if server is None:
        say("no server runs")
        return 0
    server.stop()
    say(f"SeaweedFS (pid {server.pid}) ended; its data stays in {STATE / 'seaweed'}")
    return 0


def running_server() -> SeaweedFS:
    """The demo's server, started where it does not run."""
    server = SeaweedFS.attach(STATE / "seaweed")
    if server is not None:
        say(f"SeaweedFS runs already (pid {server.pid}): S3 {server.endpoint}, Iceberg REST {server.rest_uri}")
        return server
    server = SeaweedFS.start(STATE / "seaweed", detached=True)
    say(f"SeaweedFS started (pid {server.pid}): S3 {server.endpoint}, Iceberg REST {server.rest_uri}")
    say("it stays until `make demo-stop`")
    return server


def put_lineitem(server: SeaweedFS, scale: float) -> None:
    """TPC-H lineitem as demo.lineitem in the REST catalog, several files."""
    started = time.monotonic()
    files = tpch.generate(STATE / f"tpch-{scale:g}", "lineitem", scale=scale, parts=PARTS)
    rows = tpch.append(server.pyiceberg("demo"), "demo.lineitem", files)
    say(f"demo.lineitem: {rows:,} rows, written by PyIceberg ({time.monotonic() - started:.1f} s)")


def put_nation() -> None:
    """TPC-H nation in the embedded catalog: a SQLite file and a warehouse folder, laid out as headrace's default."""
    from pyiceberg.catalog.sql import SqlCatalog

    HOME.mkdir(parents=True, exist_ok=True)
    catalog = SqlCatalog("default", uri=f"sqlite:///{HOME}/catalog.db", warehouse=f"file://{HOME}/warehouse")
    files = tpch.generate(STATE / "tpch-1", "nation", scale=1)
    rows = tpch.append(catalog, "demo.nation", files)
    say(f"demo.nation: {rows} rows in the embedded catalog, {HOME}")


def catalog_variables(server: SeaweedFS) -> dict[str, str]:
    """The catalog "demo" as variables that PyIceberg and headrace read: "." in names is "__" and "-" is "_"."""
    return {
        f"PYICEBERG_CATALOG__DEMO__{name.replace('-', '_').replace('.', '__').upper()}": value
        for name, value in server.catalog_properties.items()
    }


def write_environment(variables: dict[str, str]) -> None:
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    (STATE / "environment").write_text("".join(lines))
    say(f"variables of this catalog for your shell: source {(STATE / 'environment').relative_to(ROOT)}")


def run(example: str, variables: dict[str, str]) -> int:
    """Run an example with the demo's configuration and none of the user's."""
    say(f"python examples/{example}")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEADRACE_", "PYICEBERG_"))}
    environment = kept | {"HEADRACE_HOME": str(HOME)} | variables
    return subprocess.run([sys.executable, str(ROOT / "examples" / example)], env=environment, cwd=ROOT).returncode


def say(line: str) -> None:
    print(f"demo: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
