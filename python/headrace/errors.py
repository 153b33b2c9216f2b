"""The one error tree: what failed, where, and what to do next.

    HeadraceError
    ├── ConfigurationError              a property, file or variable that cannot be used
    ├── InvalidArgument                 a bad value from the caller (also a ValueError)
    │   └── FilterError                 a filter that cannot be parsed or bound
    ├── ColumnNotFound                  (also a KeyError) names the nearest column
    ├── CatalogError                    a catalog answered with an error
    │   ├── NamespaceNotFound
    │   └── NamespaceExists
    ├── AuthenticationError             credentials missing, wrong or expired
    ├── StorageError                    bytes that did not come
    │   ├── ObjectNotFound              (also a FileNotFoundError)
    │   ├── UnreachableError            no connection, or none that stayed
    │   ├── ObjectChanged               another version appeared during a read
    │   └── LocationRefused             outside the table's allowed locations
    ├── UnsupportedError                readable in principle, not by this version
    ├── MemoryLimitError                (also a MemoryError) refused before it hurts
    ├── EngineError                     a fault of headrace itself: please report it
    ├── MetaflowTableException          a table cannot be found, read or written
    │   └── MetaflowTable{NotFound,Exists,Conflict,Incompatible,TypeMismatch,EmptyPartition,EmptyTable,InvalidData,
    │       RateLimitException,CommitStateUnknownException}
    │       └── TableLocked (a Conflict)    somebody holds the metastore's lock on the table, and does not let go
    ├── ParquetDecodingException        a damaged Parquet file (also a MetaflowTableInvalidData)
    ├── ParquetEncodingException
    └── MetaflowDataFrameException      a frame used as it cannot be
        └── MetaflowDataFrameBufferException; of it ...BufferNotLargeEnough, ...InvalidBuffer

This module imports nothing of headrace: every room may raise from it. The engine raises these classes by name.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from typing import Any


class _Root(Exception):
    """Between HeadraceError and Exception, so that a host's exception can take this place: see `adopt`."""


class HeadraceError(_Root):
    """Base of every error that headrace raises.

    Attributes
    ----------
    reason : str
        What failed, what was found and expected.
    message : str
        The same; the whole text (``str(error)``) where a host shows the message alone, as Metaflow does.
    table, location : str or None
        The table, and the object or file (never with credentials).
    byte_range : tuple of (int, int) or None
        Half-open range of bytes in ``location``.
    hint : str or None
        What to do next.
    """

    headline = "headrace error"

    def __init__(
        self,
        message: str,
        *,
        table: str | None = None,
        location: str | None = None,
        byte_range: tuple[int, int] | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.args = (message,)  # MetaflowException leaves them empty
        self.reason = message
        self.table = table
        self.location = location
        self.byte_range = byte_range
        self.hint = hint

        # What MetaflowException has beside its message, and sets after us where it is our base
        self.line_no: int | None = None
        self.source_file: str | None = None

    @property
    def message(self) -> str:
        return str(self) if _adopted else self.reason

    @message.setter
    def message(self, text: str) -> None:  # MetaflowException sets it
        self.reason = text

    def __str__(self) -> str:
        where = []
        if self.table:
            where.append(f"table {self.table}")
        if self.location:
            where.append(f"location {self.location}")
        if self.byte_range:
            where.append(f"bytes {self.byte_range[0]}-{self.byte_range[1]}")
        text = self.reason + (f" [{', '.join(where)}]" if where else "")
        return f"{text}\n  hint: {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), dict(self.__dict__))


def _restore(cls: type[HeadraceError], state: dict[str, Any]) -> HeadraceError:
    error = cls(state["reason"])
    error.__dict__.update(state)
    return error


class ConfigurationError(HeadraceError):
    headline = "configuration cannot be used"


class InvalidArgument(HeadraceError, ValueError):
    headline = "invalid argument"


class FilterError(InvalidArgument):
    headline = "filter cannot be used"


class ColumnNotFound(HeadraceError, KeyError):
    headline = "no such column"


class CatalogError(HeadraceError):
    headline = "catalog error"


class NamespaceNotFound(CatalogError):
    headline = "no such namespace"


class NamespaceExists(CatalogError):
    headline = "namespace exists"


class AuthenticationError(HeadraceError):
    headline = "not authorised"


class StorageError(HeadraceError):
    headline = "storage error"


class ObjectNotFound(StorageError, FileNotFoundError):
    headline = "object not found"


class UnreachableError(StorageError):
    headline = "unreachable"


class ObjectChanged(StorageError):
    headline = "object changed while it was read"


class LocationRefused(StorageError):
    headline = "location refused"


class UnsupportedError(HeadraceError):
    headline = "not supported"


class MemoryLimitError(HeadraceError, MemoryError):
    headline = "memory limit"


class EngineError(HeadraceError):
    headline = "engine error"


class MetaflowTableException(HeadraceError):
    headline = "table error"


class MetaflowTableNotFound(MetaflowTableException):
    headline = "table not found"


class MetaflowTableExists(MetaflowTableException):
    headline = "table exists"


class MetaflowTableConflict(MetaflowTableException):
    headline = "conflicting commit"


class TableLocked(MetaflowTableConflict):
    headline = "table is locked"


class MetaflowTableIncompatible(MetaflowTableException):
    headline = "incompatible table"


class MetaflowTableTypeMismatch(MetaflowTableException):
    headline = "type mismatch"


class MetaflowTableEmptyPartition(MetaflowTableException):
    headline = "empty partition"


class MetaflowTableEmptyTable(MetaflowTableException):
    headline = "empty table"


class MetaflowTableInvalidData(MetaflowTableException):
    headline = "invalid table data"


class MetaflowTableRateLimitException(MetaflowTableException):
    headline = "rate limited"


class MetaflowTableCommitStateUnknownException(MetaflowTableException):
    headline = "commit state unknown"


class ParquetDecodingException(MetaflowTableInvalidData):
    headline = "Parquet file cannot be decoded"


class ParquetEncodingException(HeadraceError):
    headline = "Parquet file cannot be written"


class MetaflowDataFrameException(HeadraceError):
    headline = "frame error"


class MetaflowDataFrameBufferException(MetaflowDataFrameException):
    headline = "frame cannot be written to or read from this"


class MetaflowDataFrameBufferNotLargeEnough(MetaflowDataFrameBufferException):
    headline = "buffer too small for the frame"


class MetaflowDataFrameInvalidBuffer(MetaflowDataFrameBufferException):
    headline = "no frame in this buffer"


def nearest(name: str, known: Iterable[str], limit: int = 8) -> str:
    """Return a hint for a name that is not among ``known``: the nearest ones, else a few of them.

    Examples
    --------
    >>> nearest("l_orderky", ["l_orderkey", "l_partkey"])
    "did you mean 'l_orderkey'?"
    """
    names = sorted(set(known))
    folded = {each.casefold(): each for each in names}
    close = [folded[match] for match in difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)]
    if close:
        return f"did you mean {close[0]!r}?"
    if not names:
        return "there are none"
    shown = ", ".join(names[:limit])
    return f"known: {shown}" + (f", and {len(names) - limit} more" if len(names) > limit else "")


def adopt(base: type[Exception]) -> None:
    """Make every error of headrace also one of a host's, whose own handlers then catch and print it.

    Parameters
    ----------
    base : type
        Metaflow's MetaflowException; it takes its message as its first argument.
    """
    global _adopted
    if not issubclass(HeadraceError, base):
        HeadraceError.__bases__ = (base,)
    _adopted = True


_adopted = False


_metaflow = sys.modules.get("metaflow.exception")
if _metaflow is not None and hasattr(_metaflow, "MetaflowException"):
    adopt(_metaflow.MetaflowException)
