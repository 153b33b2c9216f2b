"""Every type and encoding that PyArrow writes reads back as PyArrow reads it: values, nulls, one contiguous chunk.

Random data; a failing test's seed is in its name or its output.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from headrace import _engine

from tests.parquet.comparison import assert_same, read
from tests.parquet.values import PATTERNS, PRIMITIVE, nested_type, nested_value, primitive

#: Another seed each run with HEADRACE_TEST_SEED=random; the same files every time without.
SEED = Random().randrange(2**31) if os.environ.get("HEADRACE_TEST_SEED") == "random" else 20260101
CODECS = ("none", "snappy", "gzip", "brotli", "lz4", "zstd")
ROWS = 1000


def check(path: Path, table: pa.Table, types: dict[str, pa.DataType] | None = None, **options: Any) -> None:
    """Writes a table and compares both readers; the row groups and pages are small unless the options say otherwise."""
    options = {"row_group_size": 300, "data_page_size": 512, "write_batch_size": 64, **options}
    pq.write_table(table, path, **options)
    assert_same(read(path), pq.ParquetFile(path).read(), types)


def table_of_all(random: Random, rows: int, pattern: str) -> pa.Table:
    """A column of every primitive type."""
    return pa.table({name: primitive(random, name, rows, pattern) for name in PRIMITIVE})


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("codec", CODECS)
def test_every_type_in_every_codec(tmp_path: Path, codec: str, version: str, pattern: str) -> None:
    print(f"seed {SEED}")
    table = table_of_all(Random(SEED), ROWS, pattern)
    check(tmp_path / "t.parquet", table, compression=codec, data_page_version=version)


@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 8191, 8192, 8193, 20_000])
def test_every_type_at_every_length(tmp_path: Path, rows: int, dictionary: bool) -> None:
    print(f"seed {SEED}")
    table = table_of_all(Random(SEED + rows), rows, "some")
    options = {"use_dictionary": dictionary, "row_group_size": max(rows, 1), "data_page_size": 1 << 20}
    check(tmp_path / "t.parquet", table, **options)


INTEGERS = [
    "int32",
    "int64",
    "uint8",
    "int16",
    "uint32",
    "uint64",
    "date32",
    "time64_us",
    "timestamp_us",
    "duration_ns",
]
TEXTS = ["string", "large_string", "string_view", "binary", "large_binary", "binary_view"]
SPLIT = ["float16", "float32", "float64", "int32", "int64", "uint16", "fixed", "decimal_38_10", "decimal_9_2"]
ENCODINGS = {
    "PLAIN": list(PRIMITIVE),
    "DELTA_BINARY_PACKED": INTEGERS,
    "DELTA_LENGTH_BYTE_ARRAY": TEXTS,
    "DELTA_BYTE_ARRAY": [*TEXTS, "fixed", "uuid", "decimal_38_10"],
    "BYTE_STREAM_SPLIT": SPLIT,
    "RLE": ["bool", "runs_of_bool"],
}


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding(tmp_path: Path, encoding: str, pattern: str, version: str) -> None:
    print(f"seed {SEED}")
    random = Random(SEED + 1)
    names = [name for name in ENCODINGS[encoding] if name != "null"]
    table = pa.table({name: primitive(random, name, ROWS, pattern) for name in names})
    path = tmp_path / "t.parquet"
    encodings = dict.fromkeys(names, encoding)
    check(path, table, use_dictionary=False, column_encoding=encodings, data_page_version=version)
    group = pq.ParquetFile(path).metadata.row_group(0)
    used = [set(group.column(at).encodings) for at in range(group.num_columns)]
    assert all(encoding in each for each in used), "the writer did not do as it was told"


def test_a_dictionary_that_is_given_up_for_plain_pages(tmp_path: Path) -> None:
    random = Random(SEED)
    values = [f"value {random.randrange(10**9)} of many" for _ in range(20_000)]
    table = pa.table({"text": values, "number": [random.randrange(2**60) for _ in values]})
    path = tmp_path / "t.parquet"
    check(path, table, dictionary_pagesize_limit=4096, row_group_size=10_000)
    assert {"PLAIN", "RLE_DICTIONARY"} <= set(pq.ParquetFile(path).metadata.row_group(0).column(0).encodings)


@pytest.mark.parametrize("name", ["string", "int64", "binary", "decimal_9_2", "float64"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_dictionary_columns_give_their_values(tmp_path: Path, name: str, pattern: str) -> None:
    column = primitive(Random(SEED), name, ROWS, pattern).dictionary_encode()
    check(tmp_path / "t.parquet", pa.table({"column": column}))


def test_other_layouts_of_lists_give_large_lists(tmp_path: Path) -> None:
    random = Random(SEED)
    rows = [None if random.random() < 0.2 else [random.randrange(9) for _ in range(3)] for _ in range(ROWS)]
    texts = [None if row is None else [str(each) for each in row] for row in rows]
    table = pa.table(
        {
            "list": pa.array(rows, pa.list_(pa.int32())),
            "large": pa.array(texts, pa.large_list(pa.large_string())),
            "fixed": pa.array(rows, pa.list_(pa.int32(), 3)),
            "fixed_text": pa.array(texts, pa.list_(pa.string(), 3)),
        }
    )
    check(tmp_path / "t.parquet", table)


@pytest.mark.parametrize("nulls", [0.0, 0.15, 0.6])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("round", range(8))
def test_random_nesting(tmp_path: Path, round: int, version: str, nulls: float) -> None:
    seed = SEED + 1000 + round
    print(f"seed {seed}")
    random = Random(seed)
    types = {f"c{index}": nested_type(random, 1 + index % 4) for index in range(6)}
    rows = [{name: nested_value(random, each, nulls) for name, each in types.items()} for _ in range(ROWS)]
    columns = {name: pa.array([row[name] for row in rows], each) for name, each in types.items()}
    codec = random.choice(CODECS)
    check(tmp_path / "t.parquet", pa.table(columns), compression=codec, data_page_version=version)


def test_lists_in_lists_in_lists(tmp_path: Path) -> None:
    data_type: pa.DataType = pa.int8()
    value: Any = [1]
    for _ in range(20):
        data_type = pa.struct([("s", pa.list_(data_type))]) if _ else pa.list_(data_type)
        value = {"s": [value, None]} if _ else value
    check(tmp_path / "t.parquet", pa.table({"deep": pa.array([value, None, value], data_type)}))


def test_required_columns_and_members(tmp_path: Path) -> None:
    inner = pa.struct([pa.field("a", pa.int32(), nullable=False), pa.field("b", pa.string())])
    fields = [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("flag", pa.bool_(), nullable=False),
        pa.field("items", pa.list_(pa.field("element", inner, nullable=False)), nullable=False),
        pa.field("struct", inner, nullable=False),
        pa.field("map", pa.map_(pa.string(), pa.field("value", pa.int32(), nullable=False)), nullable=False),
    ]
    row = {"id": 1, "text": "t" * 20, "flag": True, "items": [{"a": 1, "b": None}], "struct": {"a": 2, "b": "x"}}
    row["map"] = [("k", 3)]
    check(tmp_path / "t.parquet", pa.Table.from_pylist([row] * ROWS, schema=pa.schema(fields)))


def test_timestamps_of_96_bits_are_microseconds(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    # PyArrow writes them from nanoseconds, which end in 2262; what lies beyond is in the collection's int96_from_spark.
    column = primitive(Random(SEED), "timestamp_ns", ROWS, "some")
    nested = pa.StructArray.from_arrays([column], ["at"])
    lists = pa.ListArray.from_arrays(list(range(ROWS + 1)), column)
    table = pa.table({"at": column, "in": nested, "before": list(range(ROWS)), "list": lists})
    pq.write_table(table, path, use_deprecated_int96_timestamps=True, row_group_size=300)
    assert pq.ParquetFile(path).schema.column(0).physical_type == "INT96"
    assert_same(read(path), pq.ParquetFile(path, coerce_int96_timestamp_unit="us").read())


def test_files_without_an_arrow_schema(tmp_path: Path) -> None:
    names = [name for name in PRIMITIVE if name != "null"]
    random = Random(SEED)
    table = pa.table({name: primitive(random, name, ROWS, "some") for name in names})
    check(tmp_path / "t.parquet", table, store_schema=False)


def test_values_larger_than_a_page_and_a_batch(tmp_path: Path) -> None:
    random = Random(SEED)
    texts = [chr(97 + row % 26) * random.choice([0, 3, 100, 100_000, 2_000_000]) for row in range(60)]
    check(tmp_path / "t.parquet", pa.table({"text": texts, "row": list(range(60))}), row_group_size=17)


def test_many_columns(tmp_path: Path) -> None:
    table = pa.table({f"column {at}": [at, None, -at] for at in range(2000)})
    check(tmp_path / "t.parquet", table)


def test_pages_with_checksums_and_indexes(tmp_path: Path) -> None:
    table = table_of_all(Random(SEED), ROWS, "some")
    check(tmp_path / "t.parquet", table, write_page_checksum=True, write_page_index=True, store_decimal_as_integer=True)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_any_number_of_threads_gives_the_same_columns(tmp_path: Path, threads: int) -> None:
    path = tmp_path / "t.parquet"
    table = table_of_all(Random(SEED), 5000, "some")
    pq.write_table(table, path, row_group_size=123)
    assert_same(read(path, threads=threads), pq.ParquetFile(path).read())


def test_a_frame_outlives_what_made_it(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = table_of_all(Random(SEED), ROWS, "some")
    pq.write_table(table, path)
    frame = _engine.read_parquet(_engine.Store({}), [str(path)], "{}")
    column = frame.column(frame.names.index("string"))
    del frame
    path.unlink()
    assert pa.array(column).to_pylist() == table.column("string").to_pylist()
