"""The Fast Data half of `MetaflowDataFrame`: buffers, Parquet and CSV files, Avro and protobuf records, processes.

Each way in or out is a module of its own, imported on use. Must not know: tables. Neighbours: `headrace.dataframe`
mixes it in.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from headrace.errors import MetaflowDataFrameException

if TYPE_CHECKING:
    from headrace import _engine
    from headrace.column import MetaflowColumn
    from headrace.dataframe import MetaflowDataFrame

MAX_PARALLEL = 16
MAX_FILE_BYTES = 128 << 20


class FastDataFrame:
    """What a `MetaflowDataFrame` can do under the names of Fast Data."""

    __slots__ = ()

    if TYPE_CHECKING:
        _frame: _engine.Frame

        @property
        def schema(self) -> list[str]: ...
        @property
        def columns(self) -> list[MetaflowColumn]: ...
        @property
        def num_rows(self) -> int: ...
        def __len__(self) -> int: ...

    def __class_getitem__(cls, schema: Any) -> types.GenericAlias:
        """`MetaflowDataFrame[Row]`, for annotations: `Row` is a dataclass that `validate_schema` can check."""
        return types.GenericAlias(cls, schema)

    @classmethod
    def from_buffer(cls, buffer: Any) -> MetaflowDataFrame:
        """Read what `to_buffer` wrote: from a memoryview (or bytes), or a binary file.

        Raises
        ------
        MetaflowDataFrameInvalidBuffer
            These bytes are no frame.
        """
        from headrace.fastdata import buffers

        return buffers.read(buffer)

    def to_buffer(self, buffer: Any) -> int:
        """Write this frame as an Arrow stream.

        Parameters
        ----------
        buffer : writable memoryview, or binary file
            A memoryview must be large enough: a little more than `size`, or what `to_buffer(io.BytesIO())` returns.

        Returns
        -------
        int
            Bytes written.

        Raises
        ------
        MetaflowDataFrameBufferNotLargeEnough
            With the number of bytes that are needed; nothing was written.
        """
        from headrace.fastdata import buffers

        return buffers.write(self._frame, buffer)

    @classmethod
    def from_avro(cls, data: bytes, avro_schema: Mapping[str, Any] | None = None) -> MetaflowDataFrame:
        """Make a frame of Avro records.

        Parameters
        ----------
        data : bytes
            A whole Avro file, with its schema and any number of records; or, with `avro_schema`, one bare record.
        avro_schema : mapping or None
            The schema of a bare record.

        Raises
        ------
        MetaflowDataFrameException
            No schema, or bytes that do not follow it.
        ConfigurationError
            fastavro or pyarrow, which this needs, is not installed.
        """
        from headrace.fastdata import avro

        return avro.from_avro(data, avro_schema)

    @classmethod
    def from_protobuf(cls, messages: Sequence[Any]) -> MetaflowDataFrame:
        """Make a frame of protobuf messages of one type: a row a message, a column a field.

        Messages within are structs, repeated fields lists, map fields maps, enums their names; wrappers and fields with
        presence that are not set are null; a Timestamp is a timestamp in UTC. Needs pyarrow.
        """
        from headrace.fastdata import protobuf

        return protobuf.from_protobuf(messages)

    @classmethod
    def from_parquet_with_schema(
        cls,
        urls: Sequence[str] | str,
        schema: Sequence[Mapping[str, Any]] | None = None,
        num_threads: int | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> MetaflowDataFrame:
        """Read Parquet files as columns of a schema, whatever each file has.

        Parameters
        ----------
        urls : sequence of str
            Local paths or S3 URLs.
        schema : sequence of mappings or None
            Iceberg columns, as `Table.schema` gives them. Columns are matched by `id` where files have field ids, else
            by name; one that a file lacks is null, one of another type is cast. None: the first file's columns.
        num_threads : int or None
            Decoders at once.
        properties : mapping or None
            The store's (``s3.endpoint``, ...).
        """
        from headrace.fastdata import evolution

        return evolution.from_parquet_with_schema(urls, schema, num_threads, properties)

    def to_parquet(
        self,
        url: str,
        compression_type: str = "SNAPPY",
        iceberg_schema: Sequence[Mapping[str, Any]] | None = None,
        iceberg_schema_id: int = 0,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        """Write this frame as one Parquet file.

        Parameters
        ----------
        url : str
            A local path or an S3 URL.
        compression_type : str
            SNAPPY, ZSTD, GZIP, LZ4, BROTLI or UNCOMPRESSED.
        iceberg_schema, iceberg_schema_id
            Columns and types to write, as `Table.schema` gives them, with their ids; and the schema's.
        properties : mapping or None
            The store's (``s3.endpoint``, ...), and ``write.parquet.*``.
        """
        from headrace.fastdata import parquet

        parquet.write_one(self._frame, url, compression_type, iceberg_schema, iceberg_schema_id, properties)

    def to_parquet_set(
        self,
        url_template: str,
        compression_type: str = "SNAPPY",
        max_file_size: int = MAX_FILE_BYTES,
        iceberg_schema: Sequence[Mapping[str, Any]] | None = None,
        iceberg_schema_id: int = 0,
        return_num_rows: bool = False,
        properties: Mapping[str, str] | None = None,
    ) -> list[str] | tuple[list[str], list[int]]:
        """Write this frame as several Parquet files.

        Parameters
        ----------
        url_template : str
            With ``{index}`` where the file's number comes, in eight digits.
        max_file_size : int, default 128 MiB
            Bytes of a file, about.
        return_num_rows : bool, default False
            Return the rows of each file too.

        Returns
        -------
        list of str, or (list of str, list of int)
            The files in the order of their rows; none for a frame without rows.
        """
        from headrace.fastdata import parquet

        urls, rows = parquet.write_set(
            self._frame, url_template, compression_type, max_file_size, iceberg_schema, iceberg_schema_id, properties
        )
        return (urls, rows) if return_num_rows else urls

    def to_csv(
        self,
        path: str | None = None,
        fileobj: TextIO | None = None,
        header: bool = True,
        delimiter: str = ",",
        row_filter: Callable[[tuple[Any, ...]], bool] | None = None,
        max_parallel: int = MAX_PARALLEL,
    ) -> None:
        """Write this frame as CSV.

        Parameters
        ----------
        path : str or None
            The file to write; or else
        fileobj : text file or None
            an open one.
        header : bool, default True
            Begin with the names.
        delimiter : str
            Between values.
        row_filter : callable or None
            Gets a row as a tuple, and says whether it is written.
        max_parallel : int
            Processes at once, for large frames.
        """
        from headrace.fastdata import text

        text.to_csv(self._self(), path, fileobj, header, delimiter, row_filter, max_parallel)

    def parallel_map(self, fun: Callable[[MetaflowDataFrame], Any], max_parallel: int = MAX_PARALLEL) -> list[Any]:
        """Evaluate a function on parts of this frame, each in a forked process, which shares its memory.

        Parameters
        ----------
        fun : callable
            Takes a frame, a slice of the rows; returns anything that pickles. A closure serves.
        max_parallel : int, default 16
            Parts, and processes at once.

        Returns
        -------
        list
            What it returned for each part, in the order of the rows.

        Raises
        ------
        MetaflowDataFrameException
            The function raised (its traceback is in the message), or its process was killed.
        """
        from headrace.fastdata import processes

        return processes.parallel_map(fun, self._parts(max_parallel), max_parallel)

    def parallel_map_args(
        self, fun: Callable[..., Any], args: Iterable[Any], max_parallel: int = MAX_PARALLEL
    ) -> list[Any]:
        """`parallel_map` with an argument a part: `fun(frame, argument)`; parts end where `args` end.

        A function that takes one argument gets the pair.
        """
        from headrace.fastdata import processes

        pairs = list(zip(self._parts(max_parallel), args, strict=False))
        return processes.parallel_map(processes.of_pairs(fun), pairs, max_parallel)

    def validate_schema(self, expected: type, strict: bool = False, check_types: bool = False) -> MetaflowDataFrame:
        """Check the columns against a dataclass, and return this frame.

        Parameters
        ----------
        expected : dataclass
            A field a column.
        strict : bool, default False
            Further columns are refused.
        check_types : bool, default False
            The columns' types must be those of the annotations.

        Raises
        ------
        MetaflowDataFrameException
            Names every column that is missing, too many, or of another type.
        """
        from headrace.fastdata import validation

        validation.check(self._self(), expected, strict, check_types)
        return self._self()

    def _parts(self, count: int) -> list[MetaflowDataFrame]:
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise MetaflowDataFrameException(f"max_parallel is a whole number of at least 1, found {count!r}")
        return self._self().split(-(-self.num_rows // count)) if self.num_rows else []

    def _self(self) -> MetaflowDataFrame:
        from headrace.dataframe import MetaflowDataFrame

        assert isinstance(self, MetaflowDataFrame)
        return self
