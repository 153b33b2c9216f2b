"""Small files become larger ones, and manifests are sorted by partition: the rows of the table stay the same.

Files are loaded bin by bin through the table's own scan, row deletes applied, and written like any others. Must not
know: commits, Parquet. Neighbours: `maintenance.py` asks; the engine packs files into bins and clusters manifests.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headrace.errors import InvalidArgument
from headrace.iceberg import Snapshot, TableMetadata
from headrace.writing import lineage, staging
from headrace.writing.manifests import Manifests, Parts
from headrace.writing.selecting import discard
from headrace.writing.snapshots import Change
from headrace.writing.staging import StagedFile
from headrace.writing.view import View

if TYPE_CHECKING:
    from headrace.filters import Expression

TARGET_SIZE = "write.target-file-size-bytes"
DEFAULT_TARGET_SIZE = 512 << 20
MIN_INPUT_FILES = 5
_SMALL, _LARGE = 0.75, 1.8
"""Sizes within these shares of the target are left alone, as by Iceberg's own rewrite (docs, "rewrite_data_files")."""


def rewritten(
    view: View,
    filter: str | Expression | None,
    params: Mapping[str, Any] | None,
    target_size: int | None,
    min_input_files: int,
) -> tuple[list[str], list[dict[str, Any]]]:
    """Files that are worth writing again, and the staged files with their rows.

    Parameters
    ----------
    view : View
        The table as it is now.
    filter, params
        Which partitions and files; those that may hold a row that the filter selects are written again whole.
    target_size : int or None
        Bytes of a file; None: the table's property.
    min_input_files : int
        So many small files of a partition are worth it, if they do not fill a file.
    """
    from headrace import _engine

    target = _target(view.metadata, target_size)
    _positive("min_input_files", min_input_files)
    plan = view.scan(filter, params=params)
    request = {
        "target_size": target,
        "min_size": int(target * _SMALL),
        "max_size": int(target * _LARGE),
        "min_input_files": min_input_files,
        "spec_id": view.metadata.spec.spec_id,
    }
    whole = replace(plan, filter_json=None, filter_text=None)
    old: list[str] = []
    staged: list[dict[str, Any]] = []
    try:
        for each in _engine.pack_files(plan.files, json.dumps(request)):
            files = plan.files.take(each)
            rows, more = lineage.load(replace(whole, files=files), view.metadata.format_version)
            written = view._written(rows, 0, 0, properties={TARGET_SIZE: str(target)}, more=more)
            staged += staging.stage(view.metadata, written)
            old += files.locations()
    except BaseException:
        discard(view._access, [each["path"] for each in staged])
        raise
    return sorted(old), staged


class Cluster(Change):
    """Sorts the manifests of a snapshot by partition; no file comes or goes."""

    def __init__(self) -> None:
        self.token = uuid.uuid4().hex
        self._made: dict[str, Any] | None = None

    def files(self, metadata: TableMetadata) -> list[StagedFile]:
        return []

    def parts(self, manifests: Manifests, metadata: TableMetadata, parent: Snapshot | None) -> Parts | None:
        if parent is None:
            return None
        # What an attempt made serves the next one while the manifests that it replaces are there: appends only add.
        if self._made is None or not manifests.listed(parent).issuperset(self._made["replaced"]):
            self._made = manifests.cluster(metadata, parent)
        made = self._made
        if not made["replaced"]:
            return None
        notes = {
            "manifests-created": str(len(made["manifests"])),
            "manifests-replaced": str(len(made["replaced"])),
            "entries-processed": str(made["entries"]),
        }
        return Parts("replace", made["manifests"], made["replaced"], notes=notes)


def _target(metadata: TableMetadata, given: int | None) -> int:
    if given is not None:
        return _positive("target_file_size", given)
    text = metadata.properties.get(TARGET_SIZE, "")
    return int(text) if text.isdigit() and int(text) > 0 else DEFAULT_TARGET_SIZE


def _positive(name: str, value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidArgument(f"{name} is a positive number, found {value!r}")
    return value
