"""The sources of configuration: environment variables, headrace.toml, .pyiceberg.yaml, each read into the same shape.

Must not know: what a property means. Neighbour: `config.py`, which merges the sources and documents their order.
The environment's rules and the YAML file's are PyIceberg's, so that what users have works.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace.errors import ConfigurationError

TOML_NAME = "headrace.toml"
YAML_NAME = ".pyiceberg.yaml"
MAX_BYTES = 1 << 20


@dataclass(frozen=True, repr=False)
class Source:
    """One place of configuration: its name for messages, properties by catalog, the default catalog it names."""

    name: str
    catalogs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    default: str | None = None

    def catalog(self, name: str) -> Mapping[str, str]:
        """Properties of a catalog; case and the difference of "_" and "-" do not count in its name."""
        return self.catalogs.get(normalised(name), {})


def normalised(name: str) -> str:
    """A catalog's name as sources are compared."""
    return name.strip().lower().replace("_", "-")


def environment_source(prefix: str) -> Source:
    """Properties from `<prefix>CATALOG__<NAME>__<KEY>`, and the default from `<prefix>DEFAULT_CATALOG`."""
    catalogs: dict[str, dict[str, str]] = {}
    default = None
    for variable, value in sorted(os.environ.items()):
        lower = variable.lower()
        if not lower.startswith(prefix.lower()):
            continue
        parts = lower[len(prefix) :].split("__", maxsplit=2)
        if len(parts) == 3 and parts[0] == "catalog" and all(parts):
            name, key = parts[1], parts[2].replace("__", ".").replace("_", "-")
            catalogs.setdefault(normalised(name), {})[key] = value
        elif parts == ["default_catalog"]:
            default = value
    return Source(f"variables {prefix}CATALOG__*", catalogs, default)


def toml_sources() -> Iterator[Source]:
    """headrace.toml beside the program, in the working folder, in the user's configuration folder."""
    program = Path(sys.argv[0]) if sys.argv and sys.argv[0] else None
    folders = [program.absolute().parent] if program and program.is_file() else []
    folders += [Path.cwd(), _user_configuration_folder()]
    for path in dict.fromkeys(folder / TOML_NAME for folder in folders):
        yield _read_toml(path) if path.is_file() else Source(str(path))


def yaml_source(needed: bool) -> Source:
    """.pyiceberg.yaml, the first that holds something. Without PyYAML: an error if it is there and `needed`."""
    folders = [os.environ.get("PYICEBERG_HOME"), str(Path.home()), str(Path.cwd())]
    paths = [Path(folder) / YAML_NAME for folder in folders if folder]
    for path in paths:
        if path.is_file() and (content := _read_yaml(path, needed)):
            return _from_content(str(path), content)
    return Source(", ".join(str(path) for path in dict.fromkeys(paths)))


def _user_configuration_folder() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or os.environ.get("APPDATA") or "~/.config"
    return Path(base).expanduser() / "headrace"


def _read_toml(path: Path) -> Source:
    import tomllib

    try:
        content = tomllib.loads(_read(path))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"not valid TOML: {error}", location=str(path)) from None
    return _from_content(str(path), content)


def _read_yaml(path: Path, needed: bool) -> Any:
    try:
        import yaml  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        if not needed:
            return None
        message = "PyYAML is needed to read this file, and it is not installed"
        hint = f"pip install pyyaml, or configure the catalog in variables or {TOML_NAME}, or name 'embedded'"
        raise ConfigurationError(message, location=str(path), hint=hint) from None
    try:
        return yaml.load(_read(path), Loader=yaml.BaseLoader)  # every scalar stays text, as PyIceberg reads it
    except (yaml.YAMLError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        line = f" at line {place.line + 1}" if place else ""
        raise ConfigurationError(f"not valid YAML{line}", location=str(path)) from None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigurationError(f"configuration file is larger than {MAX_BYTES} bytes", location=str(path))
        return data.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read: {type(error).__name__}", location=str(path)) from error


def _from_content(name: str, content: Any) -> Source:
    if not isinstance(content, dict):
        raise ConfigurationError("expected a table of settings", location=name)
    lower = {str(key).lower(): value for key, value in content.items()}
    sections = lower.get("catalog") or {}
    if not isinstance(sections, dict) or not all(isinstance(each, dict) for each in sections.values()):
        raise ConfigurationError("'catalog' must hold one table per catalog", location=name)
    catalogs = {normalised(str(each)): dict(_flat(section, name)) for each, section in sections.items()}
    default = lower.get("default-catalog")
    return Source(name, catalogs, None if default is None else str(default))


def _flat(section: Mapping[str, Any], where: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested tables (`s3.endpoint = ...` in TOML) as dotted names."""
    for key, value in section.items():
        name = prefix + str(key) if str(key).lower().startswith("header.") else prefix + str(key).lower()
        if isinstance(value, dict):
            yield from _flat(value, where, f"{name}.")
        elif isinstance(value, bool):
            yield name, "true" if value else "false"
        elif isinstance(value, str | int | float):
            yield name, str(value)
        elif value is not None:
            raise ConfigurationError(f"property {name!r}: expected text, found {type(value).__name__}", location=where)
