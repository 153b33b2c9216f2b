"""Real data: TPC-H tables from tpchgen-cli, and somebody else's writer (PyIceberg) that puts them into a catalog.

Knows nothing of headrace. The demo and the benchmarks stand on this.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog

# One file for each append, whatever its size in memory; PyIceberg would split at 512 MiB of Arrow memory.
TABLE_PROPERTIES = {"write.target-file-size-bytes": str(4 << 30)}


def generate(folder: Path, table: str, *, scale: float, parts: int = 1) -> list[Path]:
    """Write one table as ``parts`` Parquet files (zstd) under ``folder``, unless they are there; returns the paths."""
    if parts == 1:
        expected = [folder / f"{table}.parquet"]
    else:
        expected = [folder / table / f"{table}.{part}.parquet" for part in range(1, parts + 1)]
    if not all(file.exists() for file in expected):
        made = folder / "unfinished"
        shutil.rmtree(made, ignore_errors=True)
        options = ["--scale-factor", f"{scale:g}", "--tables", table, "--compression", "ZSTD(1)"]
        options += ["--row-group-bytes", "128MB", "--output-dir", str(made), "--no-progress", "--quiet"]
        subprocess.run([_binary(), "parquet", *options, *(["--parts", str(parts)] if parts > 1 else [])], check=True)
        for file in expected:
            file.parent.mkdir(parents=True, exist_ok=True)
            (made / file.relative_to(folder)).replace(file)
        shutil.rmtree(made)
    return expected


def append(catalog: Catalog, identifier: str, files: list[Path]) -> int:
    """Make a table of the files, one append each, unless it is there with all their rows; returns its rows."""
    import pyarrow.parquet as pq
    from pyiceberg.exceptions import NoSuchTableError

    expected = int(sum(pq.ParquetFile(file).metadata.num_rows for file in files))
    catalog.create_namespace_if_not_exists(identifier.rpartition(".")[0])
    try:
        snapshot = catalog.load_table(identifier).current_snapshot()
        if snapshot and snapshot.summary and int(snapshot.summary["total-records"] or 0) == expected:
            return expected
        catalog.drop_table(identifier)
    except NoSuchTableError:
        pass
    table = None
    for file in files:
        rows = _plain(pq.read_table(file))
        if table is None:
            table = catalog.create_table(identifier, rows.schema, properties=TABLE_PROPERTIES)
        table.append(rows)
    return expected


def _plain(rows: pa.Table) -> pa.Table:
    """The rows with strings instead of string views, which PyIceberg does not write, and without foreign field ids."""
    import pyarrow as pa

    views = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    fields = [pa.field(each.name, views.get(each.type, each.type), each.nullable) for each in rows.schema]
    return rows.cast(pa.schema(fields))


def _binary() -> str:
    beside = Path(sys.executable).with_name("tpchgen-cli")
    found = str(beside) if beside.exists() else shutil.which("tpchgen-cli")
    if found is None:
        raise RuntimeError("tpchgen-cli is not installed: `make venv` installs it")
    return found
