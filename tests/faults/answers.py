"""What S3 answers: heads, ranges, preconditions, listings. No sockets here; server.py sends what this makes.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html and API_ListObjectsV2.html; ranges as RFC 9110,
section 14.
"""

from __future__ import annotations

import hashlib
import http
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from . import script


@dataclass
class Answer:
    """One HTTP answer. A HEAD has its headers, Content-Length too, without the body."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    omit_body: bool = False

    def head(self, extra_bytes: int = 0) -> bytes:
        """Status line and headers, Content-Length lying by ``extra_bytes``."""
        headers = {"Content-Length": str(len(self.body) + extra_bytes), "Server": "faults", **self.headers}
        lines = [f"HTTP/1.1 {self.status} {http.HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def payload(self) -> bytes:
        """What follows the head."""
        return b"" if self.omit_body else self.body


def etag_of(body: bytes) -> str:
    """S3's ETag of an object put in one piece: its MD5 in quotes."""
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def error(status: int, code: str) -> Answer:
    """S3's XML error."""
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>scripted</Message></Error>"
    return Answer(status, {"Content-Type": "application/xml"}, text.encode())


def object_answer(body: bytes | None, headers: Mapping[str, str], fault: script.Fault) -> Answer:
    """The answer to GET or HEAD of an object (None: there is none), bent where the fault concerns range or ETag."""
    if body is None:
        return error(404, "NoSuchKey")
    etag = fault.etag if isinstance(fault, script.OtherETag) else etag_of(body)
    common = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
    }
    if not isinstance(fault, script.OtherETag):
        if headers.get("if-match") not in (None, "*", etag):
            return error(412, "PreconditionFailed")
        if headers.get("if-none-match") in ("*", etag):
            return Answer(304, common)
    asked = headers.get("range")
    if asked is None or isinstance(fault, script.WholeObject):
        return Answer(200, common, body)
    span = resolve_range(asked, len(body))
    if span is None:
        refused = error(416, "InvalidRange")
        refused.headers["Content-Range"] = f"bytes */{len(body)}"
        return refused
    return _range_answer(body, span, common, fault)


def _range_answer(body: bytes, span: tuple[int, int], common: dict[str, str], fault: script.Fault) -> Answer:
    start, end = span
    if isinstance(fault, script.WrongRange):
        start, end = start + fault.shift_bytes, end + fault.shift_bytes
    piece = body[max(start, 0) : max(end, 0)]
    shift = fault.shift_bytes if isinstance(fault, script.LyingRange) else 0
    extent = {"Content-Range": f"bytes {start + shift}-{end - 1 + shift}/{len(body)}"}
    return Answer(206, common if isinstance(fault, script.MissingRange) else common | extent, piece)


def resolve_range(value: str, size: int) -> tuple[int, int] | None:
    """Half-open (start, end) of "bytes=a-b", "bytes=a-" or "bytes=-n" in an object; None if it cannot be satisfied."""
    first, _, last = value.removeprefix("bytes=").partition("-")
    if not first:
        length = int(last)
        return (max(size - length, 0), size) if length and size else None
    start = int(first)
    end = min(int(last) + 1, size) if last else size
    return (start, end) if start < end else None


def listing(objects: Mapping[str, bytes], bucket: str, query: Mapping[str, str], page_size: int) -> Answer:
    """One page of ListObjectsV2, with common prefixes where a delimiter is asked for."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    after = query.get("continuation-token") or query.get("start-after") or ""
    keys = sorted(path.partition("/")[2] for path in objects if path.startswith(f"{bucket}/"))
    entries: dict[str, bool] = {}  # name -> is a common prefix
    for key in keys:
        if key.startswith(prefix):
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            entries[key if cut < 0 else key[: cut + len(delimiter)]] = cut >= 0
    names = [name for name in entries if name > after]
    limit = min(page_size, int(query.get("max-keys", page_size)))
    page, more = names[:limit], len(names) > limit
    parts = [f"<Name>{escape(bucket)}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount>"]
    parts.append(f"<MaxKeys>{limit}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>")
    if more:
        parts.append(f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>")
    for name in page:
        parts.append(_listed(name, objects[f"{bucket}/{name}"]) if not entries[name] else _common(name))
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    inner = "".join(parts)
    text = f"<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='{space}'>{inner}</ListBucketResult>"
    return Answer(200, {"Content-Type": "application/xml"}, text.encode())


def _listed(key: str, body: bytes) -> str:
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>{escape(etag_of(body))}</ETag><Size>{len(body)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


def _common(prefix: str) -> str:
    return f"<CommonPrefixes><Prefix>{escape(prefix)}</Prefix></CommonPrefixes>"
