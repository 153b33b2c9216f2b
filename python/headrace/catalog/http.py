"""Requests to an Iceberg REST catalog: address, authentication, retry, and errors as headrace's own.

Must not know: namespaces, tables, metadata: `rest.py` does. The bytes go through the engine's HTTP client (its TLS
roots, its proxies, Ctrl-C); `Transport` is its contract, so that tests may look at a request. Neighbours: `oauth.py`
keeps the bearer token, `sigv4.py` signs, `rest_errors.py` translates answers.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from headrace import config, credentials
from headrace.catalog.oauth import Token
from headrace.catalog.rest_errors import error_for
from headrace.catalog.sigv4 import Keys, sign
from headrace.errors import CatalogError, ConfigurationError, HeadraceError, UnreachableError

Transport = Callable[[str, str, Mapping[str, str], bytes | None, float], tuple[int, dict[str, str], bytes]]

MAX_ATTEMPTS = 5
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
LONGEST_RETRY_AFTER_S = 60.0
"""A server that asks for more patience than this is not waited for: the error says what it asked."""
TIMEOUT_S = 60.0
QUICK_S = 5.0
"""A connection that fails sooner than this is tried once more; one that took longer is not, to fail within seconds."""

_TRANSIENT = frozenset([429, 502, 503, 504])
_EXPIRED = frozenset([401, 419])
_VERSION = "v1"


def engine_transport(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float
) -> tuple[int, dict[str, str], bytes]:
    """One request by the engine."""
    from headrace._engine import http_request

    return http_request(method, url, headers, body, timeout_s)


class Client:
    """Sends requests to one catalog server.

    Parameters
    ----------
    name : str
        The catalog's name, for errors.
    properties : mapping of str to str
        `uri`, `prefix`, the properties of `oauth.Token`, `oauth2-server-uri`, `header.*`, `rest.sigv4-enabled`,
        `rest.signing-region`, `rest.signing-name`.
    transport : callable
        Sends one request, without retry.
    """

    def __init__(self, name: str, properties: Mapping[str, str], transport: Transport) -> None:
        self._name = name
        self._transport = transport
        self.uri = _checked_uri(name, properties)
        self._prefix = properties.get("prefix", "").strip("/")
        self._headers = {"accept": "application/json", "x-client-version": "headrace"}
        self._headers |= {
            key[7:].lower(): value for key, value in properties.items() if key.lower().startswith("header.")
        }
        token_url = properties.get("oauth2-server-uri") or f"{self.uri}/{_VERSION}/oauth/tokens"
        self.token = Token(properties, token_url, self._send_for_token)
        self._sigv4 = dict(properties) if config.as_bool(properties, "rest.sigv4-enabled") else None
        self._secrets = [value for key, value in properties.items() if config.is_secret(key) and len(value) > 3]

    def adopt(self, token: Token) -> None:
        """Keep using a token that was fetched before the server's configuration was known."""
        self.token = token

    def call(
        self,
        method: str,
        path: Sequence[str],
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        prefixed: bool = True,
        accept: Sequence[int] = (),
    ) -> tuple[int, Any]:
        """Send one request and parse its JSON.

        Parameters
        ----------
        method : str
            GET, HEAD, POST or DELETE. GET and HEAD are retried when the server is overloaded.
        path : sequence of str
            Segments after the version and prefix, not yet encoded.
        query, body, headers : mapping or None
            Query parameters, JSON body, further headers.
        prefixed : bool, default True
            Put the server's prefix before the path.
        accept : sequence of int
            Further statuses that are answers, not errors.

        Returns
        -------
        (int, object)
            Status and parsed JSON; None for an empty body.
        """
        url = self.url(path, query, prefixed)
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        status, answer = self._authorised(method, url, dict(headers or {}), data)
        if not (200 <= status < 300 or status in accept):
            raise error_for(self._name, status, method, url, answer, self._known_secrets())
        return status, self._parse(answer, url) if 200 <= status < 300 and method != "HEAD" else None

    def url(self, path: Sequence[str], query: Mapping[str, str] | None = None, prefixed: bool = True) -> str:
        """The address of an endpoint."""
        prefix = [self._prefix] if prefixed and self._prefix else []
        segments = [self.uri, _VERSION, *prefix, *(quote(each, safe="") for each in path)]
        return "/".join(segments) + (f"?{urlencode(query, quote_via=quote)}" if query else "")

    def _authorised(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> tuple[int, bytes]:
        """Send with the token; once more with a fresh one if it was refused."""
        retry = method in ("GET", "HEAD")
        token = self.token.current()
        status, _, answer = self._send(method, url, self._complete(headers, token, body), body, retry)
        if status in _EXPIRED and self.token.refused(token):
            status, _, answer = self._send(
                method, url, self._complete(headers, self.token.current(), body), body, retry
            )
        return status, answer

    def _complete(self, headers: Mapping[str, str], token: str | None, body: bytes | None) -> dict[str, str]:
        found = dict(headers) | self._headers
        if token:
            found["authorization"] = f"Bearer {token}"
        return found if body is None else found | {"content-type": "application/json"}

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, retry: bool
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send one request, again while the server is overloaded and `retry` allows."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            began = time.monotonic()
            try:
                signed = self._signed(method, url, headers, body)
                status, answered, answer = self._transport(method, url, signed, body, TIMEOUT_S)
            except UnreachableError as error:
                if not retry or attempt > 1 or time.monotonic() - began > QUICK_S:
                    raise self._unreachable(error) from error
                time.sleep(FIRST_DELAY_S)
                continue
            delay_s = _delay_s(attempt, answered.get("retry-after"))
            if status not in _TRANSIENT or not retry or attempt == MAX_ATTEMPTS or delay_s is None:
                return status, answered, answer
            time.sleep(delay_s)
        raise CatalogError(f"catalog {self._name!r}: no answer after {MAX_ATTEMPTS} attempts", location=url)

    def _send_for_token(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        return self._send(method, url, headers, body, retry=True)  # asking twice for a token harms nobody

    def _signed(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Mapping[str, str]:
        if self._sigv4 is None or not url.startswith(self.uri + "/"):  # a foreign token endpoint takes no signature
            return headers
        keys, region = signing_keys(self._sigv4)
        service = self._sigv4.get("rest.signing-name") or "execute-api"
        return sign(method, url, headers, body or b"", keys, region, service)

    def _unreachable(self, error: UnreachableError) -> UnreachableError:
        hint = error.hint or f"check the catalog's uri ({config.redact_uri(self.uri)}) and the network"
        message = f"catalog {self._name!r} cannot be reached: {error.reason}"
        return UnreachableError(message, location=config.redact_uri(self.uri), hint=hint)

    def _known_secrets(self) -> list[str]:
        current = self.token.peek()
        return [*self._secrets, *([current] if current else [])]

    def _parse(self, answer: bytes, url: str) -> Any:
        if not answer.strip():
            return None
        try:
            return json.loads(answer)
        except (ValueError, RecursionError) as error:
            message = f"catalog {self._name!r}: the answer is not JSON ({type(error).__name__})"
            hint = "is this the address of an Iceberg REST catalog?"
            raise CatalogError(message, location=config.redact_uri(url), hint=hint) from None

    def __repr__(self) -> str:
        return f"Client({self._name!r}, {config.redact_uri(self.uri)!r})"


def signing_keys(properties: Mapping[str, str]) -> tuple[Keys, str]:
    """Access key and region for signing: of `rest.*`, `client.*`, `s3.*`, a profile, or the engine's chain."""
    own = {f"s3.{key[5:]}": value for key, value in properties.items() if key.startswith("rest.")}
    found, _ = credentials.storage_properties(dict(properties) | own)
    region = properties.get("rest.signing-region") or found.get("s3.region")
    if not region:
        raise ConfigurationError("signing needs a region", hint="set property rest.signing-region, or AWS_REGION")
    if "s3.access-key-id" in found and "s3.secret-access-key" in found:
        return Keys(found["s3.access-key-id"], found["s3.secret-access-key"], found.get("s3.session-token")), region
    from headrace._engine import aws_credentials

    return Keys(*aws_credentials(found)), region


def _checked_uri(name: str, properties: Mapping[str, str]) -> str:
    uri = properties.get("uri", "").rstrip("/")
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        message = f"catalog {name!r}: property 'uri' must be an http or https address, found {config.redact_uri(uri)!r}"
        raise ConfigurationError(message, hint=f"set {config.variable(name, 'uri')}")
    return uri


def _delay_s(attempt: int, retry_after: str | None) -> float | None:
    """How long to wait: what the server asks, else doubling with full jitter; None: it asks for too much."""
    asked = None if retry_after is None else _retry_after_s(retry_after)
    if asked is None:
        ceiling = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2**attempt)
        return random.uniform(FIRST_DELAY_S / 2, ceiling)
    return None if asked > LONGEST_RETRY_AFTER_S else asked + random.uniform(0, FIRST_DELAY_S)


def _retry_after_s(text: str) -> float | None:
    """Seconds of a Retry-After header: a number or a date (RFC 9110, section 10.2.3)."""
    try:
        return max(float(text), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return None


def is_missing(error: HeadraceError) -> bool:
    """Whether a catalog error says that an endpoint or object is not there."""
    return getattr(error, "status", None) in (404, 405, 501)
