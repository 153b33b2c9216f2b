"""Rows that move to another file stay who they are: the columns of row lineage, loaded and written beside the table's.

The load fills in what files do not say of their rows. Must not know: commits, which rows move. Neighbours:
`compacting.py`, `selecting.py`, `upserting.py`. Spec: "Row Lineage".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headrace.iceberg import NestedField, Schema, TableMetadata
from headrace.iceberg.schema import METADATA
from headrace.writing import staging
from headrace.writing.view import View

if TYPE_CHECKING:
    from headrace.plan import ScanPlan

LINEAGE = (METADATA["_row_id"], METADATA["_last_updated_sequence_number"])
"""Columns that a row keeps when it moves to another file (spec: "Reserved Field IDs")."""


def with_lineage(plan: ScanPlan, metadata: TableMetadata) -> tuple[ScanPlan, Sequence[NestedField]]:
    """The plan with the columns of row lineage, and those; none before v3, or where the table has such names."""
    fields = plan.schema.fields
    if metadata.format_version < 3 or {each.name for each in fields} & {each.name for each in LINEAGE}:
        return plan, ()
    schema = Schema((*fields, *LINEAGE), plan.schema.schema_id)
    return replace(plan, schema=schema, table_schema=schema), LINEAGE


def stage_moved(view: View, frame: Any, lineage: Sequence[NestedField]) -> list[dict[str, Any]]:
    """Staged files of rows that move, with the columns of row lineage that the frame has at its end."""
    return staging.stage(view.metadata, view._written(frame, 0, 0, more=lineage))
