"""The benchmarks' servers and data: SeaweedFS with tables, nginx with objects, a Hive Metastore, and local files.

Data is made when a question asks for it, once, and kept. Neighbours: datasets.py makes it, setup.py tells jobs of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import subprocess
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.hive_metastore import HiveMetastore
from tests.servers.seaweed import SeaweedFS

from . import datasets, hive_days
from .datasets import DATASETS, Places
from .nginx import Nginx
from .questions import Question
from .setup import Setup

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

Prepare = Callable[[Question, float], Setup]


class NotHere(Exception):
    """A question cannot be answered on this machine; says why."""


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[Prepare]:
    """Serve what is in ``folder``; yields what makes a question's data at a scale and tells where it is.

    Raises
    ------
    SystemExit
        Another run serves from the same folder.
    """
    (folder / "objects").mkdir(parents=True, exist_ok=True)
    with _alone(folder), contextlib.ExitStack() as servers:
        server = SeaweedFS.start(folder / "seaweed")
        servers.callback(server.stop)
        nginx: Nginx | str
        try:
            nginx = Nginx.start(folder / "nginx", folder / "objects")
            servers.callback(nginx.stop)
        except (OSError, RuntimeError, subprocess.SubprocessError) as trouble:
            nginx = str(trouble)
        places, base = _places(folder, server)
        metastore = _Metastore(folder / "metastore", servers)

        def prepare(question: Question, scale: float) -> Setup:
            uri = metastore.uri if question.metastore else ""
            return _prepare(question, scale, dataclasses.replace(places, hive_uri=uri), base, nginx)

        yield prepare


class _Metastore:
    """The Hive Metastore, started when a question first needs it."""

    def __init__(self, folder: Path, servers: contextlib.ExitStack) -> None:
        self._folder, self._servers = folder, servers

    @cached_property
    def uri(self) -> str:
        """Raises NotHere where there is no JDK 17, or no jars."""
        try:
            made = HiveMetastore.start(self._folder)
        except RuntimeError as trouble:  # jvm.Unavailable is one
            raise NotHere(f"no Hive Metastore: {trouble}") from trouble
        self._servers.callback(made.stop, grace_s=5.0)
        return made.uri


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"another benchmark runs on {folder}: wait for it, or give another --folder") from None
        yield


def _places(folder: Path, server: SeaweedFS) -> tuple[Places, Setup]:
    from pyiceberg.catalog import load_catalog

    (folder / "local").mkdir(exist_ok=True)
    local = {"type": "sql", "uri": f"sqlite:///{folder}/local/catalog.db", "warehouse": f"file://{folder}/local"}
    places = Places(folder, server.pyiceberg("bench"), load_catalog("bench", **local), server.s3)
    base = Setup(
        catalog=server.catalog_properties,
        rest_uri=server.rest_uri,
        endpoint=server.endpoint,
        access_key=server.access_key,
        secret_key=server.secret_key,
        region=server.region,
        local_catalog=local,
    )
    return places, base


def _prepare(question: Question, scale: float, places: Places, base: Setup, nginx: Nginx | str) -> Setup:
    endpoint, authority = base.endpoint, ""
    if question.served != "s3":
        if isinstance(nginx, str):
            raise NotHere(nginx)
        endpoint = nginx.endpoint if question.served == "http" else nginx.tls_endpoint
        authority = "" if question.served == "http" else str(nginx.authority)
    dataset, table = DATASETS[question.dataset], f"bench.{question.dataset}_{datasets.text(scale)}"
    print(f"data: {question.dataset} at scale {scale:g}", flush=True)
    dataset.make(places, table, scale)
    planned_only = question.job in ("plan", "commit_staged", "append_to_many")
    return dataclasses.replace(
        base,
        table=table,
        files=_files(places.remote, table) if dataset.remote and not planned_only else (),
        local_files=_files(places.local, table) if dataset.local else (),
        key=dataset.key,
        columns=question.columns,
        filtered=question.filtered,
        by_month=question.by_month,
        hive_uri=places.hive_uri,
        hive_root=hive_days.root_of(table) if question.metastore else "",
        objects=datasets.object_locations(scale) if question.job == "objects" else (),
        object_endpoint=endpoint,
        authority=authority,
    )


def _files(catalog: Catalog, table: str) -> tuple[str, ...]:
    tasks = catalog.load_table(table).scan().plan_files()
    return tuple(sorted(task.file.file_path.removeprefix("file://") for task in tasks))
