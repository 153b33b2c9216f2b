"""The metastore's calls, each with what may be done when its answer does not come.

A call that only reads is repeated on another connection, and at another metastore, until one answers. A call that
changes something is sent once: `Lost` (from `connection.py`) says that its outcome is not known. Must not know:
Iceberg, catalogs' errors. Neighbours: `connection.py` below, `headrace.catalog.hive` and `headrace.hive` above.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from types import ModuleType
from typing import Any

from headrace.errors import CatalogError, UnreachableError
from headrace.metastore.connection import Connections, Lost, interface

PARTITIONS_A_CALL = 1000
"""Partitions fetched by one call; metastores refuse more than their `hive.metastore.limit.partition.request` allows,
and answers are held whole on both sides (about 1 KB a partition)."""

CONCURRENT_CALLS, FEWEST_A_CALL = 4, 200
"""Calls at once, and the fewest partitions of one where there are several: a metastore has a thread for each."""

_UNKNOWN_METHOD = 1
_ALL = -1


class Metastore:
    """A Hive Metastore: one method a Thrift call, named as the call is.

    Methods raise the interface's exceptions (`metastore.types.NoSuchObjectException`, ...), CatalogError for an answer
    that is no answer to the call, UnreachableError, and, where they change something, Lost.
    """

    def __init__(self, properties: Mapping[str, str]) -> None:
        self._connections = Connections(properties)
        self._missing: set[str] = set()

    @property
    def types(self) -> ModuleType:
        """Structs, enumerations and exceptions of the interface."""
        return interface()

    @cached_property
    def is_hive3(self) -> bool:
        """Whether it is of version 3 or later, by a call that came with it: `getVersion` of 2.3 says 3.0."""
        try:
            self._read("get_catalogs")
        except Unserved:
            return False
        return True

    def get_all_databases(self) -> list[str]:
        return list(self._read("get_all_databases"))

    def get_database(self, name: str) -> Any:
        return self._read("get_database", name)

    def create_database(self, database: Any) -> None:
        self._change("create_database", database)

    def drop_database(self, name: str) -> None:
        """Drop an empty database, and leave its folder."""
        self._change("drop_database", name, False, False)

    def get_tables(self, database: str) -> list[str]:
        """Names of the tables, without views."""
        names = self._read("get_all_tables", database)
        try:
            views = {
                each
                for kind in ("VIRTUAL_VIEW", "MATERIALIZED_VIEW")
                for each in self._read("get_tables_by_type", database, "*", kind)
            }
        except Unserved:
            views = set()
        return [each for each in names if each not in views]

    def get_table(self, database: str, name: str) -> Any:
        """A table: by `get_table_req`, the only way of metastore 4; by `get_table` where that is not served (before
        2.3)."""
        types = self.types
        try:
            request = types.GetTableRequest(dbName=database, tblName=name)
            return self._read("get_table_req", request).table
        except Unserved:
            return self._read("get_table", database, name)

    def has_table(self, database: str, name: str) -> bool:
        """Whether a table is there."""
        try:
            self.get_table(database, name)
        except self.types.NoSuchObjectException:
            return False
        return True

    def create_table(self, table: Any) -> None:
        self._change("create_table", table)

    def drop_table(self, database: str, name: str) -> None:
        """Drop a table, and leave its files."""
        self._change("drop_table", database, name, False)

    def alter_table(self, database: str, name: str, table: Any, context: Mapping[str, str]) -> None:
        """Replace a table's description. `context`: the environment context of the call."""
        made = self.types.EnvironmentContext(properties=dict(context))
        self._change("alter_table_with_environment_context", database, name, table, made)

    def get_partition_names(self, database: str, name: str) -> list[str]:
        """Names of all partitions: "ds=2026-01-01/h=3", percent-escaped."""
        return list(self._read("get_partition_names", database, name, _ALL))

    def get_partition_names_ps(self, database: str, name: str, values: Sequence[str]) -> list[str]:
        """Names of the partitions with these first values; "" stands for any."""
        return list(self._read("get_partition_names_ps", database, name, list(values), _ALL))

    def get_partitions_by_names(self, database: str, name: str, names: Sequence[str]) -> list[Any]:
        """Partitions of these names, fetched in batches; those that are gone are left out."""
        found: list[Any] = []
        for at in range(0, len(names), PARTITIONS_A_CALL):
            batch = list(names[at : at + PARTITIONS_A_CALL])
            found += self._read("get_partitions_by_names", database, name, batch)
        return found

    def partition_places(self, database: str, name: str, names: Sequence[str]) -> Iterator[Any]:
        """As `get_partitions_by_names`, over several connections, but only `values` and `sd.location` of each."""
        size = min(PARTITIONS_A_CALL, max(FEWEST_A_CALL, -(-len(names) // CONCURRENT_CALLS)))
        batches = [list(names[at : at + size]) for at in range(0, len(names), size)]

        def fetch(batch: list[str]) -> list[Any]:
            return list(self._read("get_partitions_by_names", database, name, batch, service="Places"))

        if len(batches) == 1:
            yield from fetch(batches[0])
            return
        with ThreadPoolExecutor(CONCURRENT_CALLS, "headrace-hive") as threads:
            answers = [threads.submit(fetch, each) for each in batches]
            try:
                while answers:
                    yield from answers.pop(0).result()
            finally:
                for each in answers:  # after a failure, or Ctrl-C
                    each.cancel()

    def add_partitions(self, partitions: Sequence[Any]) -> None:
        """Add partitions, all or none."""
        self._change("add_partitions", list(partitions))

    def alter_partitions(self, database: str, name: str, partitions: Sequence[Any]) -> None:
        """Replace the descriptions of partitions, all or none."""
        self._change("alter_partitions", database, name, list(partitions))

    def lock(self, request: Any, timeout_s: float | None = None) -> Any:
        """Ask for a lock. `timeout_s`, here and below: seconds to wait for the answer, if less than for others."""
        return self._change("lock", request, timeout_s=timeout_s)

    def check_lock(self, lock_id: int, timeout_s: float | None = None) -> Any:
        """A lock's state; keeps it alive, too."""
        return self._read("check_lock", self.types.CheckLockRequest(lockid=lock_id), timeout_s=timeout_s)

    def unlock(self, lock_id: int, timeout_s: float | None = None) -> None:
        self._read("unlock", self.types.UnlockRequest(lockid=lock_id), timeout_s=timeout_s)

    def heartbeat(self, lock_id: int, timeout_s: float | None = None) -> None:
        self._read("heartbeat", self.types.HeartbeatRequest(lockid=lock_id), timeout_s=timeout_s)

    def show_locks(self, database: str, name: str, timeout_s: float | None = None) -> list[Any]:
        """Locks of a table, held and waited for."""
        request = self.types.ShowLocksRequest(dbname=database, tablename=name)
        return list(self._read("show_locks", request, timeout_s=timeout_s).locks or [])

    def _read(self, method: str, *arguments: Any, **options: Any) -> Any:
        """A call that may be repeated; `options` are those of `Connection.call`."""
        last: Lost | None = None
        for _ in range(1 + len(self._connections.addresses)):
            try:
                return self._change(method, *arguments, **options)
            except Lost as error:
                last = error
                if error.timed_out:
                    break  # it works on it still: the same again would make it slower
        hint = (
            "the metastore accepts connections and breaks them: it may want TLS (hive.metastore.use.SSL), Kerberos (not"
            " supported), or another hive.thrift.transport"
        )
        if last is not None and last.timed_out:
            hint = "the metastore accepts connections and does not answer in time: see hive.thrift.timeout-ms"
        raise UnreachableError(f"Hive Metastore: {last}", hint=hint)

    def _change(self, method: str, *arguments: Any, **options: Any) -> Any:
        """A call that is sent once."""
        from thriftpy2.thrift import TApplicationException, TException

        if method in self._missing:
            raise Unserved(method)
        connection = self._connections.take()
        try:
            answer = connection.call(method, *arguments, **options)
        except Lost:
            self._connections.failed(connection)
            raise
        except TApplicationException as error:
            self._connections.give_back(connection)
            if error.type == _UNKNOWN_METHOD:
                self._missing.add(method)
                raise Unserved(method) from None
            raise CatalogError(f"Hive Metastore: {method}: {error.message}") from error
        except TException:
            self._connections.give_back(connection)
            raise
        except BaseException:  # Ctrl-C: the answer is still to come, on this connection
            connection.close()
            raise
        self._connections.give_back(connection)
        return answer


class Unserved(CatalogError):
    """The metastore does not know a call."""

    def __init__(self, method: str) -> None:
        super().__init__(f"Hive Metastore: it does not serve {method}", hint="Hive Metastore 2.3, 3 or 4 does")
