"""A proxy before a REST catalog that loses answers: before the request arrived, or after it took effect.

Each fault is taken by one commit (a POST to a table); all else passes. "stall before" and "stall after" answer nothing
until the proxy ends. Knows HTTP, nothing of headrace or Iceberg.
"""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

FAULTS = ("drop before", "drop after", "502 before", "503 before", "500 after", "504 after", "garbage after", "twice")


class LossyProxy:
    """The proxy; a context manager. `faults` are taken in order; `commits` counts what reached the catalog."""

    def __init__(self, upstream: str) -> None:
        self.faults: list[str] = []
        self.commits = 0
        self.answers: list[int] = []
        self.stalled = threading.Event()
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self._upstream = urlsplit(upstream)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                is_commit = self.command == "POST" and "/tables/" in self.path
                fault = proxy._next() if is_commit else ""
                if fault == "drop before":
                    self.close_connection = True
                    return
                if fault == "stall before":
                    proxy._stall(self)
                    return
                if fault.endswith("before"):
                    self._answer(int(fault[:3]), b"<html>gateway</html>")
                    return
                if fault == "twice":
                    proxy._forward(self, body, is_commit)
                status, answer = proxy._forward(self, body, is_commit)
                if fault == "stall after":
                    proxy._stall(self)
                elif fault == "drop after":
                    self.close_connection = True
                elif fault == "garbage after":
                    self._answer(200, b'{"metadata": {"format-ver')
                elif fault.endswith("after"):
                    self._answer(int(fault[:3]), b"{}")
                else:
                    self._answer(status, answer)

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.send_header("content-type", "application/json")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_POST = do_HEAD = do_DELETE = handle_one

            def log_message(self, format: str, *values: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _stall(self, request: BaseHTTPRequestHandler) -> None:
        self.stalled.set()
        self.ended.wait()
        request.close_connection = True

    def _next(self) -> str:
        with self._lock:
            return self.faults.pop(0) if self.faults else ""

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes, is_commit: bool) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._upstream.hostname or "", self._upstream.port, timeout=30)
        try:
            headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
            connection.request(request.command, request.path, body, headers)
            answer = connection.getresponse()
            read = answer.read()
            if is_commit:
                with self._lock:
                    self.commits += 1
                    self.answers.append(answer.status)
            return answer.status, read
        finally:
            connection.close()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
