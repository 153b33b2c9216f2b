"""AWS credentials that live in files: profiles of ~/.aws, read here or through boto3 where the profile needs it.

Order: explicit properties, what the host says (Metaflow's own settings), a profile named by a property, the
environment, the shared files' profile (`AWS_PROFILE`, else `default`), and then what the engine finds itself: web
identity, container, instance. A profile that needs more than a pair of keys (SSO, an assumed role, a credential
process) is resolved by boto3, imported only then.

Must not know: catalogs, tables, requests. Neighbours: catalogs call `storage_properties`; the engine's Store takes the
result and does the rest of the chain.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace import surroundings
from headrace.errors import AuthenticationError, ConfigurationError, nearest

STORAGE_PREFIXES = ("s3.", "client.", "gcs.", "adls.", "file.")
_OTHERS = ("location-map", "allowed-locations", "io.manifest.cache.max-total-bytes")
EXPIRES_AT = "s3.session-token-expires-at-ms"
_MAX_BYTES = 1 << 20
_NAMES = ("access-key-id", "secret-access-key", "session-token", "region", "profile-name", "role-arn")
_INDIRECT = frozenset(
    "sso_session sso_start_url sso_account_id role_arn credential_process web_identity_token_file login_session".split()  # noqa: SIM905
)

Refresh = Callable[[], Mapping[str, str]]


@dataclass(frozen=True, repr=False)
class Profile:
    """One profile of the shared files, both files' settings merged; the credentials file wins."""

    name: str
    settings: Mapping[str, str]

    @property
    def is_indirect(self) -> bool:
        """It needs more than reading a pair of keys."""
        return not _INDIRECT.isdisjoint(self.settings) and "aws_access_key_id" not in self.settings


def is_s3(location: str | None) -> bool:
    """Whether a location is on S3."""
    return bool(location) and str(location).split("://", 1)[0].lower() in ("s3", "s3a", "s3n")


def only_storage(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties that a store may see: never a catalog's own token or credential."""
    return {key: value for key, value in properties.items() if key.startswith(STORAGE_PREFIXES) or key in _OTHERS}


def storage_properties(properties: Mapping[str, str]) -> tuple[dict[str, str], Refresh | None]:
    """Properties for the engine's Store, with keys of a profile filled in.

    Parameters
    ----------
    properties : mapping of str to str
        A catalog's or table's properties; those that are not storage's are left out.

    Returns
    -------
    (dict, callable or None)
        Properties, and where the keys expire a function that gives fresh ones.

    Raises
    ------
    ConfigurationError
        A named profile is not there, or needs boto3, which is not installed.
    AuthenticationError
        boto3 could not get credentials for the profile.
    """
    found = _under_s3_names(only_storage(properties))
    _add_host(found)
    _add_environment(found)
    if "s3.access-key-id" in found or found.get("s3.anonymous", "").lower() == "true":
        return found, None
    named = found.get("s3.profile-name")
    host = surroundings.host()
    keys = None if host is None or named else host.keys(found.get("s3.role-arn"))
    if keys is not None:
        return _through_host(found, keys)
    if not named and os.environ.get("AWS_ACCESS_KEY_ID") and os.environ.get("AWS_SECRET_ACCESS_KEY"):
        return found, None
    profile = load_profile(named or os.environ.get("AWS_PROFILE"))
    if profile is None:
        return found, None
    _add_settings(found, profile)
    if profile.is_indirect or "s3.role-arn" in found:
        return _through_boto3(found, profile.name)
    return found, None


def load_profile(name: str | None) -> Profile | None:
    """The profile of the shared files; None where none was named and there is no default one."""
    config = _sections(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config")
    secrets = _sections(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials")
    profiles = {each.removeprefix("profile ").strip().strip("\"'"): dict(settings) for each, settings in config.items()
                if each == "default" or each.startswith("profile ")}  # fmt: skip
    for each, settings in secrets.items():
        profiles[each] = profiles.get(each, {}) | settings
    wanted = name or "default"
    if wanted in profiles:
        return Profile(wanted, profiles[wanted])
    if name is None:
        return None
    raise ConfigurationError(f"no AWS profile {name!r} in the shared files", hint=nearest(name, profiles))


def _under_s3_names(properties: dict[str, str]) -> dict[str, str]:
    """`client.*` stands in where `s3.*` is not given, keys only as a whole pair."""
    found = dict(properties)
    pair = {"access-key-id", "secret-access-key", "session-token"}
    has_keys = "s3.access-key-id" in found
    for each in _NAMES:
        if f"client.{each}" in found and f"s3.{each}" not in found and not (has_keys and each in pair):
            found[f"s3.{each}"] = found[f"client.{each}"]
    return found


def _add_host(found: dict[str, str]) -> None:
    """What the host knows of endpoint, region and keys, where no property says otherwise; keys only as a whole."""
    host = surroundings.host()
    has_keys = any(f"s3.{each}" in found for each in ("access-key-id", "profile-name", "anonymous", "role-arn"))
    for key, value in ({} if host is None else host.storage()).items():
        if not (has_keys and key in ("s3.access-key-id", "s3.secret-access-key", "s3.session-token")):
            found.setdefault(key, value)


def _through_host(found: dict[str, str], keys: Refresh) -> tuple[dict[str, str], Refresh]:
    """Keys as the host gets them."""

    def fresh() -> Mapping[str, str]:
        try:
            return keys()
        except Exception as error:  # any client provider may be plugged in
            hint = "these are Metaflow's settings: METAFLOW_DEFAULT_AWS_CLIENT_PROVIDER, the role of @fast_data"
            raise AuthenticationError(f"no AWS keys from the client provider: {error}", hint=hint) from error

    return found | dict(fresh()), fresh


def _add_environment(found: dict[str, str]) -> None:
    """Region and endpoint from AWS's own variables, where no property says otherwise."""
    variables = {
        "s3.region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
        "s3.endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    }
    for key, names in variables.items():
        value = next((os.environ[each] for each in names if os.environ.get(each)), None)
        if value and key not in found:
            found[key] = value


def _add_settings(found: dict[str, str], profile: Profile) -> None:
    names = {"region": "s3.region", "endpoint_url": "s3.endpoint"}
    if not profile.is_indirect and "aws_secret_access_key" in profile.settings:
        names |= {
            "aws_access_key_id": "s3.access-key-id",
            "aws_secret_access_key": "s3.secret-access-key",
            "aws_session_token": "s3.session-token",
        }
    for setting, key in names.items():
        if profile.settings.get(setting):
            found.setdefault(key, profile.settings[setting])


def _sections(path: str) -> dict[str, dict[str, str]]:
    """Sections of an AWS file; nothing where there is no file."""
    import configparser

    file = Path(path).expanduser()
    try:
        with file.open("rb") as opened:
            text = opened.read(_MAX_BYTES).decode()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read: {type(error).__name__}", location=str(file)) from error
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False, default_section="\0", allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error as error:  # its message quotes lines, which may hold keys
        raise ConfigurationError(f"not a valid AWS file: {type(error).__name__}", location=str(file)) from None
    return {name: {key: value or "" for key, value in parser.items(name)} for name in parser.sections()}


def _through_boto3(found: dict[str, str], profile: str) -> tuple[dict[str, str], Refresh]:
    try:
        import boto3  # type: ignore[import-untyped,unused-ignore,import-not-found]
    except ImportError:
        message = f"AWS profile {profile!r} needs boto3 (SSO, an assumed role or a credential process)"
        raise ConfigurationError(message, hint="pip install 'headrace[aws]'") from None
    try:
        session = boto3.Session(profile_name=profile)
        credentials = session.get_credentials()
    except Exception as error:  # botocore has no common base for what may go wrong here
        raise AuthenticationError(f"AWS profile {profile!r}: {error}") from error

    def fresh() -> dict[str, str]:
        try:
            keys = credentials.get_frozen_credentials()
        except Exception as error:
            hint = f"aws sso login --profile {profile}, where the profile is of SSO"
            raise AuthenticationError(f"AWS profile {profile!r}: {error}", hint=hint) from error
        named = {"access-key-id": keys.access_key, "secret-access-key": keys.secret_key, "session-token": keys.token}
        expiry = getattr(credentials, "_expiry_time", None)
        known = {f"s3.{key}": value for key, value in named.items() if value}
        return known | ({EXPIRES_AT: str(int(expiry.timestamp() * 1000))} if expiry else {})

    if credentials is None:
        raise AuthenticationError(f"AWS profile {profile!r} gives no credentials")
    return found | fresh(), fresh
