"""What a table's snapshots reach, by PyIceberg, and what lies beside it: files that no reader will ever see.

Knows PyIceberg and the table's folder; nothing of how headrace writes.
"""

from __future__ import annotations

import headrace
from pyiceberg.table import StaticTable


def reached(table: headrace.Table) -> set[str]:
    """Manifest lists, manifests and data files of every snapshot that the table has now."""
    loaded = table.refresh()._access.loaded()
    properties = dict(loaded.properties_for(loaded.metadata.location))
    opened = StaticTable.from_metadata(loaded.metadata_location, properties)
    found: set[str] = set()
    for snapshot in opened.metadata.snapshots:
        found.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(opened.io):
            found.add(manifest.manifest_path)
            found |= {each.data_file.file_path for each in manifest.fetch_manifest_entry(opened.io)}
    return found


def present(table: headrace.Table) -> set[str]:
    """Objects below the table's folders, metadata files apart: the catalog keeps those."""
    access = table.refresh()._access
    metadata = access.loaded().metadata
    folders = [metadata.location, *filter(None, [metadata.properties.get("write.data.path")])]
    listed = [each for folder in folders for each in access.store().list(f"{folder}/")]
    return {location for location, *_ in listed if ".metadata.json" not in location and "version-hint" not in location}


def stray(table: headrace.Table) -> set[str]:
    """Objects that no snapshot reaches. What a snapshot reaches must be there."""
    there, wanted = present(table), reached(table)
    assert wanted <= there, f"live files are gone: {sorted(wanted - there)}"
    return there - wanted
