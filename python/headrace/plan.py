"""A scan's plan and its shards: values that say which files hold the rows, and load them, here or in any process.

A plan is pinned to one snapshot: loading it twice gives the same rows. It pickles small (file list, projection, filter,
table identity) and without secrets. Must not know: manifests, Parquet, how bytes travel (the engine does).
Neighbours: `headrace.table` makes plans, `headrace.dataframe` is what comes out.
"""

from __future__ import annotations

import heapq
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headrace.access import TableAccess
from headrace.errors import InvalidArgument
from headrace.iceberg import Schema

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from headrace._engine import FileList
    from headrace.dataframe import MetaflowDataFrame

ProgressOption = bool | Callable[[int, int], None] | None


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
        """Rows in those files; with a filter, fewer may come. None where nobody counted them (Hive tables)."""
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

        schema = self.schema if columns is None else self.schema.select(columns)
        request = {
            "schema": schema.to_json(),
            "table_schema": self.table_schema.to_json(),
            "name_mapping": self.name_mapping,
            "limit": self.limit,
            "strings": strings,
            "threads": num_threads,
            "memory_limit": memory_limit,
            **(self.matching or {}),
        }
        with self.access.naming():
            store = self.access.store()
            frame = _engine.load(store, self.files, json.dumps(request), self.filter_json, resolve(progress))
        loaded = MetaflowDataFrame(frame)
        self._loads.append(loaded.metrics)
        return loaded

    @cached_property
    def _loads(self) -> deque[dict[str, Any]]:
        """What the last load of this very object moved; not part of its value."""
        return deque(maxlen=1)

    def to_pandas(self, columns: Sequence[str] | None = None, **options: Any) -> pandas.DataFrame:
        """Load straight into pandas: strings are decoded into the layout that pandas has kernels for.

        `options` are those of `MetaflowDataFrame.to_pandas`.
        """
        return self.load(columns, strings="large_string").to_pandas(**options)

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

    def shards(self, n: int | None = None, *, target_size: int | None = None) -> list[Shard]:
        """Split the plan into shards that together hold exactly its files.

        Parameters
        ----------
        n : int or None
            Number of shards; the last ones are empty where there are fewer files.
        target_size : int or None
            Bytes of files a shard, at most where files allow. Exactly one of the two is given.

        Returns
        -------
        list of Shard
            Balanced by bytes, deterministic; files keep their order inside a shard.
        """
        if (n is None) == (target_size is None):
            raise InvalidArgument(
                "give either n or target_size", hint="plan.shards(8), or plan.shards(target_size=1 << 30)"
            )
        if self.limit is not None:
            raise InvalidArgument("a plan with a limit is not split", hint="load it, or split it without the limit")
        if n is None:
            n = max(1, -(-self.bytes // _positive("target_size", target_size)))
        groups = _balanced(self._sizes(), _positive("n", n))
        shared = {name: getattr(self, name) for name in _Scan.__dataclass_fields__}
        return [
            Shard(**(shared | {"files": self.files.take(group)}), index=index, count=len(groups))
            for index, group in enumerate(groups)
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
        if manifests:
            lines.append(f"  manifests: {manifests['read']} read, {manifests['pruned']} pruned of {manifests['total']}")
        if files:
            pruned = [
                f"{_known(files['pruned_by_partition'])} by partition",
                f"{files['pruned_by_statistics']} by statistics",
            ]
            lines.append(f"  files: {files['kept']} kept of {_known(files['total'])}; pruned {', '.join(pruned)}")
        for each in self.report.get("reasons", []):
            lines.append(f"  {each['count']} {each['of']} pruned: {each['reason']}")
        return "\n".join([*lines, *(line for each in self._loads for line in _told(each))])

    def _sizes(self) -> list[int]:
        return [self.files.slice(at, 1).total_bytes for at in range(len(self.files))]

    def with_limit(self, limit: int | None) -> ScanPlan:
        """The same plan with another limit."""
        return replace(self, limit=limit)

    def __repr__(self) -> str:
        return f"<ScanPlan {self.explain()}>"


def _told(metrics: dict[str, Any]) -> list[str]:
    """A load's metrics in words."""
    fetch, decode = metrics["fetch"], metrics["decode"]
    chunks = f"{decode['direct_chunks']:,} column chunks straight into memory, {decode['general_chunks']:,} generally"
    return [
        f"  last load: {metrics['rows']:,} rows, {_size(metrics['result_bytes'])} in {metrics['wall_s']:.2f} s, CPU"
        f" {metrics['cpu_user_s']:.2f} s user, {metrics['cpu_system_s']:.2f} s system",
        f"  fetched: {_size(fetch['bytes'])} in {fetch['requests']:,} requests ({fetch['retries']:,} retries),"
        f" {fetch['mb_per_s']:,.0f} MB/s",
        f"  decoded: {_size(decode['bytes'])}, {decode['mb_per_s']:,.0f} MB/s a thread, CPU {decode['cpu_s']:.2f} s;"
        f" {chunks}",
        f"  bound by {metrics['bound']['by']}: {metrics['bound']['why']}",
    ]


def _balanced(sizes: Sequence[int], n: int) -> list[list[int]]:
    """Positions in `n` groups of nearly equal sums: the largest first, each to the lightest group."""
    groups: list[list[int]] = [[] for _ in range(n)]
    heap = [(0, group) for group in range(n)]
    for position in sorted(range(len(sizes)), key=lambda at: (-sizes[at], at)):
        weight, group = heapq.heappop(heap)
        groups[group].append(position)
        heapq.heappush(heap, (weight + sizes[position], group))
    return [sorted(group) for group in groups]


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
