"""The contract of every catalog: names on one side, the location of a table's metadata on the other.

A catalog knows namespaces, tables, where their metadata is and with which credentials their objects are read. It never
sees a frame, a plan, a manifest or a data file. Neighbours: `rest.py`, `sql.py`, `hive.py` keep the contract,
`static.py` does without a catalog; `headrace.table` uses it; `identifiers.py` splits names.

Catalogs pickle as their name and their properties without secrets: the new process finds the secrets again in its own
configuration, and the first use says which variable to set where it cannot.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from headrace import config, credentials
from headrace.catalog.identifiers import Identifier, Namespace, dotted
from headrace.errors import (
    ConfigurationError,
    InvalidArgument,
    MetaflowTableNotFound,
    NamespaceNotFound,
    nearest,
)
from headrace.iceberg import PartitionSpec, Schema, SortOrder, TableMetadata
from headrace.metastore.description import HiveTable

__all__ = ["Catalog", "LoadedTable", "ObjectReader", "Refresh", "dotted", "open_store"]

Refresh = Callable[[], Mapping[str, str]]
StorageCredentials = tuple[tuple[str, Mapping[str, str]], ...]


class ObjectReader(Protocol):
    """What catalogs use of the engine's Store: read one object, list a folder."""

    def read(self, location: str, start: int | None = None, end: int | None = None) -> bytes: ...
    def list(self, prefix: str) -> list[tuple[str, int]]: ...


class ObjectStore(ObjectReader, Protocol):
    """The same with what a catalog needs that writes metadata itself."""

    def put(self, location: str, data: bytes, if_absent: bool = False) -> bool: ...
    def delete(self, locations: Sequence[str]) -> None: ...


StoreFactory = Callable[[Mapping[str, str], Refresh | None], ObjectStore]


def open_store(properties: Mapping[str, str], refresh: Refresh | None = None) -> ObjectStore:
    """The engine's store for these properties."""
    from headrace._engine import Store

    return Store(properties, refresh=refresh)


@dataclass(frozen=True, repr=False)
class LoadedTable:
    """A table as its catalog gave it.

    Attributes
    ----------
    identifier : tuple of str
        Namespace and name.
    metadata : TableMetadata
        The table's metadata.
    metadata_location : str or None
        The file it came from; None where a catalog keeps it elsewhere.
    properties : mapping of str to str
        Storage properties for the engine's Store: the catalog's, the table's config, and the credentials for the
        table's own location. Holds secrets: never shown, never pickled.
    storage_credentials : tuple of (prefix, properties)
        Every vended credential, for objects elsewhere: see `properties_for`.
    refresh : callable or None
        Gives fresh storage properties when those above are about to expire; None where they do not expire.
    hive : HiveTable or None
        A legacy Hive table: `metadata` then says in Iceberg's terms what it has, and there are no snapshots.
    """

    identifier: Identifier
    metadata: TableMetadata
    metadata_location: str | None
    properties: Mapping[str, str] = field(default_factory=dict)
    storage_credentials: StorageCredentials = ()
    refresh: Refresh | None = None
    hive: HiveTable | None = None

    def properties_for(self, location: str) -> dict[str, str]:
        """Storage properties for one location: the vended credential with the longest prefix of it wins."""
        return {**self.properties, **longest_prefix(self.storage_credentials, location)}

    def __repr__(self) -> str:
        return f"<LoadedTable {dotted(self.identifier)} at {self.metadata_location or self.metadata.location}>"

    def __reduce__(self) -> tuple[Any, ...]:
        hint = "pickle the Table: it finds its credentials again in the other process"
        raise InvalidArgument("a LoadedTable holds credentials and is not pickled", hint=hint)


def longest_prefix(storage_credentials: StorageCredentials, location: str) -> Mapping[str, str]:
    """The properties of the credential whose prefix is the longest that the location starts with; else none."""
    matching = [each for each in storage_credentials if location.startswith(each[0])]
    return max(matching, key=lambda each: len(each[0]))[1] if matching else {}


class Catalog(ABC):
    """A catalog of Iceberg tables.

    Identifiers are "db.table", "a.b.table" or tuples; namespaces likewise without the table. Methods raise
    NamespaceNotFound and MetaflowTableNotFound with the nearest name, NamespaceExists and MetaflowTableExists,
    AuthenticationError, UnreachableError, and CatalogError for anything else that the catalog answers.

    Attributes
    ----------
    name : str
        The name under which it is configured.
    properties : mapping of str to str
        Its resolved properties. Holds secrets; repr shows none.
    """

    kind: str
    """The catalog's `type` in configuration."""

    def __init__(self, name: str, properties: Mapping[str, str], store: StoreFactory | None = None) -> None:
        self.name = name
        self.properties: Mapping[str, str] = dict(properties)
        self._store: StoreFactory = store or open_store
        self._lost: tuple[str, ...] = ()

    @abstractmethod
    def list_namespaces(self, parent: str | Sequence[str] | None = None) -> list[Namespace]:
        """Namespaces directly inside `parent` (None: the top level), each as a full tuple, sorted."""

    @abstractmethod
    def list_tables(self, namespace: str | Sequence[str]) -> list[Identifier]:
        """Identifiers of the tables directly inside a namespace, sorted."""

    @abstractmethod
    def create_namespace(self, namespace: str | Sequence[str], properties: Mapping[str, str] | None = None) -> None:
        """Make a namespace; NamespaceExists if it is there."""

    @abstractmethod
    def drop_namespace(self, namespace: str | Sequence[str]) -> None:
        """Remove an empty namespace; CatalogError if it still holds something."""

    @abstractmethod
    def namespace_properties(self, namespace: str | Sequence[str]) -> dict[str, str]:
        """Properties of a namespace."""

    @abstractmethod
    def load_table(self, identifier: str | Sequence[str]) -> LoadedTable:
        """The table's current metadata, with storage properties to read its objects."""

    @abstractmethod
    def create_table(
        self,
        identifier: str | Sequence[str],
        schema: Schema,
        partition_spec: PartitionSpec | None = None,
        sort_order: SortOrder | None = None,
        location: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> LoadedTable:
        """Make a table; MetaflowTableExists if it is there.

        Parameters
        ----------
        identifier : str or sequence of str
            Namespace (which must exist) and name.
        schema : Schema
            With field ids, unique and above 0: `headrace.iceberg.schema.assign_ids` numbers fields.
        partition_spec, sort_order : PartitionSpec, SortOrder or None
            None: unpartitioned, unsorted.
        location : str or None
            The table's folder; None: where the catalog puts it.
        properties : mapping of str to str or None
            Table properties; `format-version` chooses the format, "2" unless given.
        """

    @abstractmethod
    def register_table(self, identifier: str | Sequence[str], metadata_location: str) -> LoadedTable:
        """Give a name to a table that exists as a metadata file."""

    @abstractmethod
    def rename_table(self, source: str | Sequence[str], target: str | Sequence[str]) -> None:
        """Give a table another name; its files stay where they are."""

    @abstractmethod
    def drop_table(self, identifier: str | Sequence[str], purge: bool = False) -> None:
        """Forget a table. `purge` asks for its files to be deleted too; without it they stay (unless the server of a
        REST catalog decides otherwise)."""

    @abstractmethod
    def table_exists(self, identifier: str | Sequence[str]) -> bool:
        """Whether there is a table of this name."""

    @abstractmethod
    def commit_table(
        self,
        identifier: str | Sequence[str],
        requirements: Sequence[Mapping[str, Any]],
        updates: Sequence[Mapping[str, Any]],
    ) -> LoadedTable:
        """Apply updates if all requirements hold (both in the REST specification's JSON form), atomically.

        Raises
        ------
        MetaflowTableConflict
            A requirement does not hold, or another commit came first: nothing was changed.
        MetaflowTableCommitStateUnknownException
            Whether the table was changed is not known: look before trying again.
        """

    def __repr__(self) -> str:
        kind = type(self).__name__
        shown = {key: value for key, value in config.redact(self.properties).items() if value != "***"}
        return f"{kind}({self.name!r}, {', '.join(f'{key}={value!r}' for key, value in sorted(shown.items()))})"

    def __reduce__(self) -> tuple[Any, ...]:
        kept = config.without_secrets(self.properties)
        lost = tuple(sorted(set(self.properties) - set(kept)))
        if "uri" in lost:  # without its password it still tells which catalog is meant
            kept["uri"] = config.redact_uri(self.properties["uri"])
        return _restore, (self.name, kept | {"type": self.kind}, lost)

    def _ready(self) -> None:
        """Called at the start of every operation: says which secret was lost on the way into this process."""
        if self._lost:
            names = ", ".join(map(repr, self._lost))
            variables = ", ".join(config.variable(self.name, each) for each in self._lost)
            message = f"catalog {self.name!r} was sent to this process without {names}: secrets are never pickled"
            raise ConfigurationError(message, hint=f"set {variables} (or configure it in a file) in this process")

    def _storage(self, location: str) -> tuple[dict[str, str], Refresh | None]:
        """Storage properties for objects at a location; AWS profiles are consulted for S3 only."""
        if credentials.is_s3(location):
            return credentials.storage_properties(self.properties)
        return credentials.only_storage(self.properties), None

    def _table_not_found(self, identifier: Identifier) -> MetaflowTableNotFound | NamespaceNotFound:
        """The error for a missing table, with the nearest table, or for its namespace if that is what is missing."""
        namespace, name = identifier[:-1], identifier[-1]
        try:
            hint: str | None = nearest(name, [each[-1] for each in self.list_tables(namespace)])
        except NamespaceNotFound as error:
            return error
        except Exception:  # the hint is a courtesy: its own failure must not hide the answer
            hint = None
        message = f"catalog {self.name!r} has no table {dotted(identifier)!r}"
        return MetaflowTableNotFound(message, table=dotted(identifier), hint=hint)

    def _namespace_not_found(self, namespace: Namespace) -> NamespaceNotFound:
        """The error for a missing namespace, with the nearest one."""
        try:
            siblings = self.list_namespaces(namespace[:-1] or None)
            hint: str | None = nearest(dotted(namespace), map(dotted, siblings))
        except NamespaceNotFound as error:
            hint = error.hint
        except Exception:
            hint = None
        makes = f"catalog.create_namespace({dotted(namespace)!r}) makes it"
        hint = f"{hint}; {makes}" if hint else makes
        return NamespaceNotFound(f"catalog {self.name!r} has no namespace {dotted(namespace)!r}", hint=hint)


def _restore(name: str, properties: Mapping[str, str], lost: Sequence[str]) -> Catalog:
    """Rebuild a pickled catalog from this process's configuration; what is still missing is told at first use."""
    from headrace.catalog import load_catalog

    given = dict(properties)
    if "uri" in lost:
        configured = config.resolve(name, {"type": given["type"]}).properties.get("uri", "")
        given["uri"] = configured if config.redact_uri(configured) == given["uri"] else given["uri"]
    catalog = load_catalog(name, **given)
    here = {key.lower() for key in catalog.properties}
    missing = [each for each in lost if each.lower() not in here]
    if "uri" in lost and given["uri"] == properties["uri"]:
        missing.append("uri")
    if _has_aws_credentials():
        missing = [each for each in missing if not each.startswith(("s3.", "client.", "glue."))]
    catalog._lost = tuple(missing)
    return catalog


def _has_aws_credentials() -> bool:
    """Whether this process has AWS credentials of its own, so that keys that were given explicitly need not come."""
    names = ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"]
    names += ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    return any(os.environ.get(each) for each in names) or Path("~/.aws/credentials").expanduser().is_file()
