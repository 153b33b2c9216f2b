"""The engine (Rust). What grows with bytes or files is behind these names; nothing here knows of tables or catalogs.

Every call releases the GIL while it works, ends within 100 ms of Ctrl-C, and raises the classes of `headrace.errors`.
Frozen classes: instances are immutable and may be shared between threads.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, final

__version__: str

@final
class Store:
    """Objects of one table: S3 and local files, with PyIceberg's property names (`s3.endpoint`, ...).

    `allowed`: prefixes outside which every read is refused (LocationRefused); None allows all. `refresh`: called, from
    a thread of the engine, when credentials are about to expire; returns new properties (`s3.access-key-id`, ...,
    `s3.session-token-expires-at-ms`). repr never shows secrets.
    """
    def __new__(
        cls,
        properties: Mapping[str, str],
        allowed: Sequence[str] | None = None,
        refresh: Callable[[], Mapping[str, str]] | None = None,
    ) -> Self: ...
    def read(self, location: str, start: int | None = None, end: int | None = None) -> bytes: ...
    def read_many(self, locations: Sequence[str], concurrency: int = 64) -> list[Buffer]:
        """Objects whole, each in memory of its own that is not copied, in the order of their locations. At most
        `concurrency` requests at a time; how many of these help is found while they run."""
    def size(self, location: str) -> int: ...
    def list(self, prefix: str) -> list[tuple[str, int]]:
        """Every object under a prefix, recursively: (location, size in bytes), sorted by location."""
    def put(self, location: str, data: bytes, if_absent: bool = False) -> bool:
        """Write a whole object. `if_absent`: only if there is none; False if there is one that is not this call's."""
    def delete(self, locations: Sequence[str]) -> None:
        """Remove objects, several at a time; one that is not there is no error."""

@final
class Buffer:
    """Read-only bytes of the engine's: `memoryview(buffer)` and `numpy.frombuffer(buffer, "u1")` do not copy."""
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

def http_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    timeout_s: float = 60.0,
) -> tuple[int, dict[str, str], bytes]:
    """One HTTP request: (status, lower-case headers, body). Any status is an answer; UnreachableError else."""

def aws_credentials(properties: Mapping[str, str]) -> tuple[str, str, str | None]:
    """(access key id, secret, session token) as the store would find them: explicit, environment, web identity,
    container, instance."""

@final
class FileList:
    """The data files of a plan or shard. Picklable, sliceable; columns as in engine/core/src/iceberg/files.rs."""
    def __len__(self) -> int: ...
    def slice(self, offset: int, length: int) -> FileList: ...
    def take(self, positions: Sequence[int]) -> FileList: ...
    def split(self, count: int, by: str) -> list[FileList]:
        """`count` lists that together mean the same rows, balanced by "bytes" or "rows"; see
        engine/core/src/iceberg/shards.rs."""
    @property
    def total_rows(self) -> int | None:
        """None where nobody counted the rows of some file."""
    @property
    def total_bytes(self) -> int: ...
    def locations(self) -> list[str]: ...
    @staticmethod
    def of_files(
        locations: Sequence[str], sizes: Sequence[int], partitions: Sequence[tuple[int, Column]], specs: str
    ) -> FileList:
        """Whole files that no manifest names. `partitions`: a value a file for each partition field, by its id, in the
        column's own type; `specs`: the JSON list of the one partition spec, whose id is 0."""
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> FileList: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

def plan(store: Store, request: str, filter: str | None = None) -> tuple[FileList, str]:
    """Plan a scan. `request` and the report (second result) are JSON, see engine/core/src/iceberg/plan.rs."""

def changes(store: Store, request: str, steps: str, filter: str | None = None) -> tuple[FileList, str]:
    """Plan what snapshots changed. `steps` is JSON, see engine/core/src/iceberg/changes.rs."""

@final
class Listing:
    """Objects below some folders, each with its size and the time it was written; sorted by location, each once."""
    def __new__(cls, store: Store, prefixes: Sequence[str]) -> Self: ...
    def __len__(self) -> int: ...
    def orphans(self, store: Store, request: str) -> Listing:
        """Those that no snapshot reaches; see engine/core/src/iceberg/reach/orphans.rs."""
    def delete(self, store: Store) -> None:
        """Remove them all; one that is not there is no error."""
    def to_frame(self) -> Frame:
        """Columns location, size (bytes), modified."""

@final
class Keys:
    """The keys of a frame's rows, each once: nulls, NaN and keys that are there twice are refused. `schema`: the
    table's, as JSON, whose types the columns are taken as."""
    def __new__(cls, frame: Frame, names: Sequence[str], schema: str) -> Self: ...
    def __len__(self) -> int: ...
    def absent(self, frame: Frame) -> Column:
        """True for every row of a frame whose key is not among these."""
    def present(self, frame: Frame) -> Column:
        """True for every row of a frame whose key is among these."""
    def filter_json(self) -> str:
        """A filter that every row with one of these keys passes."""

def arrow_schema(data: Any, format_version: int) -> str:
    """The schema of a table that is to hold rows of what has `__arrow_c_schema__`, as Iceberg's JSON."""

def write_manifests(store: Store, files: Sequence[str], request: str) -> str:
    """Write manifests that list new files; see engine/core/src/iceberg/writing/append.rs."""

def rewrite_manifests(store: Store, files: Sequence[str], request: str, filter: str | None = None) -> str:
    """Write a snapshot's manifests again, without the files that are selected; see
    engine/core/src/iceberg/writing/rewrite.rs."""

def write_row_deletes(store: Store, files: FileList, rows: Frame, request: str) -> list[str]:
    """Write files that delete rows of others, given by location and position; see engine/core/src/row_deletes/mod.rs.

    Each result is the JSON of a file of position deletes or of a deletion vector. On an error no file is left.
    """

def write_manifest_list(store: Store, request: str) -> str:
    """Write the manifest list of a snapshot; see engine/core/src/iceberg/writing/snapshot.rs."""

def remove_expired(store: Store, request: str) -> str:
    """Remove what only expired snapshots reach; see engine/core/src/iceberg/reach/expired.rs."""

def cluster_manifests(store: Store, request: str) -> str:
    """Write a snapshot's manifests again, clustered by partition; see engine/core/src/iceberg/writing/cluster.rs."""

def pack_files(files: FileList, request: str) -> list[list[int]]:
    """Positions of files to write again, in bins of one partition; see engine/core/src/iceberg/packing.rs."""

def list_manifests(store: Store, manifest_list: str | None, manifests: Sequence[str]) -> Frame:
    """The manifests of a snapshot, a row each."""

def list_partitions(files: FileList) -> Frame:
    """The partitions of listed files, a row each: values, files, rows, bytes."""

def load(
    store: Store,
    files: FileList,
    request: str,
    filter: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Frame:
    """Load files into one frame. `request` is JSON, see engine/core/src/load/mod.rs.

    `progress(done_bytes, total_bytes)` is called on the calling thread, at most every 50 ms.
    """

@final
class Batches:
    """Frames on their way, within a limit of memory; see engine/core/src/load/stream.rs. Ends when it is collected."""
    @property
    def names(self) -> list[str]: ...
    def next(self) -> Frame | None:
        """The next frame, None after the last one or after `close`. A failure is raised by every later call."""
    def close(self) -> None:
        """End requests and decoders; whoever waits for a frame gets none."""
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """What is left. Pulled from with the GIL or without; Ctrl-C ends the stream."""

def batches(
    store: Store,
    files: FileList,
    request: str,
    filter: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Batches:
    """Begin to load files, frame after frame. `request` as of `load`; its `memory_limit` is of the whole stream, and
    `batch_rows` says how many rows every frame but the last has."""

def estimate(store: Store, files: FileList, request: str, sample: int) -> int:
    """Bytes of the frame that `load` would give without a filter, from the footers of `sample` files at most."""

def read_parquet(
    store: Store,
    locations: Sequence[str],
    request: str,
    filter: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    folders: Sequence[Column] = (),
) -> Frame:
    """Load Parquet files without a table: the first file's schema, columns by name. `folders`: columns that the files'
    folders stand for, a value a file; they come last and replace columns of their names, and filters know them by the
    ids 1048576, 1048577, ..."""

def write(
    store: Store,
    frame: Frame,
    request: str,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Write a frame as data files of a table: conformed to its schema, split by partition, sorted, encoded, uploaded.

    `request` is JSON, see engine/core/src/write/request.rs. Each result is a file's JSON in the form of the REST
    catalog specification's DataFile; bounds are upper-case hexadecimal text of the binary single-value form. On an
    error no file is left. `progress` as in `load`, in bytes of the frame.
    """

def parquet_schema(store: Store, location: str) -> str:
    """The schema of a Parquet file as Iceberg JSON, with ids of our own."""

def release_memory() -> int:
    """Give memory of freed frames back to the system; bytes."""

def kept_memory() -> tuple[int, int]:
    """(bytes of freed frames that wait for the next load, the most that may)."""

@final
class Frame:
    """Immutable columns of equal length, each one contiguous Arrow array."""
    @staticmethod
    def from_arrow(data: Any) -> Frame:
        """Take anything with `__arrow_c_stream__` or `__arrow_c_array__` (struct). One chunk: no copy. More: joined."""
    @staticmethod
    def from_columns(columns: Sequence[Column]) -> Frame: ...
    @staticmethod
    def from_bytes(data: bytes) -> Frame: ...
    @staticmethod
    def concat(frames: Sequence[Frame]) -> Frame: ...
    @property
    def num_rows(self) -> int: ...
    @property
    def num_columns(self) -> int: ...
    @property
    def nbytes(self) -> int:
        """Memory of the columns; string pages that they share count once."""
    @property
    def names(self) -> list[str]: ...
    @property
    def metrics(self) -> str:
        """JSON of what moved at what speed, "{}" for a frame that was not loaded."""
    def column(self, index: int) -> Column: ...
    def select(self, indices: Sequence[int]) -> Frame: ...
    def rename(self, names: Sequence[str]) -> Frame: ...
    def slice(self, offset: int, length: int) -> Frame: ...
    def take(self, indices: Any) -> Frame:
        """Rows at positions (an Arrow integer array, or a sequence of int), a copy."""
    def filter(self, mask: Any, null_as: bool) -> Frame:
        """Rows where a boolean array is true, a copy; nulls in the mask count as `null_as`."""
    def cast_strings(self, layout: str) -> Frame:
        """Strings and binary as "view" or "large_string" layout, in parallel; unchanged columns are shared."""
    def for_pandas(self, float_decimals: bool) -> list[Column]:
        """Columns as pandas holds them, converted in parallel: strings contiguous; dates as timestamps in seconds;
        floats and times without a bitmap (null: NaN, NaT); booleans without nulls as bytes ("C"); all else as is."""
    def to_bytes(self) -> bytes:
        """Arrow IPC, for pickles."""
    def format(self, max_rows: int, max_width: int) -> str:
        """A table of text for repr."""
    def cells(self, max_rows: int) -> tuple[list[str], list[str], list[list[str]], list[list[str]]]:
        """(names, types, first rows, last rows), all text."""
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class Column:
    """One column of a frame: a contiguous Arrow array with its name."""
    @staticmethod
    def from_arrow(data: Any, name: str | None = None) -> Column:
        """Take anything with `__arrow_c_array__` or `__arrow_c_stream__` (of arrays). Several chunks are joined."""
    @staticmethod
    def from_values(name: str, format: str, values: Any, nulls: Any | None = None) -> Column:
        """Copy a buffer of fixed-width values of an Arrow format string; "b" takes one byte a row; "u" and "z" a list
        of str or bytes, or None. `nulls`: a buffer of one byte a row, not 0 where there is no value."""
    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str:
        """Arrow format string of the C data interface ("l", "vu", "+L", "d:15,2", ...); "dictionary" for those."""
    @property
    def type_name(self) -> str:
        """The type for people: "int64", "decimal(15, 2)", "list<string>"."""
    @property
    def field_id(self) -> int | None: ...
    @property
    def iceberg_type(self) -> str | None:
        """The Iceberg type, where the Arrow type does not tell it: "variant", "geometry(...)"."""
    @property
    def null_count(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def __len__(self) -> int: ...
    def slice(self, offset: int, length: int) -> Column: ...
    def rename(self, name: str) -> Column: ...
    def cast(self, format: str) -> Column:
        """As another type (Arrow format string); a value that does not fit is an error."""
    @property
    def holds_map(self) -> bool:
        """Whether the type is or contains a map."""
    def maps_as_lists(self) -> Column:
        """With every map, at any depth, as a list of {key, value} structs. A view."""
    @property
    def field_names(self) -> list[str]:
        """Names of a struct's fields."""
    def struct_field(self, index: int) -> Column:
        """Null where the struct is. A view."""
    def elements(self) -> Column:
        """Elements of the rows of a list or map, end to end; null rows have none. A view unless they hide some."""
    def lengths(self) -> Column:
        """Elements in each row as int64, 0 where it is null."""
    def map_part(self, part: int) -> Column:
        """Keys (0) or values (1) of a map as a list column. A view."""
    def dense(self) -> Column:
        """Without a bitmap: floats null as NaN, times as NaT; dates as timestamps in seconds, booleans as bytes ("C").
        Nulls in integers and booleans raise. A view where nothing changes."""
    def null_bytes(self) -> Column:
        """One byte a row ("C"), 1 where it is null."""
    def copied(self) -> Column:
        """The same values in memory of their own."""
    def tensor(self) -> tuple[Column, list[int]] | None:
        """(numbers of all rows, shape of each row) of numbers and even lists of them without nulls; else None."""
    def decoded(self) -> Column:
        """A dictionary's values, one a row; any other column as it is."""
    def encoded(self) -> tuple[Column, Column]:
        """(32-bit codes, distinct values in order of appearance)."""
    def to_pylist(self) -> list[Any]:
        """Values as Python objects: int, float, bool, str, bytes, decimal.Decimal, datetime.*, list, dict, None."""
    @property
    def __array_interface__(self) -> dict[str, Any]:
        """Read-only, of numbers, timestamps, durations and fixed binary; what lies under nulls is undefined."""
    def dlpack(self, shape: Sequence[int], boolean: bool, versioned: bool) -> object:
        """A DLPack capsule of numbers without nulls; `boolean` calls bytes truth values."""
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...
