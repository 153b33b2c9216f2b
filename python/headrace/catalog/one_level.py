"""Catalogs of databases that hold Iceberg's pointers beside legacy Hive tables: Hive Metastore and AWS Glue.

Both keep a table's metadata file in a parameter of the table, and tell Iceberg's tables from Hive's by another. What
they share is here: names of one level, folders, the course of a commit. Must not know: how either is asked,
or how its pointer moves. Neighbours: `hive.py` and `glue.py` do both, `metadata_files.py` writes the files.
"""

from __future__ import annotations

import contextlib
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from headrace.catalog.base import LoadedTable
from headrace.catalog.identifiers import Identifier, Namespace, dotted, parse_identifier
from headrace.catalog.metadata_files import MetadataFiles
from headrace.errors import (
    ConfigurationError,
    HeadraceError,
    MetaflowTableCommitStateUnknownException,
    MetaflowTableInvalidData,
    NamespaceNotFound,
    UnsupportedError,
)
from headrace.iceberg import TableMetadata
from headrace.metastore import HiveTable


class OneLevelCatalog(MetadataFiles):
    """A catalog whose namespaces are databases."""

    service: ClassVar[str]
    """What it is called in messages, with its article where it needs one."""
    looks_s: ClassVar[tuple[float, ...]]
    """Pauses before looks at a table whose change was not answered."""

    @abstractmethod
    def _database(self, levels: Namespace) -> Any:
        """The service's database, or the error for a missing one."""

    @abstractmethod
    def _folder_of(self, database: Any) -> str | None:
        """A database's location."""

    @abstractmethod
    def _find(self, name: Identifier) -> Any | None:
        """The service's table; None if it has none."""

    @abstractmethod
    def _is_iceberg(self, table: Any) -> bool:
        """Whether one of the service's tables stands for an Iceberg table."""

    @abstractmethod
    def _pointer(self, table: Any) -> str | None:
        """Where the metadata file of an Iceberg table is."""

    @abstractmethod
    def _hive_table(self, table: Any) -> HiveTable:
        """A legacy Hive table; UnsupportedError, with the reason, if its rows cannot be read."""

    @abstractmethod
    def _move(
        self, name: Identifier, table: Any, before: TableMetadata, after: TableMetadata, old: str, new: str
    ) -> None:
        """Let the table's metadata be `new` if it still is `old`. An error other than CommitStateUnknown: it is not."""

    def load_table(self, identifier: str | Sequence[str]) -> LoadedTable:
        """An Iceberg table at its current metadata, or a Hive table (`LoadedTable.hive`); see `Catalog.load_table`.

        Raises
        ------
        UnsupportedError
            A Hive table whose rows cannot be read, with the reason.
        """
        name = parse_identifier(identifier)
        table = self._table(name)
        if self._is_iceberg(table):
            return self._open(name, self._location(name, table))
        found = self._hive_table(table)
        properties, refresh = self._storage(found.location)
        return LoadedTable(name, found.metadata, None, properties, (), refresh, found)

    def table_exists(self, identifier: str | Sequence[str]) -> bool:
        self._ready()
        name = parse_identifier(identifier)
        return len(name) == 2 and self._find(name) is not None

    def commit_table(
        self,
        identifier: str | Sequence[str],
        requirements: Sequence[Mapping[str, Any]],
        updates: Sequence[Mapping[str, Any]],
    ) -> LoadedTable:
        name = parse_identifier(identifier)
        table = self._table(name)
        if not self._is_iceberg(table):
            message = "it is a Hive table: it has no snapshots, schema changes or properties of Iceberg's"
            raise UnsupportedError(message, table=dotted(name))
        old = self._location(name, table)
        before, after, file = self._next_metadata(name, old, requirements, updates)
        try:
            self._move(name, table, before, after, old, file)
        except MetaflowTableCommitStateUnknownException:
            raise
        except HeadraceError as error:
            error.table = error.table or dotted(name)
            self._remove_metadata(file)
            raise
        return self._committed(name, before, after, file)

    def _look_for(self, name: Identifier, new: str) -> bool:
        """Whether a metadata file becomes the table's, by several looks."""
        for pause in self.looks_s:
            time.sleep(pause)
            with contextlib.suppress(HeadraceError):
                if self._took_effect(name, new):
                    return True
        return False

    def _took_effect(self, name: Identifier, new: str) -> bool:
        """Whether a metadata file is or was the table's: the current one keeps a log of those before it."""
        current = self._pointer(self._table(name))
        if current is None or current == new:
            return current == new
        log = self._open(name, current).metadata.raw.get("metadata-log") or []
        return any(each.get("metadata-file") == new for each in log)

    def _table(self, name: Identifier) -> Any:
        """The service's table, or the error for a missing one."""
        self._ready()
        self._one_level(name[:-1])
        if (found := self._find(name)) is None:
            raise self._table_not_found(name)
        return found

    def _location(self, name: Identifier, table: Any) -> str:
        if (found := self._pointer(table)) is None:
            message = "an Iceberg table without the parameter 'metadata_location'"
            raise MetaflowTableInvalidData(message, table=dotted(name))
        return found

    def _refuse_purge(self, name: Identifier, purge: bool) -> None:
        if purge:
            hint = "drop it without purge and remove its files yourself"
            raise UnsupportedError(f"purge is not supported for {self.service}", table=dotted(name), hint=hint)

    def _one_level(self, levels: Namespace) -> Namespace:
        if len(levels) != 1:
            hint = f"name the database alone: {levels[0]!r}"
            raise NamespaceNotFound(f"{self.service} has no nested namespaces: {dotted(levels)!r}", hint=hint)
        return levels

    def _database_folder(self, name: str) -> str | None:
        """The folder of a new database in the catalog's `warehouse`; None without one."""
        warehouse = self.properties.get("warehouse")
        return f"{warehouse.rstrip('/')}/{name}.db" if warehouse else None

    def _home(self, name: Identifier) -> Any:
        return self._database(name[:-1])

    def _folder(self, name: Identifier, home: Any) -> str:
        """The table's folder in its database's, else in the catalog's `warehouse`."""
        if inside := self._folder_of(home) or self._database_folder(name[0]):
            return f"{inside.rstrip('/')}/{name[-1]}"
        message = f"database {name[0]!r} has no location, and the table was given none"
        raise ConfigurationError(message, hint="set property warehouse, or pass location=")
