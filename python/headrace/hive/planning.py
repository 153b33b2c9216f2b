"""Plans of legacy Hive tables: partitions that a filter leaves, their files, and the values that the folders stand for.

Must not know: Parquet, how bytes travel. The plan is the ScanPlan of Iceberg tables: partition keys are identity
partition fields, so that the engine fills them in and applies the filter to them exactly. Neighbours: `partitions.py`,
`listing.py`; `headrace.table` calls `plan_scan`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.access import TableAccess
from headrace.catalog.glue import GlueCatalog
from headrace.catalog.hive import HiveCatalog
from headrace.errors import CatalogError, MetaflowTableNotFound, UnsupportedError
from headrace.filters import Bound, Expression, bind
from headrace.hive.listing import list_folders
from headrace.hive.names import from_text, make_name
from headrace.hive.partitions import Found, HivePartition, PartitionCalls, find_partitions
from headrace.hive.pruning import tested_fields
from headrace.hive.values import column_of
from headrace.iceberg import PrimitiveType
from headrace.metastore.description import HiveTable
from headrace.plan import ScanPlan

_SHOWN = 5
"""Values that a note shows."""


def plan_scan(
    access: TableAccess,
    table: HiveTable,
    expression: Expression | None,
    columns: Sequence[str] | None,
    limit: int | None,
) -> ScanPlan:
    """Find the files that hold the rows. Names of columns are compared without case, as Hive does.

    Parameters
    ----------
    access : TableAccess
        The table, which its catalog knows as a Hive table.
    table : HiveTable
        The same, described.
    expression, columns, limit
        As in `Table.scan`.

    Raises
    ------
    MetaflowTableNotFound
        The table is gone.
    """
    schema = table.metadata.schema
    bound = None if expression is None else bind(expression, schema, case_sensitive=False)
    chosen = schema.select(columns, case_sensitive=False)
    calls = calls_of(access, table)
    try:
        found = find_partitions(calls, table, bound) if table.partition_keys else Found([], None)
    except CatalogError:
        _ensure_there(calls, table)
        raise
    files, report = list_files(access.store(), table, found, bound)
    if not len(files):  # a metastore answers for a table that is gone as for one without partitions
        _ensure_there(calls, table)
    return ScanPlan(
        access=access,
        files=files,
        schema=chosen,
        table_schema=schema,
        snapshot_id=None,
        filter_text=None if expression is None else str(expression),
        filter_json=None if bound is None else bound.to_engine_json(),
        name_mapping=table.name_mapping,
        limit=limit,
        matching=matching_of(table),
        report_json=json.dumps(report),
    )


def calls_of(access: TableAccess, table: HiveTable) -> PartitionCalls:
    """The metastore that knows the table's partitions, or Glue."""
    if isinstance(access.catalog, HiveCatalog):
        return access.catalog.metastore
    if isinstance(access.catalog, GlueCatalog):
        keys = [each.name for each in table.partition_keys]
        return access.catalog.partition_calls(keys, lambda values: make_name(keys, [*map(from_text, values)]))
    raise UnsupportedError("partitions of this catalog's Hive tables are not known", table=access.name)


def _ensure_there(calls: PartitionCalls, table: HiveTable) -> None:
    if not calls.has_table(table.database, table.name):
        raise MetaflowTableNotFound("the table is gone", table=table.full_name)


def list_files(store: Any, table: HiveTable, found: Found, bound: Bound | None) -> tuple[Any, dict[str, Any]]:
    """The engine's list of files, and a report of what was left out."""
    from headrace._engine import FileList

    partitions = found.partitions if table.partition_keys else [HivePartition({}, table.location)]
    below = table.location if found.is_all else None
    listed = list_folders(store, [each.location for each in partitions], below)
    rows = [(each, file) for each, files in zip(partitions, listed, strict=True) for file in files]
    metadata = table.metadata
    constants = []
    for field in metadata.spec.fields:
        kind = metadata.schema.fields[field.source_id - 1].type
        assert isinstance(kind, PrimitiveType)
        values = [each.values[field.source_id] for each, _ in rows]
        constants.append((field.field_id, column_of(kind, field.name, values)))
    specs = json.dumps([metadata.spec.to_json()])
    files = FileList.of_files([file[0] for _, file in rows], [file[1] for _, file in rows], constants, specs)
    empty = sum(not files for files in listed) if table.partition_keys else 0
    return files, _report(table, found, bound, empty)


def matching_of(table: HiveTable) -> Mapping[str, Any]:
    """How the engine tells files' columns apart: by name in any case, or by position where the SerDe says so.

    ORC files of old Hives call their columns `_col0`, `_col1` and so on: those are matched by position.
    """
    positions = {"positions": [each.field_id for each in table.metadata.schema.fields[: len(table.columns)]]}
    if table.by_position:
        return positions
    return {"ignore_case": True, **(positions if table.is_orc else {})}


def _report(table: HiveTable, found: Found, bound: Bound | None, empty: int) -> dict[str, Any]:
    if not table.partition_keys:
        return {}
    kept = len(found.partitions)
    report: dict[str, Any] = {"partitions": {"total": found.total, "kept": kept}}
    if bound is not None and found.total is not None and found.total > kept:
        keys = {each.name.lower() for each in table.partition_keys}
        names = [table.metadata.schema.names_by_id[each] for each in dict.fromkeys(tested_fields(bound))]
        on = ", ".join(each for each in names if each.lower() in keys)
        report["reasons"] = [{"count": found.total - kept, "of": "partitions", "reason": f"partition {on}"}]
    notes = [f"{empty:,} of these partitions hold no files: their folders are empty or gone"] if empty else []
    for key, kind, texts in found.unread:
        shown = ", ".join(repr(each[:80]) for each in texts[:_SHOWN]) + (", ..." if len(texts) > _SHOWN else "")
        notes.append(f"key {key} reads as null where its value is no {kind}, as Hive has it: {shown}")
    return report | ({"notes": notes} if notes else {})
