"""One commit's manifests and lists, written by the engine; and what must be removed if the commit fails.

Must not know: when a commit is tried again, what the files hold. Neighbours: `snapshots.py` asks for manifests,
`commit.py` for a list an attempt. JSON forms: engine/core/src/iceberg/writing/.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headrace.errors import HeadraceError
from headrace.iceberg import NestedField, PrimitiveType, Schema, Snapshot, TableMetadata
from headrace.writing.staging import StagedFile
from headrace.writing.summary import Counts

if TYPE_CHECKING:
    from headrace._engine import Store
    from headrace.writing.snapshots import Selection

TARGET_SIZE = "commit.manifest.target-size-bytes"
DEFAULT_TARGET_SIZE = 8 << 20
MIN_COUNT = "commit.manifest.min-count-to-merge"
DEFAULT_MIN_COUNT = 100
Descriptor = dict[str, Any]


@dataclass(frozen=True)
class Parts:
    """What a new snapshot consists of, beside what its parent lists."""

    operation: str
    added: list[Descriptor] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    new: Counts = field(default_factory=Counts)
    gone: Counts = field(default_factory=Counts)
    notes: Mapping[str, str] = field(default_factory=dict)
    """Further members of the snapshot's summary."""
    marks: Counts = field(default_factory=Counts)
    """Files of row deletes, or deletion vectors, that are added, and the rows that they delete."""
    vectors: Counts = field(default_factory=Counts)
    """Deletion vectors that go with their data files, or are replaced."""


@dataclass(frozen=True)
class Listed:
    """The list of a new snapshot: where it is, the row ids that it hands out, delete files that it drops and keeps."""

    location: str
    row_ids: int
    deletes_dropped: int
    deletes_left: int


class Manifests:
    """Writes one commit's manifests and lists.

    Attributes
    ----------
    snapshot_id : int
        Of the snapshot that the commit makes, the same in all its attempts.
    """

    def __init__(self, store: Store, metadata: TableMetadata) -> None:
        self._store = store
        self._uuid = uuid.uuid4()
        self._count = 0
        self._lists = 0
        self._shared: list[str] = []
        self._attempt: list[str] = []
        self._merged: list[str] = []
        self.snapshot_id = _new_snapshot_id(metadata)

    @property
    def store(self) -> Store:
        """The table's objects."""
        return self._store

    def append(
        self,
        metadata: TableMetadata,
        files: Sequence[StagedFile],
        shared: bool = True,
        sequence_number: int | None = None,
        deletes: bool = False,
    ) -> tuple[list[Descriptor], Counts]:
        """Manifests that list files as added.

        `shared`: they serve every attempt of the commit. `sequence_number`: of the files' data; None: the snapshot's.
        `deletes`: they are files of row deletes.
        """
        from headrace import _engine

        made: list[Descriptor] = []
        counts = Counts()
        for spec_id in sorted({each.spec for each in files}):
            texts = [each.file for each in files if each.spec == spec_id]
            prefix = self.prefix(metadata)
            request = self.layout(metadata, spec_id) | {
                "snapshot_id": self.snapshot_id,
                "prefix": prefix,
                "data_sequence_number": sequence_number,
                "deletes": deletes,
            }
            with self._given_up(prefix):
                answer = json.loads(_engine.write_manifests(self._store, texts, json.dumps(request)))
            made += answer["manifests"]
            counts += Counts(*(answer[name] for name in ("files", "rows", "bytes", "partitions")))
        self.wrote([each["path"] for each in made], shared)
        return made, counts

    def rewrite(
        self,
        metadata: TableMetadata,
        snapshot: Snapshot | None,
        selection: Selection,
        files: Sequence[str],
        concurrent: Sequence[int],
        dry: bool,
    ) -> dict[str, Any]:
        """The manifests of a snapshot again, without the files that are selected; see the engine's rewrite.rs."""
        from headrace import _engine

        prefix = self.prefix(metadata)
        request = {
            "format_version": metadata.format_version,
            "schema": all_fields(metadata, metadata.schema),
            "specs": [each.to_json() for each in metadata.specs.values()],
            "snapshot_id": self.snapshot_id,
            "prefix": prefix,
            "manifest_list": snapshot.manifest_list if snapshot else None,
            "manifests": list(snapshot.manifests) if snapshot else [],
            "rule": selection.rule,
            "files_spec": metadata.spec.spec_id,
            "rewritten": list(selection.rewritten),
            "marked": list(selection.marked),
            "concurrent": list(concurrent),
            "isolation": selection.isolation,
            "only_rewritten": selection.only_rewritten,
            "guards_removed": selection.guards_removed,
            "keeps_sequence": selection.keeps_sequence,
            "dry": dry,
        }
        with self._given_up(prefix):
            text = _engine.rewrite_manifests(self._store, list(files), json.dumps(request), selection.filter)
        answer: dict[str, Any] = json.loads(text)
        return answer

    def cluster(self, metadata: TableMetadata, snapshot: Snapshot) -> dict[str, Any]:
        """The data manifests of a snapshot again, sorted by partition; see the engine's cluster.rs."""
        from headrace import _engine

        layout, prefix = self.layout(metadata, metadata.spec.spec_id), self.prefix(metadata)
        request = {
            "format_version": metadata.format_version,
            "schema": layout["schema"],
            "specs": [each.to_json() for each in metadata.specs.values()],
            "snapshot_id": self.snapshot_id,
            "prefix": prefix,
            "manifest_list": snapshot.manifest_list,
            "manifests": list(snapshot.manifests),
            "target_size": layout["target_size"],
        }
        with self._given_up(prefix):
            answer: dict[str, Any] = json.loads(_engine.cluster_manifests(self._store, json.dumps(request)))
        self.wrote([each["path"] for each in answer["manifests"]], shared=True)
        return answer

    def listed(self, snapshot: Snapshot) -> set[str]:
        """Locations of a snapshot's manifests."""
        from headrace import _engine

        frame = _engine.list_manifests(self._store, snapshot.manifest_list, list(snapshot.manifests))
        return set(frame.column(0).to_pylist())

    def added(self, metadata: TableMetadata, snapshot: Snapshot) -> set[str]:
        """Locations of the data files that a snapshot added: reads the manifests that it wrote."""
        from headrace import _engine

        listed = _engine.list_manifests(self._store, snapshot.manifest_list, list(snapshot.manifests))
        names = ("path", "content", "added_snapshot_id")
        columns = (listed.column(listed.names.index(name)).to_pylist() for name in names)
        own = [
            path for path, content, by in zip(*columns, strict=True) if (content, by) == ("data", snapshot.snapshot_id)
        ]
        if not own:
            return set()
        request = json.loads(plan_request("table", metadata, snapshot)) | {"manifest_list": None, "manifests": own}
        files, _ = _engine.plan(self._store, json.dumps(request))
        return set(files.locations())

    def live(self, metadata: TableMetadata, snapshot: Snapshot) -> set[str]:
        """Locations of a snapshot's data files: reads all its manifests."""
        from headrace import _engine

        files, _ = _engine.plan(self._store, plan_request("table", metadata, snapshot))
        return set(files.locations())

    def write_list(
        self, metadata: TableMetadata, parent: Snapshot | None, parts: Parts, sequence_number: int
    ) -> Listed:
        """The list of the new snapshot."""
        from headrace import _engine

        self._lists += 1
        location = f"{folder(metadata)}/snap-{self.snapshot_id}-{self._lists}-{self._uuid}.avro"
        request: dict[str, Any] = {
            "format_version": metadata.format_version,
            "snapshot_id": self.snapshot_id,
            "parent_snapshot_id": parent.snapshot_id if parent else None,
            "sequence_number": sequence_number,
            "location": location,
            "parent_list": parent.manifest_list if parent else None,
            "parent_manifests": list(parent.manifests) if parent else [],
            "added": parts.added,
            "replaced": parts.replaced,
            "next_row_id": (metadata.next_row_id or 0) if metadata.format_version > 2 else None,
        }
        if merge := self._merge(metadata):
            self._attempt.append(merge["location"])
            request["merge"] = merge
        self._attempt.append(location)
        answer = json.loads(_engine.write_manifest_list(self._store, json.dumps(request)))
        own = {each["path"] for each in parts.added}
        self._merged = [each for each in answer["merged"] if each in own]
        return Listed(location, answer["added_rows"], answer["deletes_dropped"], answer["deletes_left"])

    def _merge(self, metadata: TableMetadata) -> dict[str, Any] | None:
        """When small manifests are joined, by the table's properties; None: never."""
        properties = metadata.properties
        if properties.get("commit.manifest-merge.enabled", "true").lower() == "false":
            return None
        count = properties.get(MIN_COUNT, "")
        layout = self.layout(metadata, metadata.spec.spec_id)
        return {
            "min_count": int(count) if count.isdigit() else DEFAULT_MIN_COUNT,
            "target_size": layout["target_size"],
            "location": f"{self.prefix(metadata)}merged.avro",
            "schema": layout["schema"],
            "specs": [each.to_json() for each in metadata.specs.values()],
        }

    def layout(self, metadata: TableMetadata, spec_id: int) -> dict[str, Any]:
        """What the engine must know of the table to write a manifest of one spec."""
        size = metadata.properties.get(TARGET_SIZE, "")
        return {
            "format_version": metadata.format_version,
            "schema": all_fields(metadata, metadata.schema),
            "spec": metadata.specs[spec_id].to_json(),
            "target_size": int(size) if size.isdigit() else DEFAULT_TARGET_SIZE,
        }

    def prefix(self, metadata: TableMetadata) -> str:
        """The start of the names of the next manifests."""
        self._count += 1
        return f"{folder(metadata)}/{self._uuid}-m{self._count}-"

    def wrote(self, locations: Sequence[str], shared: bool = False) -> None:
        """Remember files, for this attempt or all of them."""
        (self._shared if shared else self._attempt).extend(locations)

    def end_attempt(self, failed: bool) -> None:
        """An attempt is over; `failed`: it certainly changed nothing, so what was written for it alone goes."""
        if failed:
            self._remove(self._attempt)
        self._attempt = []

    def succeeded(self) -> None:
        """The commit is done: manifests of its own that were joined into another are not in its list."""
        self._remove(self._merged)

    def discard(self) -> None:
        """The commit certainly failed as a whole: nothing that was written for it is reachable, or will be."""
        self._remove([*self._attempt, *self._shared])
        self._attempt, self._shared = [], []

    @contextlib.contextmanager
    def _given_up(self, prefix: str) -> Iterator[None]:
        """Remove what has this prefix, ours alone, if writing fails midway: the engine names what is whole only."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(HeadraceError):
                found = self._store.list(prefix.rpartition("/")[0])
                self._remove([location for location, *_ in found if location.startswith(prefix)])
            raise

    def _remove(self, locations: Sequence[str]) -> None:
        if not locations:
            return
        with contextlib.suppress(HeadraceError):  # what stays is unreachable; the failure itself is what is told
            self._store.delete(list(locations))


def folder(metadata: TableMetadata) -> str:
    """Where a table's manifests and lists go."""
    return metadata.properties.get("write.metadata.path", f"{metadata.location}/metadata").rstrip("/")


def all_fields(metadata: TableMetadata, schema: Schema) -> dict[str, Any]:
    """A schema's JSON, with the columns of other schemas that partition specs still refer to.

    A spec may partition by a column that was dropped since (spec: "Partition Evolution"): its values keep their type.
    """
    sources = {source for spec in metadata.specs.values() for each in spec.fields for source in each.source_ids}
    found = list(schema.fields)
    for each in sorted(sources):
        if schema.field(each) is None:
            others = (other.field(each) for other in metadata.schemas.values())
            found += [field for field in others if field is not None][:1]
    return Schema(tuple(found), schema.schema_id, schema.identifier_field_ids).to_json()


def plan_request(table: str, metadata: TableMetadata, snapshot: Snapshot | None, schema: Schema | None = None) -> str:
    """What the engine must know to list a snapshot's files; `schema`: as of the snapshot, if not the current one."""
    schema = schema or metadata.schema
    return json.dumps(
        {
            "table": table,
            "format_version": metadata.format_version,
            "snapshot_id": snapshot.snapshot_id if snapshot else None,
            "manifest_list": snapshot.manifest_list if snapshot else None,
            "manifests": list(snapshot.manifests) if snapshot else [],
            "schema": all_fields(metadata, schema),
            "specs": [each.to_json() for each in metadata.specs.values()],
            "dropped": _dropped(metadata, schema),
        }
    )


def _dropped(metadata: TableMetadata, schema: Schema) -> list[dict[str, Any]]:
    """Primitive fields of the table's other schemas: equality deletes may still compare them (spec: "Equality Delete
    Files")."""
    found: dict[int, NestedField] = {}
    for other in metadata.schemas.values():
        for field_id in other.names_by_id:
            field = other.field(field_id)
            if schema.field(field_id) is None and field is not None and isinstance(field.type, PrimitiveType):
                found[field_id] = field
    return [each.to_json() for each in found.values()]


def ref_json(metadata: TableMetadata, branch: str) -> Mapping[str, Any]:
    """A ref as the metadata has it."""
    found: Mapping[str, Any] = (metadata.raw.get("refs") or {}).get(branch, {})
    return found


def _new_snapshot_id(metadata: TableMetadata) -> int:
    while metadata.snapshot(made := secrets.randbits(62) + 1) is not None:
        continue
    return made
