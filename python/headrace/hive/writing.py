"""Staged files become part of a legacy Hive table.

Files are staged in folders of their own below `_headrace/`, which no reader lists. A new partition is added at its
staged folder; a replaced one is pointed at it by one call for all of them, so that a reader sees the old rows or the
new ones, and a crash leaves the old. Rows for a partition that is there already are copied into its folder, file by
file: Hive has no way to let several files appear at once. Must not know: Parquet. Neighbours: `surface.py` calls
`HiveCommit`, `headrace.writing.staging` describes staged files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.access import TableAccess
from headrace.catalog.hive import HiveCatalog
from headrace.errors import (
    HeadraceError,
    MetaflowTableCommitStateUnknownException,
    MetaflowTableConflict,
    ObjectNotFound,
    UnsupportedError,
)
from headrace.hive.names import parse_name, to_text
from headrace.hive.values import Value, parser
from headrace.iceberg import PrimitiveType
from headrace.metastore.connection import Lost
from headrace.metastore.description import HiveTable
from headrace.writing.staging import StagedFile

STAGING = "_headrace"
_TRIES = 5
_STATISTICS = ("COLUMN_STATS_ACCURATE", "numRows", "rawDataSize", "numFiles", "totalSize")
"""Parameters that were true of the rows before; Hive answers counts from them."""

Values = tuple[Value | None, ...]


def staging_root(table: HiveTable) -> str:
    """The folder below which files are staged: the table's, also where its rows lie in a staged folder by now."""
    return f"{table.location.partition(f'/{STAGING}/')[0]}/{STAGING}"


def refuse_unwritable(access: TableAccess, table: HiveTable) -> None:
    """Raise UnsupportedError, with the reason, where rows cannot be added."""
    if not isinstance(access.catalog, HiveCatalog):
        reason = f"a catalog of type {access.catalog.kind if access.catalog else None!r} only reads them"
        hint = "write it through its Hive Metastore, or copy it to an Iceberg table"
        raise UnsupportedError(f"Hive table cannot be written: {reason}", table=table.full_name, hint=hint)
    if table.is_orc:
        hint = "write it with Hive or Spark, or copy it to an Iceberg table"
        raise UnsupportedError("Hive table cannot be written: its files are ORC", table=table.full_name, hint=hint)
    if table.num_buckets > 0:
        reason = "it is bucketed, and rows that are in the wrong bucket's file are lost to joins"
        raise UnsupportedError(f"Hive table cannot be written: {reason}", table=table.full_name)


class HiveCommit:
    """One commit of staged files, tried until the metastore's answer is known.

    Parameters
    ----------
    access : TableAccess
        The table.
    replaces : bool
        The files' partitions (or the whole of a table without) are replaced, else added to.
    """

    def __init__(self, access: TableAccess, replaces: bool) -> None:
        loaded = access.loaded()
        assert loaded.hive is not None
        assert isinstance(access.catalog, HiveCatalog)
        self._table, self._replaces = loaded.hive, replaces
        self._metastore = access.catalog.metastore
        self._store = access.store()
        self._keys = loaded.hive.metadata.schema.fields[len(loaded.hive.columns) :]

    def run(self, files: Sequence[StagedFile]) -> None:
        """Commit. The same files again: nothing changes."""
        if not files:
            return
        for left in reversed(range(_TRIES)):
            try:
                if self._keys:
                    self._partitions(files)
                else:
                    self._whole(files)
                return
            except Lost as error:
                if left:
                    continue  # what took effect is seen by the next try: places are compared
                message = f"whether the commit took effect is not known: {error}"
                hint = "commit the same staged files again: it looks first"
                raise MetaflowTableCommitStateUnknownException(message, hint=hint) from error
            except self._metastore.types.AlreadyExistsException as error:
                if not left:
                    message = f"other writers add the same partitions: {error.message}"
                    raise MetaflowTableConflict(message) from error

    def _whole(self, files: Sequence[StagedFile]) -> None:
        """A table without partitions."""
        table = self._metastore.get_table(self._table.database, self._table.name)
        if self._replaces:
            folder = self._gathered(files)
            if table.sd.location == folder:
                return
            table.sd.location = folder
        else:
            self._copy(files, table.sd.location.rstrip("/"))
        table.parameters = _without_statistics(table.parameters)
        self._metastore.alter_table(table.dbName, table.tableName, table, {"DO_NOT_UPDATE_STATS": "true"})

    def _partitions(self, files: Sequence[StagedFile]) -> None:
        """The partitions of the files."""
        groups = self._groups(files)
        known = self._known(groups)
        added, changed = [], []
        table = self._metastore.get_table(self._table.database, self._table.name)
        for values, group in groups.items():
            if (partition := known.get(values)) is None:
                added.append(self._new(table, group))
            elif self._replaces:
                folder = self._gathered(group)
                if partition.sd.location != folder:
                    partition.sd.location = folder
                    changed.append(partition)
            elif self._copy(group, partition.sd.location.rstrip("/")):
                changed.append(partition)
        for partition in changed:
            partition.parameters = _without_statistics(partition.parameters)
        if changed:
            self._metastore.alter_partitions(self._table.database, self._table.name, changed)
        if added:
            self._metastore.add_partitions(added)

    def _new(self, table: Any, group: Sequence[StagedFile]) -> Any:
        """A new partition at the folder of its files, stored as the table is."""
        types = self._metastore.types
        storage = types.StorageDescriptor(**{name: getattr(table.sd, name) for name in vars(table.sd)})
        storage.location = self._gathered(group)
        values = [to_text(_text(each)) for each in _partition_of(group[0])]
        return types.Partition(
            values=values,
            dbName=self._table.database,
            tableName=self._table.name,
            createTime=0,
            lastAccessTime=0,
            sd=storage,
            parameters={},
        )

    def _groups(self, files: Sequence[StagedFile]) -> dict[Values, list[StagedFile]]:
        """Files by their partition's values."""
        groups: dict[Values, list[StagedFile]] = {}
        for each in files:
            texts = [_text(value) for value in _partition_of(each)]
            groups.setdefault(self._parsed([text or None for text in texts]), []).append(each)
        folders: dict[str, Values] = {}
        for values, group in groups.items():
            for each in group:
                if folders.setdefault(_folder(each.path), values) != values:
                    message = "rows whose key is null and rows whose key is 'null' were staged into one folder"
                    raise UnsupportedError(message, location=each.path, hint="stage them apart from each other")
        return groups

    def _known(self, groups: Mapping[Values, Any]) -> dict[Values, Any]:
        """The metastore's partitions of these values, whatever texts it has for them ("1.5", "1.50")."""
        keys = [each.name for each in self._keys]
        wanted: dict[str, Values] = {}
        for name in self._metastore.get_partition_names(self._table.database, self._table.name):
            try:
                values = self._parsed(parse_name(name, keys))
            except HeadraceError:
                continue  # of another partition than ours, whose values can all be read
            if values in groups:
                wanted[name] = values
        fetched = self._metastore.get_partitions_by_names(self._table.database, self._table.name, list(wanted))
        return {self._parsed([None if each == to_text(None) else each for each in p.values]): p for p in fetched}

    def _parsed(self, texts: Sequence[str | None]) -> Values:
        found = []
        for key, text in zip(self._keys, texts, strict=True):
            assert isinstance(key.type, PrimitiveType)
            found.append(parser(key.type, key.name)(text))
        return tuple(found)

    def _gathered(self, group: Sequence[StagedFile]) -> str:
        """The one folder of the files: where several tasks staged some, the others' are copied to the first one's."""
        folder = _folder(group[0].path)
        self._copy([each for each in group if _folder(each.path) != folder], folder)
        return folder

    def _copy(self, files: Sequence[StagedFile], folder: str) -> bool:
        """Copy files into a folder under their own names, which no other file has; whether any was not there."""
        copied = False
        for each in files:
            target = f"{folder}/{each.path.rpartition('/')[2]}"
            if target == each.path or self._is_there(target):
                continue
            self._store.put(target, self._store.read(each.path), True)
            copied = True
        return copied

    def _is_there(self, location: str) -> bool:
        try:
            self._store.size(location)
        except ObjectNotFound:
            return False
        return True


def _partition_of(file: StagedFile) -> list[Any]:
    """The partition values in a staged file's JSON."""
    return list(json.loads(file.file).get("partition") or [])


def _text(value: Any) -> str | None:
    """A partition value in Iceberg's JSON form (Appendix D) as Hive's text."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if len(text) > 18 and text[10:11] == "T" and text[4] == text[7] == "-":  # a timestamp
        text = text.removesuffix("+00:00").replace("T", " ")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return text


def _folder(location: str) -> str:
    return location.rpartition("/")[0]


def _without_statistics(parameters: Mapping[str, str] | None) -> dict[str, str]:
    return {key: value for key, value in (parameters or {}).items() if key not in _STATISTICS}
