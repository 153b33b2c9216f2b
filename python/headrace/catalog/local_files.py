"""Small files of a local warehouse, written so that a reader sees all of one or nothing, and never over another.

Must not know: what they hold. Neighbour: `sql.py`, whose tables' metadata this writes while the engine only reads.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from headrace.errors import StorageError, UnsupportedError


def local_path(location: str) -> Path | None:
    """The path of a `file:` location or plain path; None for any other scheme.

    Iceberg's locations are raw text: a space is a space and "%20" is three characters, as the engine and PyIceberg
    read them too.
    """
    scheme, colon, rest = location.partition(":")
    if colon and scheme.lower() == "file":
        return Path(rest.removeprefix("//").removeprefix("localhost"))
    if "://" in location:
        return None
    return Path(location)


def write_new(location: str, data: bytes) -> None:
    """Write a file that must not exist yet: to a temporary name, flushed, then linked to its own.

    Raises
    ------
    UnsupportedError
        The location is not local.
    StorageError
        It exists, or the folder cannot be written.
    """
    path = local_path(location)
    if path is None:
        hint = "use a local warehouse, or create the table through a REST catalog"
        raise UnsupportedError("this version writes metadata to local folders only", location=location, hint=hint)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _link(temporary, path)
    except FileExistsError as error:
        raise StorageError("the file exists already", location=location) from error
    except OSError as error:
        raise StorageError(f"the file cannot be written: {error.strerror}", location=location) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _link(temporary: Path, path: Path) -> None:
    """Give the file its name without replacing another; file systems without links get an exclusive copy."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        with path.open("xb") as file:
            file.write(temporary.read_bytes())


def remove(location: str) -> None:
    """Remove a file that this process wrote and nobody else knows of."""
    path = local_path(location)
    if path is not None:
        with suppress(OSError):
            path.unlink()


def remove_tree(folder: Path) -> None:
    """Remove a folder with all it holds; one that is gone already is fine."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"the folder cannot be removed: {error.strerror}", location=str(folder)) from error
