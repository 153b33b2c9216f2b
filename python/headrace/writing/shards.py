"""Shards in staged values: every shard of a plan is there, and each from one attempt, before anything is committed.

Must not know: files, commits. Neighbours: `surface.py` asks; `headrace.plan` has the shards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from headrace import surroundings
from headrace.errors import InvalidArgument, MetaflowTableInvalidData

if TYPE_CHECKING:
    from headrace.plan import Shard

SHOWN = 20


def mark(shard: Shard) -> dict[str, Any]:
    """What a staged value says of its shard: which one of how many, of which plan, and who staged it."""
    if not hasattr(shard, "plan_token"):
        raise InvalidArgument(f"shard is a Shard or a number, found {type(shard).__name__}")
    made: dict[str, Any] = {"index": shard.index, "count": shard.count, "plan": shard.plan_token}
    who = surroundings.lineage()
    if who:
        made["by"] = "/".join(who.get(f"metaflow.{each}", "?") for each in ("run-id", "step", "task-id", "attempt"))
    return made


def check(values: Iterable[Any], partial: bool) -> None:
    """Refuse staged values that leave a shard out (unless `partial`), or have one from two attempts.

    Raises
    ------
    MetaflowTableInvalidData
        Which shards, of how many.
    """
    found: dict[tuple[str, int], dict[int, set[str]]] = {}
    for each in _marks(values):
        who = found.setdefault((str(each["plan"]), int(each["count"])), {})
        who.setdefault(int(each["index"]), set()).add(str(each.get("by", "")))
    for (_, count), there in found.items():
        _check_attempts(there)
        missing = [index for index in range(count) if index not in there]
        if missing and not partial:
            raise MetaflowTableInvalidData(
                f"{len(missing)} of {count} shards staged nothing: {_listed(missing)} (counted from 0)",
                hint="their tasks failed or were caught: run them again (`resume`), or leave their rows out with "
                "commit(..., partial=True). A task without rows stages an empty frame",
            )


def _check_attempts(there: Mapping[int, set[str]]) -> None:
    for index, who in sorted(there.items()):
        if len(who) > 1:
            raise MetaflowTableInvalidData(
                f"shard {index} was staged by {len(who)} attempts: {', '.join(sorted(who))}",
                hint="its rows would be there more than once: pass what one of them staged",
            )


def _marks(values: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    for each in values:
        if isinstance(each, Mapping):
            if isinstance(each.get("shard"), Mapping) and {"index", "count", "plan"} <= set(each["shard"]):
                yield each["shard"]
        elif isinstance(each, list | tuple):
            yield from _marks(each)


def _listed(indices: list[int]) -> str:
    more = f" and {len(indices) - SHOWN} more" if len(indices) > SHOWN else ""
    return ", ".join(map(str, indices[:SHOWN])) + more
