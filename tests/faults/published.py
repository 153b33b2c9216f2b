"""A real table on the scripted server: PyIceberg writes it to SeaweedFS, its objects are copied under the same names.

Knows both servers; nothing of what tests do with the faults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import headrace

from tests.faults.server import FaultServer
from tests.servers.seaweed import SeaweedFS

if TYPE_CHECKING:
    from pyiceberg.table import Table as PyIcebergTable


@dataclass(frozen=True)
class Published:
    """Objects of one table, by role, as ``bucket/key``."""

    location: str
    metadata: str
    manifest_list: str
    manifests: tuple[str, ...]
    data: tuple[str, ...]

    @property
    def objects(self) -> tuple[str, ...]:
        """Everything that a load reads, in that order."""
        return (self.metadata, self.manifest_list, *self.manifests, *self.data)


def publish(table: PyIcebergTable, source: SeaweedFS, target: FaultServer) -> Published:
    """Copy the current snapshot of a table of SeaweedFS to the scripted server."""
    snapshot = table.current_snapshot()
    assert snapshot is not None
    manifests = snapshot.manifests(table.io)
    files = [entry.data_file.file_path for each in manifests for entry in each.fetch_manifest_entry(table.io)]
    roles = [table.metadata_location, snapshot.manifest_list, *(each.manifest_path for each in manifests), *files]
    for location in roles:
        target.put(path_of(location), source.s3.get(location))
    return Published(
        location=table.location(),
        metadata=path_of(table.metadata_location),
        manifest_list=path_of(snapshot.manifest_list),
        manifests=tuple(path_of(each.manifest_path) for each in manifests),
        data=tuple(map(path_of, files)),
    )


def path_of(location: str) -> str:
    """``bucket/key`` of an S3 location."""
    return location.removeprefix("s3://")


def open_table(server: FaultServer, published: Published, **properties: Any) -> headrace.Table:
    """Our table, read from the scripted server; further properties with dots as double underscores."""
    more = {key.replace("__", ".").replace("_", "-"): str(value) for key, value in properties.items()}
    return headrace.Table.at(f"s3://{published.metadata}", properties={**server.storage_properties, **more})
