"""Catalogs that leave metadata files to their clients: SQL, Hive Metastore, Glue.

A commit writes the next metadata file beside the others, then lets the catalog's one pointer move. Must not know: how
the pointer moves. Files go through the engine's Store or, in local warehouses, `local_files.py`. Neighbours: `sql.py`
and `one_level.py` build on it.
"""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from headrace.catalog import local_files
from headrace.catalog.base import Catalog, LoadedTable
from headrace.catalog.identifiers import Identifier, Namespace, dotted
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
from headrace.iceberg import TableMetadata, parse_metadata
from headrace.iceberg.applying import apply_updates, outdated
from headrace.iceberg.updates import check


class MetadataFiles(Catalog):
    """A catalog whose tables' metadata files are written by whoever commits."""

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
