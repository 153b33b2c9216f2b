"""The program that headrace runs in, where that has something to say: Metaflow, through its extension.

A host announces itself by being imported: `host()` finds its module by name and imports nothing. Outside of one
everything here is silent. Must not know: what a flow is. Neighbours: `credentials` and `config` ask for settings,
`writing` for lineage, `plan` for limits; the host's side is integrations/metaflow, `headrace_host.py`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Protocol, cast

HOSTS = ("metaflow_extensions.headrace.toplevel.headrace_host",)
"""Modules that answer as `Host` does."""


class Host(Protocol):
    """What a host answers."""

    def lineage(self) -> Mapping[str, str]:
        """Members of a snapshot's summary that say who made it; empty outside of its work."""

    def storage(self) -> Mapping[str, str]:
        """Storage properties that stand in where a catalog has none."""

    def keys(self, role: str | None) -> Callable[[], Mapping[str, str]] | None:
        """What gives AWS keys the host's way; None leaves them to the usual chain."""

    def max_threads(self) -> int | None:
        """Threads that a load or write may use."""

    def unattended(self) -> str | None:
        """Where this runs, if nobody is there to whom a local default could be of use."""

    def unconfigured_hint(self) -> str:
        """How a catalog's settings come there."""

    def split_limit(self) -> tuple[int, str] | None:
        """(tasks that may be started at once for shards, the flag that changes it)."""


def host() -> Host | None:
    """The program around, if it has something to say."""
    for name in HOSTS:
        found = sys.modules.get(name)
        if found is not None and hasattr(found, "split_limit"):  # the last name that it defines: it is all there
            return cast(Host, found)
    return None


def lineage() -> dict[str, str]:
    """Who works: empty outside of a host's work."""
    found = host()
    return {} if found is None else dict(found.lineage())


def threads(wanted: int | None) -> int | None:
    """How many threads to use: what is wanted (None: one a core), within the host's limit."""
    found = host()
    limit = None if found is None else found.max_threads()
    if limit is None or limit >= (wanted or os.cpu_count() or 1):
        return wanted
    return limit


def tell_of_splits(count: int) -> None:
    """Say on standard error that the host will refuse so many tasks at once, and which flag changes that.

    Not a warning: Metaflow switches those off.
    """
    found = host()
    limit = None if found is None else found.split_limit()
    if limit is not None and count > limit[0]:
        text = f"headrace: {count:,} shards are more than the {limit[0]:,} tasks that a foreach may have"
        print(f"{text}; run the flow with {limit[1]} {count}, or plan fewer", file=sys.stderr, flush=True)
