"""A folder with flows, a local datastore and a configuration of its own, and what runs flows in it.

Knows Metaflow's command line and where it keeps what it ran; nothing of headrace but its variables.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLOWS = Path(__file__).parent / "flows"


@dataclass
class Ran:
    """A command that ended: its code, and what it printed."""

    code: int
    output: str

    @property
    def run_id(self) -> str:
        """The run that it was."""
        found = re.search(r"run-id (\d+)", self.output)
        assert found, self.output[-3000:]
        return found[1]


class Project:
    """A user's folder, with an environment in which nothing of this machine's user is seen."""

    def __init__(self, folder: Path, catalog: Mapping[str, str] | None = None, name: str = "lake") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        kept = {key: value for key, value in os.environ.items()
                if not key.startswith(("METAFLOW", "HEADRACE_", "PYICEBERG_", "AWS_", "PYTHON"))}  # fmt: skip
        self.environment = kept | {
            "HOME": str(folder / "home"),
            "METAFLOW_HOME": str(folder / "home/.metaflowconfig"),
            "METAFLOW_USER": "tester",
            "METAFLOW_DEFAULT_DATASTORE": "local",
            "METAFLOW_DEFAULT_METADATA": "local",
            "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder),
            "AWS_EC2_METADATA_DISABLED": "true",
            "HEADRACE_HOME": str(folder / "headrace"),
        }
        if catalog is not None:
            self.environment |= catalog_variables(name, catalog)

    def copy(self, name: str) -> Path:
        """Put a flow of `flows/` into the folder."""
        return Path(shutil.copy(FLOWS / name, self.folder))

    def command(self, flow: str | Path, *arguments: Any) -> list[str]:
        """What runs a flow: `command("flow.py", "run", "--n", 3)`."""
        return [sys.executable, str(flow), "--no-pylint", *map(str, arguments)]

    def start(self, flow: str | Path, *arguments: Any, **environment: str) -> subprocess.Popen[str]:
        """Start a flow in a process group of its own."""
        return subprocess.Popen(
            self.command(flow, *arguments),
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, flow: str | Path, *arguments: Any, timeout_s: float = 240, **environment: str) -> Ran:
        """Run a flow to its end."""
        process = self.start(flow, *arguments, **environment)
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except BaseException:
            os.killpg(process.pid, 9)
            raise
        return Ran(process.returncode, output)

    def succeed(self, flow: str | Path, *arguments: Any, **options: Any) -> Ran:
        """Run a flow that must succeed."""
        ran = self.run(flow, *arguments, **options)
        assert ran.code == 0, ran.output[-6000:]
        return ran

    def python(self, code: str, **environment: str) -> Ran:
        """Run some Python in the folder."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return Ran(done.returncode, done.stdout)


def catalog_variables(name: str, properties: Mapping[str, str]) -> dict[str, str]:
    """The environment that configures a catalog, and makes it the default."""
    prefix = f"HEADRACE_CATALOG__{name.upper()}__"
    made = {prefix + key.upper().replace(".", "__").replace("-", "_"): value for key, value in properties.items()}
    return made | {"HEADRACE_CATALOG": name}
