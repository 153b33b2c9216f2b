"""Frames as bytes: an Arrow stream in somebody's memory or file. Must not know: pickles, files by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace import _engine
from headrace.errors import (
    HeadraceError,
    MetaflowDataFrameBufferException,
    MetaflowDataFrameBufferNotLargeEnough,
    MetaflowDataFrameInvalidBuffer,
)

if TYPE_CHECKING:
    from headrace.dataframe import MetaflowDataFrame


def write(frame: _engine.Frame, buffer: Any) -> int:
    """Write a frame; see `MetaflowDataFrame.to_buffer`."""
    data = frame.to_bytes()
    if hasattr(buffer, "write"):
        buffer.write(data)
        return len(data)
    if not isinstance(buffer, memoryview) or buffer.readonly or not buffer.c_contiguous:
        raise MetaflowDataFrameBufferException(
            f"a writable, contiguous memoryview or a binary file is expected, found {type(buffer).__name__}",
            hint="memoryview(bytearray(size))",
        )
    if buffer.nbytes < len(data):
        raise MetaflowDataFrameBufferNotLargeEnough(
            f"the frame takes {len(data):,} bytes, the buffer has {buffer.nbytes:,}",
            hint="to_buffer(io.BytesIO()) makes one of the right size",
        )
    buffer.cast("B")[: len(data)] = data
    return len(data)


def read(buffer: Any) -> MetaflowDataFrame:
    """Read a frame; see `MetaflowDataFrame.from_buffer`."""
    from headrace.dataframe import MetaflowDataFrame

    data = buffer.read() if hasattr(buffer, "read") else buffer
    if not isinstance(data, memoryview | bytes | bytearray):
        found = type(buffer).__name__
        raise MetaflowDataFrameBufferException(f"a memoryview, bytes or a binary file is expected, found {found}")
    if not len(data):
        return MetaflowDataFrame.from_columns([])
    try:
        return MetaflowDataFrame(_engine.Frame.from_bytes(bytes(data)))
    except (HeadraceError, ValueError) as error:
        raise MetaflowDataFrameInvalidBuffer(f"{len(data):,} bytes that are no frame: {error}") from error
