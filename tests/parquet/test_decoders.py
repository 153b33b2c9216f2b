"""The direct decoder gives what the reference decoder gives, on Apache's collection and on random files.

The collection is that of `test_corpus`, which compares the engine with PyArrow; here it is compared with itself.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from headrace.errors import HeadraceError

from tests.parquet.comparison import assert_same, read
from tests.parquet.test_corpus import CORPUS, files
from tests.parquet.values import PATTERNS, PRIMITIVE, nested_type, nested_value, primitive

#: More than 2 GiB: once is enough, and `test_corpus` does it.
HUGE = {"large_string_map.brotli.parquet"}
LAYOUTS = ("view", "large_string")
SEED = 20260103


def outcome(path: Path, decoder: str, strings: str) -> pa.Table | type[HeadraceError]:
    """The file's table, or the class of the error."""
    try:
        return read(path, decoder=decoder, strings=strings)
    except HeadraceError as error:
        return type(error)


def assert_decoders_agree(path: Path, strings: str) -> None:
    """The same schema and values, or the same error."""
    direct, reference = outcome(path, "direct", strings), outcome(path, "reference", strings)
    if isinstance(direct, pa.Table) and isinstance(reference, pa.Table):
        assert direct.schema.equals(reference.schema, check_metadata=True)
        types = dict(zip(reference.schema.names, reference.schema.types, strict=True))
        if len(types) == reference.num_columns:
            assert_same(direct, reference, types)
        return
    assert direct == reference


@pytest.mark.parametrize("strings", LAYOUTS)
@pytest.mark.parametrize("name", [name for name in files("data") if name not in HUGE])
def test_both_decoders_read_a_file_alike(name: str, strings: str) -> None:
    assert_decoders_agree(CORPUS / "data" / name, strings)


@pytest.mark.parametrize("name", files("bad_data"))
def test_both_decoders_refuse_a_bad_file_alike(name: str) -> None:
    assert_decoders_agree(CORPUS / "bad_data" / name, "view")


@pytest.mark.parametrize("strings", LAYOUTS)
@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "lz4", "zstd"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_pyarrow_writes(tmp_path: Path, pattern: str, codec: str, strings: str) -> None:
    random = Random(SEED)
    columns = {name: primitive(random, name, 3000, pattern) for name in PRIMITIVE}
    for depth in range(1, 4):
        nested = nested_type(random, depth)
        columns[f"nested {depth}"] = pa.array([nested_value(random, nested, 0.2) for _ in range(3000)], nested)
    path = tmp_path / "t.parquet"
    version = random.choice(["1.0", "2.0"])
    pq.write_table(pa.table(columns), path, compression=codec, row_group_size=1100, data_page_version=version)
    assert_decoders_agree(path, strings)
