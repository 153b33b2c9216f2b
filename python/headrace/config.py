"""Where a catalog's properties come from: arguments, environment, files; checked for typos, secrets told apart.

Sources, first wins, property by property (the names are PyIceberg's, lower-cased):

1. arguments;
2. `HEADRACE_CATALOG__<NAME>__<KEY>`, then `PYICEBERG_CATALOG__<NAME>__<KEY>`: a double underscore separates, and inside
   KEY it is a dot; a single underscore is a hyphen (`HEADRACE_CATALOG__PROD__S3__ACCESS_KEY_ID` is `s3.access-key-id`);
3. `headrace.toml` in the folder of the running program, then in the working folder, then in the user's configuration
   folder (`$XDG_CONFIG_HOME/headrace`, else `~/.config/headrace`): tables `[catalog.<name>]`, key `default-catalog`;
4. `.pyiceberg.yaml` in `$PYICEBERG_HOME`, the home folder or the working folder: the first that holds something.

`HEADRACE_CATALOG` names the default catalog, then `PYICEBERG_DEFAULT_CATALOG`, then `default-catalog` of the files.
With nothing configured the default is embedded: SQLite and a warehouse folder under `HEADRACE_HOME`.

Must not know: how a catalog speaks. Neighbours: `config_files.py` reads the files, `catalog.load_catalog` builds
catalogs from what this resolves, `credentials.py` finds AWS keys.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from headrace import surroundings
from headrace.config_files import Source, environment_source, toml_sources, yaml_source
from headrace.errors import ConfigurationError, nearest

DEFAULT = "default"
EMBEDDED = "embedded"
TYPES = ("rest", "sql", "hive", "glue")

_SECRET = re.compile(
    r"(^header\.|secret|token|credential|password|access-key|account-key|connection-string|private-key|^auth$)"
)
_NO_SECRET = re.compile(r"(expires-at|expires-in|-uri$|-url$|-enabled$|-endpoint$|x-iceberg-access-delegation)")
_PLAIN = """type uri warehouse credential token scope audience resource oauth2-server-uri prefix location-map
    allowed-locations snapshot-loading-mode namespace-separator rest-namespace-separator rest-page-size schema_version
    init_catalog_tables py-catalog-impl py-io-impl downcast-ns-timestamp-to-us-on-write echo pool_pre_ping
    ssl auth ugi engine.hive.lock-enabled lock-check-min-wait-time lock-check-max-wait-time
    lock-check-retries""".split()  # noqa: SIM905
_REST = "sigv4-enabled signing-region signing-name sigv4.max-retries access-key-id secret-access-key session-token"
_S3 = """endpoint region access-key-id secret-access-key session-token session-token-expires-at-ms profile-name
    anonymous force-virtual-addressing path-style-access resolve-region proxy-uri connect-timeout request-timeout signer
    signer.uri signer.endpoint role-arn role-session-name retry-strategy-impl server-side-encryption sse-kms-key-id
    sse.type sse.key sse.md5 acl remote-signing-enabled cross-region-access-enabled"""
_CLIENT = """region access-key-id secret-access-key session-token profile-name role-arn role-session-name
    refresh-credentials-endpoint refresh-credentials-enabled credentials-provider"""
_GLUE = """id endpoint region access-key-id secret-access-key session-token profile-name skip-archive max-retries
    retry-mode"""
_LOCK = "lock-timeout-ms lock-check-min-wait-ms lock-check-max-wait-ms lock-heartbeat-interval-ms"
_HIVE = f"""thrift.transport thrift.timeout-ms {_LOCK} hive2-compatible kerberos-authentication kerberos-service-name
    metastore.sasl.enabled metastore.use.SSL metastore.truststore.path"""
KNOWN_PROPERTIES = frozenset(
    [
        *_PLAIN,
        *(f"{prefix}.{name}" for prefix, names in (("rest", _REST), ("s3", _S3), ("client", _CLIENT), ("glue", _GLUE),
                                    ("hive", _HIVE), ("iceberg.hive", _LOCK))
          for name in names.split()),
    ]
)  # fmt: skip
"""Properties of catalogs that this library or PyIceberg reads: what a typo is measured against."""


@dataclass(frozen=True, repr=False)
class CatalogConfig:
    """A catalog's resolved properties. `looked_in` says where configuration was looked for; repr shows no secret."""

    name: str
    properties: Mapping[str, str]
    looked_in: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        return f"CatalogConfig({self.name!r}, {redact(self.properties)})"


def is_secret(name: str) -> bool:
    """Whether a property of this name holds a secret."""
    lower = name.lower()
    return bool(_SECRET.search(lower)) and not _NO_SECRET.search(lower)


def redact(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties with every secret shown as "***"."""
    return {name: "***" if is_secret(name) else redact_uri(value) for name, value in properties.items()}


def redact_uri(value: str) -> str:
    """The text with the password of a URI shown as "***"."""
    return re.sub(r"(://[^/@:\s]*):[^/@\s]*@", r"\1:***@", value)


def without_secrets(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties that may be pickled: no secret, no URI with a password."""
    return {name: value for name, value in properties.items() if not is_secret(name) and redact_uri(value) == value}


def variable(catalog: str, key: str) -> str:
    """The environment variable that sets a property: `HEADRACE_CATALOG__PROD__S3__ENDPOINT`."""
    return "HEADRACE_CATALOG__" + "__".join(
        each.replace("-", "_").replace(".", "__").upper() for each in (catalog, key)
    )


def home() -> Path:
    """Folder of the embedded catalog: `HEADRACE_HOME`, else `headrace` in the user's data folder."""
    if explicit := os.environ.get("HEADRACE_HOME"):
        return Path(explicit).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or os.environ.get("LOCALAPPDATA") or "~/.local/share"
    return Path(data).expanduser().absolute() / "headrace"


def embedded_properties() -> dict[str, str]:
    """Properties of the embedded catalog: SQLite and a warehouse folder under `home()`."""
    folder = home()
    return {
        "type": "sql",
        "uri": f"sqlite:///{(folder / 'catalog.db').as_posix()}",
        "warehouse": f"file://{(folder / 'warehouse').as_posix()}",  # raw text, as locations are: no "%20"
    }


def resolve(name: str | None = None, arguments: Mapping[str, object] | None = None) -> CatalogConfig:
    """Resolve a catalog's properties.

    Parameters
    ----------
    name : str or None
        The catalog; None means the default. "embedded" is always there unless configured otherwise.
    arguments : mapping of str to (str, bool, int) or None
        Properties that win over everything configured. With `type` or `uri` among them the catalog need not be
        configured anywhere.

    Raises
    ------
    ConfigurationError
        Unknown catalog, misspelt property, unreadable file, PyYAML missing where `.pyiceberg.yaml` is needed.
    """
    given = {key: as_text(key, value) for key, value in (arguments or {}).items() if value is not None}
    sources = [environment_source("HEADRACE_"), environment_source("PYICEBERG_"), *toml_sources()]
    chosen = name or os.environ.get("HEADRACE_CATALOG") or _default_of(sources)
    settled = _defines(given) or any(_defines(each.catalog(chosen or DEFAULT)) for each in sources)
    sources.append(yaml_source(needed=not settled and chosen != EMBEDDED))
    chosen = chosen or _default_of(sources) or DEFAULT
    properties: dict[str, str] = {}
    for each in reversed(sources):
        properties |= each.catalog(chosen)
    looked_in = tuple(each.name for each in sources)
    if not properties and not _defines(given):
        properties = _unconfigured(chosen, sources, looked_in)
        chosen = DEFAULT  # one name for the embedded catalog: the rows of an SQL catalog belong to its name
    properties |= given
    check_names(properties)
    return CatalogConfig(chosen, properties, looked_in)


def catalog_type(config: CatalogConfig) -> str:
    """The catalog's `type`, or what its `uri` implies: http(s) rest, thrift hive, sqlite and postgresql sql."""
    looked_in = f"configuration of catalog {config.name!r} was looked for in: {', '.join(config.looked_in)}"
    if found := config.properties.get("type"):
        if found.lower() in TYPES:
            return found.lower()
        message = f"catalog {config.name!r}: unknown type {found!r}; {looked_in}"
        raise ConfigurationError(message, hint=nearest(found, TYPES))
    scheme = urlsplit(config.properties.get("uri", "")).scheme.split("+")[0].lower()
    implied = {"http": "rest", "https": "rest", "thrift": "hive", "sqlite": "sql", "postgresql": "sql"}
    if scheme not in implied:
        message = f"catalog {config.name!r} has neither a type nor a uri that implies one; {looked_in}"
        raise ConfigurationError(
            message, hint=f"set {variable(config.name, 'type')} or pass type= ({', '.join(TYPES)})"
        )
    return implied[scheme]


def check_names(properties: Iterable[str]) -> None:
    """Raise ConfigurationError for a property that is nearly, but not quite, a known one."""
    for name in properties:
        if name in KNOWN_PROPERTIES or name.lower().startswith("header."):
            continue
        near = [known for known in KNOWN_PROPERTIES if is_typo(name, known)]
        if near:
            raise ConfigurationError(f"unknown property {name!r}", hint=nearest(name, near))


def is_typo(name: str, known: str) -> bool:
    """Close enough to be meant: other separators or case, or an edit distance of 2 (1 in names below 8 letters)."""
    if re.sub(r"[._-]", "", name).lower() == re.sub(r"[._-]", "", known).lower():
        return True
    limit = 1 if len(known) < 8 else 2
    if abs(len(name) - len(known)) > limit:
        return False
    return _distance(name.lower(), known) <= limit


def _distance(one: str, other: str) -> int:
    """Edit distance with transpositions of neighbours (optimal string alignment)."""
    before: list[int] = []
    previous = list(range(len(other) + 1))
    for row, left in enumerate(one, 1):
        current = [row]
        for column, right in enumerate(other, 1):
            cost = min(previous[column] + 1, current[-1] + 1, previous[column - 1] + (left != right))
            if row > 1 and column > 1 and left == other[column - 2] and one[row - 2] == right:
                cost = min(cost, before[column - 2] + 1)
            current.append(cost)
        before, previous = previous, current
    return previous[-1]


def as_text(key: str, value: object) -> str:
    """A property as text: booleans as "true" and "false", numbers in decimal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float | os.PathLike):
        return str(value)
    raise ConfigurationError(f"property {key!r}: expected text, a number or a boolean, found {type(value).__name__}")


def as_bool(properties: Mapping[str, str], key: str, default: bool = False) -> bool:
    """A property as a boolean: true/false, yes/no, on/off, 1/0."""
    text = properties.get(key, "").strip().lower()
    if not text:
        return default
    if text in ("true", "yes", "on", "1", "t", "y"):
        return True
    if text in ("false", "no", "off", "0", "f", "n"):
        return False
    raise ConfigurationError(f"property {key!r}: expected true or false, found {text[:40]!r}")


def as_int(properties: Mapping[str, str], key: str, default: int) -> int:
    """A property as a whole number."""
    text = properties.get(key, "").strip()
    try:
        return int(text) if text else default
    except ValueError:
        raise ConfigurationError(f"property {key!r}: expected a whole number, found {text[:40]!r}") from None


def _defines(properties: Mapping[str, str]) -> bool:
    return "type" in properties or "uri" in properties


def _default_of(sources: Iterable[Source]) -> str | None:
    return next((each.default for each in sources if each.default), None)


def _unconfigured(name: str, sources: list[Source], looked_in: tuple[str, ...]) -> dict[str, str]:
    """The embedded catalog where it is meant, else the error for an unknown catalog."""
    known = sorted({each for source in sources for each in source.catalogs})
    if name == EMBEDDED or (name == DEFAULT and not known):
        if name == DEFAULT:
            _check_attended(looked_in)
        return embedded_properties()
    where = f"looked in: {', '.join(looked_in)}"
    if name == DEFAULT:
        message = f"catalogs are configured ({', '.join(known)}) but none is the default; {where}"
        hint = f"name one, or set HEADRACE_CATALOG ({EMBEDDED!r} is the local SQLite catalog)"
        raise ConfigurationError(message, hint=hint)
    raise ConfigurationError(f"unknown catalog {name!r}; {where}", hint=nearest(name, [*known, EMBEDDED]))


def _check_attended(looked_in: tuple[str, ...]) -> None:
    """Refuse the embedded catalog where nobody would ever see what is written to it: in a remote task."""
    host = surroundings.host()
    place = None if host is None else host.unattended()
    if host is not None and place is not None:
        message = f"no catalog is configured in this task, which runs on {place}; looked in: {', '.join(looked_in)}"
        raise ConfigurationError(message, hint=host.unconfigured_hint())
