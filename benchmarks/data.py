"""The benchmarks' data, made once and reused: a SeaweedFS with the tables, and the same rows on local disk.

Knows nothing of headrace: PyIceberg writes everything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.servers import tpch
from tests.servers.seaweed import SeaweedFS

from . import many_files
from .setup import Setup

PARTS = 8
MANY = "bench.many_files"


@contextlib.contextmanager
def serve(folder: Path, scales: set[float]) -> Iterator[dict[float, Setup]]:
    """Serve the data from ``folder``, one Setup for each scale of lineitem, 0 for the table of many files.

    What is missing is made first.

    The first time, lineitem takes about 25 s per unit of scale, and the table of many files half a minute.
    """
    folder.mkdir(parents=True, exist_ok=True)
    server = SeaweedFS.start(folder / "seaweed")
    try:
        yield {scale: _prepare(folder, server, scale) for scale in sorted(scales)}
    finally:
        server.stop()


def _prepare(folder: Path, server: SeaweedFS, scale: float) -> Setup:
    from pyiceberg.catalog import load_catalog

    (folder / "local").mkdir(exist_ok=True)
    local = {"type": "sql", "uri": f"sqlite:///{folder}/local/catalog.db", "warehouse": f"file://{folder}/local"}
    remote_catalog, local_catalog = server.pyiceberg("bench"), load_catalog("bench", **local)
    table = f"bench.lineitem_{f'{scale:g}'.replace('.', '_')}"
    files: dict[str, list[str]] = {"remote": [], "local": []}
    if scale:
        print(f"data: lineitem at scale {scale:g} in {PARTS} files", flush=True)
        parts = tpch.generate(folder / f"tpch-{scale:g}", "lineitem", scale=scale, parts=PARTS)
        for place, catalog in (("remote", remote_catalog), ("local", local_catalog)):
            tpch.append(catalog, table, parts)
            tasks = catalog.load_table(table).scan().plan_files()
            files[place] = sorted(task.file.file_path.removeprefix("file://") for task in tasks)
    else:
        print(f"data: a table of {many_files.DAYS * many_files.FILES_PER_DAY} files", flush=True)
        many_files.make(remote_catalog, MANY)
    return Setup(
        catalog=server.catalog_properties,
        rest_uri=server.rest_uri,
        endpoint=server.endpoint,
        access_key=server.access_key,
        secret_key=server.secret_key,
        region=server.region,
        table=table,
        files=files["remote"],
        many=MANY,
        local_catalog=local,
        local_table=table,
        local_files=files["local"],
    )
