"""What a `Table` can do beside its rows: being made, its schema, properties, branches and tags, rollback, its name.

Each is one commit of metadata, tried again while others come first. Must not know: files, manifests, frames.
Neighbours: `headrace.table` mixes it into `Table`; `iceberg.evolution` and `iceberg.updates` make what is committed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from headrace.access import TableAccess
from headrace.catalog import LoadedTable
from headrace.errors import (
    InvalidArgument,
    MetaflowTableCommitStateUnknownException,
    MetaflowTableConflict,
    TableLocked,
    nearest,
)
from headrace.iceberg import PartitionSpec, Schema, TableMetadata, updates
from headrace.iceberg.creation import FORMAT_VERSION
from headrace.iceberg.definitions import in_place, partition_spec, sort_order
from headrace.iceberg.evolution import SchemaChange, in_use
from headrace.iceberg.schema import keep_ids
from headrace.iceberg.snapshots import MAIN, SnapshotRef
from headrace.writing.commit import writable
from headrace.writing.create import described
from headrace.writing.history import ancestors
from headrace.writing.retry import Retry

if TYPE_CHECKING:
    from headrace.dataframe import MetaflowDataFrame
    from headrace.iceberg import Snapshot

Changes = tuple[list[updates.Requirement], list[updates.Update]]


class Administration:
    """The half of `Table` that changes metadata only."""

    _access: TableAccess
    _branch: str | None

    if TYPE_CHECKING:

        @property
        def metadata(self) -> TableMetadata: ...
        @property
        def snapshot(self) -> Snapshot | None: ...
        @classmethod
        def _of(cls, access: TableAccess, chosen: Mapping[str, Any]) -> Self: ...
        def _moved(self, loaded: LoadedTable) -> None: ...

    @contextlib.contextmanager
    def update_schema(self) -> Iterator[SchemaChange]:
        """Change the columns: `with table.update_schema() as change: change.add("x", "long")`.

        Everything that is asked for inside is one commit; an exception inside leaves the table as it was. See
        `SchemaChange` for what there is. Somebody else's change of the schema in the meantime is a conflict.
        """
        metadata = writable(self._access).load_table(self._access.identifier).metadata
        used = in_use(metadata.spec, metadata.sort_order, metadata.schema)
        change = SchemaChange(metadata.schema, metadata.last_column_id, metadata.format_version, used)
        yield change
        if change.schema == metadata.schema:
            return

        def alter(now: TableMetadata) -> Changes:
            if now.schema.fields == change.schema.fields:
                return [], []  # an attempt whose answer was lost
            if now.schema != metadata.schema or now.last_column_id != metadata.last_column_id:
                hint = "ask for the change again: it is checked against the schema as it is then"
                raise MetaflowTableConflict("somebody else changed the schema meanwhile", hint=hint)
            return updates.assert_schema(now), updates.add_schema(change.schema, change.last_column_id)

        self._alter(alter)

    def update_partitioning(self, partition_by: str | Sequence[str] | None) -> None:
        """Partition what is written from now on otherwise; files that are there stay as they are.

        Parameters
        ----------
        partition_by : str, sequence of str or None
            As in `Table.create`; None: unpartitioned. A v1 table keeps its partition fields at their places: those
            that are not named any more become void, new ones come after them.
        """

        def change(now: TableMetadata) -> Changes:
            spec = _next_spec(partition_by, now.schema, now)
            return (updates.assert_spec(now), updates.add_spec(spec)) if spec.fields != now.spec.fields else ([], [])

        self._alter(change)

    def update_sort_order(self, sort_by: str | Sequence[str] | None) -> None:
        """Sort what is written from now on otherwise; `sort_by` as in `Table.create`, None: unsorted."""
        self._alter(lambda now: ([], updates.add_sort_order(sort_order(sort_by, now.schema))))

    def set_properties(self, properties: Mapping[str, str], remove: Iterable[str] = ()) -> None:
        """Set table properties, and remove others."""
        made = {str(key): str(value) for key, value in properties.items()}
        removals = list(remove)
        self._alter(lambda now: ([], updates.set_properties(made) + updates.remove_properties(removals)))

    def upgrade(self, format_version: int) -> None:
        """Move to a later format version; there is no way back."""
        update = {"action": "upgrade-format-version", "format-version": format_version}
        self._alter(lambda now: ([], [update] if now.format_version != format_version else []))

    def create_branch(self, name: str, snapshot_id: int | None = None, **retention: int) -> None:
        """Make a branch, at a snapshot of the table; None: the one that this Table shows.

        `retention`: min_snapshots_to_keep, max_snapshot_age_ms, max_ref_age_ms.
        """
        self._create_ref(name, "branch", snapshot_id, retention)

    def create_tag(self, name: str, snapshot_id: int | None = None, **retention: int) -> None:
        """Make a tag: a name that stays with its snapshot. `retention`: max_ref_age_ms."""
        self._create_ref(name, "tag", snapshot_id, retention)

    def drop_branch(self, name: str) -> None:
        """Drop a branch; its snapshots go when they expire."""
        self._drop_ref(name, "branch")

    def drop_tag(self, name: str) -> None:
        """Drop a tag."""
        self._drop_ref(name, "tag")

    def fast_forward(self, source: str, target: str = MAIN) -> None:
        """Move a branch to the head of another that continues it: what was audited is published.

        Raises
        ------
        MetaflowTableConflict
            The target has moved on since the source left it.
        """

        def change(now: TableMetadata) -> Changes:
            ahead = _ref(now, source, "branch")
            behind = now.refs.get(target)
            if behind is not None and behind.snapshot_id == ahead.snapshot_id:
                return [], []
            history = ancestors(now, now.snapshot(ahead.snapshot_id))
            if behind is not None and all(each.snapshot_id != behind.snapshot_id for each in history):
                message = f"branch {target!r} moved on to snapshot {behind.snapshot_id}, which {source!r} does not have"
                raise MetaflowTableConflict(message, hint=f"write to {source!r} again from the head of {target!r}")
            asserted = [updates.assert_ref(target, behind.snapshot_id if behind else None)]
            asserted.append(updates.assert_ref(source, ahead.snapshot_id))
            return asserted, [updates.set_ref(target, ahead.snapshot_id, ref=_raw_ref(now, target))]

        self._alter(change)

    @contextlib.contextmanager
    def audit(self, name: str) -> Iterator[Self]:
        """Write, check, publish: `with table.audit("check") as t: t.append(frame); assert ...`.

        Parameters
        ----------
        name : str
            A branch that does not exist: it is made at the head of "main", and what is written inside goes to it.

        Notes
        -----
        If the block ends well, "main" is moved to what was written and the branch is dropped. If it raises, readers of
        the table never see any of it, and the branch stays for inspection.

        Raises
        ------
        MetaflowTableConflict
            "main" moved on meanwhile; the branch stays.
        """
        fresh = self._access.fresh()
        if name in fresh.loaded().metadata.refs:
            hint = f"drop_branch({name!r}) if what it holds is not needed"
            raise InvalidArgument(f"there is a branch or tag {name!r} already", hint=hint)
        if fresh.loaded().metadata.current_snapshot is not None:
            self._of(fresh, {}).create_branch(name)
            inside = self._of(fresh.fresh(), {"branch": name})
        else:  # a branch begins with a snapshot: the first write makes it
            inside = self._of(fresh, {})
            inside._branch = name
        yield inside
        if name in inside._access.loaded().metadata.refs:
            self.fast_forward(name)
            self.drop_branch(name)

    def rollback(self, snapshot_id: int, branch: str = MAIN) -> None:
        """Move a branch back to a snapshot of its history; later snapshots stay until they expire."""

        def change(now: TableMetadata) -> Changes:
            head = _ref(now, branch, "branch")
            history = [each.snapshot_id for each in ancestors(now, now.snapshot(head.snapshot_id))]
            if snapshot_id not in history:
                hint = f"the branch has {', '.join(map(str, history[:8]))}"
                raise InvalidArgument(f"snapshot {snapshot_id} is not in the history of {branch!r}", hint=hint)
            moved = updates.set_ref(branch, snapshot_id, ref=_raw_ref(now, branch))
            return [updates.assert_ref(branch, head.snapshot_id)], [moved]

        self._alter(change)

    def drop(self, purge: bool = False) -> None:
        """Drop the table; `purge` asks the catalog to delete its files too."""
        writable(self._access).drop_table(self._access.identifier, purge)

    def rename(self, name: str | Sequence[str]) -> None:
        """Give the table another name, "db.table", in its catalog; this Table goes on under it."""
        from headrace.catalog.identifiers import parse_identifier

        catalog = writable(self._access)
        catalog.rename_table(self._access.identifier, name)
        self._access = TableAccess(catalog, parse_identifier(name))
        self.__dict__.pop("_selected", None)

    def _add_columns_of(self, frame: MetaflowDataFrame) -> None:
        """Add the columns of a frame that the table does not have, as optional ones."""
        wanted = described(frame, self.metadata.format_version)
        while True:
            try:
                with self.update_schema() as change:
                    there = set(change.schema.names)
                    _refuse_case_clashes(there, wanted)
                    missing = [each for each in wanted.fields if each.name not in there]
                    for field in missing:
                        change.add(field.name, field.type)
                break
            except TableLocked:
                raise  # it was waited for long enough
            except MetaflowTableConflict:
                if not missing:
                    raise
                # Somebody else changed the schema meanwhile: what is missing now is asked for again.
        if not missing:
            self._moved(self._access.fresh().loaded())  # another handle may have added them

    def _define_anew(
        self,
        wanted: Schema,
        partition_by: str | Sequence[str] | None,
        sort_by: str | Sequence[str] | None,
        properties: Mapping[str, str] | None,
    ) -> None:
        """Make the table what `Table.create` would: no rows in "main"; earlier snapshots stay until they expire."""
        kept = {str(key): str(value) for key, value in (properties or {}).items()}
        version = kept.pop(FORMAT_VERSION, None)

        def change(now: TableMetadata) -> Changes:
            fields = keep_ids(wanted.fields, now.schema, now.last_column_id)
            same = [each.to_json() for each in fields] == [each.to_json() for each in now.schema.fields]
            made_schema = now.schema if same else Schema(fields)
            last = max(made_schema.highest_field_id, now.last_column_id)
            spec = _next_spec(partition_by, made_schema, now)
            order = sort_order(sort_by, made_schema)
            made: list[updates.Update] = []
            if version is not None and int(version) > now.format_version:
                made.append({"action": "upgrade-format-version", "format-version": int(version)})
            made += [] if same else updates.add_schema(made_schema, last)
            made += [] if spec.fields == now.spec.fields else updates.add_spec(spec)
            made += [] if order.fields == now.sort_order.fields else updates.add_sort_order(order)
            made += [updates.remove_ref(MAIN)] if MAIN in now.refs else []
            new = {key: value for key, value in kept.items() if now.properties.get(key) != value}
            made += updates.set_properties(new)
            head = updates.assert_ref(MAIN, now.current_snapshot_id)
            return [*updates.assert_schema(now), *updates.assert_spec(now), head], made

        self._alter(change)

    def _create_ref(self, name: str, kind: str, snapshot_id: int | None, retention: Mapping[str, int]) -> None:
        chosen = snapshot_id if snapshot_id is not None else (self.snapshot.snapshot_id if self.snapshot else None)
        if chosen is None:
            raise InvalidArgument(f"{kind} {name!r}: the table has no snapshot yet")
        allowed = ["max_ref_age_ms"]
        allowed += ["min_snapshots_to_keep", "max_snapshot_age_ms"] if kind == "branch" else []
        for each in retention:
            if each not in allowed:
                raise InvalidArgument(f"a {kind} has no setting {each!r}", hint=nearest(each, allowed))
        settings = {each.replace("_", "-"): value for each, value in retention.items()}

        def change(now: TableMetadata) -> Changes:
            if found := now.refs.get(name):
                if found.kind == kind and found.snapshot_id == chosen:
                    return [], []
                raise InvalidArgument(f"there is a {found.kind} {name!r} already, at snapshot {found.snapshot_id}")
            if now.snapshot(chosen) is None:
                raise InvalidArgument(f"{kind} {name!r}: there is no snapshot {chosen}")
            return [updates.assert_ref(name, None)], [updates.set_ref(name, chosen, kind, settings)]

        self._alter(change)

    def _drop_ref(self, name: str, kind: str) -> None:
        if name == MAIN:
            raise InvalidArgument(f"branch {MAIN!r} is the table itself and cannot be dropped")

        asked: list[bool] = []

        def change(now: TableMetadata) -> Changes:
            if asked and name not in now.refs:
                return [], []  # an attempt whose answer was lost
            found = _ref(now, name, kind)
            asked.append(True)
            return [updates.assert_ref(name, found.snapshot_id)], [updates.remove_ref(name)]

        self._alter(change)

    def _alter(self, change: Callable[[TableMetadata], Changes]) -> None:
        """Commit updates that are made anew from the table as it is at every attempt; none: nothing to do."""
        catalog = writable(self._access)
        with self._access.naming():
            loaded = catalog.load_table(self._access.identifier)
            retry = Retry(loaded.metadata.properties)
            while True:
                requirements, made = change(loaded.metadata)
                if not made:
                    break
                requirements = [*updates.assert_uuid(loaded.metadata), *requirements]
                try:
                    loaded = catalog.commit_table(self._access.identifier, requirements, made)
                    break
                except TableLocked:
                    raise  # it was waited for long enough
                except MetaflowTableConflict:
                    if not retry.again():
                        raise
                except MetaflowTableCommitStateUnknownException:
                    # All of these changes are the same done twice: what is left to do is seen in the metadata.
                    if not retry.again():
                        raise
                loaded = catalog.load_table(self._access.identifier)
        self._moved(loaded)


def _next_spec(partition_by: str | Sequence[str] | None, schema: Schema, now: TableMetadata) -> PartitionSpec:
    """The spec of a table that is to be partitioned so from now on."""
    spec = partition_spec(partition_by, schema, now.spec, updates.last_partition_id(now))
    return in_place(spec, now.spec) if now.format_version == 1 else spec


def _ref(metadata: TableMetadata, name: str, kind: str) -> SnapshotRef:
    found = metadata.refs.get(name)
    if found is None or found.kind != kind:
        known = [each.name for each in metadata.refs.values() if each.kind == kind]
        raise InvalidArgument(f"no {kind} {name!r}", hint=nearest(name, known))
    return found


def _raw_ref(metadata: TableMetadata, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (metadata.raw.get("refs") or {}).get(name, {})
    return found


def _refuse_case_clashes(there: Iterable[str], wanted: Schema) -> None:
    """Refuse columns to be added that differ from others in case only: they would stay when the rows are refused."""
    folded = {each.casefold(): each for each in there}
    for field in wanted.fields:
        if folded.setdefault(field.name.casefold(), field.name) != field.name:
            message = f"columns {folded[field.name.casefold()]!r} and {field.name!r} differ in case only"
            raise InvalidArgument(message, hint="rename or drop one of them")
