"""How a table's objects are reached: from the table as it was loaded or, in another process, from its catalog again.

A `TableAccess` is what Tables, plans and shards carry. It pickles as identity only (catalog without secrets, identifier
or location); the other process finds credentials again in its own configuration. Must not know: snapshots, plans,
frames. Neighbours: `headrace.catalog` loads, `headrace.table` and `headrace.plan` use it.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headrace import config
from headrace.catalog import Catalog, LoadedTable, load_static
from headrace.catalog.identifiers import Identifier, dotted
from headrace.errors import HeadraceError

if TYPE_CHECKING:
    from headrace._engine import Store

_DATA_LOCATIONS = (
    "write.data.path",
    "write.metadata.path",
    "write.object-storage.path",
    "write.folder-storage.path",
)
"""Table properties that put files outside the table's own location (Iceberg docs, "Write properties")."""


class TableAccess:
    """One table, however it is reached.

    Parameters
    ----------
    catalog : Catalog or None
        The catalog that knows it; None for a table at a location.
    identifier : tuple of str
        Its name in the catalog; for a table at a location, the folder's name.
    location : str or None
        Metadata file or table folder, for a table without a catalog.
    properties : mapping of str to str
        Storage properties given with the location.
    """

    def __init__(
        self,
        catalog: Catalog | None,
        identifier: Identifier,
        location: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        self.catalog = catalog
        self.identifier = identifier
        self.location = location
        self._properties = dict(properties or {})
        self._lock = threading.Lock()
        self._loaded: LoadedTable | None = None
        self._store: Store | None = None

    @property
    def name(self) -> str:
        """The table's name for messages: "db.table", or its location."""
        return dotted(self.identifier) if self.catalog else str(self.location)

    def loaded(self) -> LoadedTable:
        """The table's metadata as of the first call in this process."""
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def fresh(self) -> TableAccess:
        """The same table, not loaded yet."""
        return TableAccess(self.catalog, self.identifier, self.location, self._properties)

    def moved(self, loaded: LoadedTable) -> TableAccess:
        """The same table after a commit: its answer has new metadata, but need not have credentials for the objects."""
        made = self.fresh()
        before = self.loaded()
        made._loaded = replace(before, metadata=loaded.metadata, metadata_location=loaded.metadata_location)
        if self._allowed(before) == self._allowed(made._loaded):
            made._store = self._store
        return made

    def store(self) -> Store:
        """The engine's store of this table's objects: its locations only, credentials refreshed where they expire."""
        loaded = self.loaded()
        with self._lock:
            if self._store is None:
                from headrace._engine import Store

                properties = loaded.properties_for(loaded.metadata.location)
                self._store = Store(properties, allowed=self._allowed(loaded), refresh=loaded.refresh)
            return self._store

    @contextlib.contextmanager
    def naming(self) -> Iterator[None]:
        """Adds the table's name to an error that passes through."""
        try:
            yield
        except HeadraceError as error:
            error.table = error.table or self.name
            raise

    def _load(self) -> LoadedTable:
        if self.catalog is not None:
            return self.catalog.load_table(self.identifier)
        return load_static(str(self.location), self._properties)

    def _allowed(self, loaded: LoadedTable) -> list[str] | None:
        """Prefixes that the table may be read from (metadata is untrusted: a manifest could name any file). None for a
        Hive table: its files are found by listing folders that the metastore names, wherever these are."""
        if loaded.hive is not None:
            return None
        metadata = loaded.metadata
        found = [metadata.location, *(metadata.properties.get(each, "") for each in _DATA_LOCATIONS)]
        if loaded.metadata_location:
            found.append(_table_folder(loaded.metadata_location))
        found += [prefix for prefix, _ in loaded.storage_credentials]
        return [each for each in found if each]

    def mapped(self) -> str | None:
        """The rule of property `location-map` that moves the table or a part of it; None if none does."""
        loaded = self.loaded()
        places = [loaded.metadata.location, loaded.metadata_location or ""]
        for rule in loaded.properties.get("location-map", "").split(","):
            prefix = _plain(rule.partition("=")[0])
            if prefix and any(f"{_plain(place)}/".startswith(f"{prefix}/") for place in places):
                return rule.strip()
            if prefix and any(place and f"{prefix}/".startswith(f"{_plain(place)}/") for place in places):
                return rule.strip()
        return None

    def __repr__(self) -> str:
        return f"<TableAccess {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return TableAccess, (self.catalog, self.identifier, self.location, config.without_secrets(self._properties))


def _plain(location: str) -> str:
    """A location in one spelling: schemes of S3 are one, `file:` URIs are paths (location.rs)."""
    text = re.sub(r"^s3[an]?://", "s3://", location.strip(), flags=re.IGNORECASE)
    return re.sub(r"^file:(//(localhost)?(?=/))?", "", text, flags=re.IGNORECASE).rstrip("/")


def _table_folder(metadata_location: str) -> str:
    """The folder that holds `metadata/`: where a table that was moved now lies."""
    folder = metadata_location.rpartition("/")[0]
    return folder.removesuffix("/metadata")
