"""Files in the folders of a table: listed at the same time, without what Hive hides.

Must not know: metastores, values. Hive's rule: files and folders whose names begin with "_" or "." are not data, nor
are empty files; folders inside a partition's belong to it. Neighbour: `planning.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from headrace.errors import MetaflowTableInvalidData, ObjectNotFound

CONCURRENT_LISTINGS = 32
"""Each is one request a thousand files: latency, not work."""


class Lister(Protocol):
    """What is asked of a store."""

    def list(self, prefix: str) -> list[tuple[str, int]]: ...


def list_folders(store: Lister, folders: Sequence[str], below: str | None = None) -> list[list[tuple[str, int]]]:
    """Data files of each folder: (location, bytes), sorted. A folder that is not there has none, as Hive has it.

    Parameters
    ----------
    store : Lister
        Lists.
    folders : sequence of str
        Partitions' folders, which lie beside each other.
    below : str or None
        A folder that is listed as a whole for all folders inside it. None: each is listed by itself, and nothing that
        lies beside them.
    """
    inside = [below is not None and each.startswith(f"{below}/") for each in folders]
    found: dict[str, list[tuple[str, int]]] = {}
    if below is not None and sum(inside) > 1:
        found = _split(
            _listed(store, below), [each for each, is_inside in zip(folders, inside, strict=True) if is_inside]
        )
    left = [each for each in dict.fromkeys(folders) if each not in found]
    if len(left) == 1:
        found[left[0]] = _files(store, left[0])
    elif left:
        with ThreadPoolExecutor(min(CONCURRENT_LISTINGS, len(left)), "headrace-list") as threads:
            found |= dict(zip(left, threads.map(lambda each: _files(store, each), left), strict=True))
    return [found[each] for each in folders]


def _files(store: Lister, folder: str) -> list[tuple[str, int]]:
    start = len(folder) + 1
    return [each for each in _listed(store, folder) if not is_hidden(each[0][start:])]


def _listed(store: Lister, folder: str) -> list[tuple[str, int]]:
    """What is in a folder, without empty files."""
    if not folder:
        raise MetaflowTableInvalidData("the metastore has no location for the table or a partition of it")
    try:
        return [each for each in store.list(f"{folder}/") if each[1] > 0]
    except ObjectNotFound:
        return []


def _split(files: Sequence[tuple[str, int]], folders: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
    """Data files by the innermost of these folders that holds them; files of no folder belong to no partition."""
    found: dict[str, list[tuple[str, int]]] = {each: [] for each in folders}
    for location, size in files:
        parent = location
        while parent := parent.rpartition("/")[0]:
            if parent in found:
                if not is_hidden(location[len(parent) + 1 :]):
                    found[parent].append((location, size))
                break
    return found


def is_hidden(relative: str) -> bool:
    """Whether a path below a table's folder is not data."""
    return any(part.startswith(("_", ".")) for part in relative.split("/"))
