"""What the questions read, one maker for each dataset. Made once: a maker returns at once when everything is there.

Sizes are those of the README at scale 4 and grow with the scale. PyIceberg writes the tables; headrace only deletes
rows of one, which no peer here does by position. Neighbours: data.py starts the servers and calls these, many_files.py
makes the table that is only planned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers import tpch
from tests.servers.s3 import S3Client, S3Error

from . import hive_days, many_files
from .setup import LIST_LENGTH

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog

PARTS = 8
WIDE_COLUMNS = 500
SUPPLIERS = 10_000  # at scale 1
DELETED_SHARE = 100
SMALL_FILE_ROWS = 32_768  # times four columns of 8 bytes that do not compress: 1 MB
_CHUNK_FILES = 100  # small files of one append
FULL = 4.0
_JAVA_BLOCK_BYTES = 64_000  # where Avro's Java library, and with it Spark, ends a block


@dataclass(frozen=True)
class Places:
    """Where datasets go."""

    folder: Path
    remote: Catalog
    local: Catalog
    s3: S3Client
    hive_uri: str = ""
    """The Hive Metastore, where a question needs one."""


@dataclass(frozen=True)
class Dataset:
    """A maker, the column whose sum proves its rows, and which catalogs know the table."""

    make: Callable[[Places, str, float], None]
    key: str = ""
    remote: bool = True
    local: bool = False


def _lineitem(places: Places, table: str, scale: float) -> None:
    parts = _parts(places, scale)
    for catalog in (places.remote, places.local):
        tpch.append(catalog, table, parts)


def _lineitem_deleted(places: Places, table: str, scale: float) -> None:
    """Lineitem without the rows of one supplier in a hundred, deleted by position."""
    import headrace

    tpch.append(places.remote, table, _parts(places, scale))
    made = places.remote.load_table(table)
    if any(each.summary and each.summary["operation"] == "delete" for each in made.metadata.snapshots):
        return
    with made.transaction() as transaction:
        transaction.set_properties({"write.delete.mode": "merge-on-read"})
    opened = headrace.Table(table, catalog=headrace.load_catalog("bench", **places.remote.properties))
    opened.delete(f"l_suppkey <= {max(int(SUPPLIERS * scale / DELETED_SHARE), 1)}")


def _parts(places: Places, scale: float) -> list[Path]:
    return tpch.generate(places.folder / f"tpch-{scale:g}", "lineitem", scale=scale, parts=PARTS)


def _lineitem_as(codec: str) -> Callable[[Places, str, float], None]:
    def make(places: Places, table: str, scale: float) -> None:
        import pyarrow.parquet as pq

        parts = _parts(places, scale)
        rows = sum(pq.ParquetFile(each).metadata.num_rows for each in parts)
        properties = tpch.TABLE_PROPERTIES | {"write.parquet.compression-codec": codec}
        chunks = (_without_views(pq.read_table(each)) for each in parts)
        _write(places.local, table, chunks, rows, properties)

    return make


def _wide(places: Places, table: str, scale: float) -> None:
    """500 columns of normal 32-bit floats; in every other one, a tenth are null."""
    rows = _rows(1_000_000, scale)

    def chunks() -> Iterator[pa.Table]:
        import numpy as np
        import pyarrow as pa

        for part in range(PARTS):
            random, count = np.random.default_rng(part), _share(rows, part)
            columns = {}
            for number in range(WIDE_COLUMNS):
                mask = random.random(count, dtype=np.float32) < 0.1 if number % 2 else None
                columns[f"c{number:03}"] = pa.array(random.standard_normal(count, dtype=np.float32), mask=mask)
            yield pa.table(columns)

    _write(places.remote, table, chunks(), rows, tpch.TABLE_PROPERTIES)


def _lists(places: Places, table: str, scale: float) -> None:
    """An id and an embedding of 768 32-bit floats."""
    rows = _rows(1_000_000, scale)

    def chunks() -> Iterator[pa.Table]:
        import numpy as np
        import pyarrow as pa

        for part in range(PARTS):
            random, count = np.random.default_rng(part), _share(rows, part)
            values = pa.array(random.standard_normal(count * LIST_LENGTH, dtype=np.float32))
            offsets = pa.array(np.arange(count + 1, dtype=np.int32) * LIST_LENGTH)
            first = sum(_share(rows, each) for each in range(part))
            ids = pa.array(np.arange(first, first + count))
            yield pa.table({"id": ids, "embedding": pa.ListArray.from_arrays(offsets, values)})

    _write(places.remote, table, chunks(), rows, tpch.TABLE_PROPERTIES)


def _small_files(places: Places, table: str, scale: float) -> None:
    """2,000 files of 1 MB."""
    files = _rows(2_000, scale)
    row_bytes = 32

    def chunks() -> Iterator[pa.Table]:
        import numpy as np
        import pyarrow as pa

        for first in range(0, files, _CHUNK_FILES):
            count = min(_CHUNK_FILES, files - first) * SMALL_FILE_ROWS
            random = np.random.default_rng(first)
            columns: dict[str, Any] = {"id": random.integers(1 << 62, size=count)}
            yield pa.table(columns | {name: random.standard_normal(count) for name in "abc"})

    # PyIceberg fills a file up to this many bytes of Arrow memory.
    properties = {"write.target-file-size-bytes": str(SMALL_FILE_ROWS * row_bytes)}
    _write(places.remote, table, chunks(), files * SMALL_FILE_ROWS, properties)


def _many_files(places: Places, table: str, scale: float) -> None:
    few = many_files.FEW_PER_DAY if scale < 0.5 else many_files.FILES_PER_DAY
    many_files.make(places.remote, table, few)


def _at_once(few: tuple[int, int], full: tuple[int, int], **layout: int) -> Callable[[Places, str, float], None]:
    """So many manifests of so many files each; ``few`` for a smoke run."""

    def make(places: Places, table: str, scale: float) -> None:
        many_files.make_at_once(places.remote, table, *(few if scale < 0.5 else full), **layout)

    return make


def _hive_days(places: Places, table: str, scale: float) -> None:
    """2,000 partitions of one file; of 8,192 rows at full scale."""
    few = scale < 0.5
    rows = hive_days.ROWS if few else _rows(hive_days.ROWS, scale)
    days = hive_days.FEW_DAYS if few else hive_days.DAYS
    hive_days.make(places.hive_uri, places.remote, places.s3, table, days, rows)


def _objects(places: Places, table: str, scale: float) -> None:
    """Eight objects of 96 MiB of noise: in SeaweedFS and under nginx's root, by the same names."""
    import numpy as np

    size = max(int(scale / FULL * (96 << 20)), 1 << 20)
    for number, location in enumerate(object_locations(scale)):
        file = places.folder / "objects" / location.removeprefix("s3://")
        if not file.exists() or file.stat().st_size != size:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(np.random.default_rng(number).bytes(size))
        if _size(places.s3, location) != size:
            places.s3.put_file(location, file)


def object_locations(scale: float) -> tuple[str, ...]:
    """Where the plain objects are."""
    return tuple(f"s3://data/objects_{text(scale)}/{number}.bin" for number in range(PARTS))


def text(scale: float) -> str:
    """A scale as part of a name."""
    return f"{scale:g}".replace(".", "_")


def _size(s3: S3Client, location: str) -> int | None:
    try:
        return int(s3.head(location)["content-length"])
    except S3Error:
        return None


def _rows(full: int, scale: float) -> int:
    return max(int(full * scale / FULL), PARTS)


def _share(rows: int, part: int) -> int:
    return rows * (part + 1) // PARTS - rows * part // PARTS


def _write(
    catalog: Catalog, identifier: str, chunks: Iterable[pa.Table], rows: int, properties: Mapping[str, str]
) -> None:
    """One append for each chunk, unless the table is there with all its rows."""
    from pyiceberg.exceptions import NoSuchTableError

    catalog.create_namespace_if_not_exists(identifier.rpartition(".")[0])
    try:
        snapshot = catalog.load_table(identifier).current_snapshot()
        if snapshot and snapshot.summary and int(snapshot.summary["total-records"] or 0) == rows:
            return
        catalog.drop_table(identifier)
    except NoSuchTableError:
        pass
    table = None
    for chunk in chunks:
        if table is None:
            table = catalog.create_table(identifier, chunk.schema, properties=dict(properties))
        table.append(chunk)


def _without_views(rows: pa.Table) -> pa.Table:
    """The rows with strings instead of string views, which PyIceberg does not write."""
    import pyarrow as pa

    kinds = [pa.string() if each.type == pa.string_view() else each.type for each in rows.schema]
    return rows.cast(pa.schema([pa.field(name, kind) for name, kind in zip(rows.column_names, kinds, strict=True)]))


DATASETS: Mapping[str, Dataset] = {
    "lineitem": Dataset(_lineitem, "l_orderkey", local=True),
    "lineitem_uncompressed": Dataset(_lineitem_as("uncompressed"), "l_orderkey", remote=False, local=True),
    "lineitem_snappy": Dataset(_lineitem_as("snappy"), "l_orderkey", remote=False, local=True),
    "lineitem_deleted": Dataset(_lineitem_deleted, "l_orderkey"),
    "wide": Dataset(_wide, "c001"),
    "lists": Dataset(_lists, "id"),
    "small_files": Dataset(_small_files, "id"),
    "many_files": Dataset(_many_files),
    "million_files": Dataset(_at_once((25, 4), (1000, 1000))),
    "wide_files": Dataset(_at_once((2, 5), (5, 1000), columns=1000)),
    "java_files": Dataset(
        _at_once((2, 200), (many_files.DAYS, many_files.FILES_PER_DAY), block_bytes=_JAVA_BLOCK_BYTES)
    ),
    "million_java_files": Dataset(_at_once((25, 4), (1000, 1000), block_bytes=_JAVA_BLOCK_BYTES)),
    "hive_days": Dataset(_hive_days, "id", remote=False),
    "objects": Dataset(_objects, remote=False),
}
