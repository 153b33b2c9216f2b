"""Rows of a v3 table that move to another file keep who they are: their ids, and when they were last changed.

Must not know: why rows move, commits. Neighbours: `compacting.py`, `selecting.py` and `upserting.py` write rows again;
the engine fills in what files do not say (engine/core/src/load/metadata.rs). Spec: "Row Lineage".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from headrace.iceberg import NestedField, Schema
from headrace.iceberg.schema import METADATA
from headrace.writing import staging
from headrace.writing.view import View

if TYPE_CHECKING:
    from typing import Any

    from headrace.dataframe import MetaflowDataFrame
    from headrace.plan import ScanPlan

LINEAGE = (METADATA["_row_id"], METADATA["_last_updated_sequence_number"])
"""Columns that a row keeps when it moves to another file (spec: "Reserved Field IDs", "Row Lineage")."""


def load(plan: ScanPlan, format_version: int) -> tuple[MetaflowDataFrame, Sequence[NestedField]]:
    """The rows of a plan, and the columns beside the table's that they have: those of row lineage where rows keep it.

    Parameters
    ----------
    plan : ScanPlan
        Of all columns; its filter says which rows move.
    format_version : int
        Of the table.
    """
    fields = plan.schema.fields
    taken = {each.name for each in fields} & {each.name for each in LINEAGE}
    if format_version < 3 or taken:
        return plan.load(progress=False), ()
    schema = Schema((*fields, *LINEAGE), plan.schema.schema_id)
    return replace(plan, schema=schema, table_schema=schema).load(progress=False), LINEAGE


def stage(view: View, rows: MetaflowDataFrame, more: Sequence[NestedField]) -> list[dict[str, Any]]:
    """Staged files of rows that moved."""
    return staging.stage(view.metadata, view._written(rows, 0, 0, more=more))
