"""A writer process: does its operations one after another, writes a log of them, and may be killed at any moment.

    python -m tests.commit.worker '{"catalog": {...}, "table": "db.t", "writer": 0, "log": "...", "count": 25, ...}'

The log is one JSON line a step, flushed to disk: what was staged, before it is committed; what was acknowledged, after.
A writer that starts again does what is staged and not acknowledged, with the same staged files, and goes on from there.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import headrace
import pyarrow
from headrace.catalog import Catalog
from headrace.errors import MetaflowTableCommitStateUnknownException, MetaflowTableConflict


class Log:
    """The client's log: nothing counts as done that is not in it."""

    def __init__(self, path: Path) -> None:
        self.lines = read(path)
        self._file = path.open("a")

    def write(self, **entry: Any) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.lines.append(entry)


def read(path: Path) -> list[dict[str, Any]]:
    """The entries of a log; a line that a kill cut short was never written."""
    lines = path.read_text().split("\n") if path.exists() else []
    if lines and lines[-1]:
        path.write_text("\n".join(lines[:-1]) + ("\n" if len(lines) > 1 else ""))
    return [json.loads(each) for each in lines[:-1]]


ROWS = 5
"""Rows of each operation that adds some."""


def rows(writer: int, operation: int, ds: str) -> pyarrow.Table:
    """Rows that tell which operation they come from."""
    same = {"writer": [writer] * ROWS, "op": [operation] * ROWS, "ds": [ds] * ROWS}
    return pyarrow.table(same | {"row": list(range(ROWS))})


def expected(log: list[dict[str, Any]], unacknowledged: bool = False) -> set[tuple[int, int, int, str]]:
    """The rows that a writer's operations leave, by its own log: no two writers touch the same rows.

    `unacknowledged`: with those that were begun and not acknowledged.
    """
    found: set[tuple[int, int, int, str]] = set()
    acknowledged = {each["op"] for each in log if each["step"] == "done"}
    for each in log:
        if each["step"] != "begin" or not (unacknowledged or each["op"] in acknowledged):
            continue
        made = {(each["writer"], each["op"], row, each["ds"]) for row in range(ROWS)}
        if each["kind"] == "append":
            found |= made
        elif each["kind"] == "overwrite_partitions":
            found = {row for row in found if row[3] != each["ds"]} | made
        else:
            found = {row for row in found if row[1] != each["target"]}
    return found


def run(asked: dict[str, Any]) -> None:
    writer, log = asked["writer"], Log(Path(asked["log"]))
    catalog = headrace.load_catalog(asked["name"], **asked["catalog"])
    if asked.get("deaths"):
        die_at_commits(catalog, asked["deaths"])
    if asked.get("deaths_with_lock"):
        die_with_locks(asked["deaths_with_lock"])
    begun = {each["op"]: each for each in log.lines if each["step"] == "begin"}
    done = {each["op"] for each in log.lines if each["step"] == "done"}
    chance = random.Random(f"{writer}-{len(log.lines)}")
    for operation in range(asked["count"]):
        if operation in done:
            continue
        entry = begun.get(operation)
        table = headrace.Table(asked["table"], catalog=catalog)
        if entry is None:
            kind = chance.choice(asked["kinds"])
            own = list(range(operation))
            if kind == "delete" and not own:
                kind = "append"
            # A partition of its own is overwritten; appends go where everybody appends
            ds = f"w{writer}" if kind == "overwrite_partitions" else "common"
            entry = {"step": "begin", "op": operation, "writer": writer, "kind": kind, "ds": ds}
            if kind == "delete":
                entry["target"] = chance.choice(own)
            else:
                entry["staged"] = table.stage(rows(writer, operation, ds))
            log.write(**entry)
        commit(table, entry)
        log.write(step="done", op=operation)


def die_at_commits(catalog: Catalog, chance: float) -> None:
    """Let this process be killed just before or just after the catalog commits: where it hurts most."""
    ask = catalog.commit_table

    def commit_table(*request: Any) -> Any:
        dies = random.choices(["before", "after", "no"], [chance / 2, chance / 2, 1 - chance])[0]
        if dies == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = ask(*request)
        if dies == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    catalog.commit_table = commit_table  # type: ignore[method-assign]


def die_with_locks(chance: float) -> None:
    """Let this process be killed while it waits for a metastore's lock, while it holds one, or before it lets go."""
    from headrace.catalog.hive_lock import HiveLock

    def dying(name: str, first: bool) -> None:
        real = getattr(HiveLock, name)

        def call(*request: Any) -> Any:
            answer = None if first else real(*request)
            if random.random() < chance / 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*request) if first else answer

        setattr(HiveLock, name, call)

    dying("_ask", first=False)
    dying("_wait", first=False)
    dying("_unlock", first=True)


def commit(table: headrace.Table, entry: dict[str, Any]) -> None:
    """Commit until it is acknowledged."""
    while True:
        try:
            if entry["kind"] == "delete":
                table.delete(f"writer = {entry['writer']} and op = {entry['target']}")
            else:
                table.commit(entry["staged"], entry["kind"])
            return
        except (MetaflowTableConflict, MetaflowTableCommitStateUnknownException):
            table = table.refresh()


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
