"""Shards in other processes, without Metaflow: planned here, loaded and staged there, committed once.

    python workers.py --with processes                # multiprocessing; also --method fork, forkserver, spawn
    python workers.py --with joblib
    python workers.py --with ray

A shard and a table travel as small values without secrets; a worker finds its catalog in its own configuration. Staged
values travel back, and one commit makes them one snapshot: a worker that was run twice, or never, is noticed there.
Must not know: anything of the workers but how to call a function in them.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import headrace
import numpy
from headrace import MetaflowDataFrame, Shard, Table

Staged = list[dict[str, Any]]
Work = Callable[[Shard], Staged]


def convert(shard: Shard, out: Table) -> Staged:
    """What a worker does: load its shard, work on it, stage what comes out."""
    frame = shard.load(progress=False)
    fahrenheit = frame["celsius"].to_numpy() * 1.8 + 32
    return out.stage(MetaflowDataFrame.from_columns([frame["id"], fahrenheit], ["id", "fahrenheit"]), shard=shard)


def with_processes(work: Work, shards: Sequence[Shard], workers: int, method: str | None) -> list[Staged]:
    with multiprocessing.get_context(method).Pool(workers) as pool:
        return pool.map(work, shards, chunksize=1)


def with_joblib(work: Work, shards: Sequence[Shard], workers: int) -> list[Staged]:
    import joblib

    found: list[Staged] = joblib.Parallel(n_jobs=workers)(joblib.delayed(work)(shard) for shard in shards)
    return found


def with_ray(work: Work, shards: Sequence[Shard], workers: int) -> list[Staged]:
    """On the cluster that RAY_ADDRESS names, else on one of this machine's own."""
    import ray

    own: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers, "include_dashboard": False}
    with ray.init(**own):
        remote: Any = ray.remote(max_retries=2)(lambda shard: work(shard))
        found: list[Staged] = ray.get([remote.remote(shard) for shard in shards])
    return found


def main() -> None:
    options = _options()
    readings, out = _tables(options.rows)
    shards = readings.scan("celsius > 0").shards(options.shards)
    work = partial(convert, out=out)
    if options.kind == "processes":
        staged = with_processes(work, shards, options.workers, options.method)
    else:
        staged = {"joblib": with_joblib, "ray": with_ray}[options.kind](work, shards, options.workers)
    out.commit(staged, mode="overwrite")
    print(f"{out.scan().rows:,} rows of {len(shards)} shards in snapshot {out.snapshot and out.snapshot.snapshot_id}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--with", dest="kind", choices=["processes", "joblib", "ray"], default="processes")
    parser.add_argument("--method", choices=["fork", "forkserver", "spawn"], help="how processes begin")
    parser.add_argument("--rows", type=int, default=100_000, help="of the table, where it is not there yet")
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def _tables(rows: int) -> tuple[Table, Table]:
    """Some readings, made if they are not there, and the table for what comes of them."""
    with contextlib.suppress(headrace.errors.NamespaceExists):
        headrace.load_catalog().create_namespace("sensors")
    readings = Table.create("sensors.readings", {"id": "long", "celsius": "double"}, if_exists="ok")
    if readings.snapshot is None:
        for ids in numpy.array_split(numpy.arange(rows), 4):
            readings.append(MetaflowDataFrame.from_columns([ids, numpy.sin(ids) * 30], ["id", "celsius"]))
    return readings, Table.create("sensors.fahrenheit", {"id": "long", "fahrenheit": "double"}, if_exists="ok")


if __name__ == "__main__":
    main()
