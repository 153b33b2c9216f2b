"""Where a frame leaves for other libraries, and where it comes from theirs: one module a library.

Each imports its library inside of its functions, because `import headrace` imports nothing third-party; a library that
is missing is an error that says what to install. Nothing here copies what the consumer can take as it is.
Neighbours: `dataframe` and `column` call in here; only `_engine` is called from here.
"""

from __future__ import annotations

import importlib
from typing import Any

from headrace.errors import ConfigurationError


def required(module: str, wanted_by: str) -> Any:
    """Import ``module``, or say which package ``wanted_by`` needs."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"{wanted_by} needs {module}, which cannot be imported: {error}", hint=f"pip install {module.split('.')[0]}"
        ) from error


def present(module: str) -> Any | None:
    """Import ``module``, or return None where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None
