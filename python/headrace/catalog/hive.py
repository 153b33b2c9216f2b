"""The Hive Metastore as a catalog: Iceberg tables that it points to, and legacy Hive tables as they are.

A commit moves the table parameter `metadata_location`: under the metastore's lock, as Iceberg's Java client does it,
or, where the table or catalog says so, by an alter that the server refuses unless the parameter is as expected. The
lock is the default: metastores that ignore the expectation do so silently, and their version does not tell
(HIVE-26882 came with 2.3.10 and 4.0). Must not know: Thrift connections, data files, partitions. Neighbours:
`hive_lock.py`, `hive_tables.py`, `metadata_files.py`; `headrace.metastore` makes the calls.
"""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

from headrace import config
from headrace.catalog.base import StoreFactory
from headrace.catalog.hive_lock import HiveLock, LockTimes
from headrace.catalog.hive_tables import (
    LOCK_ENABLED,
    METADATA_LOCATION,
    columns,
    is_iceberg,
    metadata_location,
    new_table,
    parameters,
)
from headrace.catalog.identifiers import Identifier, Namespace, dotted, parse_identifier, parse_namespace
from headrace.catalog.one_level import OneLevelCatalog
from headrace.errors import (
    CatalogError,
    ConfigurationError,
    HeadraceError,
    MetaflowTableCommitStateUnknownException,
    MetaflowTableConflict,
    UnreachableError,
)
from headrace.iceberg import TableMetadata
from headrace.metastore import HiveTable, Metastore
from headrace.metastore.connection import Lost

Answer = TypeVar("Answer")


class HiveCatalog(OneLevelCatalog):
    """A catalog in a Hive Metastore. Its namespaces have one level, and its names no upper case."""

    kind = "hive"
    service = "a Hive Metastore"
    looks_s = (0.0, 0.1, 0.3, 0.6)

    def __init__(self, name: str, properties: Mapping[str, str], store: StoreFactory | None = None) -> None:
        super().__init__(name, properties, store)
        if not self.properties.get("uri"):
            message = f"catalog {name!r}: property 'uri' is missing"
            raise ConfigurationError(message, hint="such as thrift://host:9083")

    @cached_property
    def metastore(self) -> Metastore:
        """The metastore's calls; connected at the first of them."""
        return Metastore(self.properties)

    @cached_property
    def _hive2(self) -> bool:
        """Whether columns are described without the types that came with Hive 3."""
        return config.as_bool(self.properties, "hive.hive2-compatible", default=not self.metastore.is_hive3)

    def list_namespaces(self, parent: str | Sequence[str] | None = None) -> list[Namespace]:
        self._ready()
        if parent:
            self._database(parse_namespace(parent))
            return []
        return sorted((each,) for each in self._ask(self.metastore.get_all_databases))

    def list_tables(self, namespace: str | Sequence[str]) -> list[Identifier]:
        """Identifiers of the tables, Iceberg's and Hive's, without views; see `Catalog.list_tables`."""
        levels = parse_namespace(namespace)
        self._database(levels)
        return sorted((*levels, each) for each in self._ask(lambda: self.metastore.get_tables(levels[0])))

    def create_namespace(self, namespace: str | Sequence[str], properties: Mapping[str, str] | None = None) -> None:
        """Make a database. `location` (else a folder of the catalog's `warehouse`, else of the metastore's), `comment`
        and `owner` among the properties are the database's own; see `Catalog.create_namespace`."""
        self._ready()
        levels = self._one_level(parse_namespace(namespace))
        given = dict(properties or {})
        location = given.pop("location", None) or self._database_folder(levels[0])
        types = self.metastore.types
        made = types.Database(
            name=levels[0],
            description=given.pop("comment", ""),
            locationUri=location,
            ownerName=given.pop("owner", _user()),
            ownerType=types.PrincipalType.USER,
            parameters=given,
        )
        try:
            self._ask(lambda: self.metastore.create_database(made))
        except types.AlreadyExistsException:
            raise self._namespace_exists(levels) from None

    def drop_namespace(self, namespace: str | Sequence[str]) -> None:
        levels = parse_namespace(namespace)
        self._database(levels)
        try:
            self._ask(lambda: self.metastore.drop_database(levels[0]))
        except self.metastore.types.InvalidOperationException as error:
            message = f"namespace {dotted(levels)!r} is not empty: {error.message}"
            raise CatalogError(message, hint="drop what it holds first") from None

    def namespace_properties(self, namespace: str | Sequence[str]) -> dict[str, str]:
        found = self._database(parse_namespace(namespace))
        own = {"location": _uri(found.locationUri or ""), "comment": found.description, "owner": found.ownerName}
        return {**(found.parameters or {}), **{key: value for key, value in own.items() if value}}

    def rename_table(self, source: str | Sequence[str], target: str | Sequence[str]) -> None:
        old, new = parse_identifier(source), parse_identifier(target)
        self._database(new[:-1])
        table = self._table(old)
        if self.table_exists(new):
            raise self._table_exists(new)
        table.dbName, table.tableName = new
        try:
            self._ask(lambda: self.metastore.alter_table(old[0], old[1], table, {}))
        except self.metastore.types.InvalidOperationException as error:
            if self.table_exists(new):
                raise self._table_exists(new) from None
            raise CatalogError(f"Hive Metastore: {error.message}") from error

    def drop_table(self, identifier: str | Sequence[str], purge: bool = False) -> None:
        """Forget a table; see `Catalog.drop_table`. `purge` is refused (UnsupportedError, nothing is dropped)."""
        name = parse_identifier(identifier)
        self._refuse_purge(name, purge)
        self._table(name)
        try:
            self._ask(lambda: self.metastore.drop_table(*name))
        except self.metastore.types.NoSuchObjectException:
            raise self._table_not_found(name) from None

    def _folder_of(self, database: Any) -> str | None:
        return _uri(database.locationUri or "") or None

    def _is_iceberg(self, table: Any) -> bool:
        return is_iceberg(table)

    def _pointer(self, table: Any) -> str | None:
        return metadata_location(table)

    def _hive_table(self, table: Any) -> HiveTable:
        found = HiveTable.of_thrift(table)
        found.refuse_unreadable()
        return found

    def _move(
        self, name: Identifier, table: Any, before: TableMetadata, after: TableMetadata, old: str, new: str
    ) -> None:
        with self._alone(name, before) as lock:
            self._swap(name, before, old, after, new, lock)

    @contextlib.contextmanager
    def _alone(self, name: Identifier, metadata: TableMetadata) -> Iterator[HiveLock | None]:
        """The metastore's lock, or None where the table or the catalog does without."""
        given = {**self.properties, **metadata.properties}
        if not config.as_bool(given, LOCK_ENABLED, default=True):
            yield None
            return
        with HiveLock(self.metastore, name[0], name[1], LockTimes.of(self.properties)) as lock:
            yield lock

    def _swap(
        self, name: Identifier, before: TableMetadata, old: str, after: TableMetadata, new: str, lock: HiveLock | None
    ) -> None:
        """Let the table's metadata be `new` if it still is `old`. An error other than CommitStateUnknown: it is not."""
        table = self._table(name)
        if metadata_location(table) != old:
            raise MetaflowTableConflict("another commit came first")
        table.parameters = parameters(dict(table.parameters or {}), after, new, before, old)
        shown, table.sd.location = table.sd.cols, after.location
        table.sd.cols = columns(self.metastore.types, after, self._hive2)
        if lock is not None:
            lock.ensure_held()
        context = {"DO_NOT_UPDATE_STATS": "true"}
        if lock is None:
            context |= {"expected_parameter_key": METADATA_LOCATION, "expected_parameter_value": old}
        try:
            try:
                self.metastore.alter_table(name[0], name[1], table, context)
            except self.metastore.types.InvalidOperationException:
                # A metastore may refuse columns whose types changed (disallow.incompatible.col.type.changes). They are
                # for show: the schema is the metadata file's.
                table.sd.cols = shown
                self.metastore.alter_table(name[0], name[1], table, context)
        except Lost as error:
            self._settle(name, new, error, lock)
        except Exception as error:
            self._refused(name, old, new, error)
        except BaseException:  # Ctrl-C: the metastore does what it was asked, at once or later
            self._interrupted(name, new, lock)
            raise

    def _interrupted(self, name: Identifier, new: str, lock: HiveLock | None) -> None:
        """Wait until an alter took effect whose answer nobody waits for; else nobody else may commit before the
        metastore has given the lock up, or the alter could undo that commit."""
        settled = False
        try:
            settled = self._look_for(name, new)
        finally:
            if lock is not None and not settled:
                lock.abandon()

    def _settle(self, name: Identifier, new: str, error: Lost, lock: HiveLock | None) -> None:
        """Find out whether an alter took effect that was not answered."""
        if self._look_for(name, new):
            return
        if error.timed_out and lock is not None:
            lock.abandon()  # the metastore may do it yet: nobody else may commit before it has given the lock up
        message = f"whether the commit took effect is not known: {error}"
        hint = "load the table and look for the change before trying again"
        raise MetaflowTableCommitStateUnknownException(message, table=dotted(name), hint=hint) from error

    def _refused(self, name: Identifier, old: str, new: str, error: Exception) -> None:
        """An alter was answered by an error. A metastore that repeats what failed inside may have done it before."""
        told = str(getattr(error, "message", None) or error)
        try:
            current = metadata_location(self._table(name))
            if current == new or self._took_effect(name, new):
                return
        except HeadraceError as unknown:
            message = f"whether the commit took effect is not known: {told}"
            raise MetaflowTableCommitStateUnknownException(message, table=dotted(name)) from unknown
        if current != old or "has been modified" in told:
            raise MetaflowTableConflict(f"another commit came first: {told}") from error
        raise CatalogError(f"Hive Metastore: the commit was refused: {told}") from error

    def _insert(self, name: Identifier, metadata: TableMetadata, file: str, remove: bool) -> None:
        """Make the metastore's table; `remove`: the metadata file is nobody's where that fails."""
        types = self.metastore.types
        table = new_table(types, name[0], name[1], _user(), metadata, file, self._hive2)
        try:
            self.metastore.create_table(table)
            return
        except Lost as error:
            with contextlib.suppress(HeadraceError):
                if self._took_effect(name, file):
                    return
            message = f"whether the table was made is not known: {error}"
            raise MetaflowTableCommitStateUnknownException(message, table=dotted(name)) from error
        except Exception as error:
            with contextlib.suppress(HeadraceError):
                if (found := self._find(name)) is not None and metadata_location(found) == file:
                    return  # the metastore repeats what failed inside, and answered with the second try's failure
            if remove:
                self._remove_metadata(file)
            if isinstance(error, types.AlreadyExistsException):
                raise self._table_exists(name) from None
            raise self._explained(error) from error

    def _ask(self, call: Callable[[], Answer]) -> Answer:
        """A call whose own exceptions the caller handles, and no others."""
        try:
            return call()
        except Lost as error:
            hint = "whether it took effect is not known: look before trying again"
            raise UnreachableError(f"Hive Metastore: {error}", hint=hint) from error
        except self.metastore.types.MetaException as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> HeadraceError:
        if isinstance(error, HeadraceError):
            return error
        return CatalogError(f"Hive Metastore: {getattr(error, 'message', None) or error}")

    def _find(self, name: Identifier) -> Any | None:
        try:
            return self._ask(lambda: self.metastore.get_table(*name))
        except self.metastore.types.NoSuchObjectException:
            return None

    def _database(self, levels: Namespace) -> Any:
        """The metastore's database, or the error for a missing one."""
        self._ready()
        self._one_level(levels)
        try:
            return self._ask(lambda: self.metastore.get_database(levels[0]))
        except self.metastore.types.NoSuchObjectException:
            raise self._namespace_not_found(levels) from None


def _uri(location: str) -> str:
    """A location as Hadoop writes it ("file:/path") as others do ("file:///path")."""
    return (
        f"file://{location[5:]}" if location.startswith("file:/") and not location.startswith("file://") else location
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "headrace"
