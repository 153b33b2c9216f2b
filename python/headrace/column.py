"""One column of a frame, and what it can be handed over as.

`MetaflowColumn` is what all columns share; `PrimitiveMetaflowColumn`, `BinaryMetaflowColumn`, `ListMetaflowColumn`,
`StructMetaflowColumn`, `MapMetaflowColumn` and `VariantMetaflowColumn` add what their type can do. A column is
immutable and shares its frame's memory. Neighbours: `dataframe` holds columns; `handoff.numpy` makes arrays. Must not
know: tables, files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from headrace import _engine
from headrace.errors import ColumnNotFound, nearest
from headrace.handoff import numpy as to_numpy
from headrace.handoff.numpy import is_time
from headrace.handoff.values import column_of_values
from headrace.variant import decode_variant

if TYPE_CHECKING:
    from headrace.dataframe import MetaflowDataFrame

CHUNK_ROWS = 4096
"""Rows made Python objects at once while iterating."""
SHOWN_VALUES = 5


class MetaflowColumn:
    """A named, immutable sequence of values of one type.

    It speaks the Arrow PyCapsule interface (``__arrow_c_array__``), and, where its type is a number or a time, NumPy's
    array interface and DLPack. All three share memory and keep it alive.
    """

    __slots__ = ("_column",)

    def __init__(self, column: _engine.Column) -> None:
        self._column = column

    @property
    def name(self) -> str:
        """Name of the column."""
        return self._column.name

    @property
    def type(self) -> str:
        """The type as text: ``int64``, ``string``, ``decimal(15, 2)``, ``list<int32>``, ``timestamp[us, UTC]``."""
        return self._column.type_name

    @property
    def field_id(self) -> int:
        """Iceberg field id, -1 where there is none."""
        found = self._column.field_id
        return -1 if found is None else found

    @property
    def null_count(self) -> int:
        """Number of nulls."""
        return self._column.null_count

    @property
    def size(self) -> int:
        """Memory of the values in bytes, pages of strings included."""
        return self._column.nbytes

    @property
    def is_binary(self) -> bool:
        """Whether the values are arbitrary bytes."""
        return self._column.type[:1] in ("z", "Z", "w") or self._column.type == "vz"

    @property
    def is_array_type(self) -> bool:
        """Whether the values are lists."""
        return self._column.type[:2] in ("+l", "+L", "+w", "+v")

    @property
    def is_scalar_type(self) -> bool:
        """Whether the values are single ones: no lists, structs or maps."""
        return not self._column.type.startswith("+")

    def __len__(self) -> int:
        return len(self._column)

    def __iter__(self) -> Iterator[Any]:
        return self.values()

    def __repr__(self) -> str:
        head = f"<{type(self).__name__} {self.name!r} {self.type}: {len(self):,} rows, {self.null_count:,} null>"
        _, _, cells, _ = _engine.Frame.from_columns([self._column.slice(0, SHOWN_VALUES)]).cells(SHOWN_VALUES)
        more = ", ..." if len(self) > SHOWN_VALUES else ""
        return f"{head}\n[{', '.join(cell for (cell,) in cells)}{more}]"

    def values(self, offset: int = 0) -> Iterator[Any]:
        """Iterate over the values as Python objects, from row ``offset`` on; see ``to_pylist`` for their classes."""
        for start in range(offset, len(self), CHUNK_ROWS):
            yield from self._column.slice(start, CHUNK_ROWS).to_pylist()

    def to_pylist(self) -> list[Any]:
        """Return every value as a Python object.

        Returns
        -------
        list
            int, float, bool, str, bytes (UUIDs too), ``decimal.Decimal``, ``datetime.date``, ``datetime.datetime``
            (with a zone where the column has one), ``datetime.time``, ``datetime.timedelta``; lists; structs as dicts;
            maps as dicts, or as lists of (key, value) where the keys are nested; None for null. A copy.

        Raises
        ------
        InvalidArgument
            A time outside of the years 1 to 9999, or with a fraction of a microsecond.
        """
        return self._column.to_pylist()

    def split(self) -> list[MetaflowColumn]:
        """Return the contiguous pieces of memory of this column: itself, since headrace's columns have one."""
        return [self]

    def is_same_chunking(self, other: MetaflowColumn) -> bool:
        """Whether ``other`` is cut into the same pieces of memory: whether it is as long."""
        return len(self) == len(other)

    def to_numpy(self, null_value: Any = None, as_type: Any = None, as_view: bool = False) -> Any:
        """Return the values as a 1-D NumPy array; of Python objects where NumPy has no dtype. See the subclasses."""
        return to_numpy.primitive(self._column, null_value, as_type, as_view)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        made = self.to_numpy(as_type=dtype)
        return made.copy() if copy else made

    @property
    def __array_interface__(self) -> dict[str, Any]:
        if self.null_count:
            raise AttributeError(f"column {self.name!r} has nulls, which the array interface cannot say")
        return self._column.__array_interface__

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> object:
        if stream is not None or (dl_device is not None and tuple(dl_device) != (1, 0)):
            raise BufferError(f"column {self.name!r} is in the memory of the CPU")
        tensor = self._column.tensor()
        if tensor is None or is_time(tensor[0].type):
            raise BufferError(f"column {self.name!r} ({self.type}) has no DLPack type, or has nulls")
        values, shape = tensor
        boolean = values.type == "b"
        if boolean and copy is False:
            raise BufferError(f"column {self.name!r} holds bits, which DLPack cannot say without a copy")
        lent = values.copied() if copy and not boolean else values.dense()
        versioned = max_version is not None and max_version[0] >= 1
        return lent.dlpack([len(self), *shape], boolean, versioned)

    def __arrow_c_schema__(self) -> object:
        return self._column.__arrow_c_schema__()

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        return self._column.__arrow_c_array__(requested_schema)

    def __reduce__(self) -> tuple[Any, ...]:
        from headrace.dataframe import MetaflowDataFrame

        return _first_column, (MetaflowDataFrame(_engine.Frame.from_columns([self._column])),)


def _first_column(frame: MetaflowDataFrame) -> MetaflowColumn:
    return frame.columns[0]


class PrimitiveMetaflowColumn(MetaflowColumn):
    """Numbers, booleans, dates, times, decimals and strings."""

    __slots__ = ()

    def to_numpy(self, null_value: Any = None, as_type: Any = None, as_view: bool = False) -> Any:
        """Return the values as a 1-D NumPy array.

        Parameters
        ----------
        null_value : optional
            What takes the place of nulls, a value of the result's dtype. Left out, floats give NaN, dates and times
            NaT, objects None, and integers and booleans with nulls raise.
        as_type : dtype, optional
            Cast to this dtype. Decimals go to ``float64`` without Python objects.
        as_view : bool, default False
            Raise where a copy would be needed.

        Returns
        -------
        numpy.ndarray
            Shape (rows,). Integers and floats keep their dtype; booleans become ``bool``; timestamps ``datetime64`` of
            their unit (those with a zone in UTC); dates ``datetime64[s]``; durations ``timedelta64``; strings, decimals
            and times of day are objects. A read-only view of the column's memory for numbers, timestamps and durations
            without nulls, else a copy. The view keeps the memory alive.

        Raises
        ------
        MetaflowDataFrameException
            Nulls that the dtype cannot hold; ``as_view`` where a copy is needed.
        """
        return to_numpy.primitive(self._column, null_value, as_type, as_view)


class BinaryMetaflowColumn(MetaflowColumn):
    """Arbitrary bytes, of one length (UUIDs among them) or of any."""

    __slots__ = ()


class ListMetaflowColumn(MetaflowColumn):
    """Lists of any length."""

    __slots__ = ()

    def flatten(self) -> MetaflowColumn:
        """Return the elements of all rows, end to end. A view, unless a null row hides elements."""
        return wrap(self._column.elements())

    def to_numpy(  # type: ignore[override]  # the Fast Data surface puts shape first for lists
        self,
        shape: int | Sequence[int] | None = None,
        pad_value: Any = None,
        null_value: Any = None,
        as_type: Any = None,
        as_view: bool = False,
    ) -> Any:
        """Return lists of numbers as one array, every row of the same shape.

        Parameters
        ----------
        shape : tuple of int, optional
            Shape of each row, filled in row-major order: longer lists are cut, shorter ones padded. Left out, all lists
            must have one length, and the array has that.
        pad_value, null_value : optional
            What fills short lists; what takes the place of nulls, rows and elements alike.
        as_type : dtype, optional
            Cast to this dtype.
        as_view : bool, default False
            Raise where a copy would be needed.

        Returns
        -------
        numpy.ndarray
            Shape (rows, *shape). A read-only view of the column's memory where no row is padded or cut and there are no
            nulls, else a copy.

        Raises
        ------
        MetaflowDataFrameException
            Lists of different lengths without ``shape``; short ones without ``pad_value``; nulls without
            ``null_value``; elements that are no numbers; ``as_view`` where a copy is needed.
        """
        return to_numpy.lists(self._column, shape, pad_value, null_value, as_type, as_view)

    def is_tensor(self) -> bool:
        """Whether all rows are (nested) lists of numbers of one shape, without nulls."""
        return self._column.tensor() is not None

    def tensor_shape(self) -> list[int]:
        """Shape of each row: ``[3]`` for lists of three numbers, ``[2, 3]`` for two lists of three."""
        tensor = self._column.tensor()
        if tensor is None:
            raise to_numpy.not_a_tensor(self._column)
        return tensor[1]


class StructMetaflowColumn(MetaflowColumn):
    """Structs: columns within a column."""

    __slots__ = ()

    @property
    def fields(self) -> list[str]:
        """Names of the fields."""
        return self._column.field_names

    def __getitem__(self, name: str) -> MetaflowColumn:
        """Return one field as a column, null where the struct is. A view."""
        known = self.fields
        if name not in known:
            raise ColumnNotFound(f"no field {name!r} in column {self.name!r}", hint=nearest(name, known))
        return wrap(self._column.struct_field(known.index(name)))

    def as_dataframe(self) -> MetaflowDataFrame:
        """Return the fields as a frame. Views."""
        from headrace.dataframe import MetaflowDataFrame

        return MetaflowDataFrame(
            _engine.Frame.from_columns([self._column.struct_field(at) for at in range(len(self.fields))])
        )


class VariantMetaflowColumn(StructMetaflowColumn):
    """Variants: values of any type, in the binaries `metadata` and `value` of a struct."""

    __slots__ = ()

    def values(self, offset: int = 0) -> Iterator[Any]:
        """Iterate over the variants as Python objects, from row ``offset`` on; see `headrace.decode_variant`."""
        for found in super().values(offset):
            yield None if found is None else decode_variant(found["metadata"], found["value"])

    def to_pylist(self) -> list[Any]:
        """Return every variant as a Python object; see `headrace.decode_variant`. None for a row without one, too."""
        return list(self.values())


class MapMetaflowColumn(ListMetaflowColumn):
    """Maps: lists of (key, value)."""

    __slots__ = ()

    def map_keys(self) -> ListMetaflowColumn:
        """Return each row's keys as a list column. A view."""
        return ListMetaflowColumn(self._column.map_part(0))

    def map_values(self) -> ListMetaflowColumn:
        """Return each row's values as a list column. A view."""
        return ListMetaflowColumn(self._column.map_part(1))


def wrap(column: _engine.Column) -> MetaflowColumn:
    """Give an engine's column the class of its type."""
    kind = column.type
    if kind.startswith("+s"):
        return VariantMetaflowColumn(column) if column.iceberg_type == "variant" else StructMetaflowColumn(column)
    if kind.startswith("+m"):
        return MapMetaflowColumn(column)
    if kind[:2] in ("+l", "+L", "+w", "+v"):
        return ListMetaflowColumn(column)
    if kind in ("z", "Z", "vz") or kind.startswith("w"):
        return BinaryMetaflowColumn(column)
    return PrimitiveMetaflowColumn(column)


def unwrap(data: Any, name: str | None = None) -> _engine.Column:
    """Take a column of headrace, anything with an Arrow capsule, a NumPy array or a list, under ``name`` if given."""
    if isinstance(data, MetaflowColumn):
        return data._column if name is None else data._column.rename(name)
    if hasattr(data, "__arrow_c_array__") or hasattr(data, "__arrow_c_stream__"):
        return _engine.Column.from_arrow(data, name)
    if isinstance(data, list | tuple):
        return column_of_values(name or "", data)
    return to_numpy.column_of(name or "", data)


__all__ = [
    "BinaryMetaflowColumn",
    "ListMetaflowColumn",
    "MapMetaflowColumn",
    "MetaflowColumn",
    "PrimitiveMetaflowColumn",
    "StructMetaflowColumn",
    "VariantMetaflowColumn",
]
