"""Make the Content Knowledge Graph on this machine, and say how good it is and what it took.

    python run.py --pairs 1_000_000 --workers 2

Compiles the kernel, runs flow.py with Metaflow's local scheduler, prints its report. Everything lies in one folder;
with HEADRACE_CATALOG set the tables are in that catalog instead. Neighbours: flow.py does it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from kernel import Kernel

HERE = Path(__file__).resolve().parent
MOST_SPLITS = 10_000


def main() -> None:
    options = _options()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "report.json"
    began_s = time.perf_counter()
    Kernel(folder / "build")
    places = ["--data", (options.data or folder / "data").resolve(), "--build", folder / "build", "--report", report]
    limits = ["--max-workers", options.workers, "--max-num-splits", MOST_SPLITS]
    wanted = ["--pairs", options.pairs, "--seed", options.seed, "--least-tasks", max(2, options.workers)]
    command = [sys.executable, HERE / "flow.py", "--no-pylint", "run", *places, *limits, *wanted]
    done = subprocess.run([str(each) for each in command], cwd=folder, env=_environment(folder))
    if done.returncode:
        sys.exit(done.returncode)
    made = json.loads(report.read_text()) | {"seconds": time.perf_counter() - began_s, "workers": options.workers}
    report.write_text(json.dumps(made, indent=2) + "\n")
    print(_told(made))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=1_000_000, help="candidate pairs, at least (1_000_000)")
    parser.add_argument("--workers", type=int, default=2, help="tasks at once (2)")
    parser.add_argument("--seed", type=int, default=2026, help="of the catalogues (2026)")
    folder = Path(".work/content-knowledge-graph")
    parser.add_argument("--folder", type=Path, default=folder, help=f"where everything lies ({folder})")
    parser.add_argument("--data", type=Path, help="where the real records are, or come to (data in that folder)")
    return parser.parse_args()


def _environment(folder: Path) -> dict[str, str]:
    """A local datastore in the folder; the embedded catalog in there too, unless another one is chosen."""
    ours = {
        "METAFLOW_DEFAULT_DATASTORE": "local",
        "METAFLOW_DEFAULT_METADATA": "local",
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder),
    }
    fallback = {"METAFLOW_USER": os.environ.get("USER") or "somebody"}
    if "HEADRACE_CATALOG" not in os.environ:
        ours["HEADRACE_HOME"] = str(folder / "headrace")
    return fallback | dict(os.environ) | ours


def _told(report: dict[str, Any]) -> str:
    catalogues, quality = report["catalogues"], report["quality"]
    lines = [
        "",
        f"two catalogues of {catalogues['records']:,} records; {catalogues['same']:,} works are in both, "
        f"{catalogues['same_in_pairs'] / catalogues['same']:.2%} of them in a block together",
        f"{report['stages']['pairs']['rows']:,} candidate pairs in {report['stages']['pairs']['bytes'] / 1e6:,.1f} MB",
        "",
        f"{'stage':12}{'tasks':>6}{'rows':>15}{'rows/s a task':>15}{'task s':>9}{'CPU s':>9}{'peak RSS':>11}  snapshot",
    ]
    for name, each in report["stages"].items():
        peak = f"{each['peak_rss_bytes'] / 2**20:,.0f} MiB"
        lines.append(
            f"{name:12}{each['tasks']:>6}{each['rows']:>15,}{each['rows_per_task_second']:>15,.0f}"
            f"{each['task_seconds']:>9.1f}{each['cpu_seconds']:>9.1f}{peak:>11}  {each.get('snapshot', '')}"
        )
    lines.append("")
    for name, what in QUALITIES.items():
        lines.append(f"{what:44}precision {quality[name]['precision']:.3f}, recall {quality[name]['recall']:.3f}")
    lines.append(f"\n{report['seconds']:.0f} s in all with {report['workers']} workers")
    return "\n".join(lines)


QUALITIES = {
    "matches": "pairs above the threshold",
    "links": "the best of them for each right record",
    "labelled": "real pairs that people labelled",
}


if __name__ == "__main__":
    main()
