"""Imports headrace, once, when it is needed; says what to do where that fails.

Must not know: who asks. Neighbours: `headrace_names` asks; `headrace_host` is told, so that errors become Metaflow's.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from metaflow.exception import MetaflowException

from .headrace_version import NEEDS, __version__

_checked: list[str] = []
"""The version, once it is known to be one that serves."""


class HeadraceNotUsable(MetaflowException, ImportError):
    """headrace is not there, cannot be loaded, or is of another version than this extension was made for."""

    headline = "headrace cannot be used"

    def __reduce__(self) -> tuple[Any, ...]:
        return HeadraceNotUsable, (self.message,)


def real(name: str) -> Any:
    """The class of this name in headrace.

    Raises
    ------
    HeadraceNotUsable
        Names the versions, and the line that puts the right one into the step's environment.
    """
    return getattr(module(), name)


def module() -> Any:
    """headrace, checked once a process."""
    if _checked:
        return sys.modules["headrace"]
    try:
        found = importlib.import_module("headrace")
        version = str(found.__version__)
    except (ImportError, OSError) as error:
        raise HeadraceNotUsable(_advice(f"it cannot be imported ({type(error).__name__}: {error})")) from error
    if _parsed(version)[:2] != NEEDS:
        raise HeadraceNotUsable(_advice(f"its version here is {version}"))
    _checked.append(version)
    return found


def _advice(trouble: str) -> str:
    # No asterisks: Metaflow takes them for bold and leaves them out
    wanted = ".".join(map(str, NEEDS))
    python = ".".join(map(str, sys.version_info[:3]))
    return (
        f"metaflow-headrace {__version__} needs headrace {wanted}.x, and {trouble}.\n"
        f"Python {python}, {sys.executable}\n"
        f'Give the step an environment that has it:  @pypi(packages={{"headrace": "{wanted}.0"}})\n'
        f"or put it into the image, or install it here:  pip install headrace~={wanted}.0"
    )


def _parsed(version: str) -> tuple[int, ...]:
    parts = version.split("+")[0].split(".")
    return tuple(int(each) for each in parts[:2] if each.isdigit())
