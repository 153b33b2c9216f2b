"""The partitions of a table that a filter leaves: names pruned here, only those that are left fetched.

Names are small (100,000 of them are some 4 MB) and hold every partition value, so all filters on partition keys are
decided before a partition is fetched. Equal values of text keys are decided by the metastore: then not even the names
of the others travel. Its other filter, get_partitions_by_filter, is not used: 100 of 100,000 partitions took it 1.5 s
where names and partitions by names take 0.03 s, and it orders text as its database does. Must not know: folders, files.
Neighbours: `pruning.py` tests values, `listing.py` lists folders.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from headrace.errors import MetaflowTableInvalidData, MetaflowTableNotFound
from headrace.filters import Bound
from headrace.hive.names import from_text, parse_name, parse_part
from headrace.hive.pruning import compile_filter, equalities, tested_fields
from headrace.hive.values import Texts, Value
from headrace.iceberg import NestedField, PrimitiveType
from headrace.metastore.description import HiveTable

_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")
"""Values that mean themselves to every metastore: no escapes, no patterns."""


class PartitionCalls(Protocol):
    """What is asked of a metastore."""

    def has_table(self, database: str, name: str) -> bool: ...
    def get_partition_names(self, database: str, name: str) -> list[str]: ...
    def get_partition_names_ps(self, database: str, name: str, values: Sequence[str]) -> list[str]: ...
    def partition_places(self, database: str, name: str, names: Sequence[str]) -> Iterable[Any]: ...


class HivePartition(NamedTuple):
    """A partition: its values by field id, in the engine's units, and its folder."""

    values: Mapping[int, Value | None]
    location: str


class Found(NamedTuple):
    """The partitions that are left, how many there are in all (None: the metastore knows), and the values of keys that
    are read as null, since they are none of the key's type: (key, type, texts)."""

    partitions: list[HivePartition]
    total: int | None
    unread: Sequence[tuple[str, str, Sequence[str]]] = ()

    @property
    def is_all(self) -> bool:
        """Whether nothing was left out."""
        return self.total == len(self.partitions)


def find_partitions(calls: PartitionCalls, table: HiveTable, bound: Bound | None) -> Found:
    """The partitions of a partitioned table that may hold rows which pass a filter, in the order of their values.

    Raises
    ------
    MetaflowTableInvalidData
        The metastore answers with something that is no partition of the table.
    MetaflowTableNotFound
        The table is gone.
    """
    keys = table.metadata.schema.fields[len(table.columns) :]
    texts = [Texts(_primitive(each)) for each in keys]
    try:
        names, total = _names(calls, table, keys, bound)
        wanted = names if bound is None else _Test(keys, texts, bound).kept(names)
        fetched = calls.partition_places(table.database, table.name, wanted) if wanted else ()
        partitions = _read(fetched, keys, texts)
    except Exception as error:
        if type(error).__name__ == "NoSuchObjectException":
            raise MetaflowTableNotFound("the table is gone", table=table.full_name) from error
        raise
    unread = [(key.name, str(each.kind), each.unread) for key, each in zip(keys, texts, strict=True) if each.unread]
    return Found(partitions, total, unread)


def _read(fetched: Iterable[Any], keys: Sequence[NestedField], texts: Sequence[Texts]) -> list[HivePartition]:
    """The metastore's partitions, in order."""
    count, ids = len(keys), [each.field_id for each in keys]
    made = []
    for each in fetched:
        if len(each.values or ()) != count:
            raise MetaflowTableInvalidData(f"a partition has {len(each.values or ())} values for {count} keys")
        values = [known[from_text(text)] for known, text in zip(texts, each.values, strict=True)]
        place = HivePartition(dict(zip(ids, values, strict=True)), (each.sd.location or "").rstrip("/"))
        made.append(([_sortable(value) for value in values], place.location, place))
    made.sort(key=lambda each: each[:2])
    return [place for _, _, place in made]


def _names(
    calls: PartitionCalls, table: HiveTable, keys: Sequence[NestedField], bound: Bound | None
) -> tuple[list[str], int | None]:
    """Names that may be wanted, and how many there are in all."""
    fixed = equalities(bound) if bound is not None else {}
    given = [fixed.get(each.field_id) if str(each.type) == "string" else None for each in keys]
    asked = [each if each is not None and _PLAIN.fullmatch(str(each)) else "" for each in given]
    if any(asked):
        return calls.get_partition_names_ps(table.database, table.name, [str(each) for each in asked]), None
    names = calls.get_partition_names(table.database, table.name)
    return names, len(names)


class _Test:
    """Which partitions may be wanted, by their names: reads only the values that the filter tests, each once."""

    def __init__(self, keys: Sequence[NestedField], texts: Sequence[Texts], bound: Bound) -> None:
        tested = set(tested_fields(bound))
        self._keys = [each.name for each in keys]
        self._tested = [
            (at, each.field_id, _Parts(each.name, texts[at])) for at, each in enumerate(keys) if each.field_id in tested
        ]
        self._keeps = compile_filter(bound, frozenset(field_id for _, field_id, _ in self._tested))

    def kept(self, names: Sequence[str]) -> Sequence[str]:
        if not self._tested:
            return names if self._keeps({}) else []
        count = len(self._keys)
        split = [name.split("/") for name in names] if count > 1 else [[name] for name in names]
        for name, parts in zip(names, split, strict=True):
            if len(parts) != count:
                parse_name(name, self._keys)  # raises
        if len(self._tested) == 1:
            return self._kept_by_one(names, split)
        keeps, tested = self._keeps, self._tested
        return [
            name
            for name, parts in zip(names, split, strict=True)
            if keeps({field_id: values[parts[at]] for at, field_id, values in tested})
        ]

    def _kept_by_one(self, names: Sequence[str], split: Sequence[Sequence[str]]) -> list[str]:
        """As `kept` where one key is tested: each of its values is."""
        at, field_id, values = self._tested[0]
        decided = {part: self._keeps({field_id: values[part]}) for part in dict.fromkeys(parts[at] for parts in split)}
        return [name for name, parts in zip(names, split, strict=True) if decided[parts[at]]]


class _Parts(dict[str, Value | None]):
    """Parts of names ("ds=2026-01-01") → the values of one key."""

    def __init__(self, key: str, texts: Texts) -> None:
        super().__init__()
        self._key, self._texts = key, texts

    def __missing__(self, part: str) -> Value | None:
        value = self[part] = self._texts[parse_part(part, self._key)]
        return value


def _primitive(field: NestedField) -> PrimitiveType:
    if not isinstance(field.type, PrimitiveType):
        raise MetaflowTableInvalidData(f"partition key {field.name!r} has type {field.type}")
    return field.type


def _sortable(value: Value | None) -> tuple[bool, Any]:
    return value is not None, value if value is not None else 0
