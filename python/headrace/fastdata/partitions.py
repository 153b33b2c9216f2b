"""Partitions by their values, and files by their locations: the plan that reads them.

A partition column is a filter on it, so that the rows are exact whatever spec a file was written under; a partition
field's own name ("ts_day") is looked up in the files' partition values. Must not know: loading, grouping.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

from headrace.errors import (
    FilterError,
    MetaflowTableEmptyPartition,
    MetaflowTableException,
    MetaflowTableIncompatible,
    MetaflowTableTypeMismatch,
    nearest,
)
from headrace.fastdata.view import View

if TYPE_CHECKING:
    from headrace._engine import FileList
    from headrace.filters import Expression
    from headrace.plan import ScanPlan

Spec = Mapping[str, Any]


def check(table: View, spec: Spec | None, specs: Sequence[Spec] | None, allow_all: bool) -> list[Spec]:
    """The specs that are meant.

    Raises
    ------
    MetaflowTableException
        None, an empty one that is not allowed, or a name that no partition has.
    """
    if spec is None and specs is None:
        raise MetaflowTableException("partition_spec or specs must be given", table=table.path)
    wanted = [spec] if specs is None else list(specs)
    known = [*table.partition_columns, *_field_names(table)]
    for each in wanted:
        if not isinstance(each, Mapping):
            raise MetaflowTableException(f"a spec is a dict {{partition column: value}}, found {each!r:.80}")
        for name in each:
            if name not in known:
                message = f"{name!r} is no partition column"
                raise MetaflowTableException(message, table=table.path, hint=nearest(str(name), known))
        if not each and not allow_all:
            hint = "allow_all=True means the whole table"
            raise MetaflowTableException("the partition spec is empty", table=table.path, hint=hint)
    if not wanted:
        raise MetaflowTableEmptyPartition("specs is an empty list: there is nothing to find", table=table.path)
    return [dict(each) for each in wanted if isinstance(each, Mapping)]


def plan(table: View, specs: Sequence[Spec], columns: Sequence[str] | None) -> ScanPlan:
    """The plan of the partitions that any of the specs names.

    Raises
    ------
    MetaflowTableEmptyPartition
        No file is in them.
    MetaflowTableTypeMismatch
        A value that is not of its column's type.
    """
    fields = _field_names(table)
    if any(name in fields for each in specs for name in each):
        found = _by_values(table, specs, fields, columns)
    else:
        found = _filtered(table, [_filter(each) for each in specs], columns)
    if not len(found.files):
        asked = " or ".join(
            " and ".join(f"{name}={value!r}" for name, value in each.items()) or "all" for each in specs
        )
        raise MetaflowTableEmptyPartition(f"no rows in partition {asked}", table=table.path)
    return found


def _filtered(table: View, filters: Sequence[Expression | None], columns: Sequence[str] | None) -> ScanPlan:
    """A scan of the rows that any of the filters passes; None passes all."""
    some = [each for each in filters if each is not None]
    whole = None if len(some) < len(filters) else reduce(lambda left, right: left | right, some)
    try:
        return table.scan(whole, columns=columns)
    except FilterError as error:
        raise MetaflowTableTypeMismatch(f"partition value: {error.reason}", table=table.path) from error


def _filter(spec: Spec) -> Expression | None:
    from headrace.filters import col

    parts = [col(name).is_null() if value is None else col(name) == value for name, value in spec.items()]
    return reduce(lambda left, right: left & right, parts) if parts else None


def _by_values(
    table: View, specs: Sequence[Spec], fields: Mapping[str, int], columns: Sequence[str] | None
) -> ScanPlan:
    """Files whose partition has the values that a spec gives to partition fields."""
    whole = table.scan(columns=columns)
    chosen: set[int] = set()
    for spec in specs:
        values = {name: value for name, value in spec.items() if name in fields}
        rest = {name: value for name, value in spec.items() if name not in fields}
        kept = _places(_filtered(table, [_filter(rest)], None).files) if rest else None
        chosen |= {at for at in _having(table, whole.files, fields, values)
                   if kept is None or _places(whole.files.slice(at, 1)) <= kept}  # fmt: skip
    return replace(whole, files=whole.files.take(sorted(chosen)))


def _having(table: View, files: FileList, fields: Mapping[str, int], values: Spec) -> set[int]:
    """Positions of the files whose partition fields have these values."""
    from headrace.dataframe import MetaflowDataFrame

    listed = MetaflowDataFrame.from_arrow(files)
    partition, spec_ids = listed["partition"].to_pylist(), listed["spec_id"].to_pylist()
    ids = {name: fields[name] for name in values}
    for spec_id in set(spec_ids):
        own = {each.field_id for each in table.metadata.specs[spec_id].fields}
        for name, field_id in ids.items():
            if field_id not in own:
                message = f"files of partition spec {spec_id} are not partitioned by {name!r}"
                raise MetaflowTableIncompatible(message, table=table.path, hint="scan(filter) finds the rows")
    return {at for at, each in enumerate(partition)
            if all(each[str(ids[name])] == value for name, value in values.items())}  # fmt: skip


def _places(files: FileList) -> set[str]:
    return set(files.locations())


def _field_names(table: View) -> dict[str, int]:
    """Names of partition fields that are not columns, with their ids: "ts_day", "id_bucket"."""
    columns = table.partition_columns
    return {
        each.name: each.field_id
        for spec in table.metadata.specs.values()
        for each in spec.fields
        if each.name not in columns and each.transform.name not in ("void", "identity")
    }


def plan_of_files(table: View, locations: Sequence[str], columns: Sequence[str] | None) -> ScanPlan:
    """The plan of files by their locations, in that order; searched in older snapshots where the current has them not.

    Raises
    ------
    MetaflowTableException
        A location that no snapshot of the table has.
    """
    found = table.scan(columns=columns)
    here = _positions(found, locations)
    if len(here) == len(set(locations)):
        return replace(found, files=found.files.take([at for each in locations for at in here[each]]))
    for snapshot in sorted(table.metadata.snapshots, key=lambda each: -each.timestamp_ms):
        if snapshot is table.snapshot:
            continue
        older = table._of(table._access, {"snapshot_id": snapshot.snapshot_id}).scan(columns=columns)
        there = _positions(older, locations)
        if len(there) == len(set(locations)):
            files = older.files.take([at for each in locations for at in there[each]])
            return replace(found, files=files, snapshot_id=snapshot.snapshot_id)
    missing = next(each for each in locations if each not in here)
    hint = "headrace.read_parquet reads files without a table; staged files are read once they are committed"
    raise MetaflowTableException("no file of this table", table=table.path, location=missing, hint=hint)


def _positions(plan: ScanPlan, locations: Sequence[str]) -> dict[str, list[int]]:
    wanted = set(locations)
    found: dict[str, list[int]] = {}
    for at, location in enumerate(plan.files.locations()):
        if location in wanted:
            found.setdefault(location, []).append(at)
    return found
