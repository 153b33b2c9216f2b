"""AWS Glue's Data Catalog: Iceberg tables that it points to, and legacy Hive tables as they are.

A commit moves the table parameter `metadata_location` by an UpdateTable that names the version of the table it was
made from: Glue refuses it if the table has another by then. Must not know: boto3's errors, data files. Neighbours:
`glue_client.py` makes the calls, `glue_tables.py` describes tables, `glue_partitions.py` answers plans.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from headrace import config
from headrace.catalog.base import StoreFactory
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
from headrace.catalog.one_level import OneLevelCatalog
from headrace.errors import (
    CatalogError,
    HeadraceError,
    MetaflowTableCommitStateUnknownException,
    MetaflowTableConflict,
    UnreachableError,
    UnsupportedError,
)
from headrace.iceberg import TableMetadata
from headrace.metastore import HiveTable

Result = TypeVar("Result")
_GONE, _THERE, _CHANGED = "EntityNotFoundException", "AlreadyExistsException", "ConcurrentModificationException"


class GlueCatalog(OneLevelCatalog):
    """A catalog in AWS Glue. Its namespaces have one level; Glue keeps names in lower case."""

    kind = "glue"
    service = "AWS Glue"
    looks_s = (0.0, 0.2, 0.5, 1.0)

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
        location = given.pop("location", None) or self._database_folder(levels[0])
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
        if not is_iceberg(table):
            message = "it is a Hive table, which cannot be renamed in AWS Glue: its partitions would stay behind"
            raise UnsupportedError(message, table=dotted(old))
        if self.table_exists(new):
            raise self._table_exists(new)
        file = self._location(old, table)
        self._put(new, {**table_input(table), "Name": new[-1]}, file, remove=False)
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
        self._refuse_purge(name, purge)
        self._table(name)
        try:
            self._change("delete_table", DatabaseName=name[0], Name=name[-1])
        except Refused as error:
            raise (self._table_not_found(name) if error.code == _GONE else error.error) from None

    def _folder_of(self, database: Any) -> str | None:
        return database.get("LocationUri") or None

    def _is_iceberg(self, table: Any) -> bool:
        return is_iceberg(table)

    def _pointer(self, table: Any) -> str | None:
        return metadata_location(table)

    def _hive_table(self, table: Any) -> HiveTable:
        return hive_table(table)

    def _move(
        self, name: Identifier, table: Any, before: TableMetadata, after: TableMetadata, old: str, new: str
    ) -> None:
        """As `OneLevelCatalog` says: Glue compares the table's version, not its metadata file."""
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

    def _insert(self, name: Identifier, metadata: TableMetadata, file: str, remove: bool) -> None:
        self._put(name, iceberg_input({}, name[-1], metadata, file), file, remove)

    def _put(self, name: Identifier, made: Mapping[str, Any], file: str, remove: bool) -> None:
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

    def _find(self, name: Identifier) -> dict[str, Any] | None:
        try:
            return dict(self._glue.read("get_table", DatabaseName=name[0], Name=name[-1])["Table"])
        except Refused as error:
            if error.code == _GONE:
                return None
            raise error.error from error

    def _database(self, levels: Namespace) -> dict[str, Any]:
        """Glue's database, or the error for a missing one."""
        self._ready()
        self._one_level(levels)
        try:
            return dict(self._glue.read("get_database", Name=levels[0])["Database"])
        except Refused as error:
            raise (self._namespace_not_found(levels) if error.code == _GONE else error.error) from None
