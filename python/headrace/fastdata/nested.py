"""Columns of lists: fields of the structs in them, and sparse vectors as dense arrays.

Must not know: frames, files. Neighbours: `headrace.column` has the columns, `handoff.numpy` the arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace import _engine
from headrace.column import ListMetaflowColumn, MetaflowColumn, StructMetaflowColumn, unwrap, wrap
from headrace.errors import ColumnNotFound, InvalidArgument, MetaflowDataFrameException, nearest
from headrace.handoff import numpy as arrays
from headrace.handoff import required


def project_struct_fields(column: MetaflowColumn, child_columns: Sequence[str]) -> MetaflowColumn:
    """Return a column of lists of structs with some of the structs' fields only, in this order. Needs pyarrow.

    Parameters
    ----------
    column : MetaflowColumn
        Lists of structs, or maps (whose structs have `key` and `value`).
    child_columns : sequence of str
        Fields.

    Raises
    ------
    ColumnNotFound
        With the nearest field.
    MetaflowDataFrameException
        The column holds no lists of structs.
    """
    if isinstance(child_columns, str):
        raise InvalidArgument(f"child_columns is a list of names, found the text {child_columns!r}")
    structs = _structs(column)
    fields = [_field(column, structs, name) for name in child_columns]
    pyarrow = required("pyarrow", "project_struct_fields()")
    elements = pyarrow.array(structs._column)
    kept = pyarrow.StructArray.from_arrays(
        [pyarrow.array(each._column) for each in fields],
        names=list(child_columns),
        mask=elements.is_null() if elements.null_count else None,
    )
    return _listed(column, kept, "project_struct_fields()")


def promote_struct_field(column: MetaflowColumn, child: str) -> MetaflowColumn:
    """Return a column of lists of one field of the structs in a column's lists; see `project_struct_fields`."""
    structs = _structs(column)
    pyarrow = required("pyarrow", "promote_struct_field()")
    return _listed(column, pyarrow.array(_field(column, structs, child)._column), "promote_struct_field()")


def sparse_to_dense(
    indices: MetaflowColumn,
    values: MetaflowColumn,
    shape: int | Sequence[int],
    default_value: Any,
    flat_indices: bool = True,
    null_value: Any = None,
) -> Any:
    """Return sparse vectors as one dense NumPy array.

    Parameters
    ----------
    indices : ListMetaflowColumn
        Lists of integers: where the values of a row go.
    values : ListMetaflowColumn
        Lists of numbers, as many a row as there are indices.
    shape : tuple of int
        Of each row.
    default_value
        Where nothing is said.
    flat_indices : bool, default True
        Indices count through the row in row-major order; False: each is len(shape) numbers, one after another.
    null_value : optional
        In place of nulls among the values.

    Returns
    -------
    numpy.ndarray
        Shape (rows, *shape), of the values' dtype. A null row is all `default_value`.

    Raises
    ------
    MetaflowDataFrameException
        Columns of other types, lengths that do not agree, nulls without `null_value`, an index outside of the shape.
    """
    numpy = required("numpy", "sparse_to_dense()")
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    where, what = _numbers(indices, "indices", arrays.INTEGERS), _numbers(values, "values", None)
    if len(indices) != len(values):
        raise MetaflowDataFrameException(f"{len(indices)} rows of indices for {len(values)} rows of values")
    if what.null_count and null_value is None:
        raise MetaflowDataFrameException(
            f"column {values.name!r} has {what.null_count} nulls", hint="null_value=... takes their place"
        )
    per_value = 1 if flat_indices else len(sizes)
    lengths = arrays.view(values._column.lengths())
    unlike = arrays.view(indices._column.lengths()) != lengths * per_value
    if unlike.any():
        row = int(unlike.argmax())
        raise MetaflowDataFrameException(f"row {row}: {int(lengths[row])} values need {per_value} indices each")
    dense_values = arrays.primitive(what, null_value, None, False)
    places = _flat(numpy, arrays.primitive(where, None, "int64", False), sizes, flat_indices)
    size = arrays._size(sizes)
    out = (places < 0) | (places >= size)
    if out.any():
        raise MetaflowDataFrameException(f"index {int(places[out.argmax()])} is outside of shape {sizes}")
    made = numpy.full((len(values), size), default_value, dtype=dense_values.dtype)
    made[numpy.repeat(numpy.arange(len(values)), lengths), places] = dense_values
    return made.reshape((len(values), *sizes))


def _flat(numpy: Any, indices: Any, sizes: tuple[int, ...], flat: bool) -> Any:
    """Indices as positions in the flattened row; -1 for one that is outside of its dimension."""
    if flat:
        return indices
    split = indices.reshape((-1, len(sizes)))
    outside = ((split < 0) | (split >= numpy.array(sizes))).any(axis=1)
    strides = numpy.cumprod([1, *reversed(sizes[1:])])[::-1]
    return numpy.where(outside, -1, (split * strides).sum(axis=1))


def _numbers(column: MetaflowColumn, what: str, kinds: frozenset[str] | None) -> _engine.Column:
    """The elements of a column of lists of numbers."""
    if not isinstance(column, ListMetaflowColumn) or not column.is_array_type:
        raise MetaflowDataFrameException(f"{what}: column {column.name!r} ({column.type}) holds no lists")
    elements = column._column.elements()
    if elements.type not in (kinds or arrays.INTEGERS | arrays.FLOATS):
        wanted = "integers" if kinds else "numbers"
        raise MetaflowDataFrameException(f"{what}: column {column.name!r} ({column.type}) holds no lists of {wanted}")
    return elements


def _structs(column: MetaflowColumn) -> StructMetaflowColumn:
    """The structs in a column's lists, end to end."""
    elements = wrap(column._column.elements()) if isinstance(column, ListMetaflowColumn) else column
    if elements is column or not isinstance(elements, StructMetaflowColumn):
        raise MetaflowDataFrameException(f"column {column.name!r} ({column.type}) holds no lists of structs")
    return elements


def _field(column: MetaflowColumn, structs: StructMetaflowColumn, name: str) -> MetaflowColumn:
    if name not in structs.fields:
        raise ColumnNotFound(
            f"no field {name!r} in the structs of column {column.name!r}", hint=nearest(name, structs.fields)
        )
    return structs[name]


def _listed(column: MetaflowColumn, elements: Any, wanted_by: str) -> MetaflowColumn:
    """Elements in the lists that a column has."""
    pyarrow, numpy = required("pyarrow", wanted_by), required("numpy", wanted_by)
    ends = numpy.cumsum(arrays.view(column._column.lengths()))
    offsets = pyarrow.array(numpy.concatenate([[0], ends]).astype("int64"))
    mask = pyarrow.array(arrays.nulls(column._column)) if column.null_count else None
    made = pyarrow.LargeListArray.from_arrays(offsets, elements, mask=mask)
    return wrap(unwrap(made, column.name))
