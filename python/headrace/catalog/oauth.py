"""OAuth2 client credentials: a bearer token, fetched at first use and again before it expires.

Must not know: catalogs' endpoints. Neighbour: `http.py`, which asks for the token of each request and reports a token
that was refused. Iceberg REST specification, "OAuth2Security"; RFC 6749, section 4.4.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from headrace.errors import AuthenticationError, ConfigurationError

Send = Callable[[str, str, Mapping[str, str], bytes], tuple[int, Mapping[str, str], bytes]]
"""(method, url, headers, body) -> (status, lower-case headers, body), retrying what may be retried."""

_EARLY_S = 60.0
"""A token is replaced this long before its end, or after nine tenths of its life if that is later."""


class Token:
    """The bearer token of one catalog. Thread-safe: one request fetches it, the others wait.

    Parameters
    ----------
    properties : mapping of str to str
        `token` (used as it is), `credential` ("id:secret" or "secret"), `scope` (default "catalog"), `audience`,
        `resource`.
    url : str
        The token endpoint.
    send : callable
        Sends one request.
    """

    def __init__(self, properties: Mapping[str, str], url: str, send: Send) -> None:
        self._url = url
        self._send = send
        self._form = _form(properties) if properties.get("credential") else None
        self._value = properties.get("token")
        self._expires_at = float("inf") if self._value else 0.0
        self._lock = threading.Lock()

    def current(self) -> str | None:
        """The token to send; None where the catalog needs none."""
        if self._form is None or (self._value and time.monotonic() < self._expires_at):
            return self._value
        with self._lock:
            if not self._value or time.monotonic() >= self._expires_at:
                self._fetch()
            return self._value

    def peek(self) -> str | None:
        """The token as it is now, without fetching one: to strike it out of messages."""
        return self._value

    def refused(self, value: str | None) -> bool:
        """Report that a request with this token was refused; True if a new one is worth a try."""
        if self._form is None:
            return False
        with self._lock:
            if self._value == value:
                self._fetch()
            return True

    def _fetch(self) -> None:
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        body = urlencode(self._form or {}).encode()
        status, _, answer = self._send("POST", self._url, headers, body)
        if status != 200:
            message = f"the token endpoint answered {status}{_reason(answer)}"
            hint = "check the catalog's credential, scope and oauth2-server-uri"
            raise AuthenticationError(message, location=self._url, hint=hint)
        token, life_s = _read(answer, self._url)
        self._value = token
        self._expires_at = time.monotonic() + max(life_s - _EARLY_S, life_s * 0.9) if life_s else float("inf")

    def __repr__(self) -> str:
        return f"Token({self._url!r})"


def _form(properties: Mapping[str, str]) -> dict[str, str]:
    identity, separator, secret = properties["credential"].partition(":")
    form = {"grant_type": "client_credentials", "scope": properties.get("scope") or "catalog"}
    if separator and not (identity and secret):
        raise ConfigurationError("property 'credential': expected 'id:secret' or 'secret', one part is empty")
    form |= {"client_id": identity, "client_secret": secret} if separator else {"client_secret": identity}
    return form | {key: properties[key] for key in ("audience", "resource") if properties.get(key)}


def _read(answer: bytes, url: str) -> tuple[str, float]:
    try:
        json_answer = json.loads(answer)
        token, life_s = json_answer["access_token"], json_answer.get("expires_in")
        if isinstance(token, str) and token:
            return token, max(float(life_s or 0), 0.0)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    raise AuthenticationError("the token endpoint's answer holds no access_token", location=url)


def _reason(answer: bytes) -> str:
    """`error` and `error_description` of an OAuth2 error (RFC 6749, section 5.2), or an Iceberg error's message."""
    try:
        found = json.loads(answer[:65536])
        error = found.get("error")
        if isinstance(error, dict):
            return f": {str(error.get('message'))[:300]}"
        return ": " + " - ".join(str(each)[:300] for each in (error, found.get("error_description")) if each)
    except (ValueError, AttributeError, RecursionError):
        return ""
