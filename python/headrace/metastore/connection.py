"""Thrift connections to one of several metastores: opened on use, kept, given to one caller at a time, replaced.

Must not know: what the calls mean. thriftpy2 is imported on use. A connection belongs to the process that opened it: a
fork opens its own. Neighbour: `client.py` says which calls may be repeated.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from headrace.errors import ConfigurationError, UnreachableError, UnsupportedError

DEFAULT_PORT = 9083
DEFAULT_TIMEOUT_S = 600.0
"""Of one answer: Hive's own default (hive.metastore.client.socket.timeout); a large alter_partitions takes minutes."""
CONNECT_TIMEOUT_S = 10.0
MOST_KEPT = 8
SERVICE = "ThriftHiveMetastore"

_INTERFACE = Path(__file__).with_name("hive_metastore.thrift")
_loading = threading.Lock()
_loaded: list[ModuleType] = []


class Lost(Exception):
    """A connection broke during a call: whether the call took effect is not known.

    `timed_out`: the metastore did not answer in time, and may still be at work on it.
    """

    def __init__(self, message: str, timed_out: bool) -> None:
        super().__init__(message)
        self.timed_out = timed_out


@dataclass(frozen=True)
class Address:
    """A metastore's host and port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"thrift://{self.host}:{self.port}"


def interface() -> ModuleType:
    """The metastore's calls and structs as Python classes, made from the .thrift file once a process."""
    with _loading:
        if not _loaded:
            try:
                import thriftpy2
            except ImportError:
                hint = "pip install 'headrace[hive]'"
                message = "a Hive Metastore needs thriftpy2, which is not installed"
                raise ConfigurationError(message, hint=hint) from None
            _loaded.append(thriftpy2.load(str(_INTERFACE), module_name="headrace_hive_metastore_thrift"))
        return _loaded[0]


def parse_addresses(uri: str) -> list[Address]:
    """The metastores of a property `uri`: "thrift://one:9083,thrift://two:9083".

    Raises
    ------
    ConfigurationError
        Nothing, or something else, is there.
    """
    found = []
    for each in filter(None, (part.strip() for part in uri.split(","))):
        parts = urlsplit(each)
        try:
            port = DEFAULT_PORT if parts.port is None else parts.port
        except ValueError:
            port = 0
        if parts.scheme.lower() != "thrift" or not parts.hostname or not port:
            message = f"property 'uri': expected thrift://host:port (several by commas), found {each[:120]!r}"
            raise ConfigurationError(message)
        found.append(Address(parts.hostname, port))
    if not found:
        raise ConfigurationError("property 'uri' is missing", hint=f"such as thrift://host:{DEFAULT_PORT}")
    return found


class Connection:
    """One open connection."""

    def __init__(self, address: Address, framed: bool, timeout_s: float, tls: ssl.SSLContext | None = None) -> None:
        module = interface()
        from thriftpy2.protocol import TBinaryProtocolFactory
        from thriftpy2.thrift import TClient
        from thriftpy2.transport import TBufferedTransportFactory, TFramedTransportFactory, TSocket

        self.address = address
        self._socket = _opened(address, tls)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._timeout_s = timeout_s
        self._socket.settimeout(timeout_s)
        wrap = TFramedTransportFactory() if framed else TBufferedTransportFactory()
        protocol = TBinaryProtocolFactory().get_protocol(wrap.get_transport(TSocket(sock=self._socket)))
        self._clients = {each.__name__: TClient(each, protocol) for each in module.__thrift_meta__["services"]}

    def call(self, method: str, *arguments: Any, service: str = SERVICE, timeout_s: float | None = None) -> Any:
        """Call; the interface's own exceptions as they come, Lost where the connection broke or `timeout_s` passed."""
        from thriftpy2.protocol.exc import TProtocolException
        from thriftpy2.transport import TTransportException

        self._socket.settimeout(self._timeout_s if timeout_s is None else min(timeout_s, self._timeout_s))
        try:
            return getattr(self._clients[service], method)(*arguments)
        except (TTransportException, TProtocolException, OSError, EOFError, MemoryError) as error:
            timed_out = isinstance(error, TimeoutError)
            told = "no answer in time" if timed_out else f"{type(error).__name__}: {error}"
            raise Lost(f"{method} at {self.address}: {told}", timed_out) from error

    def is_stale(self) -> bool:
        """Whether the other side hung up (or sent what nobody asked for) while nothing was under way."""
        try:
            readable, _, _ = select.select([self._socket], [], [], 0)
            if not readable or not isinstance(self._socket, ssl.SSLSocket):
                return bool(readable)
            self._socket.settimeout(0)  # TLS has messages of its own: only a look tells
            self._socket.recv(1)
        except ssl.SSLWantReadError:
            return False
        except (OSError, ValueError):
            pass
        return True

    def close(self) -> None:
        """End it. A process that inherited it by a fork closes its own end only: the parent goes on."""
        self._socket.close()


class Connections:
    """Connections to the metastores of a catalog; safe to use from several threads.

    Parameters
    ----------
    properties : mapping of str to str
        `uri` (several by commas, tried in order, the one that last answered first), `hive.thrift.transport` ("buffered"
        or "framed"), `hive.thrift.timeout-ms` of one answer, `ugi` ("user" or "user:group,group") whom the metastore
        is told to be called by; `hive.metastore.use.SSL` (TLS, the certificate checked against the host's name) and
        `hive.metastore.truststore.path` (a PEM file of whom is trusted, instead of the system's).
        `hive.kerberos-authentication` is refused.
    """

    def __init__(self, properties: Mapping[str, str]) -> None:
        self.addresses = parse_addresses(properties.get("uri", ""))
        self._framed = _is_framed(properties)
        self._timeout_s = _timeout_s(properties)
        self._tls = _tls(properties)
        self._ugi = properties.get("ugi", "")
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._pid = os.getpid()
        _refuse_kerberos(properties)
        weakref.finalize(self, _close_all, self._idle)

    def take(self) -> Connection:
        """A connection that was open a moment ago, else a new one.

        Raises
        ------
        UnreachableError
            No metastore accepts a connection: names each.
        """
        with self._lock:
            if self._pid != os.getpid():
                _close_all(self._idle)
                self._pid = os.getpid()
            while self._idle:
                kept = self._idle.pop()
                if not kept.is_stale():
                    return kept
                kept.close()
        return self._open()

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose last call was answered."""
        with self._lock:
            if len(self._idle) < MOST_KEPT and self._pid == os.getpid():
                self._idle.append(connection)
                return
        connection.close()

    def failed(self, connection: Connection) -> None:
        """Close a connection that broke, and try its metastore last from now on."""
        connection.close()
        with self._lock:
            if len(self.addresses) > 1 and self.addresses[0] == connection.address:
                self.addresses = [*self.addresses[1:], self.addresses[0]]

    def _open(self) -> Connection:
        failures = []
        for address in list(self.addresses):
            try:
                made = Connection(address, self._framed, self._timeout_s, self._tls)
                if self._ugi:
                    user, _, groups = self._ugi.partition(":")
                    made.call("set_ugi", user, [each for each in groups.split(",") if each])
            except (OSError, Lost) as error:
                failures.append(f"{address}: {error}")
                continue
            with self._lock:
                self.addresses = [address, *(each for each in self.addresses if each != address)]
            return made
        hint = "check property 'uri', and that the metastore runs"
        if self._tls is not None:
            hint += "; with hive.metastore.use.SSL it must speak TLS, with a certificate for this host"
        raise UnreachableError(f"Hive Metastore: no connection ({'; '.join(failures)})", hint=hint)


def _opened(address: Address, tls: ssl.SSLContext | None) -> socket.socket:
    """A socket to a metastore; OSError (ssl.SSLError is one) if there is none."""
    made = socket.create_connection((address.host, address.port), CONNECT_TIMEOUT_S)
    if tls is None:
        return made
    try:
        return tls.wrap_socket(made, server_hostname=address.host)
    except BaseException:
        made.close()
        raise


def _close_all(connections: list[Connection]) -> None:
    while connections:
        connections.pop().close()


def _is_framed(properties: Mapping[str, str]) -> bool:
    found = properties.get("hive.thrift.transport", "buffered").strip().lower()
    if found not in ("buffered", "framed"):
        raise ConfigurationError(f"property 'hive.thrift.transport': expected buffered or framed, found {found[:40]!r}")
    return found == "framed"


def _timeout_s(properties: Mapping[str, str]) -> float:
    text = properties.get("hive.thrift.timeout-ms", "").strip()
    if not text:
        return DEFAULT_TIMEOUT_S
    if not text.isdigit() or int(text) < 1:
        raise ConfigurationError(f"property 'hive.thrift.timeout-ms': expected milliseconds, found {text[:40]!r}")
    return int(text) / 1000


def _tls(properties: Mapping[str, str]) -> ssl.SSLContext | None:
    """Whom to trust; None: the metastore does not speak TLS."""
    if not _is_on(properties, "hive.metastore.use.SSL"):
        return None
    path = properties.get("hive.metastore.truststore.path")
    try:
        return ssl.create_default_context(cafile=path or None)
    except (OSError, ValueError) as error:
        message = f"property 'hive.metastore.truststore.path': {path!r} cannot be used: {error}"
        hint = "a PEM file; of a Java one: keytool -exportcert -rfc -keystore FILE -alias NAME"
        raise ConfigurationError(message, hint=hint) from None


def _refuse_kerberos(properties: Mapping[str, str]) -> None:
    if _is_on(properties, "hive.kerberos-authentication") or _is_on(properties, "hive.metastore.sasl.enabled"):
        hint = "use a metastore without SASL, or one behind a REST catalog"
        raise UnsupportedError("a Hive Metastore with Kerberos (SASL) is not supported by this version", hint=hint)


def _is_on(properties: Mapping[str, str], key: str) -> bool:
    return properties.get(key, "").strip().lower() in ("true", "yes", "1", "on")
