"""A few signed S3 calls with the standard library: put, get, delete, head, list. No boto3, and nothing of headrace's.

Independent of what is tested on purpose: tests prepare and check objects through it. AWS Signature Version 4,
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import http.client
import urllib.parse
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


class S3Error(Exception):
    """An answer other than 2xx: status and body."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status}: {body[:500].decode(errors='replace')}")
        self.status = status


@dataclass(frozen=True)
class S3Client:
    """Path-style client of one endpoint. ``location`` arguments are ``s3://bucket/key``."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"

    def put(self, location: str, body: bytes) -> None:
        self.request("PUT", location, body=body)

    def put_file(self, location: str, path: Path) -> None:
        self.put(location, path.read_bytes())

    def get(self, location: str) -> bytes:
        return self.request("GET", location)[1]

    def delete(self, location: str) -> None:
        self.request("DELETE", location)

    def head(self, location: str) -> dict[str, str]:
        """Headers of an object, names in lower case."""
        return self.request("HEAD", location)[0]

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Objects under ``s3://bucket/prefix``: location and size in bytes."""
        bucket, key = _split(prefix)
        token = None
        while True:
            query = {"list-type": "2", "prefix": key} | ({"continuation-token": token} if token else {})
            page = ElementTree.fromstring(self.request("GET", f"s3://{bucket}/", query=query)[1])
            space = page.tag.partition("}")[0] + "}" if page.tag.startswith("{") else ""
            for item in page.iter(f"{space}Contents"):
                yield f"s3://{bucket}/{item.findtext(f'{space}Key')}", int(item.findtext(f"{space}Size") or 0)
            token = page.findtext(f"{space}NextContinuationToken")
            if not token:
                return

    def request(
        self, method: str, location: str, *, query: dict[str, str] | None = None, body: bytes = b""
    ) -> tuple[dict[str, str], bytes]:
        """One signed request: (lower-case headers, body). Raises S3Error for anything but 2xx."""
        bucket, key = _split(location)
        host = urllib.parse.urlsplit(self.endpoint).netloc
        path = urllib.parse.quote(f"/{bucket}/{key}")
        text = "&".join(f"{_quote(name)}={_quote(value)}" for name, value in sorted((query or {}).items()))
        connection = http.client.HTTPConnection(host, timeout=60)
        try:
            target = f"{path}?{text}" if text else path
            connection.request(method, target, body or None, self._signed(method, host, path, text, body))
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status // 100 != 2:
            raise S3Error(answer.status, data)
        return {name.lower(): value for name, value in answer.getheaders()}, data

    def _signed(self, method: str, host: str, path: str, query: str, body: bytes) -> dict[str, str]:
        now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": now}
        names = ";".join(headers)
        canonical = "\n".join(
            [method, path, query, *(f"{name}:{value}" for name, value in headers.items()), "", names, digest]
        )
        scope = f"{now[:8]}/{self.region}/s3/aws4_request"
        signed = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{self.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, signed.encode(), "sha256").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return headers


def _split(location: str) -> tuple[str, str]:
    scheme, _, rest = location.partition("://")
    if scheme not in ("s3", "s3a"):
        raise ValueError(f"not an s3:// location: {location!r}")
    bucket, _, key = rest.partition("/")
    return bucket, key


def _quote(text: str) -> str:
    return urllib.parse.quote(text, safe="-_.~")
