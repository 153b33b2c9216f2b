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
    def size(self, location: str) -> int: ...
    def list(self, prefix: str) -> list[tuple[str, int]]:
        """Every object under a prefix, recursively: (location, size in bytes), sorted by location."""

def http_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    timeout_s: float = 60.0,
) -> tuple[int, dict[str, str], bytes]:
    """One HTTP request: (status, lower-case headers, body). No retry; any status is an answer. UnreachableError else."""

def aws_credentials(properties: Mapping[str, str]) -> tuple[str, str, str | None]:
    """(access key id, secret, session token) as the store would find them: explicit, environment, web identity,
    container, instance."""

@final
class FileList:
    """The data files of a plan or shard, columnar. Picklable, sliceable; columns as in engine/core/src/iceberg/files.rs."""
    def __len__(self) -> int: ...
    def slice(self, offset: int, length: int) -> FileList: ...
    def take(self, positions: Sequence[int]) -> FileList: ...
    @property
    def total_rows(self) -> int: ...
    @property
    def total_bytes(self) -> int: ...
    def locations(self) -> list[str]: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> FileList: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

def plan(store: Store, request: str, filter: str | None = None) -> tuple[FileList, str]:
    """Plan a scan. `request` and the report (second result) are JSON, see engine/core/src/iceberg/plan.rs."""

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

def read_parquet(
    store: Store,
    locations: Sequence[str],
    request: str,
    filter: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Frame:
    """Load Parquet files without a table: the first file's schema, columns by name."""

@final
class Frame:
    """Immutable columns of equal length, each one contiguous Arrow array."""
    @staticmethod
    def from_arrow(data: Any) -> Frame:
        """Take anything with `__arrow_c_stream__` or `__arrow_c_array__` (struct). One chunk: no copy. More: joined."""
    @staticmethod
    def concat(frames: Sequence[Frame]) -> Frame: ...
    @property
    def num_rows(self) -> int: ...
    @property
    def num_columns(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
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
        """Rows at positions (an Arrow or NumPy integer array, or a sequence of int), a copy."""
    def filter(self, mask: Any, null_as: bool) -> Frame:
        """Rows where a boolean array is true, a copy; nulls in the mask count as `null_as`."""
    def cast_strings(self, layout: str) -> Frame:
        """Strings and binary as "view" or "large_string" layout, columns in parallel; unchanged columns are shared."""
    def format(self, max_rows: int, max_width: int) -> str:
        """A table of text for repr."""
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class Column:
    """One column of a frame: a contiguous Arrow array with its name."""
    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str:
        """Arrow format string of the C data interface ("l", "vu", "+L", "d:15,2", ...)."""
    @property
    def field_id(self) -> int | None: ...
    @property
    def null_count(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def __len__(self) -> int: ...
    def child(self, index: int) -> Column:
        """Struct field, list elements (of the whole flattened child), map entries. A view."""
    @property
    def num_children(self) -> int: ...
    def data_address(self) -> int:
        """Address of the first value of a fixed-width column, 0 for other layouts. Valid while this object lives."""
    def validity(self) -> bytes | None:
        """One byte a row (1 valid), None without nulls."""
    def offsets(self) -> list[int] | None: ...
    def fill_null_to(self, target: Any, value: Any) -> None: ...
    def slice(self, offset: int, length: int) -> Column: ...
    def to_pylist(self) -> list[Any]:
        """Values as Python objects: int, float, bool, str, bytes, decimal.Decimal, datetime.*, uuid as bytes, list, dict."""
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...
