"""A proxy before S3 whose answers can be bent: refused, lost before or after they took effect, late, cut, never given.

Everything else goes through as it came, signatures too: they name the proxy's own address. Knows nothing of headrace.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import ssl
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Refuse:
    """An error answer of S3's; the request is not passed on."""

    status: int
    code: str


@dataclass(frozen=True)
class Lose:
    """The connection is closed without an answer, before or after the request was passed on."""

    after: bool


@dataclass(frozen=True)
class Stall:
    """Nothing is answered, and nothing passed on, until the proxy ends."""


@dataclass(frozen=True)
class Delay:
    """The answer comes late; with `late_s` above the client's patience it comes to nobody, and takes effect late."""

    late_s: float


@dataclass(frozen=True)
class Twice:
    """The request is passed on twice, as a network may do that repeats it; the second answer is given."""


@dataclass(frozen=True)
class Cut:
    """The connection is closed in the middle of the answer's body."""


Fault = Refuse | Lose | Stall | Delay | Twice | Cut
Rule = Callable[[str, str], Fault | None]
"""(method, path with query) -> what goes wrong; None: nothing."""


class Proxy:
    """The proxy; a context manager, speaking TLS with a context. ``rule`` may be changed at any time; ``seen`` are the requests so far."""

    def __init__(self, upstream: str, tls: ssl.SSLContext | None = None) -> None:
        self.rule: Rule = lambda method, path: None
        self.seen: list[tuple[str, str]] = []
        self.ended = threading.Event()
        self._upstream = urllib.parse.urlsplit(upstream).netloc
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                with contextlib.suppress(OSError):
                    proxy._serve(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls:  # each connection shakes hands in its own thread, or a silent one would stop the proxy
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.endpoint = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True, name="proxy").start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        method, path = handler.command, handler.path
        self.seen.append((method, path))
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        match self.rule(method, path):
            case Refuse(status, code):
                text = f"<Error><Code>{code}</Code></Error>".encode()
                self._answer(handler, status, {}, text)
            case Stall():
                self.ended.wait()
                handler.close_connection = True
            case Lose(after):
                if after:
                    self._pass_on(handler, body)
                handler.close_connection = True
            case Delay(late_s):
                self.ended.wait(late_s)
                self._answer(handler, *self._pass_on(handler, body))
            case Twice():
                self._pass_on(handler, body)
                self._answer(handler, *self._pass_on(handler, body))
            case Cut():
                status, headers, found = self._pass_on(handler, body)
                self._answer(handler, status, headers, found, sent=len(found) // 2)
                handler.close_connection = True
            case _:
                self._answer(handler, *self._pass_on(handler, body))

    def _pass_on(self, handler: http.server.BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self._upstream, timeout=60)
        try:
            connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                if name.lower() not in ("connection", "transfer-encoding"):
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    @staticmethod
    def _answer(
        handler: http.server.BaseHTTPRequestHandler,
        status: int,
        headers: dict[str, str],
        body: bytes,
        sent: int | None = None,
    ) -> None:
        handler.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                handler.send_header(name, value)
        if handler.command == "HEAD" and "Content-Length" in headers:
            handler.send_header("Content-Length", headers["Content-Length"])
        elif status != http.HTTPStatus.NO_CONTENT:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body[:sent])
