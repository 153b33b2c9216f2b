"""What a write sees of the table that it changes: a `Table`, without knowing that class.

Must not know: how a Table is made. Neighbours: `selecting.py` and `upserting.py` read through it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from headrace.access import TableAccess
from headrace.iceberg import NestedField, Snapshot, TableMetadata

if TYPE_CHECKING:
    from headrace.filters import Expression
    from headrace.plan import ScanPlan


class View(Protocol):
    """A table at one snapshot."""

    _access: TableAccess

    @property
    def metadata(self) -> TableMetadata: ...
    @property
    def snapshot(self) -> Snapshot | None: ...
    def scan(self, filter: str | Expression | None = None, *, params: Mapping[str, Any] | None = None) -> ScanPlan: ...
    def stage(self, frame: Any) -> list[dict[str, Any]]: ...
    def _data_location(self) -> str: ...
    def _written(
        self,
        frame: Any,
        shard: int,
        attempt: int,
        threads: int | None = None,
        properties: Mapping[str, str] | None = None,
        more: Sequence[NestedField] = (),
    ) -> list[str]: ...
