"""The writing half of `Table` for legacy Hive tables: stage, commit, append, overwrite_partitions.

Must not know: partitions, calls of the metastore. What Hive tables cannot do (deletes, upserts, branches) is refused by
`headrace.writing`. Neighbours: `writing.py` does it, `headrace.writing.surface` for Iceberg tables.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from headrace.errors import InvalidArgument, UnsupportedError
from headrace.hive.writing import HiveCommit, refuse_unwritable, staging_root
from headrace.iceberg import Snapshot
from headrace.metastore.description import HiveTable
from headrace.writing import staging
from headrace.writing.commit import Committed
from headrace.writing.surface import APPEND, OVERWRITE, OVERWRITE_PARTITIONS, Writes


class HiveWrites(Writes):
    """`Writes` that knows legacy Hive tables too."""

    def _commit_staged(
        self, staged: list[Any], mode: str, branch: str | None, properties: Mapping[str, str] | None
    ) -> Committed:
        if (table := self._hive) is None:
            return super()._commit_staged(staged, mode, branch, properties)
        return self._commit_hive(table, staged, mode, branch, properties)

    def _write(
        self,
        frame: Any,
        mode: str,
        branch: str | None,
        properties: Mapping[str, str] | None,
        seen: Snapshot | None = None,
        threads: int | None = None,
    ) -> Committed:
        if (table := self._hive) is None:
            return super()._write(frame, mode, branch, properties, seen, threads)
        return self._commit_hive(table, self._staged(frame, 0, 0, threads), mode, branch, properties)

    def _data_location(self) -> str:
        if (table := self._hive) is None:
            return super()._data_location()
        refuse_unwritable(self._access, table)
        return f"{staging_root(table)}/{uuid.uuid4()}"

    @property
    def _hive(self) -> HiveTable | None:
        return self._access.loaded().hive

    def _commit_hive(
        self, table: HiveTable, staged: list[Any], mode: str, branch: str | None, properties: Mapping[str, str] | None
    ) -> Committed:
        if branch is not None or properties:
            raise UnsupportedError("a Hive table has no branches and no snapshots", table=table.full_name)
        if mode not in (APPEND, OVERWRITE_PARTITIONS) and not (mode == OVERWRITE and not table.partition_keys):
            message = f"mode {mode!r} of a Hive table: expected append or overwrite_partitions"
            raise InvalidArgument(message, table=table.full_name)
        refuse_unwritable(self._access, table)
        files = staging.take(staged, self.metadata)
        with self._access.naming():
            HiveCommit(self._access, mode != APPEND).run(files)
        self._access = self._access.fresh()
        self.__dict__.pop("_selected", None)
        return Committed(self._access.loaded(), None)
