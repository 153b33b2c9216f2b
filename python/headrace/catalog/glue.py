"""AWS Glue's Data Catalog: Iceberg tables that it points to, and legacy Hive tables as they are.

A commit moves the table parameter `metadata_location` by an UpdateTable that names the version of the table it was
made from: Glue refuses it if the table has another by then. Must not know: boto3's errors, data files. Neighbours:
`glue_client.py` makes the calls, `glue_tables.py` describes tables, `glue_partitions.py` answers plans.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from headrace import config
from headrace.catalog.base import LoadedTable, StoreFactory
from headrace.catalog.glue_client import GlueCalls, Refused, Unknown
from headrace.catalog.glue_partitions import GluePartitions, NameOf
from headrace.catalog.glue_tables import (
    hive_table,
    iceberg_input,
    is_iceberg,
    is_view,
    metadata_location,
    table_input,
)
from headrace.catalog.identifiers import Identifier, Namespace, dotted, parse_identifier, parse_namespace
from headrace.catalog.metadata_files import MetadataFiles
from headrace.errors import (
    CatalogError,
    ConfigurationError,
    HeadraceError,
    MetaflowTableCommitStateUnknownException,
    MetaflowTableConflict,
    MetaflowTableInvalidData,
    NamespaceNotFound,
    UnreachableError,
    UnsupportedError,
)
from headrace.iceberg import PartitionSpec, Schema, SortOrder, TableMetadata
from headrace.iceberg.applying import apply_updates, outdated
from headrace.iceberg.creation import new_metadata
from headrace.iceberg.updates import check

Result = TypeVar("Result")
_GONE, _THERE, _CHANGED = "EntityNotFoundException", "AlreadyExistsException", "ConcurrentModificationException"
_LOOKS_S = (0.0, 0.2, 0.5, 1.0)
"""Pauses before looks at a table whose update was not answered."""


class GlueCatalog(MetadataFiles):
    """A catalog in AWS Glue. Its namespaces have one level; Glue keeps names in lower case."""

    kind = "glue"

    def __init__(self, name: str, properties: Mapping[str, str], store: StoreFactory | None = None) -> None:
        super().__init__(name, properties, store)
        self._glue = GlueCalls(name, self.properties)

    def partition_calls(self, keys: Sequence[str], name_of: NameOf) -> GluePartitions:
        """What one plan asks of the partitions of a legacy Hive table with these keys."""
        self._ready()
        return GluePartitions(self._glue, keys, name_of)

    def list_namespaces(self, parent: str | Sequence[str] | None = None) -> list[Namespace]:
        self._ready()
        if parent:
            self._database(parse_namespace(parent))
            return []
        return sorted(
            (each["Name"],) for each in self._ask(lambda: [*self._glue.pages("get_databases", "DatabaseList")])
        )

    def list_tables(self, namespace: str | Sequence[str]) -> list[Identifier]:
        """Identifiers of the tables, Iceberg's and Hive's, without views; see `Catalog.list_tables`."""
        self._ready()
        levels = self._one_level(parse_namespace(namespace))
        try:
            found = [*self._glue.pages("get_tables", "TableList", DatabaseName=levels[0])]
        except Refused as error:
            if error.code == _GONE:
                raise self._namespace_not_found(levels) from None
            raise error.error from error
        return sorted((*levels, each["Name"]) for each in found if not is_view(each))

    def create_namespace(self, namespace: str | Sequence[str], properties: Mapping[str, str] | None = None) -> None:
        """Make a database. `location` (else a folder of the catalog's `warehouse`) and `comment` among the properties
        are the database's own; see `Catalog.create_namespace`."""
        self._ready()
        levels = self._one_level(parse_namespace(namespace))
        given = dict(properties or {})
        location = given.pop("location", None)
        if not location and (warehouse := self.properties.get("warehouse")):
            location = f"{warehouse.rstrip('/')}/{levels[0]}.db"
        own = {"Description": given.pop("comment", None), "LocationUri": location, "Parameters": given}
        made = {"Name": levels[0], **{key: value for key, value in own.items() if value}}
        try:
            self._change("create_database", DatabaseInput=made)
        except Refused as error:
            raise (self._namespace_exists(levels) if error.code == _THERE else error.error) from None

    def drop_namespace(self, namespace: str | Sequence[str]) -> None:
        """Remove an empty database. Glue itself would remove the tables with it: it is asked for them first."""
        levels = parse_namespace(namespace)
        self._database(levels)
        held = self._ask(lambda: self._glue.read("get_tables", DatabaseName=levels[0], MaxResults=1))
        if held.get("TableList"):
            message = f"namespace {dotted(levels)!r} is not empty: it holds {held['TableList'][0]['Name']!r}"
            raise CatalogError(message, hint="drop what it holds first")
        try:
            self._change("delete_database", Name=levels[0])
        except Refused as error:
            raise (self._namespace_not_found(levels) if error.code == _GONE else error.error) from None

    def namespace_properties(self, namespace: str | Sequence[str]) -> dict[str, str]:
        found = self._database(parse_namespace(namespace))
        own = {"location": found.get("LocationUri"), "comment": found.get("Description")}
        return {**(found.get("Parameters") or {}), **{key: value for key, value in own.items() if value}}

    def load_table(self, identifier: str | Sequence[str]) -> LoadedTable:
        """An Iceberg table at its current metadata, or a Hive table (`LoadedTable.hive`); see `Catalog.load_table`.

        Raises
        ------
        UnsupportedError
            A Hive table whose rows cannot be read, with the reason.
        """
        name = parse_identifier(identifier)
        table = self._table(name)
        if is_iceberg(table):
            return self._open(name, self._location(name, table))
        found = hive_table(table)
        properties, refresh = self._storage(found.location)
        return LoadedTable(name, found.metadata, None, properties, (), refresh, found)

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
        database = self._database(name[:-1])
        if self.table_exists(name):
            raise self._table_exists(name)
        folder = location.rstrip("/") if location else self._default_location(name, database)
        metadata = new_metadata(folder, schema, partition_spec, sort_order, properties)
        file = self._write_metadata(metadata, None)
        self._insert(name, iceberg_input({}, name[-1], metadata, file), file, remove=True)
        return self._loaded(name, metadata, file)

    def register_table(self, identifier: str | Sequence[str], metadata_location: str) -> LoadedTable:
        name = parse_identifier(identifier)
        self._database(name[:-1])
        if self.table_exists(name):
            raise self._table_exists(name)
        loaded = self._open(name, metadata_location)
        made = iceberg_input({}, name[-1], loaded.metadata, metadata_location)
        self._insert(name, made, metadata_location, remove=False)
        return loaded

    def rename_table(self, source: str | Sequence[str], target: str | Sequence[str]) -> None:
        """Give an Iceberg table another name: Glue knows no such call, so a second entry is made and the first one
        deleted. A commit under the old name between the two is noticed, but for the moment of the deletion itself.

        Raises
        ------
        UnsupportedError
            A legacy Hive table: its partitions would stay behind.
        MetaflowTableConflict
            A commit came between; the table has its old name.
        """
        old, new = parse_identifier(source), parse_identifier(target)
        self._database(new[:-1])
        table = self._table(old)
        self._refuse_hive(old, table, "renamed in AWS Glue: its partitions would stay behind")
        if self.table_exists(new):
            raise self._table_exists(new)
        file = self._location(old, table)
        self._insert(new, {**table_input(table), "Name": new[-1]}, file, remove=False)
        try:
            if metadata_location(self._table(old)) != file:
                raise MetaflowTableConflict("another commit came first", table=dotted(old))
            self._change("delete_table", DatabaseName=old[0], Name=old[-1])
        except MetaflowTableCommitStateUnknownException as error:
            error.table = dotted(old)
            raise
        except (Refused, HeadraceError) as error:
            gone = isinstance(error, Refused) and error.code == _GONE
            with contextlib.suppress(Refused, HeadraceError):
                self._change("delete_table", DatabaseName=new[0], Name=new[-1])
            if gone:
                raise self._table_not_found(old) from None
            raise (error.error if isinstance(error, Refused) else error) from None

    def drop_table(self, identifier: str | Sequence[str], purge: bool = False) -> None:
        """Forget a table; see `Catalog.drop_table`. `purge` is refused (UnsupportedError, nothing is dropped)."""
        name = parse_identifier(identifier)
        if purge:
            hint = "drop it without purge and remove its files yourself"
            raise UnsupportedError("purge is not supported for AWS Glue", table=dotted(name), hint=hint)
        self._table(name)
        try:
            self._change("delete_table", DatabaseName=name[0], Name=name[-1])
        except Refused as error:
            raise (self._table_not_found(name) if error.code == _GONE else error.error) from None

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
        self._refuse_hive(name, table, "changed so: it has no snapshots, schema changes or properties of Iceberg's")
        old = self._location(name, table)
        before = self._open(name, old).metadata
        try:
            check(before, requirements)
        except MetaflowTableConflict as error:
            error.table = dotted(name)
            raise
        after = apply_updates(before, updates, old)
        file = self._write_metadata(after, old)
        try:
            self._swap(name, table, after, old, file)
        except MetaflowTableCommitStateUnknownException:
            raise
        except HeadraceError as error:
            error.table = error.table or dotted(name)
            self._remove_metadata(file)
            raise
        for each in outdated(before, after):
            self._remove_metadata(each)
        return self._loaded(name, after, file)

    def _swap(self, name: Identifier, table: Mapping[str, Any], after: TableMetadata, old: str, new: str) -> None:
        """Let the table's metadata be `new` if it still is as `table` says. An error other than CommitStateUnknown:
        it is not."""
        if not (version := table.get("VersionId")):
            message = "Glue gave no version of the table, so that a commit could undo another one"
            raise UnsupportedError(message, table=dotted(name), hint="is the table in a federated catalog?")
        skip = config.as_bool(self.properties, "glue.skip-archive", default=True)
        made = iceberg_input(table, name[-1], after, new, old)
        try:
            self._glue.change(
                "update_table", DatabaseName=name[0], TableInput=made, SkipArchive=skip, VersionId=version
            )
        except Unknown as error:
            if not self._look_for(name, new):
                message = f"whether the commit took effect is not known: {error}"
                hint = "load the table and look for the change before trying again"
                raise MetaflowTableCommitStateUnknownException(message, table=dotted(name), hint=hint) from error
        except Refused as error:
            if error.code == _CHANGED:
                raise MetaflowTableConflict(f"another commit came first: {error}") from error
            if error.code == _GONE:
                raise self._table_not_found(name) from None
            raise error.error from error

    def _look_for(self, name: Identifier, new: str) -> bool:
        """Whether a metadata file becomes the table's, within two seconds."""
        for pause in _LOOKS_S:
            time.sleep(pause)
            with contextlib.suppress(HeadraceError):
                if self._took_effect(name, new):
                    return True
        return False

    def _took_effect(self, name: Identifier, new: str) -> bool:
        """Whether a metadata file is or was the table's: the current one keeps a log of those before it."""
        current = metadata_location(self._table(name))
        if current is None or current == new:
            return current == new
        log = self._open(name, current).metadata.raw.get("metadata-log") or []
        return any(each.get("metadata-file") == new for each in log)

    def _insert(self, name: Identifier, made: Mapping[str, Any], file: str, remove: bool) -> None:
        """Make Glue's table; `remove`: the metadata file is nobody's where that fails."""
        try:
            self._glue.change("create_table", DatabaseName=name[0], TableInput=made)
        except Unknown as error:
            if not self._look_for(name, file):
                message = f"whether the table was made is not known: {error}"
                raise MetaflowTableCommitStateUnknownException(message, table=dotted(name)) from error
        except (Refused, HeadraceError) as error:
            if remove:
                self._remove_metadata(file)
            if isinstance(error, Refused) and error.code == _THERE:
                raise self._table_exists(name) from None
            raise (error.error if isinstance(error, Refused) else error) from None

    def _change(self, method: str, **arguments: Any) -> None:
        """A change whose outcome nobody but the caller can find out."""
        try:
            self._glue.change(method, **arguments)
        except Unknown as error:
            hint = "whether it took effect is not known: look before trying again"
            if method == "delete_table":
                message = f"whether the table was dropped is not known: {error}"
                raise MetaflowTableCommitStateUnknownException(message, hint=hint) from error
            raise UnreachableError(str(error), hint=hint) from error

    def _ask(self, call: Callable[[], Result]) -> Result:
        """A call whose refusals have no meaning of their own."""
        try:
            return call()
        except Refused as error:
            raise error.error from error

    def _table(self, name: Identifier) -> dict[str, Any]:
        """Glue's table, or the error for a missing one."""
        self._ready()
        self._one_level(name[:-1])
        if (found := self._find(name)) is None:
            raise self._table_not_found(name)
        return found

    def _find(self, name: Identifier) -> dict[str, Any] | None:
        try:
            return dict(self._glue.read("get_table", DatabaseName=name[0], Name=name[-1])["Table"])
        except Refused as error:
            if error.code == _GONE:
                return None
            raise error.error from error

    def _location(self, name: Identifier, table: Mapping[str, Any]) -> str:
        if (found := metadata_location(table)) is None:
            raise MetaflowTableInvalidData(
                "an Iceberg table without the parameter 'metadata_location'", table=dotted(name)
            )
        return found

    def _database(self, levels: Namespace) -> dict[str, Any]:
        """Glue's database, or the error for a missing one."""
        self._ready()
        self._one_level(levels)
        try:
            return dict(self._glue.read("get_database", Name=levels[0])["Database"])
        except Refused as error:
            raise (self._namespace_not_found(levels) if error.code == _GONE else error.error) from None

    def _one_level(self, levels: Namespace) -> Namespace:
        if len(levels) != 1:
            hint = f"name the database alone: {levels[0]!r}"
            raise NamespaceNotFound(f"AWS Glue has no nested namespaces: {dotted(levels)!r}", hint=hint)
        return levels

    def _refuse_hive(self, name: Identifier, table: Mapping[str, Any], what: str) -> None:
        if not is_iceberg(table):
            raise UnsupportedError(f"it is a Hive table, which cannot be {what}", table=dotted(name))

    def _default_location(self, name: Identifier, database: Mapping[str, Any]) -> str:
        """The table's folder in its database's, else in the catalog's `warehouse`."""
        if folder := database.get("LocationUri"):
            return f"{folder.rstrip('/')}/{name[-1]}"
        if warehouse := self.properties.get("warehouse"):
            return f"{warehouse.rstrip('/')}/{name[0]}.db/{name[-1]}"
        message = f"database {name[0]!r} has no location, and the table was given none"
        raise ConfigurationError(message, hint="set property warehouse, or pass location=")
