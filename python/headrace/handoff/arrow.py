"""To PyArrow. Memory is shared; strings are laid contiguously where asked, because PyArrow has no kernels for views."""

from __future__ import annotations

from typing import Any

from headrace import _engine
from headrace.errors import InvalidArgument, MetaflowDataFrameException
from headrace.handoff import required


def to_arrow(frame: _engine.Frame, strings: str) -> Any:
    """Return ``frame`` as a ``pyarrow.Table`` of one chunk a column."""
    if strings not in ("large_string", "view"):
        raise InvalidArgument(f"strings is 'large_string' or 'view', found {strings!r}")
    pyarrow = required("pyarrow", "to_arrow()")
    return pyarrow.table(frame.cast_strings("large_string") if strings == "large_string" else frame)


def cast(data: Any, schema: Any) -> Any:
    """Anything with an Arrow stream as a ``pyarrow.Table`` of a schema's columns, without loss."""
    pyarrow = required("pyarrow", "a schema to convert to")
    try:
        return pyarrow.table(data).select(schema.names).cast(schema)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, KeyError) as error:
        raise MetaflowDataFrameException(f"the data do not fit the schema: {error}") from error
