"""The Iceberg REST catalog.

Must not know: how requests are authorised, retried and translated (`http.py`), nor what is done with a table. Vended
credentials are asked for, handed on with the table, and renewed when the engine says they are about to expire.
Iceberg REST specification: https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from headrace import config, credentials
from headrace.catalog.base import Catalog, LoadedTable, Refresh, StorageCredentials, StoreFactory, longest_prefix
from headrace.catalog.http import Client, Transport, engine_transport, is_missing
from headrace.catalog.identifiers import Identifier, Namespace, dotted, parse_identifier, parse_namespace
from headrace.errors import (
    AuthenticationError,
    CatalogError,
    ConfigurationError,
    HeadraceError,
    MetaflowTableCommitStateUnknownException,
    MetaflowTableConflict,
    MetaflowTableExists,
    MetaflowTableInvalidData,
    MetaflowTableNotFound,
    NamespaceNotFound,
    UnsupportedError,
)
from headrace.iceberg import PartitionSpec, Schema, SortOrder, parse_metadata

SEPARATOR = "\x1f"
DELEGATION = {"x-iceberg-access-delegation": "vended-credentials"}
_CREDENTIALS_ENDPOINT = "/v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials"
_TABLE_ENDPOINT = "/v1/{prefix}/namespaces/{namespace}/tables/{table}"


class RestCatalog(Catalog):
    """A catalog behind an Iceberg REST server.

    Asks `/v1/config` at the first operation: the server's defaults lie under, its overrides over the properties given.
    """

    kind = "rest"

    def __init__(
        self,
        name: str,
        properties: Mapping[str, str],
        store: StoreFactory | None = None,
        transport: Transport | None = None,
    ) -> None:
        super().__init__(name, properties, store)
        self._transport: Transport = transport or engine_transport
        self._connected: _Connection | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()
        Client(name, self.properties, self._transport)  # a bad uri is told now, not at the first operation

    def list_namespaces(self, parent: str | Sequence[str] | None = None) -> list[Namespace]:
        connection = self._connection()
        above = parse_namespace(parent) if parent else ()
        query = {"parent": connection.join(above)} if above else {}
        try:
            pages = list(self._pages(("namespaces",), query, "namespaces"))
        except NamespaceNotFound:
            raise self._namespace_not_found(above) from None
        found = {tuple(map(str, each)) for each in pages if isinstance(each, list)}
        return sorted(each for each in found if len(each) == len(above) + 1)

    def list_tables(self, namespace: str | Sequence[str]) -> list[Identifier]:
        levels = parse_namespace(namespace)
        path = ("namespaces", self._connection().join(levels), "tables")
        try:
            pages = list(self._pages(path, {}, "identifiers"))
        except HeadraceError as error:
            raise self._explain(error, levels) from None
        if not pages:
            self._require_namespace(levels)
        return sorted((*map(str, each["namespace"]), str(each["name"])) for each in pages if _is_identifier(each))

    def create_namespace(self, namespace: str | Sequence[str], properties: Mapping[str, str] | None = None) -> None:
        levels = parse_namespace(namespace)
        body = {"namespace": list(levels), "properties": dict(properties or {})}
        self._connection().client.call("POST", ("namespaces",), body=body)

    def drop_namespace(self, namespace: str | Sequence[str]) -> None:
        levels = parse_namespace(namespace)
        connection = self._connection()
        try:
            connection.client.call("DELETE", ("namespaces", connection.join(levels)))
        except HeadraceError as error:
            raise self._explain(error, levels) from None

    def namespace_properties(self, namespace: str | Sequence[str]) -> dict[str, str]:
        levels = parse_namespace(namespace)
        connection = self._connection()
        try:
            _, answer = connection.client.call("GET", ("namespaces", connection.join(levels)))
        except HeadraceError as error:
            raise self._explain(error, levels) from None
        return _text_members(answer, "properties")

    def load_table(self, identifier: str | Sequence[str]) -> LoadedTable:
        name = parse_identifier(identifier)
        return self._loaded(name, self._table_call("GET", name, headers=DELEGATION))

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
        connection = self._connection()
        # Some servers answer 200 with the old table where one exists, so its absence is asked for first.
        if self.table_exists(name):
            raise MetaflowTableExists(f"catalog {self.name!r} has a table {dotted(name)!r} already", table=dotted(name))
        body: dict[str, Any] = {
            "name": name[-1],
            "schema": schema.to_json(),
            "partition-spec": (partition_spec or PartitionSpec()).to_json(),
            "write-order": (sort_order or SortOrder()).to_json(),
            "stage-create": False,
            "properties": dict(properties or {}),
        }
        if location:
            body["location"] = location.rstrip("/")
        path = ("namespaces", connection.join(name[:-1]), "tables")
        try:
            _, answer = connection.client.call("POST", path, body=body, headers=DELEGATION)
        except HeadraceError as error:
            raise self._explain(error, name[:-1]) from None
        return self._loaded(name, answer)

    def register_table(self, identifier: str | Sequence[str], metadata_location: str) -> LoadedTable:
        name = parse_identifier(identifier)
        connection = self._connection()
        body = {"name": name[-1], "metadata-location": metadata_location, "overwrite": False}
        path = ("namespaces", connection.join(name[:-1]), "register")
        if self.table_exists(name):
            raise MetaflowTableExists(f"catalog {self.name!r} has a table {dotted(name)!r} already", table=dotted(name))
        try:
            _, answer = connection.client.call("POST", path, body=body, headers=DELEGATION)
        except HeadraceError as error:
            raise self._explain(error, name[:-1]) from None
        return self._loaded(name, answer)

    def rename_table(self, source: str | Sequence[str], target: str | Sequence[str]) -> None:
        old, new = parse_identifier(source), parse_identifier(target)
        body = {
            "source": {"namespace": list(old[:-1]), "name": old[-1]},
            "destination": {"namespace": list(new[:-1]), "name": new[-1]},
        }
        try:
            self._connection().client.call("POST", ("tables", "rename"), body=body)
        except MetaflowTableNotFound:
            raise self._table_not_found(old) from None
        except NamespaceNotFound:
            raise self._namespace_not_found(new[:-1]) from None

    def drop_table(self, identifier: str | Sequence[str], purge: bool = False) -> None:
        query = {"purgeRequested": "true" if purge else "false"}
        self._table_call("DELETE", parse_identifier(identifier), query=query)

    def table_exists(self, identifier: str | Sequence[str]) -> bool:
        name = parse_identifier(identifier)
        connection = self._connection()
        path = connection.table_path(name)
        if connection.offers("HEAD", _TABLE_ENDPOINT, unless_listed=True):
            status, _ = connection.client.call("HEAD", path, accept=(400, 404, 405, 501))
            if status in (200, 204, 404):
                return status != 404
        status, _ = connection.client.call("GET", path, accept=(404,))
        return status != 404

    def commit_table(
        self,
        identifier: str | Sequence[str],
        requirements: Sequence[Mapping[str, Any]],
        updates: Sequence[Mapping[str, Any]],
    ) -> LoadedTable:
        name = parse_identifier(identifier)
        body = {
            "identifier": {"namespace": list(name[:-1]), "name": name[-1]},
            "requirements": [dict(each) for each in requirements],
            "updates": [dict(each) for each in updates],
        }
        try:
            answer = self._table_call("POST", name, body=body)
            return self._loaded(name, answer)
        except HeadraceError as error:
            status = getattr(error, "status", 0)
            if status == 409:
                message = f"another commit came first: {error.reason}"
                raise MetaflowTableConflict(message, table=dotted(name)) from error
            if not _is_refusal(error, status):
                message = f"whether the commit took effect is not known: {error.reason}"
                hint = "load the table and look for the change before trying again"
                raise MetaflowTableCommitStateUnknownException(message, table=dotted(name), hint=hint) from error
            raise

    def _connection(self) -> _Connection:
        self._ready()
        if self._pid != os.getpid():  # after a fork the lock may be held by a thread that is not here
            self._lock, self._pid = threading.Lock(), os.getpid()
        with self._lock:
            if self._connected is None:
                self._connected = _Connection.open(self.name, self.properties, self._transport)
            return self._connected

    def _table_call(self, method: str, name: Identifier, **request: Any) -> Any:
        connection = self._connection()
        try:
            return connection.client.call(method, connection.table_path(name), **request)[1]
        except MetaflowTableNotFound:
            raise self._table_not_found(name) from None
        except NamespaceNotFound:
            raise self._namespace_not_found(name[:-1]) from None

    def _require_namespace(self, levels: Namespace) -> None:
        """Raise NamespaceNotFound if that is why a list is empty: some servers list nothing for what is not there."""
        try:
            self.namespace_properties(levels)
        except NamespaceNotFound:
            raise
        except HeadraceError:
            return

    def _explain(self, error: HeadraceError, namespace: Namespace) -> HeadraceError:
        return self._namespace_not_found(namespace) if isinstance(error, NamespaceNotFound) else error

    def _pages(self, path: Sequence[str], query: Mapping[str, str], key: str) -> Iterator[Any]:
        """Members of a list that the server may cut into pages."""
        connection = self._connection()
        asked = dict(query)
        if "rest-page-size" in connection.properties:
            size = config.as_int(connection.properties, "rest-page-size", 0)
            asked |= {"pageSize": str(max(size, 1)), "pageToken": ""}
        seen: set[str] = set()
        while True:
            _, answer = connection.client.call("GET", path, query=asked)
            page = answer.get(key) if isinstance(answer, dict) else None
            if not isinstance(page, list):
                raise CatalogError(f"catalog {self.name!r}: the answer has no list {key!r}")
            yield from page
            token = answer.get("next-page-token")
            if not token:
                return
            if not isinstance(token, str) or token in seen:
                raise CatalogError(f"catalog {self.name!r}: the server's pages of {key!r} do not end")
            seen.add(token)
            asked["pageToken"] = token

    def _loaded(self, name: Identifier, answer: Any) -> LoadedTable:
        """A table from the answer of load, create, register or commit."""
        if not isinstance(answer, dict) or not isinstance(answer.get("metadata"), dict):
            message = f"catalog {self.name!r}: the answer holds no table metadata"
            raise MetaflowTableInvalidData(message, table=dotted(name))
        file = answer.get("metadata-location")
        metadata = parse_metadata(answer["metadata"], str(file) if file else None)
        table_config = _text_members(answer, "config")
        vended = _storage_credentials(answer)
        properties, refresh = self._storage_of(table_config, vended, metadata.location)
        if vended or "s3.session-token" in table_config:
            refresh = lambda: self._fresh_storage(name, metadata.location, table_config)  # noqa: E731
        return LoadedTable(name, metadata, str(file) if file else None, properties, vended, refresh)

    def _storage_of(
        self, table_config: Mapping[str, str], vended: StorageCredentials, location: str
    ) -> tuple[dict[str, str], Refresh | None]:
        """Storage properties: the catalog's, under the table's config, under the best vended credential."""
        given = {**table_config, **longest_prefix(vended, location)}
        base = dict(self._connection().properties)
        if "s3.access-key-id" in given:  # a session token belongs to its own key only
            base = {key: value for key, value in base.items() if not key.startswith("s3.session-token")}
        merged = base | given
        if not credentials.is_s3(location):
            return credentials.only_storage(merged), None
        return credentials.storage_properties(merged)

    def _fresh_storage(self, name: Identifier, location: str, table_config: Mapping[str, str]) -> dict[str, str]:
        """Storage properties with new credentials: from the credentials endpoint, else by loading the table again."""
        connection = self._connection()
        if connection.offers("GET", _CREDENTIALS_ENDPOINT):
            try:
                _, answer = connection.client.call(
                    "GET", (*connection.table_path(name), "credentials"), headers=DELEGATION
                )
                if vended := _storage_credentials(answer):
                    return self._storage_of(table_config, vended, location)[0]
            except HeadraceError as error:
                if not is_missing(error):
                    raise
        return dict(self.load_table(name).properties)


class _Connection:
    """What `/v1/config` said: merged properties, endpoints, and the client that speaks with the server."""

    def __init__(self, client: Client, properties: Mapping[str, str], endpoints: frozenset[str]) -> None:
        self.client = client
        self.properties = properties
        self._endpoints = endpoints
        given = properties.get("namespace-separator") or properties.get("rest-namespace-separator") or SEPARATOR
        self._separator = unquote(given)

    @staticmethod
    def open(name: str, properties: Mapping[str, str], transport: Transport) -> _Connection:
        """Ask the server for its configuration."""
        first = Client(name, properties, transport)
        query = {"warehouse": properties["warehouse"]} if properties.get("warehouse") else None
        _, answer = first.call("GET", ("config",), query=query, prefixed=False)
        if not isinstance(answer, dict):
            raise CatalogError(f"catalog {name!r}: the answer of /v1/config is no object", location=first.uri)
        merged = {**_text_members(answer, "defaults"), **properties, **_text_members(answer, "overrides")}
        listed = answer.get("endpoints")
        endpoints = frozenset(map(str, listed)) if isinstance(listed, list) else frozenset()
        client = Client(name, merged, transport)
        if all(
            merged.get(key) == properties.get(key)
            for key in ("uri", "oauth2-server-uri", "credential", "token", "scope")
        ):
            client.adopt(first.token)
        return _Connection(client, merged, endpoints)

    def join(self, namespace: Namespace) -> str:
        """A namespace as one segment of a path or a query value."""
        return self._separator.join(namespace)

    def table_path(self, identifier: Identifier) -> tuple[str, ...]:
        """Path segments of a table."""
        return ("namespaces", self.join(identifier[:-1]), "tables", identifier[-1])

    def offers(self, method: str, endpoint: str, unless_listed: bool = False) -> bool:
        """Whether the server advertises an endpoint; `unless_listed`: also where it advertises none at all."""
        return f"{method} {endpoint}" in self._endpoints or (unless_listed and not self._endpoints)


def _is_refusal(error: HeadraceError, status: int) -> bool:
    """Whether a failed commit certainly changed nothing: the server said so, or was never asked.

    All else is unknown: 5xx of the server or of a proxy, no answer, an answer that cannot be read.
    """
    if 400 <= status < 500:
        return True
    known = (AuthenticationError, ConfigurationError, MetaflowTableNotFound, NamespaceNotFound, UnsupportedError)
    return not status and isinstance(error, known)


def _text_members(answer: Any, key: str) -> dict[str, str]:
    """An object of strings in an answer; members of other types become text, nulls are left out."""
    found = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(found, dict):
        return {}
    return {str(name): config.as_text(str(name), value) for name, value in found.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _is_identifier(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("namespace"), list) and "name" in value


def _storage_credentials(answer: Any) -> StorageCredentials:
    """`storage-credentials` of an answer: (prefix, properties) each."""
    found = answer.get("storage-credentials") if isinstance(answer, dict) else None
    listed = found if isinstance(found, list) else []
    named = [(each.get("prefix"), _text_members(each, "config")) for each in listed if isinstance(each, dict)]
    return tuple((prefix, properties) for prefix, properties in named if isinstance(prefix, str) and properties)
