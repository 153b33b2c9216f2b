"""Table metadata: one JSON file of format version 1, 2 or 3 as an immutable object.

The raw JSON stays reachable (`raw`), unknown members included, and is the whole state: everything else is parsed from
it on first use, so a table with 10,000 snapshots costs its JSON and no more. Must not know: where the bytes came from
(beyond the name used in errors), catalogs, manifests. Neighbours: `schema.py`, `partitioning.py`, `snapshots.py`.
Spec: Iceberg table spec, "Table Metadata", Appendix C.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from headrace.errors import MetaflowTableInvalidData, UnsupportedError
from headrace.iceberg.members import member, objects, optional, strings
from headrace.iceberg.name_mapping import parse_name_mapping
from headrace.iceberg.partitioning import PartitionSpec, SortOrder
from headrace.iceberg.schema import Schema
from headrace.iceberg.snapshots import MAIN, Snapshot, SnapshotRef
from headrace.iceberg.types import NestedField, StructType

MAX_BYTES = 1 << 30
"""Metadata beyond 1 GiB, uncompressed, is refused: a compressed file may claim to be anything."""

LATEST_FORMAT_VERSION = 3
NAME_MAPPING = "schema.name-mapping.default"
_GZIP_MAGIC = b"\x1f\x8b"

Parsed = TypeVar("Parsed")


@dataclass(frozen=True, eq=False, repr=False)
class TableMetadata:
    """A table's metadata.

    Attributes
    ----------
    raw : dict
        The JSON as it was read; not to be changed. `json.dumps(raw)` round-trips.
    file : str or None
        Where it was read from, for errors.
    """

    raw: dict[str, Any]
    file: str | None = None

    @property
    def format_version(self) -> int:
        """1, 2 or 3."""
        return self._member("format-version", int)

    @property
    def table_uuid(self) -> str | None:
        """The table's identity; None only in v1."""
        return optional(self.raw, "table-uuid", str)

    @property
    def location(self) -> str:
        """The table's base folder, without a trailing slash."""
        return self._member("location", str).rstrip("/")

    @property
    def last_updated_ms(self) -> int:
        """Time of the last change, milliseconds since 1970-01-01 UTC."""
        return self._member("last-updated-ms", int)

    @property
    def last_sequence_number(self) -> int:
        """Highest sequence number given out, 0 in v1."""
        return self._parse(lambda: optional(self.raw, "last-sequence-number", int, default=0))

    @property
    def last_column_id(self) -> int:
        """Highest field id ever given out."""
        return self._member("last-column-id", int)

    @property
    def next_row_id(self) -> int | None:
        """v3: the next row id to be given out."""
        return self._parse(lambda: optional(self.raw, "next-row-id", int))

    @cached_property
    def properties(self) -> Mapping[str, str]:
        """Table properties."""
        return self._parse(lambda: strings(self.raw, "properties"))

    @cached_property
    def schemas(self) -> Mapping[int, Schema]:
        """Schema id -> schema. v1's single `schema` where there is no list."""
        return self._parse(lambda: self._by_key("schemas", "schema", Schema.from_json, lambda each: each.schema_id))

    @property
    def schema(self) -> Schema:
        """The current schema."""
        if not self.raw.get("schemas"):
            return next(iter(self.schemas.values()))
        return self.schema_of(self._member("current-schema-id", int), "current-schema-id")

    def schema_of(self, schema_id: int, where: str = "schema-id") -> Schema:
        """The schema with this id."""
        return self._known(self.schemas, schema_id, where, "schemas")

    @cached_property
    def specs(self) -> Mapping[int, PartitionSpec]:
        """Spec id -> partition spec. v1's single `partition-spec` where there is no list."""
        read = PartitionSpec.from_json
        return self._parse(lambda: self._by_key("partition-specs", "partition-spec", read, lambda each: each.spec_id))

    def partition_type(self, schema: Schema) -> StructType | None:
        """A field for every partition field of any spec that has values, by the newest spec that has it.

        None where there is none. `schema` gives the types, older schemas those of columns that it lacks.
        """
        found: dict[int, NestedField] = {}
        for _, spec in sorted(self.specs.items()):
            for each in spec.fields:
                sources = (known.field(each.source_id) for known in (schema, *self.schemas.values()))
                source = next((field for field in sources if field is not None), None)
                is_valued = each.transform.is_known and each.transform.name != "void" and len(each.source_ids) == 1
                if is_valued and source is not None:
                    value = each.transform.result_type(source.type)
                    found[each.field_id] = NestedField(each.field_id, each.name, value)
        return StructType(tuple(field for _, field in sorted(found.items()))) if found else None

    @property
    def spec(self) -> PartitionSpec:
        """The spec that writers use."""
        if not self.raw.get("partition-specs"):
            return next(iter(self.specs.values()))
        return self._known(self.specs, self._member("default-spec-id", int), "default-spec-id", "partition-specs")

    @cached_property
    def sort_orders(self) -> Mapping[int, SortOrder]:
        """Order id -> sort order; order 0, unsorted, where a v1 file has none."""
        found = self._parse(lambda: _listed(self.raw, "sort-orders", SortOrder.from_json))
        return {each.order_id: each for each in found} or {0: SortOrder()}

    @property
    def sort_order(self) -> SortOrder:
        """The order that writers use."""
        order_id = self._parse(lambda: optional(self.raw, "default-sort-order-id", int, default=0))
        return self._known(self.sort_orders, order_id, "default-sort-order-id", "sort-orders")

    @property
    def current_snapshot_id(self) -> int | None:
        """The head of the branch "main"; None for a table without snapshots (written as -1 by some)."""
        found = self._parse(lambda: optional(self.raw, "current-snapshot-id", int))
        return None if found == -1 else found

    @property
    def current_snapshot(self) -> Snapshot | None:
        """The head of the branch "main"; None for a table without snapshots."""
        snapshot_id = self.current_snapshot_id
        if snapshot_id is None:
            return None
        found = self.snapshot(snapshot_id)
        if found is None:
            raise self._error(f"current-snapshot-id: snapshot {snapshot_id} is not in snapshots")
        return found

    @cached_property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """All snapshots in the file's order. Parses every one: prefer `snapshot(id)`."""
        return self._parse(lambda: tuple(_listed(self.raw, "snapshots", Snapshot.from_json)))

    def snapshot(self, snapshot_id: int) -> Snapshot | None:
        """The snapshot with this id, None where there is none."""
        position = self._snapshot_positions.get(snapshot_id)
        if position is None:
            return None
        return self._parse(lambda: Snapshot.from_json(self.raw["snapshots"][position], f"snapshots[{position}]"))

    @cached_property
    def snapshot_times(self) -> Mapping[int, int]:
        """Snapshot id -> time in milliseconds since 1970-01-01 UTC."""
        ids = self._snapshot_positions
        listed: list[dict[str, Any]] = self.raw.get("snapshots") or []
        return self._parse(
            lambda: {each: member(listed[at], "timestamp-ms", int, f"snapshots[{at}]") for each, at in ids.items()}
        )

    @cached_property
    def _snapshot_positions(self) -> Mapping[int, int]:
        listed = self._parse(lambda: objects(self.raw, "snapshots"))
        return self._parse(
            lambda: {member(each, "snapshot-id", int, f"snapshots[{at}]"): at for at, each in enumerate(listed)}
        )

    @cached_property
    def refs(self) -> Mapping[str, SnapshotRef]:
        """Name -> branch or tag. "main" is there whenever the table has a current snapshot, also in v1."""

        def read() -> dict[str, SnapshotRef]:
            raw = optional(self.raw, "refs", dict, default={})
            return {name: SnapshotRef.from_json(name, each, f"refs.{name}") for name, each in raw.items()}

        refs = self._parse(read)
        if self.current_snapshot_id is not None:
            refs.setdefault(MAIN, SnapshotRef(MAIN, self.current_snapshot_id, "branch"))
        return refs

    @cached_property
    def snapshot_log(self) -> tuple[tuple[int, int], ...]:
        """(time in milliseconds, snapshot id) of every change of the current snapshot, oldest first."""

        def entry(each: dict[str, Any], where: str) -> tuple[int, int]:
            return member(each, "timestamp-ms", int, where), member(each, "snapshot-id", int, where)

        return self._parse(lambda: tuple(_listed(self.raw, "snapshot-log", entry)))

    @cached_property
    def name_mapping(self) -> list[dict[str, Any]] | None:
        """The default name mapping in the spec's JSON form, None where there is none."""
        text = self.properties.get(NAME_MAPPING)
        return None if text is None else self._parse(lambda: parse_name_mapping(text, f"properties.{NAME_MAPPING}"))

    def to_json(self) -> str:
        """The JSON text, unknown members included."""
        return json.dumps(self.raw, separators=(",", ":"), ensure_ascii=False)

    def __repr__(self) -> str:
        where = f", file={self.file!r}" if self.file else ""
        return f"<TableMetadata v{self.raw.get('format-version')} of {self.raw.get('location')!r}{where}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return TableMetadata, (self.raw, self.file)

    def _by_key(
        self, many: str, one: str, read: Callable[[Any, str], Parsed], key: Callable[[Parsed], int]
    ) -> Mapping[int, Parsed]:
        """Objects by id from the list `many`, or from v1's single `one`."""
        found = _listed(self.raw, many, read)
        if not found:
            if self.raw.get(one) is None:
                raise MetaflowTableInvalidData(
                    f"{many}: missing" + (f", and {one} too" if self.format_version == 1 else "")
                )
            found = [read(self.raw[one], one)]
        return {key(each): each for each in found}

    def _known(self, values: Mapping[int, Parsed], key: int, where: str, among: str) -> Parsed:
        if key not in values:
            raise self._error(f"{where}: {key} is not among {among} ({', '.join(map(str, sorted(values)[:20]))})")
        return values[key]

    def _member(self, key: str, kind: type[Parsed]) -> Parsed:
        return self._parse(lambda: member(self.raw, key, kind))

    def _parse(self, read: Callable[[], Parsed]) -> Parsed:
        """Run a parser, adding the file's name to its error."""
        try:
            return read()
        except MetaflowTableInvalidData as error:
            raise self._error(error.reason, error.hint) from None

    def _error(self, message: str, hint: str | None = None) -> MetaflowTableInvalidData:
        return MetaflowTableInvalidData(f"table metadata: {message}", location=self.file, hint=hint)


def parse_metadata(data: bytes | str | dict[str, Any], file: str | None = None) -> TableMetadata:
    """Parse table metadata.

    Parameters
    ----------
    data : bytes, str or dict
        JSON (bytes may be gzip-compressed, whatever the file's name), or the object as a REST catalog sends it.
    file : str or None
        Where it comes from, for errors.

    Raises
    ------
    MetaflowTableInvalidData
        Not JSON, or a member is missing or mistyped: names file and member.
    UnsupportedError
        A later format version.
    """
    raw = data if isinstance(data, dict) else _decode(data, file)
    metadata = TableMetadata(raw, file)
    if (version := metadata.format_version) > LATEST_FORMAT_VERSION or version < 1:
        message = f"format version {version} is not read: expected 1 to {LATEST_FORMAT_VERSION}"
        raise UnsupportedError(message, location=file, hint="a newer headrace may read it")
    if version > 1 and metadata.table_uuid is None:
        raise metadata._error("table-uuid: missing, format version 2 and later must have it")
    _ = metadata.location, metadata.last_updated_ms, metadata.schema, metadata.spec, metadata.current_snapshot_id
    return metadata


def _listed(raw: Mapping[str, Any], key: str, read: Callable[[Any, str], Parsed]) -> list[Parsed]:
    return [read(each, f"{key}[{position}]") for position, each in enumerate(objects(raw, key))]


def _decode(data: bytes | str, file: str | None) -> dict[str, Any]:
    def wrong(what: str) -> MetaflowTableInvalidData:
        return MetaflowTableInvalidData(f"table metadata: {what}", location=file)

    if isinstance(data, bytes) and data.startswith(_GZIP_MAGIC):
        data = _gunzip(data, wrong)
    if len(data) > MAX_BYTES:
        raise wrong(f"{len(data)} bytes, more than the limit of {MAX_BYTES}")
    try:
        raw = json.loads(data)
    except RecursionError:
        raise wrong("nested too deeply") from None
    except ValueError as error:  # also undecodable text
        raise wrong(f"not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise wrong(f"expected an object, found {type(raw).__name__}")
    return raw


def _gunzip(data: bytes, wrong: Callable[[str], MetaflowTableInvalidData]) -> bytes:
    decoder = zlib.decompressobj(wbits=31)
    try:
        text = decoder.decompress(data, MAX_BYTES)
    except zlib.error as error:
        raise wrong(f"damaged gzip data: {error}") from None
    if not decoder.eof:
        raise wrong("more than the limit of 1 GiB" if decoder.unconsumed_tail else "gzip data is cut short")
    return text
