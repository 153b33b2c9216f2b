"""`@fast_data(catalog="prod", type="rest", uri="https://...")`: a step with the catalog it reads and headrace in its
environment, on whatever machine it runs.

It adds `HEADRACE_CATALOG...` to the step's `@environment`, and headrace to the packages of `@pypi` or `@conda` where
the step or the flow has one. Must not import headrace where it is not needed: a step's own environment may lack it.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping
from typing import Any

from metaflow.exception import MetaflowException

from .headrace_version import NEEDS

try:
    from metaflow.user_decorators.user_step_decorator import StepMutator
except ImportError:  # Metaflow before 2.16: told where it is used, so that other flows run

    class StepMutator:  # type: ignore[no-redef]
        """Stands for what this Metaflow does not have."""

        def __init__(self, *_: Any, **__: Any) -> None:
            raise MetaflowException("@fast_data needs Metaflow 2.16 or newer: pip install --upgrade metaflow")


_SECRET = re.compile(r"secret|token$|credential|password|access-key|private-key|^header\.authorization")
_NAME = re.compile(r"[A-Za-z0-9_]+(-[A-Za-z0-9_]+)*")


class fast_data(StepMutator):  # the decorator's name is the class's
    """
    The catalog of a step's tables, wherever the step runs.

    Parameters
    ----------
    catalog : str
        Its name, which `Table("db.table")` then uses; "" leaves the name to the step.
    version : str
        headrace's version for `@pypi` and `@conda`; by default the one that is installed here.
    properties : dict
        Properties under PyIceberg's names; a `Config` or a part of it serves.
    **named
        The same as keywords: `_` is a hyphen, `__` a dot (`s3__endpoint`, `oauth2_server_uri`).
    """

    def init(
        self,
        catalog: str = "",
        version: str | None = None,
        properties: Mapping[str, Any] | None = None,
        **named: Any,
    ) -> None:
        self._variables = _variables(str(catalog), dict(properties or {}) | _keywords(named))
        self._version = version

    def mutate(self, mutable_step: Any) -> None:
        """Add the environment and the package, keeping what the step has."""
        before: dict[str, Any] = {}
        for _, _, _, given in mutable_step.get_decorator_specs("environment"):
            before |= given.get("vars") or {}
        if self._variables:
            merged = {"vars": self._variables | before}
            mutable_step.add_decorator("environment", deco_kwargs=merged, duplicates=mutable_step.OVERRIDE)
        for kind in ("pypi", "conda"):
            self._add_package(mutable_step, kind)

    def _add_package(self, mutable_step: Any, kind: str) -> None:
        own = mutable_step.get_decorator_specs(kind)
        flows = any(name == f"{kind}_base" for name, *_ in mutable_step.flow.decorator_specs)
        if not own and not flows:
            return
        given: dict[str, Any] = {key: value for *_, each in own for key, value in each.items() if value is not None}
        packages = dict(given.get("packages") or {})
        packages.setdefault("headrace", self._version or _installed())
        merged = given | {"packages": packages}
        mutable_step.add_decorator(kind, deco_kwargs=merged, duplicates=mutable_step.OVERRIDE)


def _keywords(named: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("__", ".").replace("_", "-"): value for name, value in named.items()}


def _variables(catalog: str, properties: Mapping[str, Any]) -> dict[str, str]:
    """The environment that says the same; see headrace/config.py for its rules."""
    if catalog and not _NAME.fullmatch(catalog):
        raise MetaflowException(f"@fast_data: a catalog's name has letters, digits, - and _, found {catalog!r}")
    if properties and not catalog:
        raise MetaflowException('@fast_data: properties belong to a catalog: @fast_data(catalog="prod", ...)')
    secret = sorted(name for name in properties if _SECRET.search(name.lower()) and not name.lower().endswith("-uri"))
    if secret:
        raise MetaflowException(
            f"@fast_data: {', '.join(secret)} would be readable in the scheduler and the logs. Give secrets with "
            f"@secrets, as HEADRACE_CATALOG__{_variable(catalog)}__{_variable(secret[0])}, or let the role do it"
        )
    made = {"HEADRACE_CATALOG": catalog} if catalog else {}
    for name, value in properties.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        made[f"HEADRACE_CATALOG__{_variable(catalog)}__{_variable(name)}"] = text
    return made


def _variable(name: str) -> str:
    return name.upper().replace(".", "__").replace("-", "_")


def _installed() -> str:
    """headrace's version here, where the flow is started; what this extension was made for where it is not here."""
    try:
        return importlib.metadata.version("headrace")
    except importlib.metadata.PackageNotFoundError:
        return ".".join(map(str, (*NEEDS, 0)))
