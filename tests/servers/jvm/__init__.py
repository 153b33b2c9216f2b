"""What the JVM servers stand on: a JDK 17, and jars that scripts/install_interop fetched and checked.

Where there is no JDK 17 the interoperability tests do not run, and say so; with ``CI=true`` or
``HEADRACE_INTEROP=require`` that is a failure. Knows no server. Neighbours: hive_metastore.py and spark.py start their
servers with this; the poms beside it say which jars there are, jars.sha256 what each of them holds.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
SUMS = HERE / "jars.sha256"
GROUPS = ("spark", "metastore-2", "metastore-4")
JAVA_VERSION = "17"
INSTALL_HINT = "run scripts/install_interop (`make interop` does)"


class Unavailable(RuntimeError):
    """This machine cannot run the interoperability tests; says why."""


def required() -> bool:
    """Whether a machine that cannot run these tests is a failure."""
    return os.environ.get("CI") == "true" or os.environ.get("HEADRACE_INTEROP") == "require"


def java_home() -> Path:
    """The folder of a JDK 17: ``JAVA_HOME``, the one on PATH, or one of the system's.

    Raises
    ------
    Unavailable
        There is none; says what was found instead.
    """
    places = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    if compiler := shutil.which("javac"):
        places.append(Path(compiler).resolve().parent.parent)
    places += sorted(Path("/usr/lib/jvm").glob("*"))
    seen = []
    for home in dict.fromkeys(places):
        version = _version(home)
        if version and version.split(".")[0] == JAVA_VERSION:
            return home
        if version:
            seen.append(f"{version} in {home}")
    found = "found " + ", ".join(seen) if seen else "no JDK found"
    hint = "install one (Debian: apt-get install openjdk-17-jdk-headless maven) or set JAVA_HOME"
    raise Unavailable(f"Spark 3.5 and the metastores need a JDK {JAVA_VERSION}; {found}; {hint}")


def _version(home: Path) -> str | None:
    """The version of the JDK in a folder, None where there is none."""
    compiler = home / "bin" / "javac"
    if not compiler.exists():
        return None
    answer = subprocess.run([compiler, "-version"], capture_output=True, text=True, check=False)
    return (answer.stdout + answer.stderr).strip().removeprefix("javac ") or None


def sums() -> dict[str, str]:
    """SHA-256 of every jar, by "group/name.jar"."""
    lines = SUMS.read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def jar_folder() -> Path:
    """Where the jars of this checkout's jars.sha256 are or belong: a folder of their own for each state of that file."""
    state = hashlib.sha256(SUMS.read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace" / "interop"
    return Path(os.environ.get("HEADRACE_INTEROP_CACHE") or cache) / f"jars-{state}"


def jars(group: str) -> list[Path]:
    """The jars of a pom beside this file.

    Raises
    ------
    RuntimeError
        They are not installed.
    """
    found = sorted((jar_folder() / group).glob("*.jar"))
    if not found:
        raise RuntimeError(f"the jars of {group!r} are not installed: {INSTALL_HINT}")
    return found


def pyspark_jars() -> Path:
    """The folder of the jars that Spark brings.

    Raises
    ------
    RuntimeError
        PySpark is not installed.
    """
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        raise RuntimeError(f"PySpark is not installed: {INSTALL_HINT}")
    return Path(found.origin).parent / "jars"


def compiled(sources: list[str], class_path: str, folder: Path) -> Path:
    """Compile Java files beside this one into a folder, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [
        java_home() / "bin" / "javac",
        "-nowarn",
        "-proc:none",
        "-cp",
        class_path,
        "-d",
        folder,
    ]
    command += [HERE / f"{each}.java" for each in sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"javac failed:\n{done.stdout}{done.stderr}")
    return folder
