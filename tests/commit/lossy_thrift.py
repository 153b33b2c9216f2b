"""A proxy before a Hive Metastore that loses answers: before the call arrived, or after it took effect.

A call with the fault "never" is not passed on, and its connection stays open; "unknown" is answered as by a metastore
that does not serve it. Each fault is taken by one call of its
method; all else passes. Knows Thrift's binary protocol, framed or not as the client speaks it, and nothing of headrace.
Neighbour: lossy.py does the same for REST.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Self

from thriftpy2.protocol.binary import TBinaryProtocol
from thriftpy2.thrift import TType

FAULTS = ("drop before", "drop after", "garbage after", "twice")
ALTER = "alter_table_with_environment_context"


class _Recorder:
    """A socket as Thrift reads it, which keeps what was read."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.seen = b""

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._connection.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        self.seen += data
        return data


class LossyThrift:
    """The proxy; a context manager. `faults` are (method, fault), each taken once; `calls` names what arrived."""

    def __init__(self, port: int, framed: bool = False) -> None:
        self.faults: list[tuple[str, str]] = []
        self.calls: list[str] = []
        self._port, self._framed = port, framed
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._clients: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"thrift://127.0.0.1:{self._listener.getsockname()[1]}"

    def _fault(self, method: str) -> str:
        with self._lock:
            for at, (name, fault) in enumerate(self.faults):
                if name == method:
                    del self.faults[at]
                    return fault
            return ""

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(EOFError, OSError), contextlib.ExitStack() as held:
            held.enter_context(client)
            self._clients.append(client)
            server = held.enter_context(socket.create_connection(("127.0.0.1", self._port)))
            while self._one(client, server):
                pass

    def _one(self, client: socket.socket, server: socket.socket) -> bool:
        """Pass one call and its answer; False where the connection ends."""
        method, call = _message(client, self._framed)
        fault = self._fault(method)
        if fault == "drop before":
            return False
        if fault == "never":  # as a metastore whose own database hangs
            self._ended.wait()
            return False
        if fault == "unknown":  # as a metastore that does not serve the call
            client.sendall(_unknown_method(method))
            return True
        for _ in range(2 if fault == "twice" else 1):
            server.sendall(call)
            with self._lock:
                self.calls.append(method)
            answer = _message(server, False)[1]
        if fault == "drop after":
            return False
        if fault == "garbage after":
            client.sendall(b"\x00\x00\x00\x07garbage" * 3)
            return False
        client.sendall(struct.pack("!i", len(answer)) + answer if self._framed else answer)
        return True

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._clients:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)


def _unknown_method(method: str) -> bytes:
    """TApplicationException of type 1 (unknown method), without a frame."""
    told = f"Invalid method name: '{method}'".encode()
    head = struct.pack("!Ii", 0x80010003, len(method)) + method.encode() + struct.pack("!i", 0)
    return head + struct.pack("!bhi", 11, 1, len(told)) + told + struct.pack("!bhi", 8, 2, 1) + b"\0"


def _message(connection: socket.socket, framed: bool) -> tuple[str, bytes]:
    """One message: its method, and its bytes without a frame."""
    recorder = _Recorder(connection)
    if framed:
        recorder.read(4)
        recorder.seen = b""
    protocol = TBinaryProtocol(recorder)
    method, _, _ = protocol.read_message_begin()
    protocol.skip(TType.STRUCT)
    return method, recorder.seen
