"""A table as plain Python: rows in lists, a list for each snapshot. What the state machine compares headrace with.

Knows what an Iceberg table means: columns by id, snapshots that never change, branches and tags, partitions by value.
Must not know: files, manifests, catalogs, headrace. Neighbours: `conditions.py` filters, `test_machine.py` drives.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

MAIN = "main"
Row = frozenset[tuple[int, Any]]
"""The values of a row by column id, without nulls."""


@dataclass(frozen=True)
class Column:
    """A column of the model; `kind` is Iceberg's name of its type."""

    id: int
    name: str
    kind: str


Schema = tuple[Column, ...]


@dataclass(frozen=True)
class Snapshot:
    """What a snapshot holds, and the schema that it was written with."""

    id: int
    parent: int | None
    rows: tuple[Row, ...]
    schema: Schema
    token: str = ""


@dataclass
class Model:
    """The table.

    Attributes
    ----------
    schema : the current columns. ``epoch`` counts its changes.
    partition : the partition of a row, by the table's one partition field.
    refs : name -> (kind, snapshot id).
    """

    schema: Schema
    partition: Callable[[Row], Any]
    snapshots: dict[int, Snapshot] = field(default_factory=dict)
    refs: dict[str, tuple[str, int]] = field(default_factory=dict)
    epoch: int = 0
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1000))

    def head(self, branch: str = MAIN) -> Snapshot | None:
        """The head of a branch; one that does not exist starts at the head of "main"."""
        found = self.refs.get(branch) or self.refs.get(MAIN)
        return self.snapshots[found[1]] if found else None

    def ancestors(self, head: Snapshot | None) -> Iterator[Snapshot]:
        """A snapshot and those before it, newest first."""
        while head is not None:
            yield head
            head = self.snapshots.get(head.parent) if head.parent is not None else None

    def commit(self, branch: str, made: int, rows: Iterable[Row], token: str = "") -> None:
        """A new head."""
        parent = self.head(branch)
        self.snapshots[made] = Snapshot(made, parent.id if parent else None, tuple(rows), self.schema, token)
        self.refs[branch] = ("branch", made)

    def evolve(self, schema: Schema) -> None:
        """Another current schema."""
        self.schema = schema
        self.epoch += 1

    def add(self, schema: Schema, name: str, kind: str) -> Schema:
        """A schema with one more column, of an id that nothing had."""
        return (*schema, Column(next(self._ids), name, kind))


def column(schema: Schema, name: str) -> Column:
    """The column of a name."""
    return next(each for each in schema if each.name == name)


def changed(schema: Schema, of: Column, **to: str) -> Schema:
    """A schema in which one column has another name or kind."""
    return tuple(replace(each, **to) if each.id == of.id else each for each in schema)  # type: ignore[arg-type]


def row(schema: Schema, values: Mapping[str, Any]) -> Row:
    """A row from values by name."""
    return frozenset((column(schema, name).id, comparable(each)) for name, each in values.items() if each is not None)


def named(found: Row, schema: Schema) -> dict[str, Any]:
    """A row's values by name, as a reader with this schema sees them."""
    values = dict(found)
    return {each.name: values.get(each.id) for each in schema}


def seen(rows: Iterable[Row], schema: Schema) -> Counter[tuple[Any, ...]]:
    """Rows as a reader with this schema sees them, counted."""
    return Counter(tuple(named(each, schema).values()) for each in rows)


def without(rows: Iterable[Row], gone: Callable[[Row], bool]) -> list[Row]:
    """The rows that stay."""
    return [each for each in rows if not gone(each)]


def comparable(value: Any) -> Any:
    """A value that equals itself: NaN as text."""
    return "NaN" if isinstance(value, float) and math.isnan(value) else value
