"""`MetaflowDataFrame`: immutable columns of equal length, lent to whatever library is at hand.

A thin face of the engine's `Frame`, where the memory and the work are. Neighbours: `column` for what is inside of a
frame; `handoff` for other libraries; `Table` and `Shard` load frames. Must not know: tables, catalogs, plans.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any, overload

from headrace import _engine, progress
from headrace.column import CHUNK_ROWS, MetaflowColumn, unwrap, wrap
from headrace.errors import ColumnNotFound, InvalidArgument, MetaflowDataFrameException, nearest
from headrace.fastdata.frames import FastDataFrame

PICKLE_LIMIT_BYTES = 64 << 20
"""Frames beyond this are no artifacts: they belong in a table."""
SHOWN_ROWS = 10


class MetaflowDataFrame(FastDataFrame):
    """Immutable columns of equal length, each one contiguous piece of Arrow memory.

    Frames are cheap to slice, select from and rename: memory is shared. They may be used by many threads at once, and
    speak the Arrow PyCapsule interface: ``polars.DataFrame(frame)``, ``pyarrow.table(frame)`` and
    ``duckdb.from_arrow(frame)`` take them without a copy.

    Examples
    --------
    >>> import headrace
    >>> frame = headrace.Table("db.table").load()  # doctest: +SKIP
    >>> frame.to_pandas()  # doctest: +SKIP
    """

    __slots__ = ("__weakref__", "_frame")

    def __init__(self, frame: _engine.Frame) -> None:
        self._frame = frame

    # From other places

    @classmethod
    def from_arrow(cls, table: Any) -> MetaflowDataFrame:
        """Take anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``: tables and frames of PyArrow, Polars,
        DuckDB, pandas. Memory is shared where the columns have one chunk, else joined into one."""
        if isinstance(table, MetaflowDataFrame):
            return table
        return cls(_engine.Frame.from_arrow(table))

    @classmethod
    def from_pandas(
        cls,
        pandas_df: Any,
        pyarrow_schema: Any = None,
        iceberg_schema: Sequence[Mapping[str, Any]] | None = None,
    ) -> MetaflowDataFrame:
        """Take a ``pandas.DataFrame``. Its index is left out: ``reset_index()`` makes columns of it.

        Through PyArrow where that is installed (memory shared where pandas allows), else through NumPy, a copy, for
        numbers, booleans, dates and times, and strings.

        Parameters
        ----------
        pandas_df : pandas.DataFrame
        pyarrow_schema : pyarrow.Schema, optional
            The columns to take and their types. Needs PyArrow.
        iceberg_schema : sequence of mappings, optional
            The same as ``Table.schema`` gives it.
        """
        from headrace.handoff import pandas

        wanted = _arrow_schema(pyarrow_schema, iceberg_schema)
        return cls(pandas.from_pandas(pandas_df) if wanted is None else pandas.from_pandas_as(pandas_df, wanted))

    @classmethod
    def from_polars(
        cls,
        polars_df: Any,
        pyarrow_schema: Any = None,
        iceberg_schema: Sequence[Mapping[str, Any]] | None = None,
        max_chunk_size: int | None = None,
    ) -> MetaflowDataFrame:
        """Take a ``polars.DataFrame`` (or ``Series`` of structs). Memory is shared where it has one chunk.

        `pyarrow_schema` and `iceberg_schema` as in `from_pandas`; `max_chunk_size` has no effect: columns have one
        chunk whatever their size.
        """
        wanted = _arrow_schema(pyarrow_schema, iceberg_schema)
        if wanted is None:
            return cls.from_arrow(polars_df)
        from headrace.handoff import arrow

        return cls.from_arrow(arrow.cast(polars_df, wanted))

    @classmethod
    def from_columns(cls, columns: Sequence[Any], names: Sequence[str] | None = None) -> MetaflowDataFrame:
        """Make a frame of columns of equal length.

        Parameters
        ----------
        columns : sequence of MetaflowColumn, Arrow arrays (anything with a capsule), Series, NumPy arrays or lists
            NumPy arrays and lists (of int, float, bool, str, bytes, date or datetime, and None) are copied, all else is
            shared.
        names : sequence of str, optional
            Names of the columns; by default those that they have.
        """
        if names is not None and len(names) != len(columns):
            raise MetaflowDataFrameException(f"{len(names)} names for {len(columns)} columns")
        wanted: Sequence[str | None] = names if names is not None else [getattr(each, "name", None) for each in columns]
        made = [unwrap(column, name) for column, name in zip(columns, wanted, strict=True)]
        repeated = sorted({column.name for column in made if [each.name for each in made].count(column.name) > 1})
        if repeated:
            raise MetaflowDataFrameException(
                f"columns share the names {', '.join(map(repr, repeated))}", hint="names=[...] gives each its own"
            )
        return cls(_engine.Frame.from_columns(made))

    @classmethod
    def from_parquet(
        cls,
        urls: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        columns: Sequence[str] | None = None,
        num_threads: int | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> MetaflowDataFrame:
        """Read Parquet files: local paths or S3 URLs, the first one's columns, matched by name in the others.

        Parameters
        ----------
        urls : str or iterable of str
        columns : sequence of str, optional
            Columns to read, in this order; all by default.
        num_threads : int, optional
            Decoders at once; as many as there are cores by default.
        properties : mapping, optional
            The store's properties (``s3.endpoint``, ...).
        """
        from headrace.files import read_parquet

        given = [os.fspath(urls)] if isinstance(urls, (str, os.PathLike)) else [os.fspath(url) for url in urls]
        return read_parquet(given, columns, properties=properties, num_threads=num_threads)

    @classmethod
    def stack(cls, mdfs: Sequence[MetaflowDataFrame]) -> MetaflowDataFrame:
        """Put frames of the same columns below one another, in memory of their own."""
        if not mdfs:
            raise InvalidArgument("no frames to stack")
        return mdfs[0] if len(mdfs) == 1 else cls(_engine.Frame.concat([frame._frame for frame in mdfs]))

    # Shape

    @property
    def schema(self) -> list[str]:
        """Names of the columns."""
        return self._frame.names

    @property
    def columns(self) -> list[MetaflowColumn]:
        """The columns, their memory shared."""
        return [wrap(self._frame.column(at)) for at in range(self._frame.num_columns)]

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return self._frame.num_rows

    @property
    def size(self) -> int:
        """Memory of the columns in bytes; string pages that columns share count once."""
        return self._frame.nbytes

    @property
    def metrics(self) -> dict[str, Any]:
        """What the load moved at what speed, and what it waited for; empty for a frame that was not loaded.

        ``fetch``: requests, retries, bytes, the seconds during which any was under way, MB/s. ``decode``: bytes as they
        are in the files, wall and CPU seconds summed over threads, MB/s a thread, column chunks decoded straight into
        memory and by the general reader. ``stages``: wall seconds. ``bound``: by "network", "decode" or
        "memory", and why in words. ``cpu_user_s`` and ``cpu_system_s`` are the whole process's during the load.
        """
        found: dict[str, Any] = json.loads(self._frame.metrics)
        return found

    def __len__(self) -> int:
        return self._frame.num_rows

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self.rows()

    def rows(self, offset: int = 0) -> Iterator[tuple[Any, ...]]:
        """Iterate over rows as tuples of Python objects, from row ``offset`` on, a few thousand made at a time.

        For whoever needs a few rows: columns are what a frame is fast at.
        """
        for start in range(offset, self.num_rows, CHUNK_ROWS):
            part = self._frame.slice(start, CHUNK_ROWS)
            if part.num_columns == 0:
                yield from [()] * part.num_rows
            yield from zip(*(part.column(at).to_pylist() for at in range(part.num_columns)), strict=True)

    @overload
    def __getitem__(self, name: str) -> MetaflowColumn: ...
    @overload
    def __getitem__(self, name: list[str] | tuple[str, ...]) -> MetaflowDataFrame: ...
    def __getitem__(self, name: str | list[str] | tuple[str, ...]) -> MetaflowColumn | MetaflowDataFrame:
        """Return a column by name, or a frame of several. Memory is shared."""
        if isinstance(name, str):
            return wrap(self._frame.column(_positions(self.schema, [name])[0]))
        return MetaflowDataFrame(self._frame.select(_positions(self.schema, name)))

    def rename(self, column_names: Sequence[str] | Mapping[str, str]) -> MetaflowDataFrame:
        """Return the same columns under other names: all of them as a list, or some as ``{old: new}``."""
        known = self.schema
        if isinstance(column_names, Mapping):
            _positions(known, list(column_names))
            names = [column_names.get(name, name) for name in known]
        else:
            names = list(column_names)
            if len(names) != len(known):
                raise MetaflowDataFrameException(f"{len(names)} names for {len(known)} columns")
        return MetaflowDataFrame(self._frame.rename(names))

    def drop(self, columns: str | Sequence[str]) -> MetaflowDataFrame:
        """Return a frame without these columns."""
        dropped = set(_positions(self.schema, [columns] if isinstance(columns, str) else columns))
        return MetaflowDataFrame(self._frame.select([at for at in range(self._frame.num_columns) if at not in dropped]))

    def slice(self, offset: int, length: int | None = None) -> MetaflowDataFrame:
        """Return ``length`` rows from row ``offset`` on (all that follow, by default). A view."""
        if offset < 0 or (length is not None and length < 0):
            raise InvalidArgument(f"a slice starts at row 0 or later, found offset {offset} and length {length}")
        return MetaflowDataFrame(self._frame.slice(offset, self.num_rows if length is None else length))

    def split(self, max_rows: int = 0) -> list[MetaflowDataFrame]:
        """Return frames of at most ``max_rows`` rows each, views; 0 gives one frame for each piece of memory: one."""
        if max_rows < 0:
            raise InvalidArgument(f"max_rows is at least 0, found {max_rows}")
        if max_rows == 0 or self.num_rows <= max_rows:
            return [self]
        return [self.slice(start, max_rows) for start in range(0, self.num_rows, max_rows)]

    def take(
        self,
        indicator: Any,
        treat_null_as: bool | None = None,
        max_parallel: int | None = None,
        min_run_threshold: int | None = None,
    ) -> MetaflowDataFrame:
        """Return the rows that ``indicator`` marks, a copy.

        Parameters
        ----------
        indicator : MetaflowColumn, Arrow array, NumPy array or sequence
            One value a row: booleans, or integers of which all but 0 mean True.
        treat_null_as : bool, optional
            What a null means. By default nulls raise.
        max_parallel, min_run_threshold : int, optional
            Of no effect: the engine uses all cores. They are here for flows that were written for Fast Data.

        See Also
        --------
        gather : rows by their positions.
        """
        mask = _mask(indicator)
        if mask.null_count and treat_null_as is None:
            raise MetaflowDataFrameException(
                f"the indicator has {mask.null_count} nulls", hint="treat_null_as: False drops them, True takes them"
            )
        return MetaflowDataFrame(self._frame.filter(mask, bool(treat_null_as)))

    def gather(self, positions: Any) -> MetaflowDataFrame:
        """Return the rows at ``positions`` (a column, array or sequence of integers from 0), in that order. A copy."""
        if not hasattr(positions, "__arrow_c_array__") and (
            hasattr(positions, "dtype") or hasattr(positions, "__arrow_c_stream__")
        ):
            positions = unwrap(positions, "positions")
        try:
            return MetaflowDataFrame(self._frame.take(positions))
        except (TypeError, OverflowError) as error:
            raise InvalidArgument(f"positions are integers from 0, without nulls: {error}") from error

    # To other places

    def to_arrow(self, strings: str = "large_string") -> Any:
        """Return a ``pyarrow.Table`` over the same memory.

        Parameters
        ----------
        strings : {"large_string", "view"}
            PyArrow 26 has no kernels for views (``==``, sort and group by raise), so strings are laid contiguously,
            which copies them; "view" shares them.
        """
        from headrace.handoff import arrow

        return arrow.to_arrow(self._frame, strings)

    def to_pandas(self, dtype_backend: str = "auto", categories: Iterable[str] = (), decimals: str = "exact") -> Any:
        """Return a ``pandas.DataFrame``.

        Parameters
        ----------
        dtype_backend : {"auto", "numpy", "pyarrow"}
            "auto": NumPy arrays where a NumPy dtype holds the values exactly (floats null as NaN), ``datetime64`` for
            dates (``[s]``) and timestamps (nulls NaT, zones kept), pandas' ``str`` over Arrow memory, ``ArrowDtype``
            for decimals, nullable integers and booleans, binary and nested values (objects where PyArrow is absent,
            said once). "numpy": what ``pandas.read_parquet`` gives. "pyarrow": ``ArrowDtype`` throughout.
        categories : iterable of str
            Columns to make ``Categorical``, categories in order of appearance.
        decimals : {"exact", "float64"}
            What becomes of decimals.

        Notes
        -----
        With "auto", numbers and timestamps without nulls share the frame's memory. Writing into such a column copies it
        first (pandas' copy-on-write): the frame never changes. No Python object is made per value, except by
        "numpy" for decimals, dates and nested values.
        """
        from headrace.handoff import pandas

        return pandas.to_pandas(self._frame, dtype_backend, categories, decimals)

    def to_polars(self, strict_map_type: bool = True, assemble: bool = False) -> Any:
        """Return a ``polars.DataFrame`` over the same memory.

        Parameters
        ----------
        strict_map_type : bool, default True
            Maps stay maps, and where Polars has no such type (before 2) they raise. False makes them lists of
            {key, value} structs.
        assemble : bool, default False
            Have Polars copy all columns into contiguous memory of its own.
        """
        from headrace.handoff import polars

        return polars.to_polars(self._frame, strict_map_type, assemble)

    def to_torch_tensors(self, device: str = "cpu") -> dict[str, Any]:
        """Return a PyTorch tensor a column, by name.

        Numbers give shape (rows,), lists of one length (rows, length). On the CPU they share the frame's memory
        (booleans are copied): PyTorch has no read-only tensors, so do not write into them; ``clone()`` first.

        Raises
        ------
        MetaflowDataFrameException
            A column with nulls, strings, decimals, times, or lists of different lengths: which one, and what to do.
        """
        from headrace.handoff import torch

        return torch.to_tensors(self._frame, device)

    def __arrow_c_schema__(self) -> object:
        return self._frame.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)

    # Itself

    def __repr__(self) -> str:
        table = self._frame.format(SHOWN_ROWS, max(shutil.get_terminal_size((120, 24)).columns, 40))
        return f"{self._headline()}\n{table}" if self._frame.num_columns else self._headline()

    def _repr_html_(self) -> str:
        names, types, head, tail = self._frame.cells(SHOWN_ROWS)
        gap = [["⋮"] * len(names)] if tail else []
        top = "".join(f"<th>{escape(n)}<br><small>{escape(t)}</small></th>" for n, t in zip(names, types, strict=True))
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in [*head, *gap, *tail]
        )
        return (
            f"<div><p>{escape(self._headline())}</p>"
            f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def _headline(self) -> str:
        rows, columns = self.num_rows, self._frame.num_columns
        return (
            f"MetaflowDataFrame: {rows:,} row{'s' * (rows != 1)} x {columns} column{'s' * (columns != 1)}, "
            f"{progress.bytes_as_text(self.size)}"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        if self.size > PICKLE_LIMIT_BYTES:
            raise MetaflowDataFrameException(
                f"a frame of {progress.bytes_as_text(self.size)} is too large to pickle "
                f"(at most {progress.bytes_as_text(PICKLE_LIMIT_BYTES)})",
                hint="an artifact of a flow may be the Table, a Shard or what put_data(frame) returns: each loads the "
                "rows again where they are needed. del self.<name> drops a frame that no later step needs",
            )
        return unpickled, (self._frame.to_bytes(),)


def _arrow_schema(pyarrow_schema: Any, columns: Sequence[Mapping[str, Any]] | None) -> Any:
    """The ``pyarrow.Schema`` that is asked for in one of two ways; None if it is not."""
    if pyarrow_schema is not None or columns is None:
        return pyarrow_schema
    from headrace.fastdata import schemas

    return schemas.pyarrow_schema(columns)


def unpickled(data: bytes) -> MetaflowDataFrame:
    """The frame that these bytes were."""
    return MetaflowDataFrame(_engine.Frame.from_bytes(data))


def _positions(known: Sequence[str], names: Sequence[str]) -> list[int]:
    """Positions of columns by name."""
    places = {name: at for at, name in reversed(list(enumerate(known)))}
    for name in names:
        if name not in places:
            raise ColumnNotFound(f"no column {name!r}", hint=nearest(str(name), known))
    return [places[name] for name in names]


def _mask(indicator: Any) -> _engine.Column:
    """An indicator as a boolean column."""
    if isinstance(indicator, (list, tuple)):
        marks = bytes(value is None for value in indicator)
        return _engine.Column.from_values("indicator", "b", bytes(bool(value) for value in indicator), marks)
    column = unwrap(indicator, "indicator")
    if column.type == "b":
        return column
    if column.type in ("c", "C", "s", "S", "i", "I", "l", "L"):
        return column.cast("b")
    raise InvalidArgument(f"an indicator holds booleans or integers, found {column.type_name}")
