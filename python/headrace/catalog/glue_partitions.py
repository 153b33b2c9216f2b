"""Partitions of a legacy Hive table in Glue, under the calls that plans ask of a metastore.

Glue has no list of names alone: what it answers for a filter is whole partitions, so those are kept for the second
question, and one object serves one plan. Must not know: filters, folders, files. Neighbours: `glue_client.py` makes
the calls, `headrace.hive.partitions` asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.catalog.glue_client import GlueCalls, Refused
from headrace.errors import MetaflowTableNotFound

_PLAIN_KEY = re.compile(r"[a-z_][a-z0-9_]*")
_MOST = 1000
"""Partitions of one page: the most that Glue gives."""

NameOf = Callable[[Sequence[str]], str]


@dataclass(frozen=True)
class Storage:
    """Where a partition is, under the name that Thrift has for it."""

    location: str


@dataclass(frozen=True)
class GluePartition:
    """A partition, as far as plans look at it."""

    values: Sequence[str]
    sd: Storage


class GluePartitions:
    """The partitions of one table, for one plan.

    Parameters
    ----------
    calls : GlueCalls
        Glue.
    keys : sequence of str
        Names of the table's partition keys.
    name_of : callable
        The name of a partition with these values.
    """

    def __init__(self, calls: GlueCalls, keys: Sequence[str], name_of: NameOf) -> None:
        self._calls, self._keys, self._name_of = calls, tuple(keys), name_of
        self._found: dict[str, GluePartition] = {}

    def has_table(self, database: str, name: str) -> bool:
        """Whether a table is there."""
        try:
            self._calls.read("get_table", DatabaseName=database, Name=name)
        except Refused as error:
            if error.code == "EntityNotFoundException":
                return False
            raise error.error from error
        return True

    def get_partition_names(self, database: str, name: str) -> list[str]:
        """Names of all partitions."""
        return self._fetch(database, name, None)

    def get_partition_names_ps(self, database: str, name: str, values: Sequence[str]) -> list[str]:
        """Names of the partitions with these first values ("" stands for any), which Glue selects; of more where it
        does not take the expression (its parser has reserved words)."""
        tests = [f"{key} = '{value}'" for key, value in zip(self._keys, values, strict=False)
                 if value and _PLAIN_KEY.fullmatch(key)]  # fmt: skip
        try:
            return self._fetch(database, name, " AND ".join(tests) or None)
        except Refused as error:
            if error.code != "InvalidInputException" or not tests:
                raise error.error from error
            return self._fetch(database, name, None)

    def partition_places(self, database: str, name: str, names: Sequence[str]) -> list[Any]:
        """The partitions of names that were answered before."""
        return [self._found[each] for each in names]

    def _fetch(self, database: str, name: str, expression: str | None) -> list[str]:
        asked = {"DatabaseName": database, "TableName": name, "ExcludeColumnSchema": True}
        asked |= {"Expression": expression} if expression else {}
        self._found = {}
        try:
            for each in self._calls.pages("get_partitions", "Partitions", MaxResults=_MOST, **asked):
                location = (each.get("StorageDescriptor") or {}).get("Location") or ""
                values = list(each.get("Values") or [])
                self._found[self._name_of(values)] = GluePartition(values, Storage(location))
        except Refused as error:
            if error.code == "EntityNotFoundException":
                raise MetaflowTableNotFound("the table is gone", table=f"{database}.{name}") from error
            if expression is None:
                raise error.error from error
            raise
        return list(self._found)
