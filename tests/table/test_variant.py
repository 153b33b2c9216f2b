"""Variants: whole ones and shredded ones that DuckDB wrote, as two binaries and as Python values.

DuckDB and PyArrow are the oracles: the same values as JSON, and the columns of the file as they are.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import struct
import uuid
from pathlib import Path
from typing import Any

import headrace
import pyarrow
import pyarrow.parquet
import pytest
from headrace.errors import HeadraceError, MetaflowTableInvalidData, UnsupportedError

from tests.servers import duck
from tests.table.handmade import HandMade

V3 = {"format-version": "3"}
VALUES: dict[str, Any] = {
    "42::variant": 42,
    "(-7)::bigint::variant": -7,
    "'text'::variant": "text",
    f"'{'long ' * 50}'::variant": "long " * 50,
    "true::variant": True,
    "1.25::decimal(9, 2)::variant": decimal.Decimal("1.25"),
    "12345678901234567.89::decimal(38, 2)::variant": decimal.Decimal("12345678901234567.89"),
    "0.5::double::variant": 0.5,
    "date '2026-01-02'::variant": datetime.date(2026, 1, 2),
    "timestamp '2026-01-02 03:04:05.678901'::variant": datetime.datetime(2026, 1, 2, 3, 4, 5, 678901),
    "'\\xFF\\x00'::blob::variant": b"\xff\x00",
    "uuid '00000000-0000-0000-0000-000000000005'::variant": uuid.UUID(int=5),
    "{'a': 1, 'b': ['x', null], 'c': {'d': true}}::variant": {"a": 1, "b": ["x", None], "c": {"d": True}},
    "[1, 2, 3]::variant": [1, 2, 3],
    "null::variant": None,
}


def loaded(folder: Path, query: str, options: str = "") -> tuple[headrace.MetaflowDataFrame, Path]:
    """The table of a file that DuckDB wrote from a query of (id, v); and the file."""
    made = HandMade(folder / "made", {"id": "int", "v": "variant"}, **V3)
    path = made.place("v.parquet")
    with duck.connect() as connection:
        connection.execute(f"copy ({query}) to '{path}' (format parquet, field_ids {{id: 1, v: 2}}{options})")
    made.add(f"file://{path}", pyarrow.parquet.read_metadata(path).num_rows, "parquet")
    return made.table.load(), path


def is_shredded(path: Path) -> bool:
    return "typed_value" in str(pyarrow.parquet.ParquetFile(path).schema)


@pytest.mark.parametrize("text", VALUES)
def test_values_of_every_type(tmp_path: Path, text: str) -> None:
    """A file of one type is shredded to a column of it."""
    frame, _ = loaded(tmp_path, f"select 1::int id, {text} v union all select 2, {text}")
    found = frame["v"].to_pylist()
    assert found == [VALUES[text], VALUES[text]]
    assert type(found[0]) is type(VALUES[text])


def test_values_of_all_types_in_one_column(tmp_path: Path) -> None:
    rows = " union all ".join(f"select {at}::int id, {text} v" for at, text in enumerate(VALUES))
    frame, _ = loaded(tmp_path, f"select id, v from ({rows}) order by id")
    assert frame["v"].to_pylist() == list(VALUES.values())
    table = pyarrow.table(frame)
    assert str(table.schema.field("v").type).startswith("struct<metadata: binary_view")
    first = table["v"][0].as_py()
    assert headrace.decode_variant(first["metadata"], first["value"]) == 42


ROWS: list[Any] = [
    {"a": 1, "b": "x", "deep": {"n": 1, "list": [1, 2]}},
    {"a": 2, "b": "y", "deep": {"n": 2, "list": []}, "more": [1, "2", None], "z": {"k": 1.5}},
    {"a": "text where a number was", "b": None},
    {"b": "only"},
    {},
    {"a": 5, "deep": {"n": "no number", "list": [1, "mixed", {"q": 1}]}},
    {"a": 6, "deep": "no object"},
    [1, 2, 3],
    "plain",
    7,
    None,
]


@pytest.mark.parametrize(
    "shredding",
    [
        "",
        "STRUCT(a INTEGER, b VARCHAR)",
        "STRUCT(a BIGINT, deep STRUCT(n INTEGER, list INTEGER[]))",
        "STRUCT(deep STRUCT(list INTEGER[]), z STRUCT(k DOUBLE), nowhere VARCHAR)",
        "INTEGER[]",
        "VARCHAR",
    ],
)
def test_shredded_parts_are_put_back(tmp_path: Path, shredding: str) -> None:
    texts = ", ".join(f"({at}, '{json.dumps(each)}')" for at, each in enumerate(ROWS))
    query = f"select id::int id, json::json::variant v from (values {texts}) t(id, json) order by id"
    frame, path = loaded(tmp_path, query, f", shredding {{v: '{shredding}'}}" if shredding else "")
    if shredding:
        assert is_shredded(path)
    assert frame["v"].to_pylist() == ROWS
    assert list(frame["v"].values(9)) == ROWS[9:]
    with duck.connect() as connection:
        theirs = connection.sql(f"select v::json::varchar from read_parquet('{path}')").fetchall()
    assert [json.loads(each) if each is not None else None for (each,) in theirs] == ROWS


def test_variants_inside_of_lists_and_rows_without_one(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"id": "int", "v": "variant"}, **V3)
    part = pyarrow.struct([("metadata", pyarrow.binary()), ("value", pyarrow.binary())])
    number = {"metadata": b"\x01\x00\x00", "value": b"\x0c\x2a"}
    fields = [
        pyarrow.field("id", pyarrow.int32(), metadata={"PARQUET:field_id": "1"}),
        pyarrow.field("v", part, metadata={"PARQUET:field_id": "2"}),
    ]
    rows = pyarrow.table([[1, 2, 3], [number, None, number]], schema=pyarrow.schema(fields))
    path = made.place("v.parquet")
    pyarrow.parquet.write_table(rows, path)
    made.add(f"file://{path}", 3, "parquet")
    frame = made.table.load()
    assert frame["v"].to_pylist() == [42, None, 42]
    assert frame["v"].null_count == 1
    assert made.rows(filter="id = 1") == [{"id": 1, "v": number}]
    with made.table.update_schema() as change:
        change.add("w", "variant")
    assert made.rows(columns=["w"], limit=1) == [{"w": None}]
    with pytest.raises(UnsupportedError, match="variant"):
        made.table.append(pyarrow.table({"id": pyarrow.array([1], pyarrow.int32())}))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x0c\xff", -1),
        (b"\x10\x00\x80", -(2**15)),
        (b"\x38" + struct.pack("<f", math.inf), math.inf),
        (b"\x20\x02\x7d\x00\x00\x00", decimal.Decimal("1.25")),
        (b"\x44" + struct.pack("<q", 1), datetime.time(0, 0, 0, 1)),
        (b"\x30" + struct.pack("<q", 1), datetime.datetime(1970, 1, 1, 0, 0, 0, 1, datetime.UTC)),
        (b"\x4c" + struct.pack("<q", 1000), datetime.datetime(1970, 1, 1, 0, 0, 0, 1)),
    ],
)
def test_bytes_of_the_specification(value: bytes, expected: Any) -> None:
    assert headrace.decode_variant(b"\x01\x00\x00", value) == expected


@pytest.mark.parametrize(
    ("metadata", "value", "error"),
    [
        (b"", b"\x00", MetaflowTableInvalidData),
        (b"\x02\x00\x00", b"\x00", MetaflowTableInvalidData),
        (b"\x01\xff\x00", b"\x00", MetaflowTableInvalidData),
        (b"\x01\x00\x00", b"", MetaflowTableInvalidData),
        (b"\x01\x00\x00", b"\x18\x00", MetaflowTableInvalidData),
        (b"\x01\x00\x00", b"\x02\x01\x00\x00\x01\x00", MetaflowTableInvalidData),
        (b"\x01\x00\x00", b"\x13\xff\xff\xff\xff\x00", MetaflowTableInvalidData),
        (b"\x01\x00\x00", b"\x03\x01\x00\x00", MetaflowTableInvalidData),
        (b"\x01\x00\x00", b"\xfc", UnsupportedError),
        (b"\x01\x00\x00", b"\x4c" + struct.pack("<q", 1), UnsupportedError),
        (b"\x01\x00\x00", b"\x2c\xff\xff\xff\x7f", UnsupportedError),
    ],
)
def test_what_is_no_variant(metadata: bytes, value: bytes, error: type[HeadraceError]) -> None:
    with pytest.raises(error):
        headrace.decode_variant(metadata, value)
