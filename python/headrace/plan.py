"""A scan's plan and its shards: values that say which files hold the rows, and load them, here or in any process.

A plan is pinned to one snapshot: loading it twice gives the same rows. It pickles small (file list, projection, filter,
table identity) and without secrets. Must not know: manifests, Parquet, how bytes travel (the engine does).
Neighbours: `headrace.table` makes plans, `headrace.dataframe` is what comes out.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from headrace import surroundings
from headrace.access import TableAccess
from headrace.errors import InvalidArgument
from headrace.iceberg import Schema
from headrace.stream import Batches, ProgressOption

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from headrace._engine import FileList
    from headrace.dataframe import MetaflowDataFrame

__all__ = ["ProgressOption", "ScanPlan", "Shard"]

DEFAULT_STREAM_MEMORY_BYTES = 256 << 20
"""What a stream takes unless it is told: enough to keep a fast network and some cores busy."""
ESTIMATED_FROM_FILES = 8
"""Footers that an estimate reads, at most."""


@dataclass(frozen=True, repr=False, eq=False)
class _Scan:
    """What a plan and a shard share: files, projection, filter, and how to reach the table."""

    access: TableAccess
    files: FileList
    schema: Schema
    """The columns that a load gives."""
    table_schema: Schema
    """All columns as of the snapshot."""
    snapshot_id: int | None
    filter_text: str | None
    filter_json: str | None
    name_mapping: list[dict[str, Any]] | None
    limit: int | None
    matching: Mapping[str, Any] | None = None
    """How files' columns are told apart where they have no ids (engine/core/src/load/request.rs); None: by ids."""

    @property
    def num_files(self) -> int:
        """Files (or parts of files) to read."""
        return len(self.files)

    @property
    def rows(self) -> int | None:
        """Rows in those files before row deletes; with deletes or a filter, fewer may come. None where nobody counted
        them (Hive tables)."""
        return self.files.total_rows

    @property
    def bytes(self) -> int:
        """Bytes of those files; with few columns, fewer are fetched."""
        return self.files.total_bytes

    def load(
        self,
        columns: Sequence[str] | None = None,
        *,
        strings: str = "view",
        dates: str = "date",
        categories: Sequence[str] = (),
        progress: ProgressOption = None,
        num_threads: int | None = None,
        memory_limit: int | None = None,
    ) -> MetaflowDataFrame:
        """Load the rows into one frame.

        Parameters
        ----------
        columns : sequence of str or None
            A choice among the scan's columns, "a.b" for a field of a struct. None loads all of them.
        strings : {"view", "large_string"}, default "view"
            Arrow layout of strings: "view" for Polars and DuckDB, "large_string" for pandas and PyArrow.
        dates : {"date", "seconds"}, default "date"
            Dates as date32, or as timestamp[s], whose memory NumPy and pandas take as it is.
        categories : sequence of str
            Top-level columns of strings or binary to load as dictionaries (int32 positions, values in order of
            appearance): a file's own dictionaries are taken over, no string is made a row.
        progress : bool, callable or None
            None: a bar on a terminal for work over a second. False: silence. A callable gets (bytes
            done, bytes in all).
        num_threads : int or None
            Decoders at once; None: one a core.
        memory_limit : int or None
            Bytes that the result may take; None: what the machine or its control group has.

        Returns
        -------
        MetaflowDataFrame
            Rows in the order of the files; each column one contiguous Arrow array.

        Raises
        ------
        ColumnNotFound
            A column that the scan does not have, with the nearest name.
        ObjectNotFound, ObjectChanged, UnreachableError, AuthenticationError, ParquetDecodingException
            A file that did not come, or cannot be decoded: names file and byte range.
        MemoryLimitError
            The result would not fit; nothing was allocated.

        Notes
        -----
        The GIL is released; Ctrl-C ends the load within 100 ms. Loads may run in several threads at once.
        """
        from headrace import _engine
        from headrace.dataframe import MetaflowDataFrame
        from headrace.progress import resolve

        request = self._request(
            columns,
            strings,
            dates=dates,
            categories=categories,
            threads=surroundings.threads(num_threads),
            memory_limit=memory_limit,
        )
        with self.access.naming():
            frame = _engine.load(self.access.store(), self.files, request, self.filter_json, resolve(progress))
        loaded = MetaflowDataFrame(frame)
        self._loads.append(loaded.metrics)
        return loaded

    def batches(
        self,
        memory_limit: int | None = None,
        batch_rows: int | None = None,
        columns: Sequence[str] | None = None,
        *,
        strings: str = "view",
        progress: ProgressOption = None,
        num_threads: int | None = None,
    ) -> Batches:
        """Load the rows as one frame after another, within a limit of memory whatever the table's size.

        Parameters
        ----------
        memory_limit : int or None
            Bytes that the stream may take: the frame in your hands, those on their way, and what their decoding
            needs. None: 256 MiB; the least is 32 MiB. A frame takes up to about an eighth of it. Frames that you
            keep are yours and not counted.
        batch_rows : int or None
            Rows of every frame but the last, across row groups and files. None: frames end where row groups end,
            and a row group that is too large comes in several.
        columns, strings, progress, num_threads
            As in `load`; progress counts the files' bytes.

        Returns
        -------
        Batches
            An iterator of MetaflowDataFrame, a context manager, and an Arrow stream that DuckDB, PyArrow and Polars
            read directly. Files come in the plan's order, row groups and rows in theirs; filter and limit are
            exact. The same arguments give the same frames every time.

        Raises
        ------
        MemoryLimitError
            While iterating: a column that is decoded as a whole, or `batch_rows`, needs more; names the row group and
            a limit that works.
        ObjectNotFound, ObjectChanged, UnreachableError, AuthenticationError, ParquetDecodingException
            While iterating: a file that did not come, or cannot be decoded. Frames before it have come.

        Notes
        -----
        Later bytes are on their way while you work; they stop coming when you stop asking, and end when the stream is
        closed: by ``close()``, by leaving its ``with``, by Ctrl-C, or when it is no longer referenced.
        """
        from headrace import _engine
        from headrace.progress import resolve

        limit = DEFAULT_STREAM_MEMORY_BYTES if memory_limit is None else _positive("memory_limit", memory_limit)
        rows = None if batch_rows is None else _positive("batch_rows", batch_rows)
        request = self._request(
            columns, strings, threads=surroundings.threads(num_threads), memory_limit=limit, batch_rows=rows
        )
        with self.access.naming():
            stream = _engine.batches(self.access.store(), self.files, request, self.filter_json, resolve(progress))
        return Batches(stream, self.access.naming)

    def estimate(self, columns: Sequence[str] | None = None, *, strings: str = "view") -> int:
        """Predict the bytes of memory that `load` will give (``frame.size``), within 15 % for common tables.

        Parameters
        ----------
        columns : sequence of str or None
            As in `load`.
        strings : {"view", "large_string"}, default "view"
            Layout of strings, as in `load`.

        Returns
        -------
        int
            Bytes. With a filter an upper bound: of all rows in the files that are left. Exact for types of fixed
            width; for strings from what the footers of up to 8 files say.

        Raises
        ------
        ColumnNotFound, ObjectNotFound, UnreachableError, AuthenticationError, ParquetDecodingException
            As in `load`.
        """
        from headrace import _engine

        with self.access.naming():
            request = self._request(columns, strings)
            return _engine.estimate(self.access.store(), self.files, request, ESTIMATED_FROM_FILES)

    def _request(
        self, columns: Sequence[str] | None, strings: str, categories: Sequence[str] = (), **options: str | int | None
    ) -> str:
        schema = self.schema if columns is None else self.schema.with_metadata(columns).select(columns)
        return json.dumps(
            {
                "schema": schema.to_json(),
                "table_schema": self.table_schema.to_json(),
                "name_mapping": self.name_mapping,
                "limit": self.limit,
                "strings": strings,
                "categories": schema.select(categories).names if categories else [],
                **options,
                **(self.matching or {}),
            }
        )

    @cached_property
    def _loads(self) -> deque[dict[str, Any]]:
        """What the last load of this very object moved; not part of its value."""
        return deque(maxlen=1)

    def to_pandas(self, columns: Sequence[str] | None = None, **options: Any) -> pandas.DataFrame:
        """Load straight into pandas: strings, dates and categories are decoded into the layout that pandas takes.

        `options` are those of `MetaflowDataFrame.to_pandas`.
        """
        return _to_pandas(self.load, columns, options)

    def to_polars(self, columns: Sequence[str] | None = None) -> polars.DataFrame:
        """Load straight into Polars, without a copy."""
        made: polars.DataFrame = self.load(columns).to_polars()
        return made

    def to_arrow(self, columns: Sequence[str] | None = None) -> pyarrow.Table:
        """Load straight into PyArrow, strings as large_string."""
        return self.load(columns, strings="large_string").to_arrow()

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def _summary(self) -> str:
        rows = "rows not counted" if self.rows is None else f"{self.rows:,} rows"
        parts = [f"{self.num_files:,} files", rows, _size(self.bytes)]
        parts.append(f"{len(self.schema.fields)} of {len(self.table_schema.fields)} columns")
        if self.filter_text:
            parts.append(f"where {self.filter_text}")
        if self.limit is not None:
            parts.append(f"limit {self.limit:,}")
        at = "" if self.snapshot_id is None and self.matching else f"@{self.snapshot_id}"
        return f"{self.access.name}{at}: " + ", ".join(parts)


@dataclass(frozen=True, repr=False, eq=False)
class Shard(_Scan):
    """A part of a plan that one task loads. `index` of `count`; small, picklable, without secrets.

    Loading the same shard again, anywhere, gives the same rows.
    """

    index: int = 0
    count: int = 1

    @property
    def plan_token(self) -> str:
        """What the shards of one plan have in common: table, snapshot, filter, and their number."""
        told = json.dumps([self.access.name, self.snapshot_id, self.filter_json, self.count])
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"<Shard {self.index + 1}/{self.count} of {self._summary()}>"


@dataclass(frozen=True, repr=False, eq=False)
class ScanPlan(_Scan):
    """The files that hold a scan's rows, and what was pruned to find them. Made by `Table.scan`."""

    report_json: str = "{}"

    @cached_property
    def report(self) -> dict[str, Any]:
        """What was read, kept and pruned, and why (engine/core/src/iceberg/report.rs gives the form)."""
        found: dict[str, Any] = json.loads(self.report_json)
        return found

    def shards(
        self, n: int | None = None, *, target_size: int | None = None, by: Literal["bytes", "rows"] = "bytes"
    ) -> list[Shard]:
        """Split the plan into shards that together hold exactly its rows.

        Parameters
        ----------
        n : int or None
            Number of shards; some are empty where there are fewer row groups.
        target_size : int or None
            Bytes of files (or rows, see `by`) a shard, about. Exactly one of the two is given.
        by : {"bytes", "rows"}, default "bytes"
            What shards have in equal measure.

        Returns
        -------
        list of Shard
            In the plan's order: loaded one after another they give the plan's rows in its order. A file that is larger
            than a shard is split where its row groups begin. The same plan gives the same shards everywhere.

        Raises
        ------
        InvalidArgument
            Both or none of `n` and `target_size`, or a plan with a limit.

        Notes
        -----
        No file is opened: where row groups begin is in the manifests. ``rows`` of a shard that holds a part of a file
        is an estimate by bytes; what it loads is exact.
        """
        if (n is None) == (target_size is None):
            raise InvalidArgument(
                "give either n or target_size", hint="plan.shards(8), or plan.shards(target_size=1 << 30)"
            )
        if self.limit is not None:
            raise InvalidArgument("a plan with a limit is not split", hint="load it, or split it without the limit")
        rows = self.rows
        if by == "rows" and rows is None:
            hint = "split it by bytes: their files say how many rows they have when they are opened"
            raise InvalidArgument("nobody counted the rows of a Hive table's files", hint=hint)
        if n is None:
            whole = rows if by == "rows" and rows is not None else self.bytes
            n = max(1, -(-whole // _positive("target_size", target_size)))
        lists = self.files.split(_positive("n", n), by)
        surroundings.tell_of_splits(len(lists))
        shared = {name: getattr(self, name) for name in _Scan.__dataclass_fields__}
        return [
            Shard(**(shared | {"files": files}), index=index, count=len(lists)) for index, files in enumerate(lists)
        ]

    def explain(self) -> str:
        """What the plan reads and what it leaves out, and why, as text.

        After a load of this plan also what that load moved at what speed, and what it waited for: the same as
        ``frame.metrics``, which is a dict.
        """
        lines = [self._summary()]
        files, manifests = self.report.get("files", {}), self.report.get("manifests", {})
        if partitions := self.report.get("partitions"):
            lines.append(f"  partitions: {partitions['kept']:,} kept of {_known(partitions['total'])}")
        lines += [f"  {each}" for each in self.report.get("notes", [])]
        if manifests:
            cached = f" ({manifests['cached']} kept from earlier plans)" if manifests.get("cached") else ""
            read = f"{manifests['read']} read{cached}"
            lines.append(f"  manifests: {read}, {manifests['pruned']} pruned of {manifests['total']}")
        if files:
            pruned = [
                f"{_known(files['pruned_by_partition'])} by partition",
                f"{files['pruned_by_statistics']} by statistics",
            ]
            lines.append(f"  files: {files['kept']} kept of {_known(files['total'])}; pruned {', '.join(pruned)}")
        lines += _deletes(self.report.get("deletes", {}))
        for each in self.report.get("reasons", []):
            lines.append(f"  {each['count']} {each['of']} pruned: {each['reason']}")
        return "\n".join([*lines, *(line for each in self._loads for line in _told(each))])

    def with_limit(self, limit: int | None) -> ScanPlan:
        """The same plan with another limit."""
        return replace(self, limit=limit)

    def __repr__(self) -> str:
        return f"<ScanPlan {self.explain()}>"


def _to_pandas(load: Callable[..., MetaflowDataFrame], columns: Sequence[str] | None, options: dict[str, Any]) -> Any:
    """What `load` gives as a pandas.DataFrame, decoded into the layout that `options` of `to_pandas` ask for."""
    dates = "seconds" if options.get("dtype_backend", "auto") == "auto" else "date"
    categories = options.pop("categories", ())
    categories = categories if isinstance(categories, str) else list(categories)
    frame = load(columns, strings="large_string", dates=dates, categories=categories)
    return frame.to_pandas(categories=categories, **options)


def _deletes(found: dict[str, int]) -> list[str]:
    """Row deletes that a plan found, in words; nothing where there are none."""
    if not found.get("files"):
        return []
    kinds = f"{found['position']:,} by position, {found['equality']:,} by value, {found['vectors']:,} vectors"
    return [f"  row deletes: {found['apply']:,} of {found['files']:,} delete files apply: {kinds}"]


def _told(metrics: dict[str, Any]) -> list[str]:
    """A load's metrics in words."""
    fetch, decode = metrics["fetch"], metrics["decode"]
    chunks = f"{decode['direct_chunks']:,} column chunks straight into memory, {decode['general_chunks']:,} generally"
    deletes = metrics["deletes"]
    pruned = metrics["pruned"]
    left_out = {
        "by Bloom filters": pruned["row_groups_by_bloom"],
        "by dictionaries": pruned["row_groups_by_dictionary"],
        "by page indexes": pruned["row_groups_by_pages"],
    }
    groups = ", ".join(f"{count:,} {how}" for how, count in left_out.items() if count)
    rows = pruned["rows_by_pages"]
    told = [f"row groups: {groups}"] if groups else []
    told += [f"{rows:,} rows of others by page indexes"] if rows else []
    deleted = [
        f"  deleted: {deletes['rows_by_position']:,} rows by position, {deletes['rows_by_value']:,} by value;"
        f" {deletes['records']:,} deletes in {deletes['files']:,} files read,"
        f" {deletes['unmatched_positions']:,} positions match no row of these files"
    ]
    return [
        f"  last load: {metrics['rows']:,} rows, {_size(metrics['result_bytes'])} in {metrics['wall_s']:.2f} s, CPU"
        f" {metrics['cpu_user_s']:.2f} s user, {metrics['cpu_system_s']:.2f} s system",
        f"  fetched: {_size(fetch['bytes'])} in {fetch['requests']:,} requests ({fetch['retries']:,} retries),"
        f" {fetch['mb_per_s']:,.0f} MB/s",
        f"  decoded: {_size(decode['bytes'])}, {decode['mb_per_s']:,.0f} MB/s a thread, CPU {decode['cpu_s']:.2f} s;"
        f" {chunks}",
        *([f"  pruned beyond bounds: {'; '.join(told)}"] if told else []),
        *(deleted if deletes["files"] else []),
        f"  bound by {metrics['bound']['by']}: {metrics['bound']['why']}",
    ]


def _positive(name: str, value: int | None) -> int:
    if not isinstance(value, int) or value < 1:
        raise InvalidArgument(f"{name} is a positive number, found {value!r}")
    return value


def _known(number: int | None) -> str:
    return "an unknown number" if number is None else f"{number:,}"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
