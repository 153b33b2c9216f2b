"""The SQL catalog: two tables in SQLite or PostgreSQL, laid out as PyIceberg's SqlCatalog and Iceberg's JDBC catalog.

Either opens what the other wrote. Must not know: the database's driver (`database.py`). A commit is one
compare-and-swap of the location of the table's metadata file (`metadata_files.py`). Neighbours: `iceberg.creation`
makes the first metadata of a table, `iceberg.applying` the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headrace.catalog import local_files
from headrace.catalog.base import LoadedTable, StoreFactory
from headrace.catalog.database import Duplicate, MissingTable, Sqlite, Transaction, open_database
from headrace.catalog.identifiers import Identifier, Namespace, dotted, parse_identifier, parse_namespace
from headrace.catalog.metadata_files import MetadataFiles
from headrace.errors import (
    CatalogError,
    ConfigurationError,
    HeadraceError,
    MetaflowTableCommitStateUnknownException,
    MetaflowTableConflict,
    UnsupportedError,
)
from headrace.iceberg import TableMetadata

_NAME = "VARCHAR(255) NOT NULL"
_CREATE = (
    f"CREATE TABLE IF NOT EXISTS iceberg_tables (catalog_name {_NAME}, table_namespace {_NAME}, table_name {_NAME},"
    " metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), iceberg_type VARCHAR(5),"
    " PRIMARY KEY (catalog_name, table_namespace, table_name))",
    f"CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (catalog_name {_NAME}, namespace {_NAME},"
    f" property_key {_NAME}, property_value VARCHAR(1000) NOT NULL,"
    " PRIMARY KEY (catalog_name, namespace, property_key))",
)
_ONE_TABLE = " WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?"
_LONGEST_NAME, _LONGEST_VALUE = 255, 1000
_EXISTS = {"exists": "true"}
"""The row that keeps a namespace without properties, as PyIceberg writes it."""


class SqlCatalog(MetadataFiles):
    """A catalog in a database. Rows belong to the catalog's name: two names in one database do not see each other."""

    kind = "sql"

    def __init__(self, name: str, properties: Mapping[str, str], store: StoreFactory | None = None) -> None:
        super().__init__(name, properties, store)
        if not self.properties.get("uri"):
            raise ConfigurationError(
                f"catalog {name!r}: property 'uri' is missing", hint="such as sqlite:////path/file.db"
            )
        self._database = open_database(self.properties["uri"])

    def list_namespaces(self, parent: str | Sequence[str] | None = None) -> list[Namespace]:
        above = parse_namespace(parent) if parent else ()
        known = self._all_namespaces()
        if above and not any(each[: len(above)] == above for each in known):
            raise self._namespace_not_found(above)
        level = len(above) + 1
        return sorted({each[:level] for each in known if len(each) >= level and each[: level - 1] == above})

    def list_tables(self, namespace: str | Sequence[str]) -> list[Identifier]:
        levels = parse_namespace(namespace)
        self._require_namespace(levels)
        sql = "SELECT table_name FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ?"
        return sorted((*levels, str(each[0])) for each in self._read(sql, self.name, dotted(levels), tables_only=True))

    def create_namespace(self, namespace: str | Sequence[str], properties: Mapping[str, str] | None = None) -> None:
        levels = parse_namespace(namespace)
        if self._has_namespace(levels):
            raise self._namespace_exists(levels)
        sql = "INSERT INTO iceberg_namespace_properties VALUES (?, ?, ?, ?)"
        self._check_lengths(self.name, dotted(levels), *(properties or {}))
        self._prepare()
        try:
            with self._database.begin(write=True) as transaction:
                for key, value in (dict(properties or {}) or _EXISTS).items():
                    transaction.change(sql, self.name, dotted(levels), key, value)
        except Duplicate:
            raise self._namespace_exists(levels) from None

    def drop_namespace(self, namespace: str | Sequence[str]) -> None:
        levels = parse_namespace(namespace)
        held = [*self.list_tables(levels), *self.list_namespaces(levels)]
        if held:
            shown = ", ".join(dotted(each) for each in held[:5])
            message = f"namespace {dotted(levels)!r} is not empty: it holds {shown}" + (
                ", ..." if len(held) > 5 else ""
            )
            raise CatalogError(message, hint="drop what it holds first")
        with self._database.begin(write=True) as transaction:
            sql = "DELETE FROM iceberg_namespace_properties WHERE catalog_name = ? AND namespace = ?"
            transaction.change(sql, self.name, dotted(levels))

    def namespace_properties(self, namespace: str | Sequence[str]) -> dict[str, str]:
        levels = parse_namespace(namespace)
        self._require_namespace(levels)
        sql = (
            "SELECT property_key, property_value FROM iceberg_namespace_properties"
            " WHERE catalog_name = ? AND namespace = ?"
        )
        return {str(key): str(value) for key, value in self._read(sql, self.name, dotted(levels))}

    def load_table(self, identifier: str | Sequence[str]) -> LoadedTable:
        name = parse_identifier(identifier)
        location = self._location_of(name)
        if location is None:
            raise self._table_not_found(name)
        return self._open(name, location)

    def rename_table(self, source: str | Sequence[str], target: str | Sequence[str]) -> None:
        old, new = parse_identifier(source), parse_identifier(target)
        self._require_namespace(new[:-1])
        self._check_lengths(dotted(new[:-1]), new[-1])
        sql = "UPDATE iceberg_tables SET table_namespace = ?, table_name = ?" + _ONE_TABLE
        try:
            with self._database.begin(write=True) as transaction:
                where = self._only_tables(transaction)
                changed = transaction.change(
                    sql + where, dotted(new[:-1]), new[-1], self.name, dotted(old[:-1]), old[-1]
                )
        except Duplicate:
            raise self._table_exists(new) from None
        if not changed:
            raise self._table_not_found(old)

    def drop_table(self, identifier: str | Sequence[str], purge: bool = False) -> None:
        """Forget a table; see `Catalog.drop_table`.

        `purge` removes the table's folder. It is refused (UnsupportedError, nothing is dropped) unless the folder lies
        inside this catalog's local warehouse and no other table of the catalog lives in it.
        """
        name = parse_identifier(identifier)
        folder = self._purgeable(name) if purge else None
        sql = "DELETE FROM iceberg_tables" + _ONE_TABLE
        try:
            with self._database.begin(write=True) as transaction:
                where = self._only_tables(transaction)
                changed = transaction.change(sql + where, self.name, dotted(name[:-1]), name[-1])
        except MissingTable:
            changed = 0
        if not changed:
            raise self._table_not_found(name)
        if folder is not None:
            local_files.remove_tree(folder)

    def table_exists(self, identifier: str | Sequence[str]) -> bool:
        return self._location_of(parse_identifier(identifier)) is not None

    def commit_table(
        self,
        identifier: str | Sequence[str],
        requirements: Sequence[Mapping[str, Any]],
        updates: Sequence[Mapping[str, Any]],
    ) -> LoadedTable:
        name = parse_identifier(identifier)
        location = self._location_of(name)
        if location is None:
            raise self._table_not_found(name)
        before, after, file = self._next_metadata(name, location, requirements, updates)
        self._swap(name, location, file)
        return self._committed(name, before, after, file)

    def _swap(self, name: Identifier, old: str, new: str) -> None:
        """Let the table's metadata be `new` if it still is `old`; the database decides between two who try."""
        sql = "UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ?" + _ONE_TABLE
        sql += " AND metadata_location = ?"
        changed = 0
        try:
            with self._database.begin(write=True) as transaction:
                where = self._only_tables(transaction)
                values = (new, old, self.name, dotted(name[:-1]), name[-1], old)
                changed = transaction.change(sql + where, *values)
        except HeadraceError as error:
            if changed:  # it was sent, and the answer to its COMMIT was lost
                message = f"whether the commit took effect is not known: {error.reason}"
                hint = "load the table and look for the change before trying again"
                raise MetaflowTableCommitStateUnknownException(message, table=dotted(name), hint=hint) from error
            self._remove_metadata(new)
            raise
        if not changed:
            self._remove_metadata(new)
            raise MetaflowTableConflict("another commit came first", table=dotted(name))

    def _read(self, sql: str, *values: Any, tables_only: bool = False) -> list[tuple[Any, ...]]:
        """Rows of a query; none where the catalog's tables have not been made yet."""
        self._ready()
        try:
            with self._database.begin(write=False) as transaction:
                where = self._only_tables(transaction) if tables_only else ""
                return transaction.rows(sql + where, *values)
        except MissingTable:
            return []

    def _only_tables(self, transaction: Transaction) -> str:
        """The condition that leaves views out, where the layout has a column for it (JDBC catalog's V1)."""
        has_type = "iceberg_type" in transaction.columns("SELECT * FROM iceberg_tables LIMIT 0")
        return " AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)" if has_type else ""

    def _prepare(self) -> None:
        """Make the catalog's tables where they are not there."""
        self._ready()
        if isinstance(self._database, Sqlite) and self._is_embedded():
            self._database.path.parent.mkdir(parents=True, exist_ok=True)
        for sql in _CREATE:
            try:
                with self._database.begin(write=True) as transaction:
                    transaction.change(sql)
            except Duplicate:  # PostgreSQL: another process made it at the same moment
                continue

    def _is_embedded(self) -> bool:
        from headrace.config import embedded_properties

        return self.properties["uri"] == embedded_properties()["uri"]

    def _home(self, name: Identifier) -> None:
        self._require_namespace(name[:-1])
        self._check_lengths(self.name, dotted(name[:-1]), name[-1])

    def _insert(self, name: Identifier, metadata: TableMetadata, file: str, remove: bool) -> None:
        columns = ["catalog_name", "table_namespace", "table_name", "metadata_location"]
        values = [self.name, dotted(name[:-1]), name[-1], file]
        if len(file) > _LONGEST_VALUE:
            raise CatalogError(f"location is longer than {_LONGEST_VALUE} characters", location=file)
        self._prepare()
        try:
            with self._database.begin(write=True) as transaction:
                if self._only_tables(transaction):
                    columns, values = [*columns, "iceberg_type"], [*values, "TABLE"]
                marks = ", ".join("?" * len(columns))
                transaction.change(f"INSERT INTO iceberg_tables ({', '.join(columns)}) VALUES ({marks})", *values)
        except Duplicate:
            if remove:
                self._remove_metadata(file)  # nobody has heard of it
            raise self._table_exists(name) from None

    def _location_of(self, name: Identifier) -> str | None:
        sql = "SELECT metadata_location FROM iceberg_tables" + _ONE_TABLE
        rows = self._read(sql, self.name, dotted(name[:-1]), name[-1], tables_only=True)
        return str(rows[0][0]) if rows and rows[0][0] else None

    def _folder(self, name: Identifier, home: None) -> str:
        """The namespace's `location`, else `<warehouse>/<namespace>.db`, and the table's name in it."""
        if folder := self.namespace_properties(name[:-1]).get("location"):
            return f"{folder.rstrip('/')}/{name[-1]}"
        if warehouse := self.properties.get("warehouse"):
            return f"{warehouse.rstrip('/')}/{dotted(name[:-1])}.db/{name[-1]}"
        message = f"catalog {self.name!r} has no warehouse folder, and the table was given no location"
        raise ConfigurationError(message, hint="set property warehouse, or pass location=")

    def _purgeable(self, name: Identifier) -> Path:
        """The folder that a purge may remove."""
        location = self.load_table(name).metadata.location
        folder, warehouse = (
            local_files.local_path(location),
            local_files.local_path(self.properties.get("warehouse", "")),
        )
        others = self._read("SELECT metadata_location FROM iceberg_tables WHERE metadata_location IS NOT NULL")
        inside = [path for each in others if (path := local_files.local_path(str(each[0]))) is not None]
        if folder is None or warehouse is None or warehouse.resolve() not in folder.resolve().parents:
            message = "purge: the table's folder is not inside this catalog's local warehouse"
            raise UnsupportedError(
                message, location=location, hint="drop it without purge and remove its files yourself"
            )
        if sum(folder.resolve() in path.resolve().parents for path in inside) > 1:
            hint = "drop it without purge and remove its files yourself"
            raise UnsupportedError("purge: another table lives in this table's folder", location=location, hint=hint)
        return folder

    def _all_namespaces(self) -> set[Namespace]:
        rows = [
            *self._read("SELECT DISTINCT table_namespace FROM iceberg_tables WHERE catalog_name = ?", self.name),
            *self._read(
                "SELECT DISTINCT namespace FROM iceberg_namespace_properties WHERE catalog_name = ?", self.name
            ),
        ]
        return {tuple(str(each[0]).split(".")) for each in rows}

    def _has_namespace(self, levels: Namespace) -> bool:
        return any(each[: len(levels)] == levels for each in self._all_namespaces())

    def _require_namespace(self, levels: Namespace) -> None:
        if not self._has_namespace(levels):
            raise self._namespace_not_found(levels)

    def _check_lengths(self, *names: str) -> None:
        for each in names:
            if len(each) > _LONGEST_NAME:
                raise CatalogError(f"name is longer than {_LONGEST_NAME} characters: {each[:60]!r}...")
