"""Answers of a REST catalog that are errors, as headrace's own.

Must not know: how requests are sent. Neighbours: `http.py` raises what this makes; `rest.py` adds nearest names.
Iceberg REST specification, "ErrorModel".
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from headrace.config import redact_uri
from headrace.errors import (
    AuthenticationError,
    CatalogError,
    HeadraceError,
    MetaflowTableConflict,
    MetaflowTableExists,
    MetaflowTableNotFound,
    MetaflowTableRateLimitException,
    NamespaceExists,
    NamespaceNotFound,
    UnsupportedError,
)

_LONGEST_MESSAGE = 1000
_BY_TYPE: dict[str, type[HeadraceError]] = {
    "NoSuchTableException": MetaflowTableNotFound,
    "NoSuchIcebergTableException": MetaflowTableNotFound,
    "NoSuchNamespaceException": NamespaceNotFound,
    "NamespaceAlreadyExistsException": NamespaceExists,
    "CommitFailedException": MetaflowTableConflict,
    "NamespaceNotEmptyException": CatalogError,
    "NotAuthorizedException": AuthenticationError,
    "ForbiddenException": AuthenticationError,
    "UnsupportedOperationException": UnsupportedError,
}
_BY_STATUS: dict[int, type[HeadraceError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    419: AuthenticationError,
    406: UnsupportedError,
    501: UnsupportedError,
    429: MetaflowTableRateLimitException,
    503: MetaflowTableRateLimitException,
}


def error_for(
    catalog: str, status: int, method: str, url: str, answer: bytes, secrets: Sequence[str] = ()
) -> HeadraceError:
    """The error for an answer; its attributes `status` and `type` are the server's. Secrets are struck out."""
    kind, text = _model(answer)
    for secret in secrets:
        text = text.replace(secret, "***")
    message = f"catalog {catalog!r} answered {status} to {method}" + (f": {text}" if text else "")
    made = _class_for(status, kind, url)(message, location=redact_uri(url), hint=_hint(status, kind))
    made.__dict__["status"] = status
    made.__dict__["type"] = kind
    return made


def _class_for(status: int, kind: str, url: str) -> type[HeadraceError]:
    if status == 409 and kind in ("AlreadyExistsException", "TableAlreadyExistsException"):
        is_table = "/tables" in url or "/register" in url
        return MetaflowTableExists if is_table else NamespaceExists
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return _BY_TYPE.get(kind, CatalogError) if status < 500 else CatalogError


def _hint(status: int, kind: str) -> str | None:
    if status in (401, 419):
        return "check the catalog's credential or token"
    if status == 403:
        return "the credential lacks a permission" + ("" if kind else ", or the uri is not an Iceberg REST catalog's")
    if status in (429, 503):
        return "the server is overloaded: try again later or with fewer tasks at once"
    if status == 404 and not kind:
        return "is the catalog's uri the address of an Iceberg REST catalog, and its warehouse right?"
    return None


def _model(answer: bytes) -> tuple[str, str]:
    """(type, message) of the error model; a type is empty where the answer is something else."""
    try:
        error = json.loads(answer[: 1 << 20])["error"]
        return str(error.get("type") or ""), " ".join(str(error.get("message") or "").split())[:_LONGEST_MESSAGE]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", ""
