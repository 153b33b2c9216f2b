"""The Fast Data half of `Table`: locations of files, balanced; files and partitions loaded; frames put.

Must not know: manifests, Parquet, commits. Neighbours: `partitions.py` finds a partition's files, `grouping.py`
balances, `headrace.writing` stages and commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace import surroundings
from headrace.errors import (
    InvalidArgument,
    MetaflowTableEmptyPartition,
    MetaflowTableEmptyTable,
    MetaflowTableException,
)
from headrace.fastdata import grouping, partitions
from headrace.fastdata.stats import Stats

if TYPE_CHECKING:
    from headrace.dataframe import MetaflowDataFrame
    from headrace.fastdata.view import View
    from headrace.plan import ScanPlan, Shard
    from headrace.writing.commit import Committed

PartitionValues = Mapping[str, Any]


class FastDataTable:
    """What a `Table` can do under the names of Fast Data."""

    @property
    def stats(self) -> dict[str, Any]:
        """What this Table's calls took, in milliseconds and in sum, by name; in a flow also who made them.

        `partition_query_time_ms` finding files; `load_parquet_ms` loads as a whole, of which `s3_download_time_ms` is
        the time in which bytes were under way and `from_parquet_time_ms` that of the decoders, summed over threads;
        `write_parquet_ms` for `put_data`, `put_ms` for `put`. Rows and bytes as `rows_read`, `bytes_read`,
        `rows_written`.
        """
        return dict(self._stats.found) | surroundings.lineage()

    @property
    def _stats(self) -> Stats:
        found = self.__dict__.get("_stats_found")
        if not isinstance(found, Stats):
            found = self.__dict__["_stats_found"] = Stats()
        return found

    def get_all_paths(
        self: View,
        group_by: str = "record",
        num_groups: int | None = None,
        target_group_size: int | None = None,
    ) -> list[list[str]]:
        """Return the locations of all files of the table; see `get_partition_paths`.

        Raises
        ------
        MetaflowTableEmptyTable
            The table has no file.
        """
        grouping.check(group_by, num_groups, target_group_size)
        with self._stats.timed("partition_query_time_ms"):
            plan = self.scan()
        if not len(plan.files):
            raise MetaflowTableEmptyTable("the table has no rows", table=self.path)
        return grouping.groups(plan.files, group_by, num_groups, target_group_size)

    def get_partition_paths(
        self: View,
        partition_spec: PartitionValues | None = None,
        allow_all: bool = False,
        specs: Sequence[PartitionValues] | None = None,
        group_by: str = "record",
        num_groups: int | None = None,
        target_group_size: int | None = None,
    ) -> list[list[str]]:
        """Return the locations of the files of some partitions, in balanced groups.

        Parameters
        ----------
        partition_spec : mapping or None
            {partition column: value}; columns that are left out have any value. A partition field's own name
            ("ts_day") takes the partition's value.
        allow_all : bool, default False
            An empty spec, which means the whole table, is meant so.
        specs : sequence of mappings or None
            Several specs instead: partitions that any of them names.
        group_by : {"record", "size"}
            What groups are balanced by: rows, or bytes.
        num_groups : int or None
            Number of groups; with fewer files, one a file.
        target_group_size : int or None
            Size of a group instead: rows, or with "size" MiB. Without either there is one group.

        Returns
        -------
        list of list of str
            Deterministic: the same files give the same groups.

        Raises
        ------
        MetaflowTableEmptyPartition
            No file is in such a partition.
        MetaflowTableException
            No such partition column (with the nearest name), or arguments that exclude each other.
        MetaflowTableTypeMismatch
            A value that is not of its column's type.
        """
        grouping.check(group_by, num_groups, target_group_size)
        wanted = partitions.check(self, partition_spec, specs, allow_all)
        with self._stats.timed("partition_query_time_ms"):
            plan = partitions.plan(self, wanted, None)
        return grouping.groups(plan.files, group_by, num_groups, target_group_size)

    def load_parquet(
        self: View,
        file_locations: Sequence[str],
        columns: Sequence[str] | None = None,
        num_threads: int | None = None,
    ) -> MetaflowDataFrame:
        """Load files of the table, by their locations.

        Parameters
        ----------
        file_locations : sequence of str
            As `get_all_paths` and `get_partition_paths` give them. They may be of an older snapshot.
        columns : sequence of str or None
            Columns to give, in this order; None gives all.
        num_threads : int or None
            Decoders at once.

        Raises
        ------
        MetaflowTableEmptyPartition
            There is no location.
        MetaflowTableException
            A location that is no file of this table.
        """
        locations = [file_locations] if isinstance(file_locations, str) else list(file_locations)
        if not locations:
            raise MetaflowTableEmptyPartition("no file to load", table=self.path)
        with self._stats.timed("partition_query_time_ms"):
            plan = partitions.plan_of_files(self, locations, _columns(columns))
        return self._loaded(plan, num_threads)

    def get_all(self: View, columns: Sequence[str] | None = None, num_threads: int | None = None) -> MetaflowDataFrame:
        """Load the whole table: `load()`, as the Fast Data surface has it.

        Raises
        ------
        MetaflowTableEmptyTable
            The table has no file. `load()` gives an empty frame.
        """
        with self._stats.timed("partition_query_time_ms"):
            plan = self.scan(columns=_columns(columns))
        if not len(plan.files):
            raise MetaflowTableEmptyTable(
                "the table has no rows", table=self.path, hint="load() gives an empty frame instead"
            )
        return self._loaded(plan, num_threads)

    def get_partitions(
        self: View,
        partition_spec: PartitionValues | None = None,
        columns: Sequence[str] | None = None,
        allow_all: bool = False,
        specs: Sequence[PartitionValues] | None = None,
        num_threads: int | None = None,
    ) -> MetaflowDataFrame:
        """Load some partitions: see `get_partition_paths` for how they are named and for what is raised."""
        wanted = partitions.check(self, partition_spec, specs, allow_all)
        with self._stats.timed("partition_query_time_ms"):
            plan = partitions.plan(self, wanted, _columns(columns))
        return self._loaded(plan, num_threads)

    def put_data(
        self: View, mdf: Any, num_threads: int | None = None, *, shard: int | Shard | None = None
    ) -> list[dict[str, Any]]:
        """Write a frame to files that no reader sees until `commit`: `stage`, as the Fast Data surface has it.

        Parameters
        ----------
        mdf : MetaflowDataFrame, or anything that `stage` takes
            Rows of several partitions are split here; a frame without rows gives no file.
        num_threads : int or None
            Encoders at once.
        shard : Shard, int or None
            See `stage`: with the Shard that the rows came from, `commit` notices if another one is missing.

        Returns
        -------
        list of dict
            Small, JSON-able, without secrets.
        """
        with self._stats.timed("write_parquet_ms"), self._access.naming():
            staged = self._staged(mdf, 0 if shard is None else shard, 0, num_threads)
        self._stats.add("rows_written", sum(each.get("rows", 0) for each in staged))
        return staged

    def put(self: View, mdf: Any, overwrite: bool = False, num_threads: int | None = None) -> Committed:
        """`put_data` and `commit` at once: `append`, or `overwrite_partitions`."""
        with self._stats.timed("put_ms"), self._access.naming():
            if not overwrite:
                return self._write(mdf, "append", None, None, None, num_threads)
            seen = self._view(self._target(None), fresh=False).snapshot
            return self._write(mdf, "overwrite_partitions", None, None, seen, num_threads)

    def _loaded(self: View, plan: ScanPlan, num_threads: int | None) -> MetaflowDataFrame:
        with self._stats.timed("load_parquet_ms"):
            frame = plan.load(num_threads=num_threads)
        self._stats.add_load(frame)
        return frame


def _columns(columns: Iterable[str] | None) -> list[str] | None:
    if columns is None:
        return None
    if isinstance(columns, str):
        raise InvalidArgument(f"columns is a list of names, found the text {columns!r}", hint=f"[{columns!r}]")
    chosen = list(columns)
    if not chosen:
        raise MetaflowTableException("columns is an empty list", hint="leave it out to load all columns")
    return chosen
