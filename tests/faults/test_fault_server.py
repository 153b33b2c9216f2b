"""The scripted S3 server does what it says: a test of the alarm before anything relies on it.

Through urllib and raw sockets only, so that no client's own retry hides a fault.
"""

from __future__ import annotations

import email.message
import http.client
import socket
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree

import pytest

from tests.faults import script
from tests.faults.answers import etag_of
from tests.faults.server import FaultServer
from tests.servers.s3 import S3Client

BODY = bytes(range(256)) * 40


def fetch(
    server: FaultServer, path: str, method: str = "GET", **headers: str
) -> tuple[int, email.message.Message, bytes]:
    """One request on a new connection; an error answer is an answer."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{server.endpoint}/{path}", headers=names, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def raw_get(server: FaultServer, path: str) -> tuple[bytes, type[Exception] | None]:
    """Everything a plain socket receives, and how the connection ended (None: in order)."""
    host, port = server.endpoint.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=1.0) as connection:
        connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        received = b""
        while True:
            try:
                piece = connection.recv(1 << 16)
            except (ConnectionResetError, TimeoutError) as error:
                return received, type(error)
            if not piece:
                return received, None
            received += piece


@pytest.fixture
def server(fault_server: FaultServer) -> FaultServer:
    fault_server.put("bucket/data/a.parquet", BODY)
    return fault_server


def test_whole_object_and_head(server: FaultServer) -> None:
    status, headers, body = fetch(server, "bucket/data/a.parquet")
    assert (status, headers["ETag"], body) == (200, etag_of(BODY), BODY)
    status, headers, body = fetch(server, "bucket/data/a.parquet", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(BODY)), b"")
    assert fetch(server, "bucket/none")[0] == 404
    assert fetch(server, "bucket/none", "HEAD")[2] == b""


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("0-9", 0, 10), ("100-", 100, 10240), ("-8", 10232, 10240), ("10000-99999", 10000, 10240), ("-99999", 0, 10240)],
)
def test_ranges(server: FaultServer, asked: str, start: int, end: int) -> None:
    status, headers, body = fetch(server, "bucket/data/a.parquet", Range=f"bytes={asked}")
    assert (status, headers["Content-Range"], body) == (206, f"bytes {start}-{end - 1}/10240", BODY[start:end])


@pytest.mark.parametrize("asked", ["10240-", "-0", "20-10"])
def test_ranges_that_cannot_be_satisfied(server: FaultServer, asked: str) -> None:
    assert fetch(server, "bucket/data/a.parquet", Range=f"bytes={asked}")[0] == 416


def test_preconditions(server: FaultServer) -> None:
    path = "bucket/data/a.parquet"
    assert fetch(server, path, If_Match=etag_of(BODY))[0] == 200
    assert fetch(server, path, If_Match='"other"')[0] == 412
    assert fetch(server, path, If_None_Match=etag_of(BODY))[0] == 304


def test_object_replaced_between_ranges(server: FaultServer) -> None:
    path = "bucket/data/a.parquet"
    server.fault(script.OK, script.Replace(b"new"), path=path)
    assert fetch(server, path, Range="bytes=0-1")[1]["ETag"] == etag_of(BODY)
    assert fetch(server, path, Range="bytes=1-2", If_Match=etag_of(BODY))[0] == 412
    assert fetch(server, path)[2] == b"new"
    assert server.pending() == 0


def test_etag_changes_where_preconditions_are_unknown(server: FaultServer) -> None:
    path = "bucket/data/a.parquet"
    server.fault(script.OtherETag(), path=path)
    status, headers, body = fetch(server, path, If_Match=etag_of(BODY), Range="bytes=0-1")
    assert (status, headers["ETag"], body) == (206, script.OtherETag().etag, BODY[:2])


def test_listing_in_pages(server: FaultServer) -> None:
    for index in range(7):
        server.put(f"bucket/list/{index}&.parquet", b"x" * index)
    server.page_size = 3
    client = S3Client(server.endpoint, "testkey", "testsecret")
    assert list(client.list("s3://bucket/list/")) == [(f"s3://bucket/list/{i}&.parquet", i) for i in range(7)]
    assert server.count("bucket/") == 3


def test_listing_with_delimiter(server: FaultServer) -> None:
    server.put("bucket/top", b"")
    page = ElementTree.fromstring(fetch(server, "bucket/?list-type=2&delimiter=/")[2])
    space = "{http://s3.amazonaws.com/doc/2006-03-01/}"
    assert [each.text for each in page.iter(f"{space}Prefix") if each.text] == ["data/"]
    assert [each.text for each in page.iter(f"{space}Key")] == ["top"]


def test_statuses_run_out(server: FaultServer) -> None:
    server.fault(script.SLOW_DOWN, script.Status(503, "SlowDown", retry_after_s=2), script.INTERNAL_ERROR)
    answers = [fetch(server, "bucket/data/a.parquet") for _ in range(4)]
    assert [status for status, _, _ in answers] == [503, 503, 500, 200]
    assert b"<Code>SlowDown</Code>" in answers[0][2]
    assert answers[1][1]["Retry-After"] == "2"


def test_own_script_goes_before_the_general_one(server: FaultServer) -> None:
    server.put("bucket/b", b"b")
    server.fault(script.ACCESS_DENIED)
    server.fault(script.NO_SUCH_KEY, path="bucket/b")
    assert [fetch(server, "bucket/b")[0] for _ in range(3)] == [404, 403, 200]


def test_reset_in_the_middle(server: FaultServer) -> None:
    server.fault(script.Reset(after_bytes=1000))
    received, ending = raw_get(server, "bucket/data/a.parquet")
    assert ending is ConnectionResetError
    assert received.partition(b"\r\n\r\n")[2] == BODY[:1000]


@pytest.mark.parametrize(
    ("fault", "length", "sent"),
    [(script.ShortBody(after_bytes=1000), 10240, 1000), (script.LongLength(extra_bytes=5), 10245, 10240)],
)
def test_bodies_shorter_than_announced(server: FaultServer, fault: script.Fault, length: int, sent: int) -> None:
    server.fault(fault)
    received, ending = raw_get(server, "bucket/data/a.parquet")
    head, _, body = received.partition(b"\r\n\r\n")
    assert ending is None
    assert f"Content-Length: {length}".encode() in head
    assert body == BODY[:sent]


def test_wrong_ranges(server: FaultServer) -> None:
    path = "bucket/data/a.parquet"
    server.fault(script.WrongRange(8), script.LyingRange(8), script.MissingRange(), script.WholeObject())
    shifted, lying, missing, whole = (fetch(server, path, Range="bytes=16-19") for _ in range(4))
    assert (shifted[1]["Content-Range"], shifted[2]) == ("bytes 24-27/10240", BODY[24:28])
    assert (lying[1]["Content-Range"], lying[2]) == ("bytes 24-27/10240", BODY[16:20])
    assert (missing[0], missing[1]["Content-Range"], missing[2]) == (206, None, BODY[16:20])
    assert (whole[0], whole[2]) == (200, BODY)


@pytest.mark.parametrize(("after_bytes", "received_bytes"), [(None, 0), (0, 0), (5000, 5000)])
def test_stalls(server: FaultServer, after_bytes: int | None, received_bytes: int) -> None:
    server.fault(script.Stall(after_bytes))
    received, ending = raw_get(server, "bucket/data/a.parquet")
    assert ending is TimeoutError
    assert (received == b"") == (after_bytes is None)
    assert len(received.partition(b"\r\n\r\n")[2]) == received_bytes


def test_drip_and_garbage(server: FaultServer) -> None:
    server.fault(script.Drip(piece_bytes=4096, pause_s=0.05), script.Garbage())
    started = time.monotonic()
    assert fetch(server, "bucket/data/a.parquet")[2] == BODY
    assert time.monotonic() - started > 0.09
    assert not raw_get(server, "bucket/data/a.parquet")[0].startswith(b"HTTP")


def test_refused_and_accepted_again(server: FaultServer) -> None:
    server.refuse()
    with pytest.raises(urllib.error.URLError, match="refused"):
        fetch(server, "bucket/data/a.parquet")
    server.accept()
    assert fetch(server, "bucket/data/a.parquet")[2] == BODY


def test_requests_are_recorded(server: FaultServer) -> None:
    host = server.endpoint.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=5)
    for asked in ("bytes=-8", "bytes=0-3"):
        connection.request("GET", "/bucket/data/a.parquet", headers={"Range": asked})
        connection.getresponse().read()
    connection.close()
    fetch(server, "bucket/data/a.parquet", "HEAD")
    assert server.io_plan() == ["GET data/a.parquet -8", "GET data/a.parquet 0-3", "HEAD data/a.parquet"]
    assert [request.connection for request in server.requests] == [1, 1, 2]
    server.forget()
    assert server.io_plan() == []
