"""Types of format version 3: nanoseconds, unknown, geometry and geography; defaults of every type; promotions of v3.

Files are PyArrow's; what we write is read by PyArrow, DuckDB and PyIceberg where they know the type.
"""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path
from typing import Any

import headrace
import pyarrow
import pyarrow.parquet
import pytest
from headrace.errors import FilterError, MetaflowTableInvalidData, UnsupportedError
from headrace.iceberg.types import SpatialType, parse_primitive

from tests.parquet.tables import Json, field, file_list, list_of, load, map_of, struct, write
from tests.table.handmade import HandMade

V3 = {"format-version": "3"}
NS = 1_767_323_045_678_901_234
MIDNIGHT = 1_767_312_000 * 10**9


def test_nanoseconds_are_written_and_read(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"id": "long", "at": "timestamp_ns", "instant": "timestamptz_ns"}, **V3)
    moments = [NS, -1, None]
    given = pyarrow.table(
        {
            "id": [1, 2, 3],
            "at": pyarrow.array(moments, pyarrow.timestamp("ns")),
            "instant": pyarrow.array(moments, pyarrow.timestamp("ns", "UTC")),
        }
    )
    [location] = made.append(given)

    found = pyarrow.table(made.table.load())

    assert found.schema.field("at").type == pyarrow.timestamp("ns")
    assert found.schema.field("instant").type == pyarrow.timestamp("ns", "UTC")
    assert found["at"].cast(pyarrow.int64()).to_pylist() == moments
    written = pyarrow.parquet.read_table(location.removeprefix("file://"))
    assert written.cast(given.schema) == given
    after = pyarrow.table(made.table.load("at > '1970-01-01T00:00:00'", columns=["id"]))
    assert after["id"].to_pylist() == [1]
    exact = made.table.load("at = :at", params={"at": "2026-01-02T03:04:05.678901234"}, columns=["id"])
    assert pyarrow.table(exact)["id"].to_pylist() == [1]


def test_nanoseconds_are_partitioned_by_day_and_hour(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"at": "timestamp_ns"}, partition_by=["day(at)"], **V3)
    made.append(pyarrow.table({"at": pyarrow.array([NS, -1, 0], pyarrow.timestamp("ns"))}))
    plan = made.table.scan("at < '1970-01-01T00:00:00'")
    assert len(plan.files) == 1
    assert pyarrow.table(plan.load())["at"].cast(pyarrow.int64()).to_pylist() == [-1]


def test_a_column_of_type_unknown_is_null_and_in_no_file(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"id": "long", "u": "unknown", "s": "struct<a: int, u: unknown>"}, **V3)
    inner = pyarrow.struct([("a", pyarrow.int32()), ("u", pyarrow.null())])
    rows = pyarrow.table({"id": [1, 2], "u": pyarrow.nulls(2), "s": pyarrow.array([{"a": 1}, None], inner)})
    [location] = made.append(rows)
    assert "u" not in pyarrow.parquet.read_schema(location.removeprefix("file://")).names
    assert made.rows() == [
        {"id": 1, "u": None, "s": {"a": 1, "u": None}},
        {"id": 2, "u": None, "s": None},
    ]
    assert made.rows(columns=["u"]) == [{"u": None}, {"u": None}]


@pytest.mark.parametrize("kind", ["geometry", "geometry(srid:4326)", "geography(OGC:CRS84, karney)"])
def test_shapes_are_well_known_binary(tmp_path: Path, kind: str) -> None:
    made = HandMade(tmp_path / "made", {"id": "long", "shape": kind}, **V3)
    assert str(made.table.metadata.schema.find_field("shape").type) == kind
    point = b"\x01\x01\x00\x00\x00" + bytes(16)
    path = made.place("shapes.parquet")
    fields = [
        pyarrow.field(name, type_, metadata={"PARQUET:field_id": str(at)})
        for at, (name, type_) in enumerate([("id", pyarrow.int64()), ("shape", pyarrow.binary())], 1)
    ]
    pyarrow.parquet.write_table(pyarrow.table([[1, 2], [point, None]], schema=pyarrow.schema(fields)), path)
    made.add(f"file://{path}", 2, "parquet")
    frame = made.table.load()
    assert frame["shape"].to_pylist() == [point, None]
    assert frame["shape"].is_binary
    with pytest.raises(FilterError, match="shape"):
        made.rows(filter="shape is null")
    with pytest.raises(UnsupportedError, match="shape"):
        made.table.append(pyarrow.table({"id": [1]}))


def test_names_of_shapes() -> None:
    plain, named = parse_primitive("geography"), parse_primitive("geography(srid:4326, andoyer)")
    assert isinstance(plain, SpatialType)
    assert isinstance(named, SpatialType)
    assert (plain.crs, plain.algorithm) == ("OGC:CRS84", "spherical")
    assert (named.crs, named.algorithm) == ("srid:4326", "andoyer")
    geometry = parse_primitive("geometry(srid:3857)")
    assert isinstance(geometry, SpatialType)
    assert (geometry.crs, geometry.algorithm, str(geometry)) == ("srid:3857", None, "geometry(srid:3857)")
    for wrong in ("geometry()", "geometry(a, b)", "geography(a, straight)", "geography(", "geometry(a)b"):
        with pytest.raises(MetaflowTableInvalidData):
            parse_primitive(wrong)


INNER = struct(field(31, "a", "int", default=7), field(32, "b", "string"))
DEFAULTS: list[tuple[str | Json, Any, Any]] = [
    ("boolean", True, True),
    ("int", -5, -5),
    ("long", 2**62, 2**62),
    ("float", 1.5, 1.5),
    ("double", 0.1, 0.1),
    ("decimal(9, 2)", "-14.20", decimal.Decimal("-14.20")),
    ("decimal(38, 10)", "1.0000000001", decimal.Decimal("1.0000000001")),
    ("date", "2026-01-02", datetime.date(2026, 1, 2)),
    ("time", "22:31:08.123456", datetime.time(22, 31, 8, 123456)),
    ("timestamp", "2026-01-02T03:04:05.678901", datetime.datetime(2026, 1, 2, 3, 4, 5, 678901)),
    (
        "timestamptz",
        "2026-01-02T03:04:05.678901+00:00",
        datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, datetime.UTC),
    ),
    ("timestamp_ns", "2026-01-02T03:04:05.678901000", datetime.datetime(2026, 1, 2, 3, 4, 5, 678901)),
    ("string", "text", "text"),
    ("uuid", "f79c3e09-677c-4bbd-a479-3f349cb785e7", bytes.fromhex("f79c3e09677c4bbda4793f349cb785e7")),
    ("fixed[3]", "0001FF", b"\x00\x01\xff"),
    ("binary", "00FF", b"\x00\xff"),
    (INNER, {}, {"a": 7, "b": None}),
    (INNER, {"31": 1, "32": "x"}, {"a": 1, "b": "x"}),
    (list_of(31, "int"), [1, None, 3], [1, None, 3]),
    (list_of(31, "int"), [], []),
    (map_of(31, "string", 32, "long"), {"keys": ["k", "l"], "values": [1, None]}, [("k", 1), ("l", None)]),
]


@pytest.mark.parametrize(("kind", "default", "expected"), DEFAULTS, ids=str)
def test_initial_defaults(tmp_path: Path, kind: str | Json, default: Any, expected: Any) -> None:
    """Of a column that a file lacks, at the top and inside of a struct that it has."""
    old = struct(field(1, "id", "int"), field(2, "s", struct(field(3, "x", "int"))))
    path = write(tmp_path / "old.parquet", old, [{"id": 1, "s": {"x": 1}}, {"id": 2, "s": None}])
    inner = struct(field(3, "x", "int"), field(20, "added", kind, default=default))
    new = struct(field(1, "id", "int"), field(2, "s", inner))
    found = load(file_list([path]), new)["s"].to_pylist()
    assert found == [{"x": 1, "added": expected}, None]

    top = struct(field(1, "id", "int"), field(20, "added", kind, required=True, default=default))
    assert load(file_list([path]), top)["added"].to_pylist() == [expected, expected]


@pytest.mark.parametrize(("kind", "default"), [("geometry", "00"), ("variant", 1), (list_of(31, "int"), {"a": 1})])
def test_what_can_have_no_such_default(tmp_path: Path, kind: str | Json, default: Any) -> None:
    path = write(tmp_path / "old.parquet", struct(field(1, "id", "int")), [{"id": 1}])
    with pytest.raises(headrace.errors.HeadraceError):
        load(file_list([path]), struct(field(1, "id", "int"), field(20, "added", kind, default=default)))


def test_dates_become_timestamps_and_required_columns_optional(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"id": "long", "day": "date", "fine": "date"}, partition_by="day(day)", **V3)
    days = [datetime.date(1969, 12, 31), datetime.date(2026, 1, 2), None]
    made.append(pyarrow.table({"id": [1, 2, 3], "day": days, "fine": days}))
    with made.table.update_schema() as change:
        change.promote("fine", "timestamp_ns")
    made.append(pyarrow.table({"id": [4], "day": [days[1]], "fine": pyarrow.array([NS], pyarrow.timestamp("ns"))}))

    found = pyarrow.table(made.table.load())
    assert found.schema.field("fine").type == pyarrow.timestamp("ns")
    assert made.rows(filter="fine = '2026-01-02T00:00:00'", columns=["id"]) == [{"id": 2}]
    assert made.rows(filter="fine < '1970-01-01T00:00:00'", columns=["id"]) == [{"id": 1}]
    assert sorted(found["fine"].cast(pyarrow.int64()).drop_null().to_pylist()) == [-86_400 * 10**9, MIDNIGHT, NS]

    required = struct(field(1, "id", "int", required=True))
    path = write(tmp_path / "required.parquet", required, [{"id": 1}])
    loaded = load(file_list([path]), struct(field(1, "id", "long")))
    assert loaded.schema.field("id").nullable
    assert loaded.to_pylist() == [{"id": 1}]
