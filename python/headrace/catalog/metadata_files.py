"""Catalogs that leave metadata files to their clients: SQL, Hive Metastore, Glue.

A new table is a first metadata file and a name for it; a commit writes the next one beside the others, then lets the
catalog's one pointer move. Must not know: how names are kept and pointers moved. Files go through the engine's Store
or, in local warehouses, `local_files.py`. Neighbours: `sql.py` and `one_level.py` build on it.
"""

from __future__ import annotations

import gzip
import uuid
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from headrace.catalog import local_files
from headrace.catalog.base import Catalog, LoadedTable
from headrace.catalog.identifiers import Identifier, Namespace, dotted, parse_identifier
from headrace.catalog.static import version_of
from headrace.errors import (
    HeadraceError,
    MetaflowTableConflict,
    MetaflowTableExists,
    MetaflowTableNotFound,
    NamespaceExists,
    ObjectNotFound,
    StorageError,
)
from headrace.iceberg import PartitionSpec, Schema, SortOrder, TableMetadata, parse_metadata
from headrace.iceberg.applying import apply_updates, outdated
from headrace.iceberg.creation import new_metadata
from headrace.iceberg.updates import check


class MetadataFiles(Catalog):
    """A catalog whose tables' metadata files are written by whoever commits."""

    @abstractmethod
    def _home(self, name: Identifier) -> Any:
        """The namespace of a new table, as the catalog has it; an error if there is none, or the name cannot be."""

    @abstractmethod
    def _folder(self, name: Identifier, home: Any) -> str:
        """Where a new table goes that was given no location."""

    @abstractmethod
    def _insert(self, name: Identifier, metadata: TableMetadata, file: str, remove: bool) -> None:
        """Name a metadata file; `remove`: it is nobody's where that fails."""

    def create_table(
        self,
        identifier: str | Sequence[str],
        schema: Schema,
        partition_spec: PartitionSpec | None = None,
        sort_order: SortOrder | None = None,
        location: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> LoadedTable:
        name = parse_identifier(identifier)
        home = self._home(name)
        if self.table_exists(name):
            raise self._table_exists(name)
        folder = location.rstrip("/") if location else self._folder(name, home)
        metadata = new_metadata(folder, schema, partition_spec, sort_order, properties)
        file = self._write_metadata(metadata, None)
        self._insert(name, metadata, file, remove=True)
        return self._loaded(name, metadata, file)

    def register_table(self, identifier: str | Sequence[str], metadata_location: str) -> LoadedTable:
        name = parse_identifier(identifier)
        self._home(name)
        if self.table_exists(name):
            raise self._table_exists(name)
        loaded = self._open(name, metadata_location)  # a file that is no metadata gets no name
        self._insert(name, loaded.metadata, metadata_location, remove=False)
        return loaded

    def _open(self, name: Identifier, location: str) -> LoadedTable:
        """The table at a metadata file."""
        properties, refresh = self._storage(location)
        try:
            data = self._store(properties, refresh).read(location)
        except ObjectNotFound as error:
            message = f"catalog {self.name!r} has the table, but its metadata file is gone"
            raise MetaflowTableNotFound(message, table=dotted(name), location=location) from error
        return LoadedTable(name, parse_metadata(data, location), location, properties, (), refresh)

    def _loaded(self, name: Identifier, metadata: TableMetadata, file: str) -> LoadedTable:
        """The table at metadata that was just written."""
        properties, refresh = self._storage(file)
        return LoadedTable(name, TableMetadata(metadata.raw, file), file, properties, (), refresh)

    def _write_metadata(self, metadata: TableMetadata, previous: str | None) -> str:
        """Write metadata to a new file of its table, the first one or the next after `previous`; its location."""
        version = max(version_of(previous) + 1, 0) if previous else 0
        folder = metadata.properties.get("write.metadata.path", f"{metadata.location}/metadata").rstrip("/")
        packed = metadata.properties.get("write.metadata.compression-codec", "none").lower() == "gzip"
        file = f"{folder}/{version:05d}-{uuid.uuid4()}{'.gz' if packed else ''}.metadata.json"
        data = metadata.to_json().encode()
        data = gzip.compress(data) if packed else data
        if local_files.local_path(file) is not None:
            local_files.write_new(file, data)
        elif not self._store(*self._storage(file)).put(file, data, True):
            raise StorageError("the file exists already", location=file)
        return file

    def _next_metadata(
        self,
        name: Identifier,
        location: str,
        requirements: Sequence[Mapping[str, Any]],
        updates: Sequence[Mapping[str, Any]],
    ) -> tuple[TableMetadata, TableMetadata, str]:
        """What a commit makes of the metadata at a location: before, after, and the new file that holds it.

        Raises
        ------
        MetaflowTableConflict
            A requirement does not hold; nothing was written.
        """
        before = self._open(name, location).metadata
        try:
            check(before, requirements)
        except MetaflowTableConflict as error:
            error.table = dotted(name)
            raise
        after = apply_updates(before, updates, location)
        return before, after, self._write_metadata(after, location)

    def _committed(self, name: Identifier, before: TableMetadata, after: TableMetadata, file: str) -> LoadedTable:
        """The table after a commit; metadata files that it no longer wants are removed."""
        for each in outdated(before, after):
            self._remove_metadata(each)
        return self._loaded(name, after, file)

    def _remove_metadata(self, file: str) -> None:
        """Remove a metadata file that certainly never became the table's."""
        if local_files.local_path(file) is not None:
            local_files.remove(file)
            return
        with suppress(HeadraceError):
            self._store(*self._storage(file)).delete([file])

    def _namespace_exists(self, levels: Namespace) -> NamespaceExists:
        return NamespaceExists(f"catalog {self.name!r} has a namespace {dotted(levels)!r} already")

    def _table_exists(self, name: Identifier) -> MetaflowTableExists:
        return MetaflowTableExists(f"catalog {self.name!r} has a table {dotted(name)!r} already", table=dotted(name))
