"""What the Fast Data half of a `Table` needs of the whole. Must not know: how a Table is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self

from headrace.access import TableAccess
from headrace.iceberg import Schema, Snapshot, TableMetadata

if TYPE_CHECKING:
    from headrace.dataframe import MetaflowDataFrame
    from headrace.fastdata.stats import Stats
    from headrace.filters import Expression
    from headrace.plan import ScanPlan, Shard
    from headrace.writing.commit import Committed


class View(Protocol):
    """A `Table`."""

    _access: TableAccess

    @property
    def path(self) -> str: ...
    @property
    def metadata(self) -> TableMetadata: ...
    @property
    def snapshot(self) -> Snapshot | None: ...
    @property
    def snapshot_schema(self) -> Schema: ...
    @property
    def partition_columns(self) -> list[str]: ...
    @property
    def _stats(self) -> Stats: ...
    @classmethod
    def _of(cls, access: TableAccess, chosen: Mapping[str, Any]) -> Self: ...
    def scan(self, filter: str | Expression | None = None, columns: Sequence[str] | None = None) -> ScanPlan: ...
    def _view(self, branch: str, fresh: bool) -> Self: ...
    def _target(self, branch: str | None) -> str: ...
    def _write(
        self,
        frame: Any,
        mode: str,
        branch: str | None,
        properties: Mapping[str, str] | None,
        seen: Snapshot | None = None,
        threads: int | None = None,
    ) -> Committed: ...
    def _staged(self, frame: Any, shard: int | Shard, attempt: int, threads: int | None) -> list[dict[str, Any]]: ...
    def _loaded(self, plan: ScanPlan, num_threads: int | None) -> MetaflowDataFrame: ...
