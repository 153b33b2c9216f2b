"""The two databases of the SQL catalog behind one small face: SQLite (standard library) and PostgreSQL (psycopg).

Must not know: tables of Iceberg, namespaces. A connection lives for one transaction: nothing to share between threads
or to inherit by a fork. SQL is written with `?` marks. Neighbour: `sql.py`.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from headrace import config
from headrace.errors import AuthenticationError, CatalogError, ConfigurationError, UnreachableError

BUSY_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 10


class Duplicate(Exception):
    """A row with this key is there already."""


class MissingTable(Exception):
    """The catalog's own tables have not been made yet."""


class Transaction:
    """Statements of one transaction."""

    def __init__(self, cursor: Any, mark: str) -> None:
        self._cursor = cursor
        self._mark = mark

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a query; its rows."""
        self._cursor.execute(sql.replace("?", self._mark), values)
        return list(self._cursor.fetchall())

    def columns(self, sql: str) -> list[str]:
        """Run a query; the names of its columns."""
        self._cursor.execute(sql)
        return [each[0] for each in self._cursor.description]

    def change(self, sql: str, *values: Any) -> int:
        """Run a statement; how many rows it changed."""
        self._cursor.execute(sql.replace("?", self._mark), values)
        return int(self._cursor.rowcount)


class Database(ABC):
    """Where the catalog's tables are."""

    @abstractmethod
    def begin(self, write: bool) -> AbstractContextManager[Transaction]:
        """A context manager over one Transaction: committed at its end, undone by an exception.

        It raises Duplicate and MissingTable, and headrace's own errors for everything else that goes wrong.
        """


class Sqlite(Database):
    """A file. Reading never creates it; several processes may write: each waits for the others."""

    def __init__(self, uri: str) -> None:
        text = uri.partition("://")[2].partition("?")[0].removeprefix("/")
        if not text or ":memory:" in uri or "mode=memory" in uri:
            hint = "give a file: sqlite:////absolute/path/catalog.db"
            raise ConfigurationError("an SQLite catalog in memory ends with its connection", hint=hint)
        self.path = Path(text).expanduser().absolute()

    @contextmanager
    def begin(self, write: bool) -> Iterator[Transaction]:
        if not write and not self.path.exists():
            raise MissingTable
        connection = self._connect()
        cursor = connection.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield Transaction(cursor, "?")
            cursor.execute("COMMIT")
        except sqlite3.IntegrityError as error:
            raise Duplicate from error
        except sqlite3.Error as error:
            raise self._explain(error) from error
        finally:
            # Closing alone would leave the lock to a statement that a traceback keeps alive (sqlite3_close_v2).
            cursor.close()
            if connection.in_transaction:
                connection.rollback()
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        try:
            return sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        except sqlite3.Error as error:
            hint = None if self.path.parent.is_dir() else f"the folder {self.path.parent} does not exist"
            raise ConfigurationError(f"SQLite: {error}", location=str(self.path), hint=hint) from error

    def _explain(self, error: sqlite3.Error) -> Exception:
        text = str(error)
        if text.startswith("no such table"):
            return MissingTable()
        if "locked" in text:
            hint = "another process holds the catalog's file: try again"
            return CatalogError(f"SQLite: no turn within {BUSY_TIMEOUT_S:.0f} s", location=str(self.path), hint=hint)
        return CatalogError(f"SQLite: {text}", location=str(self.path))


class Postgres(Database):
    """A PostgreSQL database, through psycopg (version 3)."""

    def __init__(self, uri: str) -> None:
        self._uri = "postgresql://" + uri.partition("://")[2]
        self._shown = config.redact_uri(self._uri)

    @contextmanager
    def begin(self, write: bool) -> Iterator[Transaction]:
        try:
            import psycopg  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            hint = "pip install 'headrace[postgres]'"
            raise ConfigurationError("a PostgreSQL catalog needs psycopg, which is not installed", hint=hint) from None
        try:
            with psycopg.connect(self._uri, connect_timeout=CONNECT_TIMEOUT_S) as connection:
                yield Transaction(connection.cursor(), "%s")
        except psycopg.errors.UniqueViolation as error:
            raise Duplicate from error
        except psycopg.errors.UndefinedTable as error:
            raise MissingTable from error
        except psycopg.Error as error:
            raise self._explain(error, isinstance(error, psycopg.OperationalError)) from None

    def _explain(self, error: Exception, operational: bool) -> Exception:
        text = self._without_password(" ".join(str(error).split()))
        state = str(getattr(error, "sqlstate", None) or "")
        if state.startswith("28") or "authentication failed" in text or "no password supplied" in text:
            return AuthenticationError(f"PostgreSQL: {text}", location=self._shown)
        if operational and not state:
            return UnreachableError(f"PostgreSQL: {text}", location=self._shown)
        return CatalogError(f"PostgreSQL: {text}", location=self._shown)

    def _without_password(self, text: str) -> str:
        password = urlsplit(self._uri).password
        return text.replace(password, "***") if password else text


def open_database(uri: str) -> Database:
    """The database of a URI: `sqlite:///path`, `postgresql://...`; a SQLAlchemy driver suffix is accepted."""
    scheme = uri.partition("://")[0].partition("+")[0].lower()
    if scheme == "sqlite":
        return Sqlite(uri)
    if scheme in ("postgresql", "postgres"):
        return Postgres(uri)
    message = f"property 'uri': expected sqlite:///path or postgresql://..., found {config.redact_uri(uri)!r}"
    raise ConfigurationError(message)
