"""AWS profiles: which keys a store is given, and what is left to the engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from headrace.credentials import storage_properties
from headrace.errors import AuthenticationError, ConfigurationError

CREDENTIALS = """
[default]
aws_access_key_id = DEFAULT
aws_secret_access_key = d%/+=
[team]
aws_access_key_id=TEAM
aws_secret_access_key=t
aws_session_token=tt==
"""
CONFIG = """
[default]
region = eu-central-1
s3 =
    addressing_style = path
[profile team]
region = us-west-2
endpoint_url = http://team
[profile process]
credential_process = echo '{"Version":1,"AccessKeyId":"P","SecretAccessKey":"p","SessionToken":"s",EXPIRATION}'
[profile sso]
sso_session = none
sso_account_id = 1
sso_role_name = r
[sso-session none]
sso_region = us-east-1
sso_start_url = http://127.0.0.1:9
"""


EXPIRATION = '"Expiration":"2099-01-01T00:00:00Z"'


@pytest.fixture
def shared_files(bare_environment: Path) -> Path:
    folder = bare_environment / ".aws"
    folder.mkdir()
    (folder / "credentials").write_text(CREDENTIALS)
    (folder / "config").write_text(CONFIG.replace("EXPIRATION", EXPIRATION))
    return folder


def _keys(properties: dict[str, str]) -> list[str | None]:
    found, _ = storage_properties(properties)
    return [found.get(f"s3.{key}") for key in ("access-key-id", "secret-access-key", "session-token", "region")]


def test_order_of_sources(shared_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _keys({}) == ["DEFAULT", "d%/+=", None, "eu-central-1"]
    monkeypatch.setenv("AWS_PROFILE", "team")
    assert _keys({}) == ["TEAM", "t", "tt==", "us-west-2"]
    assert storage_properties({})[0]["s3.endpoint"] == "http://team"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "e")
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    assert _keys({}) == [None, None, None, "ap-south-1"]  # the environment is the engine's
    assert _keys({"s3.profile-name": "default"}) == ["DEFAULT", "d%/+=", None, "ap-south-1"]
    assert _keys({"client.profile-name": "team", "s3.region": "mine"}) == ["TEAM", "t", "tt==", "mine"]
    explicit = {"s3.access-key-id": "X", "s3.secret-access-key": "x", "client.session-token": "other"}
    assert _keys(explicit) == ["X", "x", None, "ap-south-1"]
    client = {"client.access-key-id": "C", "client.secret-access-key": "c", "client.region": "cr"}
    assert _keys(client) == ["C", "c", None, "cr"]
    assert _keys({"s3.anonymous": "true"})[:3] == [None, None, None]


def test_a_store_sees_storage_properties_only(bare_environment: Path) -> None:
    given = {"token": "t", "credential": "c", "uri": "u", "s3.endpoint": "e", "location-map": "a=b", "header.X": "x"}
    assert storage_properties(given)[0] == {"s3.endpoint": "e", "location-map": "a=b"}


def test_profiles_that_are_not_there(shared_files: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'team'"):
        storage_properties({"s3.profile-name": "taem"})
    (shared_files / "config").write_text("not an ini file: SECRET")
    with pytest.raises(ConfigurationError, match=r"config") as damaged:
        storage_properties({})
    assert "SECRET" not in str(damaged.value)


def test_other_paths_of_the_shared_files(bare_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare_environment / "keys").write_text(CREDENTIALS)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(bare_environment / "keys"))
    assert _keys({"s3.profile-name": "team"}) == ["TEAM", "t", "tt==", None]


def test_boto3_where_the_profile_needs_it(shared_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, refresh = storage_properties({"s3.profile-name": "process"})
    assert (found["s3.access-key-id"], found["s3.session-token"]) == ("P", "s")
    assert refresh is not None
    assert refresh()["s3.session-token-expires-at-ms"] == "4070908800000"
    with pytest.raises(AuthenticationError, match="aws sso login --profile sso"):
        storage_properties({"s3.profile-name": "sso"})
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    with pytest.raises(ConfigurationError, match="needs boto3"):
        storage_properties({"s3.profile-name": "sso"})
