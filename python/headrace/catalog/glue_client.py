"""AWS Glue's calls through boto3, and its errors as headrace's.

A call that only reads is repeated by botocore. A call that changes something is sent once, and again only where Glue
throttled it, so that its outcome is either told or `Unknown`. Must not know: Iceberg, metadata files. boto3 is imported
on use; a client belongs to the process that made it. Neighbours: `glue.py`, `glue_partitions.py`.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from headrace import config
from headrace.errors import (
    AuthenticationError,
    CatalogError,
    ConfigurationError,
    HeadraceError,
    MetaflowTableRateLimitException,
    UnreachableError,
)

_MAX_TRIES = 10
_LONGEST_PAUSE_S = 8.0
_KEYS = ("access-key-id", "secret-access-key", "session-token")
_THROTTLED = frozenset(
    ("ThrottlingException", "Throttling", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException",
     "RequestThrottled", "RequestThrottledException", "SlowDown", "BandwidthLimitExceeded")
)  # fmt: skip
_NO_ACCESS = frozenset(
    ("AccessDeniedException", "AccessDenied", "UnrecognizedClientException", "InvalidClientTokenId", "ExpiredToken",
     "ExpiredTokenException", "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature",
     "MissingAuthenticationToken", "MissingAuthenticationTokenException", "NotAuthorized")
)  # fmt: skip
_UNTOLD = frozenset(("InternalServiceException", "OperationTimeoutException", "InternalFailure", "ServiceUnavailable"))


class Refused(Exception):
    """Glue answered a call with an error, which a caller may know what to do with.

    Attributes
    ----------
    code : str
        Glue's name of the error, such as "EntityNotFoundException".
    error : HeadraceError
        The same for people.
    """

    def __init__(self, code: str, error: HeadraceError) -> None:
        super().__init__(str(error))
        self.code, self.error = code, error


class Unknown(Exception):
    """A call that changes something was sent, and whether it took effect is not known."""


class GlueCalls:
    """Glue under a catalog's properties. Methods of Glue are named as boto3 names them."""

    def __init__(self, name: str, properties: Mapping[str, str]) -> None:
        self._name, self._properties = name, properties
        self._tries = max(1, config.as_int(properties, "glue.max-retries", _MAX_TRIES))
        self._lock = threading.Lock()
        self._clients: tuple[int, Any, Any] | None = None

    def read(self, method: str, **arguments: Any) -> dict[str, Any]:
        """A call that may be repeated. Raises Refused; an error of headrace where there is no answer."""
        try:
            return dict(getattr(self._pair()[0], method)(**self._addressed(arguments)))
        except Exception as error:
            raise self._told(error) from error

    def pages(self, method: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """All items of a list that comes in pages; `key` is where a page holds them."""
        token: str | None = None
        while True:
            page = self.read(method, **arguments, **({"NextToken": token} if token else {}))
            yield from page.get(key) or []
            if not (token := page.get("NextToken")):
                return

    def change(self, method: str, **arguments: Any) -> None:
        """A call that is sent once. Raises Refused (nothing was changed), Unknown, and headrace's errors where it was
        not sent at all."""
        call = getattr(self._pair()[1], method)
        for attempt in range(1, self._tries + 1):
            try:
                call(**self._addressed(arguments))
                return
            except Exception as error:
                if _is_unknown(error):
                    raise Unknown(f"AWS Glue: {_text(error)}") from error
                if _code(error) not in _THROTTLED or attempt == self._tries:
                    raise self._told(error) from error
            time.sleep(random.uniform(0, min(_LONGEST_PAUSE_S, 0.1 * 2**attempt)))

    def _addressed(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        catalog_id = self._properties.get("glue.id")
        return {**arguments, **({"CatalogId": catalog_id} if catalog_id else {})}

    def _pair(self) -> tuple[Any, Any]:
        """This process's clients: one that repeats calls and one that does not."""
        with self._lock:
            if self._clients is None or self._clients[0] != os.getpid():
                self._clients = (os.getpid(), *self._opened())
            return self._clients[1], self._clients[2]

    def _opened(self) -> tuple[Any, Any]:
        try:
            import boto3  # type: ignore[import-untyped,unused-ignore,import-not-found]
            from botocore.config import Config
        except ImportError:
            message = f"catalog {self._name!r}: AWS Glue needs boto3, which is not installed"
            raise ConfigurationError(message, hint="pip install 'headrace[glue]'") from None
        mode = self._properties.get("glue.retry-mode", "standard")
        made = []
        try:
            session = boto3.Session(**_session(self._properties))
            for tries in (self._tries, 1):
                retries = {"total_max_attempts": tries, "mode": mode}
                endpoint = self._properties.get("glue.endpoint")
                made.append(session.client("glue", endpoint_url=endpoint, config=Config(retries=retries)))
        except Exception as error:  # a profile that is not there, no region, an endpoint that is no URL
            hint = "properties glue.region, glue.profile-name, glue.endpoint; or AWS_REGION and AWS_PROFILE"
            raise ConfigurationError(f"catalog {self._name!r}: AWS Glue: {error}", hint=hint) from error
        return made[0], made[1]

    def _told(self, error: Exception) -> Exception:
        """What a call raises, as the error to raise instead."""
        if isinstance(error, HeadraceError):
            return error
        code, told = _code(error), f"AWS Glue: {_text(error)}"
        if code in _THROTTLED:
            return MetaflowTableRateLimitException(told, hint="glue.max-retries is how often it is asked again")
        if code in _NO_ACCESS or type(error).__name__ in _NO_KEYS:
            hint = "keys: glue.access-key-id, glue.profile-name, client.*, s3.*, or AWS's own chain"
            return AuthenticationError(told, hint=hint)
        if code is not None and not _is_unknown(error):
            return Refused(code, CatalogError(told))
        if type(error).__name__ == "ParamValidationError":  # a name longer than Glue takes
            return CatalogError(told)
        if code is not None or _is_of_transport(error):
            return UnreachableError(told)
        return error


_NO_KEYS = frozenset(
    ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError",
     "UnauthorizedSSOTokenError", "SSOTokenLoadError", "NoAuthTokenError")
)  # fmt: skip
_NOT_SENT = _NO_KEYS | frozenset(
    ("EndpointConnectionError", "ConnectTimeoutError", "ParamValidationError", "ProxyConnectionError")
)


def _is_unknown(error: Exception) -> bool:
    """Whether a call may have taken effect in spite of its error."""
    if isinstance(error, HeadraceError):
        return False
    if (code := _code(error)) is not None:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)  # type: ignore[attr-defined]
        return code not in _THROTTLED and (code in _UNTOLD or status >= 500)
    return _is_of_transport(error) and type(error).__name__ not in _NOT_SENT


def _is_of_transport(error: Exception) -> bool:
    return isinstance(error, OSError) or type(error).__module__.startswith(("botocore", "urllib3"))


def _code(error: Exception) -> str | None:
    """Glue's name of an error; None for one that Glue did not answer."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else None


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


def _session(properties: Mapping[str, str]) -> dict[str, str]:
    """What boto3's session is made with: keys as a whole from one prefix, and only where no profile comes before."""
    found: dict[str, str] = {}
    for prefix in ("glue", "client", "s3"):
        if profile := properties.get(f"{prefix}.profile-name"):
            found["profile_name"] = profile
            break
        if properties.get(f"{prefix}.access-key-id"):
            named = [f"{prefix}.{each}" for each in _KEYS]
            into = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
            found |= {key: properties[each] for key, each in zip(into, named, strict=True) if properties.get(each)}
            break
    regions = (properties.get(f"{prefix}.region") for prefix in ("glue", "client", "s3"))
    if region := next(filter(None, regions), None):
        found["region_name"] = region
    return found
