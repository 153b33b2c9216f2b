"""AWS Signature Version 4 of one HTTP request, by hmac and hashlib alone.

Must not know: catalogs, where keys come from. Neighbour: `http.py`, which signs catalog requests for services that ask
for it (`rest.sigv4-enabled`). Reference: AWS, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote, urlsplit

_NOT_SIGNED = frozenset(["authorization", "connection", "expect", "user-agent", "x-amzn-trace-id", "accept-encoding"])


@dataclass(frozen=True, repr=False)
class Keys:
    """An access key; repr shows nothing of it."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


def sign(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    keys: Keys,
    region: str,
    service: str,
    now: datetime | None = None,
    hash_header: bool = True,
) -> dict[str, str]:
    """The headers with a signature added.

    Parameters
    ----------
    method, url, headers, body
        The request as it will be sent; the query must already be percent-encoded.
    keys : Keys
        Access key.
    region, service : str
        Scope of the signature, such as "us-east-1" and "glue".
    now : datetime or None
        Time of the signature, with a zone; None means now.
    hash_header : bool, default True
        Also send the hash of the body as `x-amz-content-sha256`.

    Returns
    -------
    dict of str to str
        The given headers plus `host`, `x-amz-date`, `authorization`, and, where they apply, `x-amz-security-token` and
        `x-amz-content-sha256`. An `authorization` header that was there is kept as `original-authorization`.
    """
    at = (now or datetime.now(UTC)).astimezone(UTC)
    stamp, day = at.strftime("%Y%m%dT%H%M%SZ"), at.strftime("%Y%m%d")
    parts = urlsplit(url)
    body_hash = hashlib.sha256(body).hexdigest()
    signed = {name.lower(): value for name, value in headers.items()}
    if "authorization" in signed:
        signed["original-authorization"] = signed.pop("authorization")
    signed |= {"host": parts.netloc.rpartition("@")[2], "x-amz-date": stamp}
    if keys.session_token:
        signed["x-amz-security-token"] = keys.session_token
    if hash_header:
        signed["x-amz-content-sha256"] = body_hash
    names = sorted(name for name in signed if name not in _NOT_SIGNED)
    canonical = "\n".join(
        [
            method.upper(),
            _path(parts.path, service),
            _query(parts.query),
            *(f"{name}:{' '.join(signed[name].split())}" for name in names),
            "",
            ";".join(names),
            body_hash,
        ]
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = hmac.new(_signing_key(keys, day, region, service), text.encode(), hashlib.sha256).hexdigest()
    credential = f"Credential={keys.access_key_id}/{scope}"
    signed["authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={';'.join(names)}, Signature={signature}"
    return signed


def _signing_key(keys: Keys, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{keys.secret_access_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _path(path: str, service: str) -> str:
    """The canonical path: the path as sent, without dot segments, encoded once more, except for S3 itself."""
    if service == "s3":
        return path or "/"
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept[-1:] = []
        elif segment not in ("", "."):
            kept.append(segment)
    slash = "/" if kept and path.endswith("/") else ""
    return quote("/" + "/".join(kept) + slash, safe="/-_.~")


def _query(query: str) -> str:
    """The canonical query: names and values encoded strictly, sorted."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    encoded = [(quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~")) for name, _, value in pairs]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))
