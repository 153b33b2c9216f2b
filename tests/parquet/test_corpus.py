"""Apache's collection of Parquet files from every writer: each one reads as PyArrow reads it, or is named here.

The collection (apache/parquet-testing) lies beside the checkout, in `shared/corpora/parquet-testing`. What damaged
files give is a typed error; the exceptions are named with their reasons.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from headrace.errors import HeadraceError, ParquetDecodingException, UnsupportedError

from tests.parquet.comparison import assert_same, read

CORPUS = Path(__file__).parents[2].parent / "shared/corpora/parquet-testing"

ENCRYPTED = "encrypted files are not read by this version"
#: Files of `data` that are refused: the error, a part of its text, and the reason.
REFUSED: dict[str, tuple[type[HeadraceError], str, str]] = dict.fromkeys(
    (
        "aes256/encrypt_columns_and_footer.parquet.encrypted",
        "aes256/encrypt_columns_and_footer_ctr.parquet.encrypted",
        "aes256/encrypt_columns_and_footer_disable_aad_storage.parquet.encrypted",
        "aes256/encrypt_columns_plaintext_footer.parquet.encrypted",
        "aes256/uniform_encryption.parquet.encrypted",
        "encrypt_columns_and_footer.parquet.encrypted",
        "encrypt_columns_and_footer_aad.parquet.encrypted",
        "encrypt_columns_and_footer_bloom_filter.parquet.encrypted",
        "encrypt_columns_and_footer_ctr.parquet.encrypted",
        "encrypt_columns_and_footer_disable_aad_storage.parquet.encrypted",
        "encrypt_columns_plaintext_footer.parquet.encrypted",
        "external_key_material_java.parquet.encrypted",
        "uniform_encryption.parquet.encrypted",
    ),
    (UnsupportedError, "encrypted", ENCRYPTED),
)
#: Files of `data` that PyArrow does not read, or not right: tested one by one below.
BEYOND_PYARROW = {
    "int96_from_spark.parquet": "PyArrow wraps around beyond the year 200,000",
    "incorrect_map_schema.parquet": "PyArrow refuses maps whose keys are declared optional",
    "large_string_map.brotli.parquet": "PyArrow refuses nested columns with more than 2 GiB of text",
}
#: Files of `bad_data` whose damage is harmless: they read as PyArrow reads them.
HARMLESS = {"ARROW-GH-43605.parquet": "dictionary indices of width 0 are all 0"}


def files(folder: str) -> list[str]:
    """Every Parquet file below a folder of the collection; an empty list would test nothing, and fails."""
    found = [path for path in (CORPUS / folder).rglob("*.parquet*") if path.suffix != ".json"]
    names = sorted(str(path.relative_to(CORPUS / folder)) for path in found)
    assert names, f"apache/parquet-testing is not in {CORPUS}"
    return names


def theirs(path: Path) -> pa.Table:
    """The file as PyArrow reads it, 96-bit timestamps in the unit that a frame gives them."""
    return pq.ParquetFile(path, coerce_int96_timestamp_unit="us").read()


def test_every_named_file_is_there() -> None:
    assert set(REFUSED) | set(BEYOND_PYARROW) <= set(files("data"))
    assert set(HARMLESS) <= set(files("bad_data"))


@pytest.mark.parametrize("name", [name for name in files("data") if name not in REFUSED.keys() | BEYOND_PYARROW])
def test_a_good_file_reads_as_pyarrow_reads_it(name: str) -> None:
    path = CORPUS / "data" / name
    assert_same(read(path), theirs(path))


@pytest.mark.parametrize("name", [name for name in files("data") if name not in REFUSED.keys() | BEYOND_PYARROW])
def test_the_layout_for_pandas_holds_the_same_values(name: str) -> None:
    views = read(CORPUS / "data" / name)
    large = read(CORPUS / "data" / name, strings="large_string")
    assert not {pa.string_view(), pa.binary_view()} & set(large.schema.types)
    assert_same(large, views, types=dict(zip(large.schema.names, large.schema.types, strict=True)))


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_beyond_this_version_says_so(name: str) -> None:
    error, text, _ = REFUSED[name]
    with pytest.raises(error, match=text) as caught:
        read(CORPUS / "data" / name)
    assert caught.value.location is not None
    assert caught.value.location.endswith(name)


@pytest.mark.parametrize("name", [name for name in files("bad_data") if name not in HARMLESS])
def test_a_bad_file_is_a_typed_error(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ParquetDecodingException) as caught:
        read(CORPUS / "bad_data" / name)
    assert caught.value.location is not None
    assert caught.value.location.endswith(name)
    assert caught.value.hint
    assert "panick" not in capfd.readouterr().err


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_fault_reads_as_pyarrow_reads_it(name: str) -> None:
    path = CORPUS / "bad_data" / name
    assert_same(read(path), theirs(path))


def test_timestamps_of_96_bits_keep_the_whole_range_of_microseconds() -> None:
    column = read(CORPUS / "data/int96_from_spark.parquet").column("a")
    assert column.type == pa.timestamp("us")
    # As int96_from_spark.md lists them
    expected = [1704141296123456, 1704070800000000, 253402225200000000, 1735599600000000, None, 9089380393200000000]
    assert column.cast(pa.int64()).to_pylist() == expected


def test_a_map_whose_keys_are_declared_optional_is_read() -> None:
    column = read(CORPUS / "data/incorrect_map_schema.parquet").column("my_map")
    assert column.to_pylist() == [[("parent", "another"), ("name", "report")]]


def test_two_gigabytes_of_text_in_a_nested_column() -> None:
    # In a process of its own: the memory goes back to the machine.
    code = """
import sys
from tests.parquet.comparison import read
column = read(sys.argv[1]).column("arr").chunk(0)
assert column.offsets.to_pylist() == [0, 1, 2] and column.items.to_pylist() == [1, 1]
for key in column.keys:
    text = memoryview(key.as_buffer())
    assert len(text) == 2**30
    assert all(bytes(text[at : at + 2**20]) == b"a" * 2**20 for at in range(0, 2**30, 2**20))
"""
    path = CORPUS / "data/large_string_map.brotli.parquet"
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=root, env=environment, timeout=300)
