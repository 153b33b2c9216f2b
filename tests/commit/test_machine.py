"""Random writes, changes and reads through two handles of one table, each compared with a table in plain Python.

A handle is a `Table` that may be stale: what it reads stays as it was, what it appends goes to the head, and what it
replaces is replaced as it saw it or refused. Neighbours: `model.py` is the table, `conditions.py` its filters.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import headrace
import hypothesis
import pyarrow
import pytest
from headrace.errors import MetaflowTableConflict, MetaflowTableIncompatible
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests import soak
from tests.commit.conditions import VALUES, conditions
from tests.commit.conftest import sqlite
from tests.commit.model import (
    MAIN,
    Column,
    Model,
    Row,
    Schema,
    changed,
    comparable,
    row,
    seen,
    without,
)
from tests.commit.readers import check

NAME = "db.t"
COLUMNS = {"k": "int", "ds": "string", "v": "int", "f": "float"}
ARROW = {
    "int": pyarrow.int32(),
    "long": pyarrow.int64(),
    "float": pyarrow.float32(),
    "double": pyarrow.float64(),
    "string": pyarrow.string(),
}
WIDER = {"int": "long", "float": "double"}
HANDLES = st.integers(0, 1)
BRANCHES = st.sampled_from([MAIN, MAIN, MAIN, "b", "c"])
counted: Counter[str] = Counter()
"""How often each rule has run: a rule that never does proves nothing."""


@dataclass
class Handle:
    """A `Table`, and what it saw when it was opened or last wrote."""

    table: headrace.Table
    schema: Schema
    epoch: int
    refs: dict[str, tuple[str, int]]

    def base(self, branch: str) -> int | None:
        """The head of a branch as the handle saw it."""
        found = self.refs.get(branch) or self.refs.get(MAIN)
        return found[1] if found else None


@dataclass(frozen=True)
class Staged:
    """Files that were staged, with the rows in them."""

    values: list[dict[str, Any]]
    rows: list[Row]
    mode: str
    epoch: int
    token: str = field(default="")


class TableMachine(RuleBasedStateMachine):
    """The rules."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="headrace-machine-"))
        self.catalog = sqlite(self.folder)
        self.staged: list[Staged] = []
        self.stages = 0

    @initialize(
        version=st.sampled_from("123"),
        partition=st.sampled_from(["", "ds", "truncate(1, ds)"]),
        mode=st.sampled_from(["copy-on-write", "merge-on-read"]),
    )
    def create(self, version: str, partition: str, mode: str) -> None:
        schema = tuple(Column(at, *each) for at, each in enumerate(COLUMNS.items()))
        ds = schema[1].id
        parts: dict[str, Callable[[Row], Any]] = {
            "": lambda found: None,
            "ds": lambda found: dict(found).get(ds),
            "truncate(1, ds)": lambda found: dict(found)[ds][:1] if ds in dict(found) else None,
        }
        properties = {"format-version": version, "commit.manifest.min-count-to-merge": "4"}
        properties |= {f"write.{each}.mode": mode for each in ("delete", "update", "merge")}
        headrace.Table.create(
            NAME, COLUMNS, partition_by=partition or None, properties=properties, catalog=self.catalog
        )
        counted[f"{mode} of version {version}"] += 1
        self.model = Model(schema, parts[partition])
        self.handles = [self._open(), self._open()]

    def teardown(self) -> None:
        try:
            if hasattr(self, "model") and self.model.head():
                self._compare(check(headrace.Table(NAME, catalog=self.catalog)), self.model.head(), self.model.schema)
        finally:
            shutil.rmtree(self.folder)

    # rows

    @rule(which=HANDLES, branch=BRANCHES, data=st.data())
    def append(self, which: int, branch: str, data: st.DataObject) -> None:
        handle = self.handles[which]
        frame, rows = self._rows(data, handle.schema)
        self._write("append", handle, branch, lambda: handle.table.append(frame, branch=branch), rows)

    @rule(which=HANDLES, branch=BRANCHES, data=st.data(), everything=st.integers(0, 5))
    def overwrite(self, which: int, branch: str, data: st.DataObject, everything: int) -> None:
        handle = self.handles[which]
        frame, rows = self._rows(data, handle.schema, least=0)
        condition = None if not everything else data.draw(conditions(handle.schema))
        text = condition.text if condition else None

        def gone(found: Row) -> bool:
            return condition is None or condition.selects(found, handle.schema)

        act = lambda: handle.table.overwrite(frame, text, branch=branch)  # noqa: E731
        self._write("overwrite", handle, branch, act, rows, gone, base=handle.base(branch))

    @rule(which=HANDLES, branch=BRANCHES, data=st.data())
    def overwrite_partitions(self, which: int, branch: str, data: st.DataObject) -> None:
        handle = self.handles[which]
        frame, rows = self._rows(data, handle.schema, least=0)
        act = lambda: handle.table.overwrite_partitions(frame, branch=branch)  # noqa: E731
        self._write("overwrite_partitions", handle, branch, act, rows, self._in_same(rows), base=handle.base(branch))

    @rule(which=HANDLES, branch=BRANCHES, data=st.data())
    def delete(self, which: int, branch: str, data: st.DataObject) -> None:
        condition, schema = data.draw(conditions(self.model.schema)), self.model.schema
        handle = self.handles[which]
        act = lambda: handle.table.delete(condition.text, branch=branch)  # noqa: E731
        self._write("delete", handle, branch, act, [], lambda found: condition.selects(found, schema))

    @rule(which=HANDLES, branch=BRANCHES, data=st.data(), two=st.booleans())
    def upsert(self, which: int, branch: str, data: st.DataObject, two: bool) -> None:
        handle, schema = self.handles[which], self.model.schema
        ids = [0, 1] if two else [0]
        on = [each.name for at in ids for each in schema if each.id == at]

        def key(found: Row) -> tuple[Any, ...]:
            return tuple(dict(found).get(each) for each in ids)

        frame, rows = self._rows(data, schema, keys=on)
        keys = {key(each) for each in rows}
        act = lambda: handle.table.upsert(frame, on=on, branch=branch)  # noqa: E731
        self._write("upsert", handle, branch, act, rows, lambda found: key(found) in keys)

    # staged work

    @rule(which=HANDLES, data=st.data(), mode=st.sampled_from(["append", "overwrite_partitions", "overwrite"]))
    def stage(self, which: int, data: st.DataObject, mode: str) -> None:
        handle = self.handles[which]
        frame, rows = self._rows(data, handle.schema)
        values = handle.table.stage(frame)
        self.stages += 1  # not the list's length: it shrinks, and tokens are never the same twice
        self.staged.append(Staged(values, rows, mode, handle.epoch, f"staged {self.stages}"))

    @precondition(lambda self: self.staged)
    @rule(which=HANDLES, branch=BRANCHES, data=st.data())
    def commit(self, which: int, branch: str, data: st.DataObject) -> None:
        handle, staged = self.handles[which], data.draw(st.sampled_from(self.staged))
        act = lambda: handle.table.commit(staged.values, staged.mode, branch=branch)  # noqa: E731
        history = self.model.ancestors(self.model.head(branch))
        try:
            if before := next((each for each in history if each.token == staged.token), None):
                assert act().snapshot_id == before.id
                self._renew(handle)
                self._check_head(branch)
            elif staged.mode == "append":
                self._write("commit", handle, branch, act, staged.rows, token=staged.token)
            else:
                whole = staged.mode == "overwrite"
                gone = (lambda found: True) if whole else self._in_same(staged.rows)
                base = handle.base(branch)
                self._write("commit", handle, branch, act, staged.rows, gone, base=base, token=staged.token)
        except MetaflowTableIncompatible:
            assert staged.epoch > handle.epoch

    # columns

    @rule(
        which=HANDLES,
        how=st.sampled_from(["add", "rename", "drop", "promote", "move"]),
        name=st.sampled_from("vwxyz"),
        data=st.data(),
    )
    def evolve(self, which: int, how: str, name: str, data: st.DataObject) -> None:
        schema = self.model.schema
        kind = data.draw(st.sampled_from(sorted(VALUES)))
        column = data.draw(st.sampled_from(schema))
        free = all(each.name != name for each in schema)
        if how == "add" and free:
            self._evolve(which, self.model.add(schema, name, kind), lambda change: change.add(name, kind))
        elif how == "rename" and free:
            made = changed(schema, column, name=name)
            self._evolve(which, made, lambda change: change.rename(column.name, name))
        elif how == "drop" and column.id > 1:  # the key and the partition's column stay
            made = tuple(each for each in schema if each is not column)
            self._evolve(which, made, lambda change: change.drop(column.name))
        elif how == "promote" and column.kind in WIDER:
            made = changed(schema, column, kind=WIDER[column.kind])
            self._evolve(which, made, lambda change: change.promote(column.name, WIDER[column.kind]))
        elif how == "move" and column is not schema[0]:
            made = (column, *(each for each in schema if each is not column))
            self._evolve(which, made, lambda change: change.move(column.name, first=True))

    # branches, tags, history

    @precondition(lambda self: self.model.snapshots)
    @rule(which=HANDLES, name=st.sampled_from(["b", "c", "t"]), data=st.data())
    def create_ref(self, which: int, name: str, data: st.DataObject) -> None:
        chosen = data.draw(st.sampled_from(list(self.model.snapshots)))
        if name not in self.model.refs:
            handle, kind = self.handles[which], "tag" if name == "t" else "branch"
            make = handle.table.create_tag if kind == "tag" else handle.table.create_branch
            make(name, chosen)
            self.model.refs[name] = (kind, chosen)
            self._renew(handle)

    @precondition(lambda self: self.model.refs.keys() - {MAIN})
    @rule(which=HANDLES, data=st.data())
    def drop_ref(self, which: int, data: st.DataObject) -> None:
        name, handle = data.draw(st.sampled_from(sorted(self.model.refs.keys() - {MAIN}))), self.handles[which]
        (handle.table.drop_tag if self.model.refs[name][0] == "tag" else handle.table.drop_branch)(name)
        del self.model.refs[name]
        self._renew(handle)

    @precondition(lambda self: self.model.refs.keys() & {"b", "c"})
    @rule(which=HANDLES, data=st.data())
    def fast_forward(self, which: int, data: st.DataObject) -> None:
        branch = data.draw(st.sampled_from(sorted(self.model.refs.keys() & {"b", "c"})))
        handle, ahead, behind = self.handles[which], self.model.head(branch), self.model.refs.get(MAIN)
        try:
            handle.table.fast_forward(branch)
        except MetaflowTableConflict:
            assert behind
            assert behind[1] not in {each.id for each in self.model.ancestors(ahead)}
            return
        assert ahead
        assert behind is None or behind[1] in {each.id for each in self.model.ancestors(ahead)}
        self.model.refs[MAIN] = ("branch", ahead.id)
        self._renew(handle)
        self._check_head(MAIN)

    @precondition(lambda self: MAIN in self.model.refs)
    @rule(which=HANDLES, data=st.data())
    def rollback(self, which: int, data: st.DataObject) -> None:
        history = [each.id for each in self.model.ancestors(self.model.head())]
        chosen, handle = data.draw(st.sampled_from(history)), self.handles[which]
        handle.table.rollback(chosen)
        self.model.refs[MAIN] = ("branch", chosen)
        self._renew(handle)
        self._check_head(MAIN)

    # maintenance

    @rule(which=HANDLES, branch=BRANCHES)
    def compact(self, which: int, branch: str) -> None:
        handle = self.handles[which]
        act = lambda: handle.table.compact(min_input_files=2, branch=branch)  # noqa: E731
        self._write("compact", handle, branch, act, [])

    @precondition(lambda self: self.model.snapshots)
    @rule(which=HANDLES, data=st.data())
    def expire(self, which: int, data: st.DataObject) -> None:
        kept = {at for _, at in self.model.refs.values()}
        if gone := [each for each in self.model.snapshots if each not in kept]:
            chosen, handle = data.draw(st.sets(st.sampled_from(gone), min_size=1)), self.handles[which]
            handle.table.expire_snapshots(snapshot_ids=chosen)
            # What was staged and committed there, or before, may be live by now, or gone, and no history tells: tests of
            # maintenance say which
            lost = [each for at in chosen for each in self.model.ancestors(self.model.snapshots[at])]
            tokens = {each.token for each in lost}
            self.staged = [each for each in self.staged if each.token not in tokens]
            for each in chosen:
                del self.model.snapshots[each]
            counted["expire"] += 1
            self._renew(handle)
            # Who still shows an expired snapshot lost its files, and looks again
            for at, each in enumerate(self.handles):
                if chosen & {found for _, found in each.refs.values()}:
                    self.handles[at] = self._open()
            for name, (kind, _) in self.model.refs.items():
                if kind == "branch":
                    self._check_head(name)

    # reading

    @rule(which=HANDLES)
    def refresh(self, which: int) -> None:
        self.handles[which] = self._open()

    @rule(which=HANDLES, data=st.data())
    def read(self, which: int, data: st.DataObject) -> None:
        handle = self.handles[which]
        found = handle.refs.get(MAIN)
        snapshot = self.model.snapshots[found[1]] if found else None
        self._compare(handle.table.load(), snapshot, handle.schema)
        condition = data.draw(conditions(handle.schema))
        rows = snapshot.rows if snapshot else ()
        wanted = [each for each in rows if condition.selects(each, handle.schema)]
        assert _values(handle.table.load(condition.text)) == seen(wanted, handle.schema), condition.text

    @precondition(lambda self: self.model.refs)
    @rule(data=st.data())
    def look_back(self, data: st.DataObject) -> None:
        snapshot = self.model.snapshots[data.draw(st.sampled_from(list(self.model.snapshots)))]
        then = headrace.Table(NAME, catalog=self.catalog, snapshot_id=snapshot.id)
        self._compare(then.load(), snapshot, snapshot.schema)
        name = data.draw(st.sampled_from(sorted(self.model.refs)))
        kind, at = self.model.refs[name]
        snapshot = self.model.snapshots[at]
        found = headrace.Table(NAME, catalog=self.catalog, **{kind: name})
        self._compare(found.load(), snapshot, self.model.schema if kind == "branch" else snapshot.schema)

    # what the rules share

    def _rows(
        self, data: st.DataObject, schema: Schema, least: int = 1, keys: list[str] | None = None
    ) -> tuple[pyarrow.Table, list[Row]]:
        """A frame for a schema, and its rows as the model has them; `keys` are in each row, and each once."""
        names = data.draw(st.sets(st.sampled_from([each.name for each in schema]), min_size=1)) | set(keys or ())
        columns = [each for each in schema if each.name in names]
        values = {
            each.name: VALUES[each.kind] if keys and each.name in keys else st.none() | VALUES[each.kind]
            for each in columns
        }
        unique = (lambda found: tuple(found[each] for each in keys)) if keys else None
        drawn = data.draw(st.lists(st.fixed_dictionaries(values), min_size=least, max_size=6, unique_by=unique))
        wanted = pyarrow.schema([(each.name, ARROW[each.kind]) for each in columns])
        return pyarrow.Table.from_pylist(drawn, schema=wanted), [row(schema, each) for each in drawn]

    def _in_same(self, rows: list[Row]) -> Callable[[Row], bool]:
        touched = {self.model.partition(each) for each in rows}
        return lambda found: self.model.partition(found) in touched

    def _write(
        self,
        kind: str,
        handle: Handle,
        branch: str,
        act: Callable[[], Any],
        added: list[Row],
        gone: Callable[[Row], bool] = lambda found: False,
        base: int | bool | None = False,
        token: str = "",
    ) -> None:
        """One write, and what must have become of it. `base`: the snapshot it relies on, False if on none."""
        head = self.model.head(branch)
        rows = list(head.rows) if head else []
        stale = base is not False and base != (head.id if head else None)
        try:
            done = act()
        except MetaflowTableConflict:
            assert stale, "a conflict with nobody"
            counted[f"{kind} refused"] += 1
            return
        if stale and done.snapshot_id is not None:
            assert not self._must_conflict(base, head, gone), "a conflict that nobody noticed"
        kept = without(rows, gone)
        if done.snapshot_id is None:
            assert not added
            assert Counter(kept) == Counter(rows)
        else:
            assert done.snapshot_id not in self.model.snapshots
            self.model.commit(branch, done.snapshot_id, kept + added, token)
        counted[kind] += 1
        self._renew(handle)
        self._check_head(branch)

    def _must_conflict(self, base: Any, head: Any, gone: Callable[[Row], bool]) -> bool:
        if base is not None and base not in {each.id for each in self.model.ancestors(head)}:
            return True
        before = self.model.snapshots[base].rows if base is not None else ()
        now = head.rows if head else ()
        return Counter(filter(gone, before)) != Counter(filter(gone, now))

    def _evolve(self, which: int, schema: Schema, ask: Callable[[Any], Any]) -> None:
        handle = self.handles[which]
        with handle.table.update_schema() as change:
            ask(change)
        self.model.evolve(schema)
        counted["evolve"] += 1
        self._renew(handle)
        self._check_head(MAIN)

    def _open(self) -> Handle:
        return self._seeing(headrace.Table(NAME, catalog=self.catalog))

    def _seeing(self, table: headrace.Table) -> Handle:
        return Handle(table, self.model.schema, self.model.epoch, dict(self.model.refs))

    def _renew(self, handle: Handle) -> None:
        """A handle sees the table as it is after its own write."""
        self.handles[self.handles.index(handle)] = self._seeing(handle.table)

    def _check_head(self, branch: str) -> None:
        if branch in self.model.refs or branch == MAIN:
            chosen = {} if branch == MAIN else {"branch": branch}
            found = self.model.refs.get(branch)
            snapshot = self.model.snapshots[found[1]] if found else None
            fresh = headrace.Table(NAME, catalog=self.catalog, **chosen)
            assert (fresh.snapshot.snapshot_id if fresh.snapshot else None) == (snapshot.id if snapshot else None)
            self._compare(fresh.load(), snapshot, self.model.schema)

    def _compare(self, found: Any, snapshot: Any, schema: Schema) -> None:
        table = pyarrow.table(found)
        assert table.column_names == [each.name for each in schema]
        assert _values(table) == seen(snapshot.rows if snapshot else (), schema)


def _values(found: Any) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(comparable(each) for each in found.values()) for found in pyarrow.table(found).to_pylist())


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_table_is_what_its_history_says() -> None:
    counted.clear()
    settings = hypothesis.settings(
        max_examples=20,
        stateful_step_count=40,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        # A failure is made smaller where it is asked for by its seed: that takes minutes
        phases=[Phase.generate, *([Phase.shrink] if "HEADRACE_SEED" in os.environ else [])],
    )
    examples = 0
    for seed in soak.seeds(otherwise_s=60):
        examples += settings.max_examples
        run_state_machine_as_test(hypothesis.seed(seed)(TableMachine), settings=settings)
    print(f"{examples} tables: {dict(counted)}")
    for each in (
        "append",
        "overwrite",
        "overwrite_partitions",
        "delete",
        "upsert",
        "commit",
        "evolve",
        "compact",
        "expire",
    ):
        assert counted[each], counted
    assert counted["overwrite refused"], "no write was stale"
