"""A scripted S3 server on loopback: objects from a dict, every request recorded, faults on demand.

Reads only: GET and HEAD of objects (ranges, suffix ranges, ETags, If-Match, If-None-Match) and ListObjectsV2 with
pages. Signatures are not checked. Plain sockets and a thread a connection, because the faults need the socket itself.
Knows nothing of headrace. Neighbours: script.py says what the faults mean, answers.py what a good answer is.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
import urllib.parse
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from . import answers, script
from .answers import Answer

_HEAD_LIMIT_BYTES = 1 << 16


@dataclass(frozen=True)
class Request:
    """One request as it came. ``range`` is the Range header's value without "bytes=", None for a whole object."""

    method: str
    bucket: str
    key: str
    query: dict[str, str]
    headers: dict[str, str] = field(repr=False)
    connection: int = 0
    at_s: float = 0.0

    @property
    def range(self) -> str | None:
        value = self.headers.get("range")
        return value.removeprefix("bytes=") if value else None

    def __str__(self) -> str:
        return f"{self.method} {self.key}" + (f" {self.range}" if self.range else "")


class FaultServer:
    """The server; a context manager. Objects: ``server.put("bucket/key", b"...")``.

    Attributes
    ----------
    endpoint : str
        ``http://127.0.0.1:<port>``.
    objects : dict of str to bytes
        Bodies by ``bucket/key``.
    requests : list of Request
        Every request so far, in order of arrival.
    page_size : int
        Keys in a page of a listing.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.page_size = 1000
        self._scripts: dict[str | None, list[script.Fault]] = defaultdict(list)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._open: set[socket.socket] = set()
        self._connections = 0
        self._port = 0
        self._listener = self._listen()
        self.endpoint = f"http://127.0.0.1:{self._port}"

    def put(self, path: str, body: bytes) -> str:
        """Place an object at ``bucket/key``; returns its location ``s3://bucket/key``."""
        self.objects[path] = body
        return f"s3://{path}"

    def fault(self, *faults: script.Fault, path: str | None = None) -> None:
        """Append steps to the script of one object or listing (``bucket/key``, ``bucket/``), or of any request.

        An object's own script goes first; the general one is taken by requests whose own script is empty.
        """
        with self._lock:
            self._scripts[path].extend(faults)

    def pending(self) -> int:
        """Steps that no request has taken yet; 0 shows that a test met all it planted."""
        with self._lock:
            return sum(len(steps) for steps in self._scripts.values())

    def forget(self) -> None:
        """Forget recorded requests and scripts, keep objects."""
        with self._lock:
            self.requests.clear()
            self._scripts.clear()

    def io_plan(self) -> list[str]:
        """The requests as sorted lines "GET key first-last", to compare with a snapshot whatever their order was."""
        return sorted(str(request) for request in list(self.requests))

    def count(self, path: str) -> int:
        """How many requests an object or listing (``bucket/key``) had."""
        return sum(f"{request.bucket}/{request.key}" == path for request in list(self.requests))

    def refuse(self) -> None:
        """Refuse connections from now on, and close those that are open."""
        # A blocked accept() keeps the port alive after close(): shutdown wakes it first.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._drop_connections()

    def accept(self) -> None:
        """Accept connections again, at the same address."""
        self._listener = self._listen()

    def close(self) -> None:
        self._ended.set()
        self.refuse()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def storage_properties(self) -> dict[str, str]:
        """The ``s3.*`` properties, named as PyIceberg and headrace name them."""
        return {
            "s3.endpoint": self.endpoint,
            "s3.region": "us-east-1",
            "s3.access-key-id": "testkey",
            "s3.secret-access-key": "testsecret",
        }

    def _listen(self) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen(128)
        self._port = listener.getsockname()[1]
        threading.Thread(target=self._accept_all, args=(listener,), daemon=True, name="fault-server").start()
        return listener

    def _accept_all(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
                self._connections += 1
                number = self._connections
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _drop_connections(self) -> None:
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            received = b""
            while not self._ended.is_set():
                while b"\r\n\r\n" not in received:
                    piece = connection.recv(1 << 16)
                    if not piece or len(received) > _HEAD_LIMIT_BYTES:
                        return
                    received += piece
                head, _, received = received.partition(b"\r\n\r\n")
                request = _parse(head, number)
                fault = self._record(request)
                if not self._answer(connection, request, fault):
                    return
        with self._lock:
            self._open.discard(connection)

    def _record(self, request: Request) -> script.Fault:
        with self._lock:
            self.requests.append(request)
            for path in (f"{request.bucket}/{request.key}", None):
                if self._scripts[path]:
                    return self._scripts[path].pop(0)
        return script.OK

    def _answer(self, connection: socket.socket, request: Request, fault: script.Fault) -> bool:
        """Answer one request; whether the connection stays open."""
        path = f"{request.bucket}/{request.key}"
        if isinstance(fault, script.Replace):
            self.objects[path] = fault.body
        if not request.key:
            answer = answers.listing(self.objects, request.bucket, request.query, self.page_size)
        else:
            answer = answers.object_answer(self.objects.get(path), request.headers, fault)
        if request.method == "HEAD":
            answer.omit_body = True
        return _SENDERS.get(type(fault), _send)(connection, answer, fault, self._ended)


def _parse(head: bytes, connection: int) -> Request:
    line, *fields = head.decode("latin-1").split("\r\n")
    method, target, _ = line.split(" ", 2)
    parts = urllib.parse.urlsplit(target)
    bucket, _, key = urllib.parse.unquote(parts.path).lstrip("/").partition("/")
    query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
    headers = {name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}
    return Request(method, bucket, key, query, headers, connection, time.monotonic())


def _send(connection: socket.socket, answer: Answer, fault: script.Fault, ended: threading.Event) -> bool:
    connection.sendall(answer.head() + answer.payload())
    return True


def _send_status(connection: socket.socket, answer: Answer, fault: script.Status, ended: threading.Event) -> bool:
    error = answers.error(fault.status, fault.code)
    error.omit_body = answer.omit_body
    if fault.retry_after_s is not None:
        error.headers["Retry-After"] = str(fault.retry_after_s)
    return _send(connection, error, fault, ended)


def _send_reset(connection: socket.socket, answer: Answer, fault: script.Reset, ended: threading.Event) -> bool:
    connection.sendall(answer.head() + answer.payload()[: fault.after_bytes])
    # Lingering for zero seconds makes close() send RST. What was sent must leave first, or the peer never sees it.
    time.sleep(0.02)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def _send_short(connection: socket.socket, answer: Answer, fault: script.ShortBody, ended: threading.Event) -> bool:
    connection.sendall(answer.head() + answer.payload()[: fault.after_bytes])
    return False


def _send_long(connection: socket.socket, answer: Answer, fault: script.LongLength, ended: threading.Event) -> bool:
    connection.sendall(answer.head(extra_bytes=fault.extra_bytes) + answer.payload())
    return False


def _send_stall(connection: socket.socket, answer: Answer, fault: script.Stall, ended: threading.Event) -> bool:
    if fault.after_bytes is not None:
        connection.sendall(answer.head() + answer.payload()[: fault.after_bytes])
    while not ended.wait(0.1):
        if _peer_closed(connection):
            break
    return False


def _send_drip(connection: socket.socket, answer: Answer, fault: script.Drip, ended: threading.Event) -> bool:
    connection.sendall(answer.head())
    body = answer.payload()
    for start in range(0, len(body), fault.piece_bytes):
        connection.sendall(body[start : start + fault.piece_bytes])
        if ended.wait(fault.pause_s):
            return False
    return True


def _send_garbage(connection: socket.socket, answer: Answer, fault: script.Garbage, ended: threading.Event) -> bool:
    connection.sendall(b"\x00\x01\x02 this is not HTTP\r\n\r\n")
    return False


def _peer_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    finally:
        connection.setblocking(True)


_SENDERS: dict[type[script.Fault], Callable[..., bool]] = {
    script.Status: _send_status,
    script.Reset: _send_reset,
    script.ShortBody: _send_short,
    script.LongLength: _send_long,
    script.Stall: _send_stall,
    script.Drip: _send_drip,
    script.Garbage: _send_garbage,
}
