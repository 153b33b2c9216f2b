"""A frame as CSV. Must not know: Parquet, tables."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from headrace.errors import InvalidArgument
from headrace.fastdata import processes

if TYPE_CHECKING:
    from headrace.dataframe import MetaflowDataFrame

ROWS_FOR_PROCESSES = 100_000
"""Below this a process costs more than it saves."""
_COPIED_CHARACTERS = 1 << 20


def to_csv(
    frame: MetaflowDataFrame,
    path: str | None,
    fileobj: TextIO | None,
    header: bool,
    delimiter: str,
    row_filter: Callable[[tuple[Any, ...]], bool] | None,
    max_parallel: int,
) -> None:
    """Write a frame; see `MetaflowDataFrame.to_csv`."""
    if (path is None) == (fileobj is None):
        raise InvalidArgument("give either path or fileobj")
    if path is not None:
        with open(path, "w", newline="", encoding="utf-8") as file:
            to_csv(frame, None, file, header, delimiter, row_filter, max_parallel)
        return
    assert fileobj is not None
    if header:
        _writer(fileobj, delimiter).writerow(frame.schema)
    if max_parallel == 1 or frame.num_rows < ROWS_FOR_PROCESSES:
        _write(frame, fileobj, delimiter, row_filter)
    else:
        _write_parts(frame, fileobj, delimiter, row_filter, max_parallel)
    fileobj.flush()


def _write_parts(frame: MetaflowDataFrame, fileobj: TextIO, delimiter: str, row_filter: Any, max_parallel: int) -> None:
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:

        def write(part: MetaflowDataFrame, name: str) -> None:
            with open(name, "w", newline="", encoding="utf-8") as file:
                _write(part, file, delimiter, row_filter)

        parts = frame._parts(max_parallel)
        names = [str(Path(folder, str(at))) for at in range(len(parts))]
        processes.parallel_map(lambda pair: write(*pair), list(zip(parts, names, strict=True)), max_parallel)
        for name in names:
            with open(name, newline="", encoding="utf-8") as file:
                while piece := file.read(_COPIED_CHARACTERS):
                    fileobj.write(piece)


def _write(frame: MetaflowDataFrame, file: TextIO, delimiter: str, row_filter: Any) -> None:
    rows = frame.rows() if row_filter is None else filter(row_filter, frame.rows())
    _writer(file, delimiter).writerows(rows)


def _writer(file: TextIO, delimiter: str) -> Any:
    return csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL, lineterminator="\n")
