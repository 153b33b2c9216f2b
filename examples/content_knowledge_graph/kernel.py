"""The C++ kernel from Python: columns go in as Arrow streams and come out as an Arrow array, by ctypes alone.

`make` compiles it from similarity.cpp; nothing but the C data interface lies between it and whoever has columns:
headrace, PyArrow, Polars, DuckDB. Must not know: tables, what a match is. Neighbours: similarity.cpp says what is
computed, scoring.py asks for it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class _Schema(ctypes.Structure):
    """Arrow's C structs, as much of them as is needed here: their size."""

    _fields_ = (("bytes", ctypes.c_int64 * 9),)


class _Array(ctypes.Structure):
    _fields_ = (("bytes", ctypes.c_int64 * 10),)


class Kernel:
    """The library, compiled into a folder first where it is not there, or older than its source.

    Parameters
    ----------
    folder : str or path
        A folder of this machine: the kernel is compiled for the processor that it has.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        build = Path(folder).resolve()
        subprocess.run(["make", "--silent", "-C", HERE, f"BUILD={build}"], check=True)
        self._library = ctypes.CDLL(str(build / "libsimilarity.so"))
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        self._catalogue = self._function("similarity_catalogue", text, pointer, pointer)
        self._free = self._function("similarity_catalogue_free", None, pointer)
        scored = (pointer, pointer, pointer, ctypes.c_float, pointer, pointer, pointer)
        self._score = self._function("similarity_score", text, *scored)
        self._release = self._function("similarity_release", None, pointer, pointer)

    def catalogue(self, records: Any) -> Catalogue:
        """Read `title` and `authors` of anything that has `__arrow_c_stream__`; rows are known by their positions."""
        made = ctypes.c_void_p()
        stream = records.__arrow_c_stream__()
        _check(self._catalogue(_stream(stream), ctypes.byref(made)))
        return Catalogue(made, self._free)

    def score(self, left: Catalogue, right: Catalogue, pairs: Any, floor: float) -> Scores:
        """Compare the rows of two catalogues that pairs name: int32 columns `left_id` and `right_id`, rows from 0.

        Parameters
        ----------
        left, right : Catalogue
        pairs : anything that has `__arrow_c_stream__`
            A frame, or `shard.batches()`: the kernel pulls one batch after the other itself.
        floor : float
            Titles whose sets of trigrams have a smaller Jaccard index are left out.

        Returns
        -------
        Scores
            `left_id`, `right_id`, and float32 `title`, `authors` and `jaro_winkler`, in the order of the pairs.

        Raises
        ------
        ValueError
            Columns of other types, a pair that the catalogues do not have, or what the stream says went wrong.

        Notes
        -----
        The GIL is released.
        """
        schema, array = _Schema(), _Array()
        stream = pairs.__arrow_c_stream__()
        compared = ctypes.c_int64()
        references = ctypes.byref(schema), ctypes.byref(array), ctypes.byref(compared)
        _check(self._score(left.handle, right.handle, _stream(stream), floor, *references))
        return Scores(schema, array, compared.value, self._release)

    def _function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        function = getattr(self._library, name)
        function.restype, function.argtypes = result, arguments
        found: Callable[..., Any] = function
        return found


class Catalogue:
    """What the kernel keeps of a catalogue, for as long as this lives."""

    def __init__(self, handle: ctypes.c_void_p, free: Callable[..., Any]) -> None:
        self.handle = handle
        self._free = free

    def __del__(self) -> None:
        self._free(self.handle)


class Scores:
    """Columns in the kernel's memory, for one consumer: whatever reads an Arrow array takes them as they are.

    `compared` says how many pairs there were.
    """

    def __init__(self, schema: _Schema, array: _Array, compared: int, release: Callable[..., Any]) -> None:
        self._schema, self._array = schema, array
        self.compared = compared
        self._release = release

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        """Capsules over the structs, without a destructor: what no consumer moves out is released with this object."""
        schema, array = ctypes.addressof(self._schema), ctypes.addressof(self._array)
        return _new(schema, SCHEMA, None), _new(array, ARRAY, None)

    def __del__(self) -> None:
        self._release(ctypes.byref(self._schema), ctypes.byref(self._array))


# A capsule keeps the pointer to its name, not the name: these texts must live as long as the module.
SCHEMA, ARRAY, STREAM = b"arrow_schema", b"arrow_array", b"arrow_array_stream"
_new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
    ("PyCapsule_New", ctypes.pythonapi)
)
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def _stream(capsule: object) -> int:
    """Where a stream's struct is; the capsule must outlive the call."""
    address: int = _pointer(capsule, STREAM)
    return address


def _check(said: bytes | None) -> None:
    if said is not None:
        raise ValueError(f"the similarity kernel: {said.decode(errors='replace')}")
