"""To and from pandas, with no Python object a value wherever pandas has a type for it.

``auto`` takes NumPy views of the frame where a NumPy dtype holds the values exactly, pandas' own ``str`` over Arrow
memory, and ArrowDtype for the rest. ``numpy`` and ``pyarrow`` are what ``pandas.read_parquet`` makes by default and
with ``dtype_backend="pyarrow"``. Neighbours: `numpy` for the arrays, `_engine.Frame.for_pandas` for what must be
converted, which it does on all cores at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from headrace import _engine
from headrace.errors import ColumnNotFound, InvalidArgument, MetaflowDataFrameException, nearest
from headrace.handoff import present, required
from headrace.handoff.arrow import to_arrow
from headrace.handoff.numpy import FORMATS, column_of, is_numeric, is_time, nulls, view

BACKENDS = ("auto", "numpy", "pyarrow")
_said_once = False


def to_pandas(frame: _engine.Frame, dtype_backend: str, categories: Iterable[str], decimals: str) -> Any:
    """Return ``frame`` as a ``pandas.DataFrame``; see ``MetaflowDataFrame.to_pandas``."""
    if dtype_backend not in BACKENDS:
        raise InvalidArgument(f"dtype_backend is 'auto', 'numpy' or 'pyarrow', found {dtype_backend!r}")
    if decimals not in ("exact", "float64"):
        raise InvalidArgument(f"decimals is 'exact' or 'float64', found {decimals!r}")
    pandas = required("pandas", "to_pandas()")
    encoded = {at: _categorical(pandas, frame.column(at)) for at in _categories(frame, categories)}
    rest = [at for at in range(frame.num_columns) if at not in encoded]
    if dtype_backend == "auto":
        return _auto(pandas, frame, rest, encoded, decimals == "float64")
    return _through_pyarrow(pandas, frame, rest, encoded, dtype_backend, decimals == "float64")


def _auto(pandas: Any, frame: _engine.Frame, rest: list[int], encoded: dict[int, Any], floats: bool) -> Any:
    arrays, lenders, pyarrow = dict(encoded), {}, present("pyarrow")
    for at, column in zip(rest, frame.select(rest).for_pandas(floats), strict=True):
        if _is_plain(column):
            lenders[at] = _Lender(column)
            arrays[at] = _lent(pandas, lenders[at], column.type, frame.column(at).type == "b")
        else:
            arrays[at] = _arrow_array(pandas, pyarrow, column)
    result = _assemble(pandas, frame, arrays)
    _share(result, lenders)
    return result


def _assemble(pandas: Any, frame: _engine.Frame, arrays: Mapping[int, Any]) -> Any:
    """Columns keyed by position (a name may occur twice), each left where it is: no block is consolidated."""
    ordered = {at: arrays[at] for at in sorted(arrays)}
    made = pandas.DataFrame(ordered, index=pandas.RangeIndex(frame.num_rows), copy=False)
    made.columns = pandas.Index(frame.names, dtype=None if frame.names else object)
    return made


def _through_pyarrow(
    pandas: Any, frame: _engine.Frame, rest: list[int], encoded: dict[int, Any], backend: str, floats: bool
) -> Any:
    """What PyArrow makes of the columns, as ``pandas.read_parquet`` does."""
    pyarrow = required("pyarrow", f"to_pandas(dtype_backend={backend!r})")
    table = to_arrow(frame.select(rest), "large_string")
    for at, field in enumerate(table.schema):
        if floats and pyarrow.types.is_decimal(field.type):
            table = table.set_column(at, field.name, table.column(at).cast(pyarrow.float64()))
    table = table.rename_columns([str(at) for at in range(len(rest))])
    mapper = {} if backend == "numpy" else {"types_mapper": pandas.ArrowDtype}
    made = table.to_pandas(ignore_metadata=True, **mapper)
    if not encoded:
        made.columns = pandas.Index(frame.names, dtype=None if frame.names else object)
        return made
    return _assemble(pandas, frame, {at: made[str(place)] for place, at in enumerate(rest)} | encoded)


def _categories(frame: _engine.Frame, names: Iterable[str]) -> list[int]:
    """Positions of the columns that become categories: those named, and those that are encoded already."""
    if isinstance(names, str):
        raise InvalidArgument(f"categories is a list of column names, found the string {names!r}")
    names, known = list(names), frame.names
    for name in names:
        if name not in known:
            raise ColumnNotFound(f"no column {name!r} to make categories of", hint=nearest(name, known))
    return [at for at, name in enumerate(known) if name in names or frame.column(at).type == "dictionary"]


def _categorical(pandas: Any, column: _engine.Column) -> Any:
    """A column as ``pandas.Categorical``: encoded by the engine, categories in order of appearance."""
    codes, values = column.encoded()
    positions = view(codes)
    if codes.null_count:
        positions = positions.copy()
        positions[nulls(codes)] = -1
    (distinct,) = _engine.Frame.from_columns([values]).for_pandas(False)
    if _is_plain(distinct):
        made = _lent(pandas, _Lender(distinct), distinct.type, values.type == "b")
    else:
        made = _arrow_array(pandas, present("pyarrow"), distinct)
    return pandas.Categorical.from_codes(positions, categories=pandas.Index(made))


class _Lender:
    """Lends a column's values to NumPy, and outlives every array made of them."""

    def __init__(self, column: _engine.Column) -> None:
        self._column = column
        self.shares: Any = None

    @property
    def __array_interface__(self) -> Mapping[str, Any]:
        return self._column.__array_interface__


def _is_plain(column: _engine.Column) -> bool:
    return not column.null_count and (is_numeric(column.type) or is_time(column.type)) and column.type != "b"


def _lent(pandas: Any, lender: _Lender, kind: str, boolean: bool) -> Any:
    """The lender's values as what a pandas column is made of."""
    values = required("numpy", "to_pandas()").asarray(lender)
    zone = kind.partition(":")[2] if kind.startswith("ts") else ""
    if not zone:
        return values.view("bool") if boolean else values
    dtype = pandas.DatetimeTZDtype(_unit(values), zone)
    try:
        # The public ways to a zone copy: pandas.array, Series.dt.tz_localize.
        return pandas.arrays.DatetimeArray._simple_new(values, dtype=dtype)
    except (AttributeError, TypeError):
        return pandas.Series(values, copy=False).dt.tz_localize("UTC").dt.tz_convert(zone).array


def _arrow_array(pandas: Any, pyarrow: Any, column: _engine.Column) -> Any:
    """Strings as pandas' ``str``, all else as ArrowDtype; without PyArrow as objects."""
    text = column.type == "U"
    if pyarrow is None:
        if not text:
            _say_once()
        values = column.to_pylist()
        return pandas.array(values, dtype=_string_dtype(pandas, "python")) if text else _objects(values)
    chunked = pyarrow.chunked_array([pyarrow.array(column)])
    if text:
        return _string_dtype(pandas, "pyarrow").__from_arrow__(chunked)
    return pandas.arrays.ArrowExtensionArray(chunked)


def _string_dtype(pandas: Any, storage: str) -> Any:
    """The dtype that pandas 3 calls ``str``; pandas before 2.3 knows only the one whose null is ``pandas.NA``."""
    try:
        return pandas.StringDtype(storage, na_value=float("nan"))
    except TypeError:
        return pandas.StringDtype(storage)


def _objects(values: list[Any]) -> Any:
    made = required("numpy", "to_pandas()").empty(len(values), dtype=object)
    made[:] = values
    return made


def _say_once() -> None:
    global _said_once
    if not _said_once:
        _said_once = True
        kinds = "decimals, nullable integers, binary and nested values"
        message = f"without pyarrow, to_pandas() makes Python objects of {kinds}: pip install pyarrow"
        warnings.warn(message, stacklevel=5)


def _share(frame: Any, lenders: Mapping[int, _Lender]) -> None:
    """Let pandas know that the engine's frame shares these columns, so that its copy-on-write copies before a write.

    The views are read-only, and without this ``df.loc[0, "x"] = 1`` would raise instead of copying that one column.
    pandas counts who shares a column by the blocks alive (``BlockValuesRefs``): an empty block more, kept alive by the
    array itself, is one that never goes away before the array does. It is pandas' private machinery: where it has
    changed, the views stay read-only and a write raises as NumPy's does.
    """
    numpy = required("numpy", "to_pandas()")
    try:
        for block in frame._mgr.blocks:
            lender = lenders.get(int(block.mgr_locs.as_array[0]))
            if lender is not None:
                empty = numpy.empty((1, 0))
                lender.shares = type(block)(empty, placement=block.mgr_locs, ndim=2, refs=block.refs)
    except (AttributeError, TypeError):
        return


def from_pandas(frame: Any) -> _engine.Frame:
    """Take a ``pandas.DataFrame``'s columns; its index is left out (``reset_index()`` makes columns of it)."""
    required("pandas", "from_pandas()")
    frame = frame.reset_index(drop=True)
    if present("pyarrow") is not None and hasattr(frame, "__arrow_c_stream__"):
        return _engine.Frame.from_arrow(frame)
    return _engine.Frame.from_columns([_column_of(str(name), series) for name, series in frame.items()])


def from_pandas_as(frame: Any, schema: Any) -> _engine.Frame:
    """Take a ``pandas.DataFrame``'s columns as those of a ``pyarrow.Schema``, without loss."""
    pyarrow = required("pyarrow", "from_pandas() with a schema")
    try:
        made = pyarrow.Table.from_pandas(frame, schema=schema, preserve_index=False, safe=True)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, KeyError) as error:
        raise MetaflowDataFrameException(f"the DataFrame does not fit the schema: {error}") from error
    return _engine.Frame.from_arrow(made)


def _column_of(name: str, series: Any) -> _engine.Column:
    """One Series through NumPy, where PyArrow is absent."""
    dtype = series.dtype
    if hasattr(dtype, "categories"):
        return _column_of(name, series.astype(dtype.categories.dtype))
    missing = series.isna().to_numpy()
    if getattr(dtype, "tz", None) is not None:
        plain = series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        unit = column_of(name, plain).type[:4]
        return _engine.Column.from_values(name, f"{unit}UTC", plain.view("uint8"), missing.view("uint8"))
    numbers = str(dtype).lower().replace("boolean", "bool")
    if numbers in FORMATS and str(dtype) not in FORMATS:  # pandas' nullable Int64, Float64, boolean
        return column_of(name, series.to_numpy(dtype=numbers, na_value=0), missing)
    return column_of(name, series.to_numpy(dtype=object) if dtype == "str" else series.to_numpy())


def _unit(values: Any) -> Any:
    """The unit that a ``datetime64`` array counts in: "s", "ms", "us" or "ns"."""
    return required("numpy", "to_pandas()").datetime_data(values.dtype)[0]
