"""What a real server cannot be made to do on demand: expiry, overload, signatures, overrides, renewals."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from catalog_servers import Answer, ScriptedServer, urllib_transport
from headrace.catalog import http as catalog_http
from headrace.catalog import load_catalog
from headrace.catalog.rest import RestCatalog
from headrace.errors import (
    AuthenticationError,
    CatalogError,
    ConfigurationError,
    MetaflowTableCommitStateUnknownException,
    MetaflowTableConflict,
    MetaflowTableInvalidData,
    MetaflowTableNotFound,
    MetaflowTableRateLimitException,
    UnsupportedError,
)
from headrace.iceberg import NestedField, PrimitiveType, Schema
from headrace.iceberg.creation import new_metadata

Routes = dict[str, Any]
METADATA = new_metadata("s3://bucket/db/t", Schema((NestedField(1, "a", PrimitiveType("int")),))).raw
TABLE = "GET /v1/namespaces/db/tables/t"


def _error(kind: str, code: int, message: str = "no") -> Answer:
    return code, {}, {"error": {"type": kind, "code": code, "message": message}}


def _serve(routes: Routes) -> ScriptedServer:
    """Routes "METHOD /path" to a JSON answer, an (status, headers, JSON), or a function of the request giving one."""

    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        found = routes.get(f"{method} {urlsplit(path).path}")
        if callable(found):
            found = found(path, headers, body)
        if found is None and urlsplit(path).path == "/v1/config":
            found = {"defaults": {}, "overrides": {}}
        if found is None:
            return _error("NoSuchEndpointException", 404, f"no route {method} {path}")
        return found if isinstance(found, tuple) else (200, {}, found)

    return ScriptedServer(answer)


def _catalog(server: ScriptedServer, **properties: str) -> RestCatalog:
    return RestCatalog("c", {"uri": server.uri, **properties}, transport=urllib_transport)


def _in_turn(*answers: Any) -> Callable[..., Any]:
    left = list(answers)
    return lambda *_: left.pop(0) if len(left) > 1 else left[0]


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waiting times, not waited for."""
    waited: list[float] = []
    monkeypatch.setattr(catalog_http.time, "sleep", waited.append)
    return waited


def test_defaults_lie_under_and_overrides_over_the_given_properties() -> None:
    settings = {
        "defaults": {"s3.region": "from-server", "s3.endpoint": "http://default"},
        "overrides": {"prefix": "my/prefix", "s3.anonymous": "true", "namespace-separator": "%2E"},
    }
    table = {"metadata": METADATA, "metadata-location": "s3://b/m.json", "config": {"s3.endpoint": "http://table"}}
    routes = {"GET /v1/config": settings, "GET /v1/my/prefix/namespaces/a.b/tables/t%2F1": table}
    with _serve(routes) as server:
        given = {"warehouse": "w h", "s3.region": "mine", "s3.anonymous": "false", "header.X-Team": "blue"}
        loaded = _catalog(server, **given).load_table(("a", "b", "t/1"))
    expected = {"s3.region": "mine", "s3.anonymous": "true", "s3.endpoint": "http://table"}
    assert {key: loaded.properties[key] for key in expected} == expected
    assert parse_qs(urlsplit(server.requests[0][1]).query) == {"warehouse": ["w h"]}
    assert server.requests[1][2]["x-team"] == "blue"
    assert server.requests[1][2]["x-iceberg-access-delegation"] == "vended-credentials"


def test_a_namespace_in_a_path_is_one_segment() -> None:
    with _serve({"GET /v1/namespaces/a%1Fb/tables": {"identifiers": []}}) as server:
        assert _catalog(server).list_tables("a.b") == []


def test_oauth_token_is_fetched_once_and_renewed_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = _in_turn(*({"access_token": f"token-{n}", "token_type": "bearer", "expires_in": 100} for n in (1, 2, 3)))
    routes = {"POST /oauth": tokens, "GET /v1/namespaces": {"namespaces": [["db"]]}}
    with _serve(routes) as server:
        named = {"credential": "id:se:cret", "scope": "all", "oauth2-server-uri": f"{server.uri}/oauth"}
        catalog = _catalog(server, **named, audience="them")
        assert catalog.list_namespaces() == [("db",)]
        catalog.list_namespaces()
        now = time.monotonic()
        monkeypatch.setattr("headrace.catalog.oauth.time.monotonic", lambda: now + 95)
        catalog.list_namespaces()
    sent = [request for request in server.requests if request[0] == "POST"]
    form = {key: value for key, (value,) in parse_qs(sent[0][3].decode()).items()}
    grant = {"grant_type": "client_credentials", "scope": "all", "audience": "them"}
    assert form == {**grant, "client_id": "id", "client_secret": "se:cret"}
    used = [request[2].get("authorization") for request in server.requests if request[0] == "GET"]
    assert used == ["Bearer token-1"] * 3 + ["Bearer token-2"]


@pytest.mark.parametrize("status", [401, 419])
def test_a_refused_token_is_replaced_once(status: int) -> None:
    def guarded(path: str, headers: Mapping[str, str], body: bytes) -> Any:
        if headers["authorization"] == "Bearer fresh":
            return {"namespaces": []}
        return _error("NotAuthorizedException", status, f"{headers['authorization']} has expired")

    routes: Routes = {"GET /v1/namespaces": guarded, "POST /v1/oauth/tokens": {"access_token": "fresh"}}
    with _serve(routes) as server:
        assert _catalog(server, token="stale-token", credential="id:secret").list_namespaces() == []
        with pytest.raises(AuthenticationError) as refused:
            _catalog(server, token="stale-token").list_namespaces()
        assert "stale-token" not in str(refused.value)
        routes["POST /v1/oauth/tokens"] = {"access_token": "stale-again"}
        with pytest.raises(AuthenticationError):
            _catalog(server, credential="id:secret").list_namespaces()
    assert [request[0] for request in server.requests].count("POST") == 3


def test_a_refused_credential_says_why_without_showing_it() -> None:
    refusal = 401, {}, {"error": "invalid_client", "error_description": "who are you"}
    with _serve({"POST /v1/oauth/tokens": refusal}) as server, pytest.raises(AuthenticationError) as refused:
        _catalog(server, credential="id:hidden-secret").list_namespaces()
    assert "who are you" in str(refused.value)
    assert "hidden-secret" not in str(refused.value)


def test_overload_is_waited_out_for_reads_and_told_for_writes(naps: list[float]) -> None:
    busy = 503, {"retry-after": "7"}, b""
    routes: Routes = {"GET /v1/namespaces": _in_turn((429, {}, b"slow"), busy, {"namespaces": []})}
    routes["POST /v1/namespaces"] = busy
    with _serve(routes) as server:
        catalog = _catalog(server)
        assert catalog.list_namespaces() == []
        assert 0 < naps[0] < 1
        assert 7 <= naps[1] < 8
        with pytest.raises(MetaflowTableRateLimitException):
            catalog.create_namespace("db")
        assert len(naps) == 2
        routes["GET /v1/namespaces"] = 429, {}, b""
        with pytest.raises(MetaflowTableRateLimitException):
            catalog.list_namespaces()
        assert len(naps) == 2 + catalog_http.MAX_ATTEMPTS - 1
        routes["GET /v1/namespaces"] = 503, {"retry-after": "3600"}, b""
        with pytest.raises(MetaflowTableRateLimitException):
            catalog.list_namespaces()
        assert max(naps) < 60
        routes["GET /v1/namespaces"] = _error("InternalServerError", 500, "broken")
        with pytest.raises(CatalogError, match="broken"):
            catalog.list_namespaces()


def test_requests_are_signed_where_asked() -> None:
    keys = {
        "rest.access-key-id": "AKIDEXAMPLE",
        "rest.secret-access-key": "hidden-key",
        "rest.session-token": "hidden-token",
    }
    signing = {"rest.sigv4-enabled": "true", "rest.signing-region": "eu-west-1", "rest.signing-name": "glue"}
    with _serve({"GET /v1/namespaces": {"namespaces": []}}) as server:
        _catalog(server, **signing, **keys).list_namespaces()
    headers = server.requests[-1][2]
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-west-1/glue/aws4_request, SignedHeaders=" in headers["authorization"]
    assert headers["x-amz-security-token"] == "hidden-token"
    assert len(headers["x-amz-content-sha256"]) == 64
    assert headers["host"] == server.uri.removeprefix("http://")


def test_pages_are_followed_and_must_end() -> None:
    def page(path: str, *_: Any) -> Any:
        token = parse_qs(urlsplit(path).query).get("pageToken", [""])[0]
        number = int(token or 0)
        identifiers = [{"namespace": ["db"], "name": f"t{number}"}]
        return {"identifiers": identifiers, "next-page-token": str(number + 1) if number < 3 else None}

    routes: Routes = {"GET /v1/namespaces/db/tables": page}
    with _serve(routes) as server:
        assert _catalog(server).list_tables("db") == [("db", f"t{number}") for number in range(4)]
        assert "pageToken" not in server.requests[1][1]
        routes["GET /v1/namespaces/db/tables"] = {"identifiers": [], "next-page-token": "same"}
        with pytest.raises(CatalogError, match="do not end"):
            _catalog(server).list_tables("db")


def _vended(number: int) -> dict[str, Any]:
    def keys(prefix: str, name: str) -> dict[str, Any]:
        config = {
            "s3.access-key-id": f"{name}{number}",
            "s3.secret-access-key": "s",
            "s3.session-token": f"tok{number}",
        }
        return {"prefix": prefix, "config": config | {"s3.session-token-expires-at-ms": str(number)}}

    return {
        "storage-credentials": [keys("s3://bucket", "wide"), keys("s3://bucket/db", "narrow"), keys("s3://b2", "b2")]
    }


def test_vended_credentials_longest_prefix_and_renewal_by_endpoint() -> None:
    table = {"metadata": METADATA, "metadata-location": "s3://bucket/db/t/m.json", "config": {"token": "x"}} | _vended(
        1
    )
    endpoint = "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials"
    routes: Routes = {TABLE: table, f"{TABLE}/credentials": _vended(2)}
    routes["GET /v1/config"] = {"defaults": {}, "overrides": {}, "endpoints": [endpoint]}
    with _serve(routes) as server:
        static = {"s3.access-key-id": "mine", "s3.secret-access-key": "mine", "s3.session-token": "mine"}
        loaded = _catalog(server, **static).load_table("db.t")
        assert loaded.properties["s3.access-key-id"] == "narrow1"
        assert loaded.properties["s3.session-token-expires-at-ms"] == "1"
        assert "token" not in loaded.properties
        assert loaded.properties_for("s3://bucket/other/x")["s3.access-key-id"] == "wide1"
        assert loaded.properties_for("s3://b2/x")["s3.access-key-id"] == "b21"
        assert loaded.refresh is not None
        assert loaded.refresh()["s3.access-key-id"] == "narrow2"
        routes[f"{TABLE}/credentials"] = _error("NoSuchEndpoint", 404)
        routes[TABLE] = table | _vended(3)
        assert loaded.refresh()["s3.access-key-id"] == "narrow3"
        routes["GET /v1/config"] = {"defaults": {}, "overrides": {}}
        unadvertised = _catalog(server).load_table("db.t")
        before = len(server.requests)
        assert unadvertised.refresh is not None
        assert unadvertised.refresh()["s3.session-token"] == "tok3"
        assert [request[1] for request in server.requests[before:]] == ["/v1/namespaces/db/tables/t"]


def test_keys_of_the_table_config_do_not_keep_the_catalogs_session_token() -> None:
    table = {"metadata": METADATA, "config": {"s3.access-key-id": "theirs", "s3.secret-access-key": "theirs"}}
    with _serve({TABLE: table}) as server:
        static = {"s3.access-key-id": "mine", "s3.secret-access-key": "mine", "s3.session-token": "mine"}
        loaded = _catalog(server, **static).load_table("db.t")
    assert "mine" not in loaded.properties.values()
    assert loaded.refresh is None


def test_answers_that_are_errors(naps: list[float]) -> None:
    routes: Routes = {}
    with _serve(routes) as server:
        catalog = _catalog(server)
        for answer, expected in [
            (_error("NoSuchTableException", 404), MetaflowTableNotFound),
            ((404, {}, b"<html>not found</html>"), CatalogError),
            (_error("ForbiddenException", 403), AuthenticationError),
            (_error("BadRequestException", 400, "x" * 5000), CatalogError),
            ((501, {}, b""), UnsupportedError),
            ((200, {}, b"<html>"), CatalogError),
            ((200, {}, b"[]"), MetaflowTableInvalidData),
            ((200, {}, {"metadata": {"format-version": 2}}), MetaflowTableInvalidData),
            ((200, {}, b"[" * 100_000), CatalogError),
        ]:
            routes[TABLE] = answer
            with pytest.raises(expected) as error:
                catalog.load_table("db.t")
            assert len(str(error.value)) < 2000
        commit = "POST /v1/namespaces/db/tables/t"
        routes[commit] = _error("CommitFailedException", 409)
        with pytest.raises(MetaflowTableConflict):
            catalog.commit_table("db.t", [], [])
        routes[commit] = _error("CommitStateUnknownException", 500)
        with pytest.raises(MetaflowTableCommitStateUnknownException):
            catalog.commit_table("db.t", [], [])


def test_existence_where_head_is_not_offered() -> None:
    routes: Routes = {"HEAD /v1/namespaces/db/tables/t": (405, {}, b""), TABLE: {"metadata": METADATA}}
    with _serve(routes) as server:
        assert _catalog(server).table_exists("db.t")
        routes[TABLE] = _error("NoSuchTableException", 404)
        assert not _catalog(server).table_exists("db.t")
        routes["GET /v1/config"] = {"endpoints": ["GET /v1/{prefix}/namespaces"]}
        before = len(server.requests)
        assert not _catalog(server).table_exists("db.t")
        assert "HEAD" not in [request[0] for request in server.requests[before:]]


def test_secrets_stay_out_of_repr_and_pickles_and_are_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {"credential": "id:hush", "header.Authorization": "hush", "s3.secret-access-key": "hush"}
    catalog = load_catalog(
        "prod", uri="http://127.0.0.1:9", **secrets, **{"s3.region": "r", "s3.access-key-id": "hush"}
    )
    data = pickle.dumps(catalog)
    assert b"hush" not in data
    assert "hush" not in repr(catalog) + repr(vars(catalog).get("_connected"))
    with pytest.raises(ConfigurationError, match="HEADRACE_CATALOG__PROD__CREDENTIAL") as lost:
        pickle.loads(data).list_namespaces()
    assert "HEADRACE_CATALOG__PROD__S3__SECRET_ACCESS_KEY" in str(lost.value)
    assert "never pickled" in str(pickle.loads(pickle.dumps(lost.value)))
    monkeypatch.setenv("HEADRACE_CATALOG__PROD__CREDENTIAL", "id:other")
    monkeypatch.setenv("PYICEBERG_CATALOG__PROD__HEADER__AUTHORIZATION", "other")
    monkeypatch.setenv("AWS_PROFILE", "anything")  # this process has AWS keys of its own
    again = pickle.loads(data)
    assert again._lost == ()
    assert again.properties["s3.region"] == "r"
    assert json.dumps(dict(again.properties)).count("hush") == 0
