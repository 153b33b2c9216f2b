"""Where properties come from, which source wins, and what a mistake is told."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
from headrace import config
from headrace.catalog import load_catalog
from headrace.catalog.rest import RestCatalog
from headrace.errors import ConfigurationError
from pyiceberg.utils.config import Config as PyIcebergConfig


def _toml(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "headrace.toml").write_text(text)


def test_first_source_wins_property_by_property(bare_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = bare_environment.parent / "program"
    _toml(program, '[catalog.prod]\ns3.region = "program"\ns3.profile-name = "program"\ns3.signer = "program"')
    (program / "flow.py").touch()
    monkeypatch.setattr("sys.argv", [str(program / "flow.py")])
    _toml(Path.cwd(), '[catalog.prod]\ns3.signer = "work"\nscope = "work"\nrest-page-size = 7')
    _toml(
        bare_environment / ".config/headrace", '[catalog.prod]\nscope = "user"\naudience = "user"\ns3.anonymous = true'
    )
    yaml = "catalog:\n  prod:\n    audience: yaml\n    resource: yaml\n    uri: http://yaml\n    warehouse: 0123\n"
    (bare_environment / ".pyiceberg.yaml").write_text(yaml)
    monkeypatch.setenv("HEADRACE_CATALOG__PROD__URI", "http://headrace")
    monkeypatch.setenv("HEADRACE_CATALOG__PROD__TOKEN", "headrace")
    monkeypatch.setenv("PYICEBERG_CATALOG__PROD__TOKEN", "pyiceberg")
    monkeypatch.setenv("PYICEBERG_CATALOG__PROD__S3__REGION", "pyiceberg")
    resolved = config.resolve("prod", {"uri": "http://argument"}).properties
    assert resolved == {
        "uri": "http://argument",
        "token": "headrace",
        "s3.region": "pyiceberg",
        "s3.profile-name": "program",
        "s3.signer": "program",
        "scope": "work",
        "rest-page-size": "7",
        "audience": "user",
        "s3.anonymous": "true",
        "resource": "yaml",
        "warehouse": "0123",
    }


def test_variables_and_yaml_mean_what_they_mean_to_pyiceberg(
    bare_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYICEBERG_CATALOG__MY_CAT__URI", "http://x")
    monkeypatch.setenv("PYICEBERG_CATALOG__MY_CAT__S3__ACCESS_KEY_ID", "k")
    monkeypatch.setenv("pyiceberg_catalog__my_cat__header__X_Team__Name", "t")
    monkeypatch.setenv("PYICEBERG_HOME", str(bare_environment / "special"))
    (bare_environment / "special").mkdir()
    text = "default-catalog: my-cat\nCatalog:\n  MY-CAT:\n    OAuth2-Server-URI: http://o\n    type: rest\n"
    (bare_environment / "special/.pyiceberg.yaml").write_text(text)
    (bare_environment / ".pyiceberg.yaml").write_text("catalog:\n  my-cat:\n    scope: not-reached\n")
    theirs = PyIcebergConfig()
    ours = config.resolve()
    assert ours.name == theirs.get_default_catalog_name() == "my-cat"
    assert ours.properties == theirs.get_catalog_config("my-cat")
    assert config.resolve("MY_CAT").properties == ours.properties


def test_which_catalog_is_the_default(bare_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.resolve().properties["uri"] == f"sqlite:///{bare_environment}/.local/share/headrace/catalog.db"
    monkeypatch.setenv("HEADRACE_HOME", str(bare_environment / "elsewhere"))
    assert config.resolve().properties["warehouse"] == (bare_environment / "elsewhere/warehouse").as_uri()
    _toml(Path.cwd(), '[catalog.prod]\nuri = "http://prod"\n[catalog.stage]\nuri = "http://stage"')
    with pytest.raises(ConfigurationError, match=r"prod, stage.*HEADRACE_CATALOG") as none:
        config.resolve()
    assert "headrace.toml" in str(none.value)
    assert config.resolve("embedded").properties["type"] == "sql"
    _toml(
        Path.cwd(),
        'default-catalog = "stage"\n[catalog.prod]\nuri = "http://prod"\n[catalog.stage]\nuri = "http://stage"',
    )
    assert config.resolve().name == "stage"
    monkeypatch.setenv("HEADRACE_CATALOG", "prod")
    assert config.resolve().properties["uri"] == "http://prod"


def test_mistakes_are_told_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_CATALOG__PRODUCTION__URI", "http://x")
    with pytest.raises(ConfigurationError, match="did you mean 'production'") as unknown:
        load_catalog("prodution")
    assert "HEADRACE_CATALOG__" in str(unknown.value)
    assert ".pyiceberg.yaml" in str(unknown.value)
    with pytest.raises(ConfigurationError, match="did you mean 'rest'"):
        load_catalog("x", type="rset", uri="http://x")
    with pytest.raises(ConfigurationError, match="neither a type nor a uri"):
        load_catalog("x", uri="gopher://x")
    with pytest.raises(ConfigurationError, match="'uri' is missing"):
        load_catalog("x", type="hive")
    with pytest.raises(ConfigurationError, match="expected text"):
        load_catalog("x", **{"uri": ["http://x"]})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("s3.endpont", "s3.endpoint"),
        ("s3_endpoint", "s3.endpoint"),
        ("S3.Region", "s3.region"),
        ("url", "uri"),
        ("credentials", "credential"),
        ("rest.sigv4-enable", "rest.sigv4-enabled"),
        ("s3.acess-key-id", "s3.access-key-id"),
        ("wharehouse", "warehouse"),
    ],
)
def test_a_misspelt_property(wrong: str, right: str) -> None:
    with pytest.raises(ConfigurationError, match=f"did you mean {right!r}"):
        load_catalog("x", uri="http://x", **{wrong: "v"})


def test_unknown_properties_that_resemble_nothing_are_kept() -> None:
    kept = {
        "io-threads": "4",
        "s3.checksum-algorithm": "x",
        "header.Hst": "h",
        "my.company.flag": "1",
        "adls.token": "t",
    }
    catalog = load_catalog("x", uri="http://x", **kept)
    assert isinstance(catalog, RestCatalog)
    assert kept.items() <= catalog.properties.items()
    for name in config.KNOWN_PROPERTIES:
        config.check_names([name])


def test_damaged_files_are_named() -> None:
    _toml(Path.cwd(), "[catalog\n")
    with pytest.raises(ConfigurationError, match=r"not valid TOML.*headrace\.toml"):
        config.resolve()
    _toml(Path.cwd(), "catalog = 5")
    with pytest.raises(ConfigurationError, match="one table per catalog"):
        config.resolve()
    _toml(Path.cwd(), "[catalog.x]\nuri = ['a']")
    with pytest.raises(ConfigurationError, match="'uri'"):
        config.resolve()
    Path("headrace.toml").unlink()
    Path(".pyiceberg.yaml").write_text("catalog: {x: [")
    with pytest.raises(ConfigurationError, match="not valid YAML at line 1"):
        config.resolve()


def test_pyyaml_is_asked_for_only_where_it_is_needed(bare_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_yaml(name: str, *rest: Any) -> Any:
        if name == "yaml":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_yaml)
    assert config.resolve().properties["type"] == "sql"
    (bare_environment / ".pyiceberg.yaml").write_text("catalog: {}")
    for name in (None, "prod"):
        with pytest.raises(ConfigurationError, match="PyYAML"):
            config.resolve(name)
    assert config.resolve("embedded").properties["type"] == "sql"
    assert config.resolve("prod", {"uri": "http://x"}).properties == {"uri": "http://x"}
    monkeypatch.setenv("HEADRACE_CATALOG__PROD__URI", "http://y")
    assert config.resolve("prod").properties == {"uri": "http://y"}


def test_secrets_are_told_apart() -> None:
    secret = (
        "token credential s3.secret-access-key s3.access-key-id client.session-token header.Cookie adls.account-key"
    )
    assert all(map(config.is_secret, secret.split()))
    plain = "uri s3.region s3.session-token-expires-at-ms oauth2-server-uri header.X-Iceberg-Access-Delegation scope"
    assert not any(map(config.is_secret, plain.split()))
    shown = repr(config.resolve("x", {"uri": "http://u:hush@h/", "token": "hush", "scope": "s"}))
    assert "hush" not in shown
    assert "scope" in shown
    assert config.redact_uri("postgresql://u:hush@h:5432/d?x=a:b@c") == "postgresql://u:***@h:5432/d?x=a:b@c"
    assert config.without_secrets({"uri": "postgresql://u:hush@h/d", "token": "hush", "scope": "s"}) == {"scope": "s"}
