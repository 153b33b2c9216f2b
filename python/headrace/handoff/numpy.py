"""To and from NumPy: views of a column's own memory, read-only, that keep the memory alive.

A copy is made only where NumPy has no other way (booleans are bits in Arrow, dates 32-bit days, nulls have no place).
Neighbours: `column` for users; `pandas` and `torch` for their arrays.
"""

from __future__ import annotations

from typing import Any

from headrace import _engine
from headrace.errors import InvalidArgument, MetaflowDataFrameException
from headrace.handoff import required

INTEGERS = frozenset("cCsSiIlL")
"""Arrow format strings of the integers."""
FLOATS = frozenset("efg")
"""Arrow format strings of the floats."""
FORMATS = {"int8": "c", "uint8": "C", "int16": "s", "uint16": "S", "int32": "i", "uint32": "I", "int64": "l",
           "uint64": "L", "float16": "e", "float32": "f", "float64": "g", "bool": "b"}  # fmt: skip
"""Arrow format strings of NumPy's dtypes."""


def is_time(kind: str) -> bool:
    """Whether the Arrow format string ``kind`` is a date, timestamp or duration: what NumPy counts in 64 bits."""
    return kind[:3] in ("tdD", "tdm", "tss", "tsm", "tsu", "tsn", "tDs", "tDm", "tDu", "tDn")


def is_numeric(kind: str) -> bool:
    """Whether the Arrow format string ``kind`` is an integer, float or boolean."""
    return kind in INTEGERS or kind in FLOATS or kind == "b"


def view(column: _engine.Column) -> Any:
    """Return the values of a fixed-width column where they lie: 1-D, read-only; what lies under a null is undefined."""
    return required("numpy", "to_numpy()").asarray(column)


def dense(column: _engine.Column) -> Any:
    """Return a numeric or time column as a 1-D array: floats null as NaN, times as NaT. Integers must have no nulls.

    A view where the values need no change, else an array of its own.
    """
    values = view(column.dense())
    return values.view("bool") if column.type == "b" else values


def nulls(column: _engine.Column) -> Any:
    """Return a boolean array, true where ``column`` is null. A copy."""
    return view(column.null_bytes()).view("bool")


def primitive(column: _engine.Column, null_value: Any, as_type: Any, as_view: bool) -> Any:
    """Return ``column`` as a 1-D array; see ``PrimitiveMetaflowColumn.to_numpy``."""
    numpy = required("numpy", "to_numpy()")
    kind = column.type
    if kind == "dictionary":
        return primitive(column.decoded(), null_value, as_type, as_view)
    if not (is_numeric(kind) or is_time(kind)):
        return _objects(numpy, column, null_value, as_type, as_view)
    has_nulls = column.null_count > 0
    if has_nulls and null_value is None and is_numeric(kind) and kind not in FLOATS:
        raise _nulls(column)
    if as_view:
        _check_view(numpy, column, as_type)
        return view(column)
    if not has_nulls or null_value is None:
        values = dense(column)
        return values if as_type is None else values.astype(as_type, copy=False)
    values = dense(column) if kind in FLOATS or is_time(kind) else _raw(column)
    filled = values.astype(as_type) if as_type is not None else values.copy()
    filled[nulls(column)] = null_value
    return filled


def _raw(column: _engine.Column) -> Any:
    """Values of a nullable integer or boolean column, whatever they are under its nulls."""
    return view(column.cast("C")).view("bool") if column.type == "b" else view(column)


def _check_view(numpy: Any, column: _engine.Column, as_type: Any) -> None:
    """Refuse what cannot be a view, saying which reason it is."""
    reason = None
    if column.null_count:
        reason = f"it has {column.null_count} nulls, which NumPy has no place for"
    elif column.type in ("b", "tdD"):
        reason = f"NumPy holds {column.type_name} in another width"
    elif as_type is not None and numpy.dtype(as_type) != view(column).dtype:
        reason = f"its values are {view(column).dtype}, not {numpy.dtype(as_type)}"
    if reason:
        raise MetaflowDataFrameException(
            f"column {column.name!r} ({column.type_name}) cannot be a NumPy view: {reason}",
            hint="as_view=False makes the copy that is needed",
        )


def _nulls(column: _engine.Column) -> MetaflowDataFrameException:
    return MetaflowDataFrameException(
        f"column {column.name!r} ({column.type_name}) has {column.null_count} nulls, which NumPy's integers and "
        "booleans cannot hold",
        hint="null_value=... puts a value in their place (with as_type='float64', null_value=float('nan')); "
        "to_pylist(), to_arrow() and to_polars() keep nulls",
    )


def _objects(numpy: Any, column: _engine.Column, null_value: Any, as_type: Any, as_view: bool) -> Any:
    """Strings, bytes, decimals, times of day and nested values as an array of Python objects, nulls as None."""
    if as_view:
        raise MetaflowDataFrameException(
            f"column {column.name!r} ({column.type_name}) cannot be a NumPy view: NumPy has no dtype for it",
            hint="as_view=False gives an array of Python objects",
        )
    if as_type is not None and column.type.startswith("d:"):
        return primitive(column.cast("g"), null_value, as_type, False)
    values = numpy.empty(len(column), dtype=object)
    values[:] = column.to_pylist()
    if null_value is not None and column.null_count:
        values[nulls(column)] = null_value
    return values if as_type is None else values.astype(as_type)


def lists(column: _engine.Column, shape: Any, pad_value: Any, null_value: Any, as_type: Any, as_view: bool) -> Any:
    """Return a list column as an (n, *shape) array; see ``ListMetaflowColumn.to_numpy``."""
    numpy = required("numpy", "to_numpy()")
    tensor = column.tensor()
    if tensor is not None:
        values, own = tensor
        wanted = tuple(own) if shape is None else _shape(shape)
        if _size(wanted) == _size(tuple(own)):
            return primitive(values, null_value, as_type, as_view).reshape((len(column), *wanted))
    if shape is None:
        raise MetaflowDataFrameException(
            f"the lists of column {column.name!r} ({column.type_name}) differ in length or hold nulls",
            hint="shape=(...) with pad_value=... gives every row the same shape; flatten() gives the elements",
        )
    if as_view:
        raise MetaflowDataFrameException(
            f"column {column.name!r} cannot be a NumPy view of shape {_shape(shape)}: rows must be padded or cut",
            hint="as_view=False makes the copy that is needed",
        )
    return _padded(numpy, column, _shape(shape), pad_value, null_value, as_type)


def _padded(numpy: Any, column: _engine.Column, shape: tuple[int, ...], pad: Any, null_value: Any, as_type: Any) -> Any:
    """Rows cut or padded to the same number of elements."""
    if column.null_count and null_value is None:
        raise _nulls_in_lists(column)
    elements = column.elements()
    if not (is_numeric(elements.type) or is_time(elements.type)):
        raise MetaflowDataFrameException(f"column {column.name!r} ({column.type_name}) is not a list of numbers")
    values = primitive(elements, null_value, as_type, False)
    lengths, size = view(column.lengths()), _size(shape)
    short = (lengths < size) & ~nulls(column)
    if short.any() and pad is None:
        raise MetaflowDataFrameException(
            f"{int(short.sum())} rows of column {column.name!r} have fewer than {size} elements",
            hint="pad_value=... fills them up",
        )
    fill = 0 if pad is None else pad
    made = numpy.full((len(lengths), size), fill, dtype=values.dtype)
    within = numpy.arange(len(values)) - numpy.repeat(numpy.cumsum(lengths) - lengths, lengths)
    made[numpy.arange(size) < lengths[:, None]] = values[within < size]
    if column.null_count:
        made[nulls(column)] = null_value
    return made.reshape((len(lengths), *shape))


def _nulls_in_lists(column: _engine.Column) -> MetaflowDataFrameException:
    return MetaflowDataFrameException(
        f"column {column.name!r} ({column.type_name}) has {column.null_count} null rows",
        hint="null_value=... fills them",
    )


def not_a_tensor(column: _engine.Column) -> MetaflowDataFrameException:
    """Why ``column`` has no tensor shape."""
    return MetaflowDataFrameException(
        f"column {column.name!r} ({column.type_name}) is no tensor: its lists differ in length, hold nulls, or hold no "
        "numbers",
        hint="to_numpy(shape=..., pad_value=...) gives every row one shape",
    )


def _shape(shape: Any) -> tuple[int, ...]:
    wanted = (shape,) if isinstance(shape, int) else tuple(shape)
    if not all(isinstance(each, int) and each >= 0 for each in wanted):
        raise InvalidArgument(f"shape is a tuple of sizes, found {shape!r}")
    return wanted


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for each in shape:
        size *= each
    return size


def column_of(name: str, values: Any, nulls: Any = None) -> _engine.Column:
    """Copy a 1-D array into a column: numbers, booleans, ``datetime64``, ``timedelta64``, strings as objects.

    ``nulls``: a boolean array, true where there is no value; None takes NaT and, among objects, None and NaN as null.
    """
    numpy = required("numpy", "from_columns()")
    values = numpy.ascontiguousarray(values)
    if values.ndim != 1:
        raise InvalidArgument(f"column {name!r}: a column is 1-D, found shape {values.shape}")
    dtype = values.dtype
    if dtype.kind in "Mm":
        unit = numpy.datetime_data(dtype)[0]
        if unit not in ("s", "ms", "us", "ns"):
            values, unit = values.astype(f"{dtype.kind}8[s]"), "s"
        missing = numpy.isnat(values) if nulls is None else nulls
        kind = f"ts{unit[0]}:" if dtype.kind == "M" else f"tD{unit[0]}"
        return _engine.Column.from_values(name, kind, _bytes(values), _marks(missing))
    if dtype.name in FORMATS:
        return _engine.Column.from_values(name, FORMATS[dtype.name], _bytes(values), _marks(nulls))
    if dtype.kind in "OUST":
        return _column_of_objects(name, values.tolist())
    raise InvalidArgument(f"column {name!r}: no column type for NumPy's {dtype}")


def _column_of_objects(name: str, values: list[Any]) -> _engine.Column:
    """Objects that are all str, all bytes or all bool; None and NaN are nulls."""
    plain = [None if value is None or value != value or type(value).__name__ == "NAType" else value for value in values]
    kinds = {type(value) for value in plain if value is not None}
    if kinds <= {str}:
        return _engine.Column.from_values(name, "u", plain)
    if kinds == {bytes}:
        return _engine.Column.from_values(name, "z", plain)
    if kinds == {bool}:
        marks = bytes(value is None for value in plain)
        return _engine.Column.from_values(name, "b", bytes(bool(value) for value in plain), marks)
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise InvalidArgument(
        f"column {name!r}: objects of {found} where str, bytes or bool are expected",
        hint="give the column a dtype of its own, or install pyarrow, which finds one",
    )


def _bytes(values: Any) -> Any:
    return memoryview(values.view("uint8"))


def _marks(nulls: Any) -> Any:
    return None if nulls is None or not nulls.any() else memoryview(nulls.view("uint8"))
