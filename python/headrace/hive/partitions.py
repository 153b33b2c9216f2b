"""The partitions of a table that a filter leaves: names pruned here, only those that are left fetched.

Names are small (100,000 of them are some 4 MB) and hold every partition value, so all filters on partition keys are
decided before a partition is fetched. Equal values of text keys are decided by the metastore: then not even the names
of the others travel. Must not know: folders, files. Neighbours: `pruning.py` tests values, `listing.py` lists folders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from headrace.errors import MetaflowTableInvalidData, MetaflowTableNotFound
from headrace.filters import Bound
from headrace.hive.names import from_text, parse_name
from headrace.hive.pruning import compile_filter, equalities, tested_fields
from headrace.hive.values import Value, parser
from headrace.iceberg import NestedField, PrimitiveType
from headrace.metastore.description import HiveTable

_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")
"""Values that mean themselves to every metastore: no escapes, no patterns."""


class PartitionCalls(Protocol):
    """What is asked of a metastore."""

    def get_partition_names(self, database: str, name: str) -> list[str]: ...
    def get_partition_names_ps(self, database: str, name: str, values: Sequence[str]) -> list[str]: ...
    def get_partitions_by_names(self, database: str, name: str, names: Sequence[str]) -> list[Any]: ...


@dataclass(frozen=True)
class HivePartition:
    """A partition: its values by field id, in the engine's units, and its folder."""

    values: Mapping[int, Value | None]
    location: str


@dataclass(frozen=True)
class Found:
    """The partitions that are left, and how many there are in all (None: the metastore knows)."""

    partitions: list[HivePartition]
    total: int | None

    @property
    def is_all(self) -> bool:
        """Whether nothing was left out."""
        return self.total == len(self.partitions)


def find_partitions(calls: PartitionCalls, table: HiveTable, bound: Bound | None) -> Found:
    """The partitions of a partitioned table that may hold rows which pass a filter.

    Raises
    ------
    MetaflowTableInvalidData
        A partition that would be read has a value that is none of its key's type.
    MetaflowTableNotFound
        The table is gone.
    """
    keys = table.metadata.schema.fields[len(table.columns) :]
    names, total = _names(calls, table, keys, bound)
    wanted = [name for name in names if _keeps(name)] if (_keeps := _test_of_names(keys, bound)) else names
    fetched = calls.get_partitions_by_names(table.database, table.name, wanted) if wanted else []
    read = [(each.field_id, parser(_primitive(each), each.name)) for each in keys]
    partitions = []
    for each in fetched:
        if len(each.values) != len(keys):
            raise MetaflowTableInvalidData(f"a partition has {len(each.values)} values for {len(keys)} keys")
        texts = map(from_text, each.values)
        values = {field_id: parse(text) for (field_id, parse), text in zip(read, texts, strict=True)}
        partitions.append(HivePartition(values, (each.sd.location or "").rstrip("/")))
    order = {field.field_id: at for at, field in enumerate(keys)}
    partitions.sort(key=lambda each: [_sortable(each.values[field_id]) for field_id in order])
    return Found(partitions, total)


def _names(
    calls: PartitionCalls, table: HiveTable, keys: Sequence[NestedField], bound: Bound | None
) -> tuple[list[str], int | None]:
    """Names that may be wanted, and how many there are in all."""
    fixed = equalities(bound) if bound is not None else {}
    given = [fixed.get(each.field_id) if str(each.type) == "string" else None for each in keys]
    asked = [each if each is not None and _PLAIN.fullmatch(str(each)) else "" for each in given]
    try:
        if any(asked):
            return calls.get_partition_names_ps(table.database, table.name, [str(each) for each in asked]), None
        names = calls.get_partition_names(table.database, table.name)
    except Exception as error:
        if type(error).__name__ == "NoSuchObjectException":
            raise MetaflowTableNotFound("the table is gone", table=table.full_name) from error
        raise
    return names, len(names)


class _NameTest:
    """Whether a partition may be wanted, by its name; reads only the values that the filter tests."""

    def __init__(self, keys: Sequence[NestedField], bound: Bound) -> None:
        tested = set(tested_fields(bound))
        self._names = [each.name for each in keys]
        self._read = [
            (at, each.field_id, parser(_primitive(each), each.name))
            for at, each in enumerate(keys)
            if each.field_id in tested
        ]
        self._keeps = compile_filter(bound, frozenset(field_id for _, field_id, _ in self._read))

    def __call__(self, name: str) -> bool:
        texts = parse_name(name, self._names)
        return self._keeps({field_id: parse(texts[at]) for at, field_id, parse in self._read})


def _test_of_names(keys: Sequence[NestedField], bound: Bound | None) -> _NameTest | None:
    return None if bound is None else _NameTest(keys, bound)


def _primitive(field: NestedField) -> PrimitiveType:
    if not isinstance(field.type, PrimitiveType):
        raise MetaflowTableInvalidData(f"partition key {field.name!r} has type {field.type}")
    return field.type


def _sortable(value: Value | None) -> tuple[bool, Any]:
    return value is not None, value if value is not None else 0
