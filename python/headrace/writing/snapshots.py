"""What each kind of write makes of the snapshot before it: files added, manifests replaced, rows counted.

Must not know: attempts, catalogs. Neighbours: `commit.py` asks for the parts of a snapshot at every attempt;
`manifests.py` writes them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from headrace.iceberg import Snapshot, TableMetadata
from headrace.writing.manifests import Descriptor, Manifests, Parts
from headrace.writing.staging import StagedFile, take
from headrace.writing.summary import Counts


class Change(ABC):
    """A change of a table's rows, applied to whatever snapshot is the head of the branch."""

    mode: str
    token: str

    @abstractmethod
    def parts(self, manifests: Manifests, metadata: TableMetadata, parent: Snapshot | None) -> Parts | None:
        """The parts of the new snapshot; None if there is nothing to change.

        Raises
        ------
        MetaflowTableConflict
            The branch has changed in a way that this change must not be applied to.
        """


class Append(Change):
    """Adds files. It never conflicts: no manifest of the table is read."""

    mode = "append"

    def __init__(self, staged: Sequence[Any], token: str) -> None:
        self._staged = staged
        self.token = token
        self._made: tuple[list[Descriptor], Counts] | None = None

    def parts(self, manifests: Manifests, metadata: TableMetadata, parent: Snapshot | None) -> Parts | None:
        files = take(self._staged, metadata)
        if not files:
            return None
        if self._made is None:
            self._made = manifests.append(metadata, files)
        added, counts = self._made
        return Parts("append", added, [], counts)


def row_count(files: Sequence[StagedFile]) -> int:
    """Rows in files."""
    return sum(each.rows for each in files)
