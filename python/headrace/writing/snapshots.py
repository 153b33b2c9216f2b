"""What each kind of write makes of the snapshot before it: files added, manifests replaced, rows counted.

Must not know: attempts, catalogs. Neighbours: `commit.py` asks for the parts of a snapshot at every attempt;
`manifests.py` writes them; `conflicts.py` words what the engine found.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from headrace.errors import MetaflowTableIncompatible
from headrace.iceberg import Snapshot, TableMetadata
from headrace.writing import conflicts
from headrace.writing.manifests import Descriptor, Manifests, Parts
from headrace.writing.staging import StagedFile, take
from headrace.writing.summary import Counts


class Change(ABC):
    """A change of a table's rows, applied to whatever snapshot is the head of the branch."""

    token: str

    @abstractmethod
    def files(self, metadata: TableMetadata) -> list[StagedFile]:
        """The files that are added, checked against the table as it is now."""

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

    def __init__(self, staged: Sequence[Any], token: str) -> None:
        self.token = token
        self._files = _Added(staged)

    def files(self, metadata: TableMetadata) -> list[StagedFile]:
        return self._files.of(metadata)

    def parts(self, manifests: Manifests, metadata: TableMetadata, parent: Snapshot | None) -> Parts | None:
        added, counts = self._files.manifests(manifests, metadata)
        return Parts("append", added, [], counts) if counts.files else None


@dataclass(frozen=True)
class Selection:
    """Which files of the table a change removes.

    Attributes
    ----------
    rule : {"all", "filter", "partitions", "listed"}
        Every file, those that a filter selects, those in the partitions of the new files, those in `rewritten`.
    filter : str or None
        The engine's JSON of the filter.
    rewritten : tuple of str
        Files that the filter selects in part, and whose other rows are among the new files.
    isolation : {"serializable", "snapshot"}
        Whether files that came in the meantime and would be selected are a conflict, or stay.
    only_rewritten : bool
        Of the files that are selected only those in `rewritten` go.
    marked : tuple of str
        Files that stay and get row deletes.
    guards_removed : bool
        Row deletes that came since are a conflict in files that go, too: the new rows may come from those there.
    keeps_sequence : bool
        The new files have the sequence number of the snapshot that the change was made from, so that equality deletes
        that came since apply to them too.
    """

    rule: str
    filter: str | None = None
    rewritten: tuple[str, ...] = ()
    isolation: str = "serializable"
    only_rewritten: bool = False
    marked: tuple[str, ...] = ()
    guards_removed: bool = False
    keeps_sequence: bool = False


@dataclass(frozen=True)
class RowDeletes:
    """Files of row deletes that were written for a change.

    Attributes
    ----------
    format_version : int
        Of the table that they were written for: 2 has files of positions, 3 deletion vectors.
    files : tuple of StagedFile
        One each, vectors of one file one each too.
    """

    format_version: int
    files: tuple[StagedFile, ...] = ()

    @property
    def paths(self) -> list[str]:
        """Where they are."""
        return sorted({each.path for each in self.files})

    def check(self, metadata: TableMetadata) -> None:
        """Raise MetaflowTableIncompatible unless the table as it is now takes them."""
        known = all(each.spec in metadata.specs for each in self.files)
        if metadata.format_version != self.format_version or not known:
            message = f"the format version is {metadata.format_version} now, or a partition spec is gone"
            raise MetaflowTableIncompatible(message, hint="do it again on the table as it is now")


class Replace(Change):
    """Removes files that are selected, and adds others; or deletes rows of files that stay.

    Parameters
    ----------
    staged : sequence
        What is added.
    selection : Selection
        What is removed.
    base : Snapshot or None
        The snapshot that the change was made from: what is selected must not have changed since.
    operation : str or None
        What the snapshot is called; None: "overwrite", or "delete" where nothing is added.
    deletes : RowDeletes or None
        Of rows of the files that the selection marks.
    deletes_commute : bool
        Other row deletes of the same files, which came since, do no harm: files of positions may be many.
    """

    def __init__(
        self,
        staged: Sequence[Any],
        token: str,
        selection: Selection,
        base: Snapshot | None,
        operation: str | None = None,
        deletes: RowDeletes | None = None,
        deletes_commute: bool = False,
    ) -> None:
        self.token = token
        self._files = _Added(staged, base.sequence_number if base and selection.keeps_sequence else None)
        self._operation = operation
        self._selection = selection
        self._base = base
        self._deletes = deletes
        self._commute = deletes_commute
        self._listed: tuple[list[Descriptor], Counts] | None = None
        self._fingerprint: str | None = None

    def files(self, metadata: TableMetadata) -> list[StagedFile]:
        return self._files.of(metadata)

    def parts(self, manifests: Manifests, metadata: TableMetadata, parent: Snapshot | None) -> Parts | None:
        files = self._files.of(metadata)
        if self._selection.rule == "partitions" and not files:
            return None
        concurrent = conflicts.concurrent(metadata, parent, self._base)
        if concurrent and self._fingerprint is None:
            self._fingerprint = self._select(manifests, metadata, self._base, files, [], dry=True)["fingerprint"]
        ids = [each.snapshot_id for each in concurrent]
        found = self._select(manifests, metadata, parent, files, ids, dry=False)
        manifests.wrote([each["path"] for each in found["manifests"]])
        if self._deletes is not None:
            found["partial"] = []  # such files stay: the rows that are selected were looked for in all of them
            found["deletes"] = None if self._commute else found["deletes"]
        conflicts.check(found, self._fingerprint, concurrent)
        added, counts = self._files.manifests(manifests, metadata)
        listed, marks = self._row_deletes(manifests, metadata)
        gone = Counts(found["files"], found["rows"], found["bytes"], found["partitions"])
        if not counts.files and not gone.files and not marks.files:
            return None
        operation = self._operation or ("overwrite" if counts.files else "delete")
        vectors = Counts(found["vectors"], found["vector_rows"], found["vector_bytes"])
        changed = [*added, *listed, *found["manifests"]]
        return Parts(operation, changed, found["replaced"], counts, gone, marks=marks, vectors=vectors)

    def _row_deletes(self, manifests: Manifests, metadata: TableMetadata) -> tuple[list[Descriptor], Counts]:
        """The manifests of row deletes, which serve every attempt."""
        if self._deletes is None or not self._deletes.files:
            return [], Counts()
        self._deletes.check(metadata)
        if self._listed is None:
            self._listed = manifests.append(metadata, self._deletes.files, deletes=True)
        return self._listed

    def _select(
        self,
        manifests: Manifests,
        metadata: TableMetadata,
        snapshot: Snapshot | None,
        files: Sequence[StagedFile],
        concurrent: Sequence[int],
        dry: bool,
    ) -> dict[str, Any]:
        own = [each.file for each in files] if self._selection.rule == "partitions" else []
        return manifests.rewrite(metadata, snapshot, self._selection, own, concurrent, dry)


@dataclass
class _Added:
    """New files, and their manifests, which serve every attempt."""

    staged: Sequence[Any]
    sequence_number: int | None = None
    _made: tuple[list[Descriptor], Counts] | None = field(default=None)

    def of(self, metadata: TableMetadata) -> list[StagedFile]:
        """The files, checked against the table as it is now."""
        return take(self.staged, metadata)

    def manifests(self, manifests: Manifests, metadata: TableMetadata) -> tuple[list[Descriptor], Counts]:
        """Their manifests and what they hold."""
        files = self.of(metadata)
        if self._made is None:
            self._made = manifests.append(metadata, files, sequence_number=self.sequence_number)
        return self._made
