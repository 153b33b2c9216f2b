"""Frames -> Parquet files: PyIceberg, PyArrow and DuckDB read what was meant, and the descriptions say what is there."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import random
import uuid
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from headrace import _engine
from headrace.errors import ConfigurationError, InvalidArgument, MetaflowTableTypeMismatch
from pyiceberg import types as ice
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import NullOrder, SortDirection, SortField, SortOrder
from pyiceberg.transforms import (
    BucketTransform,
    DayTransform,
    HourTransform,
    IdentityTransform,
    MonthTransform,
    Transform,
    TruncateTransform,
    VoidTransform,
    YearTransform,
)

from tests.servers import duck
from tests.table.compare import rows
from tests.table.warehouse import Warehouse
from tests.writing.files import (
    bound_values,
    internal,
    pairs,
    partition_values,
    path,
    read,
    request,
    written,
    written_to,
)

EPOCH = datetime.datetime(1970, 1, 1)
UTC = datetime.UTC


def field(number: int, name: str, kind: ice.IcebergType, required: bool = False) -> ice.NestedField:
    return ice.NestedField(number, name, kind, required=required)


PRIMITIVES: dict[str, tuple[ice.PrimitiveType, pyarrow.DataType]] = {
    "boolean": (ice.BooleanType(), pyarrow.bool_()),
    "int": (ice.IntegerType(), pyarrow.int32()),
    "long": (ice.LongType(), pyarrow.int64()),
    "float": (ice.FloatType(), pyarrow.float32()),
    "double": (ice.DoubleType(), pyarrow.float64()),
    "decimal9": (ice.DecimalType(9, 2), pyarrow.decimal128(9, 2)),
    "decimal18": (ice.DecimalType(18, 6), pyarrow.decimal128(18, 6)),
    "decimal38": (ice.DecimalType(38, 10), pyarrow.decimal128(38, 10)),
    "date": (ice.DateType(), pyarrow.date32()),
    "time": (ice.TimeType(), pyarrow.time64("us")),
    "timestamp": (ice.TimestampType(), pyarrow.timestamp("us")),
    "timestamptz": (ice.TimestamptzType(), pyarrow.timestamp("us", "UTC")),
    "string": (ice.StringType(), pyarrow.string()),
    "uuid": (ice.UUIDType(), pyarrow.binary(16)),
    "fixed": (ice.FixedType(3), pyarrow.binary(3)),
    "binary": (ice.BinaryType(), pyarrow.binary()),
}


def value(name: str, chance: random.Random) -> Any:
    """A random value, null now and then, of few enough kinds that values repeat."""
    if chance.random() < 0.1:
        return None
    micros = chance.randrange(-(10**16), 10**16)
    text = "".join(chance.choice("aZ0ü€😀 /%=") for _ in range(chance.randrange(6)))
    made: dict[str, Any] = {
        "boolean": chance.random() < 0.5,
        "int": chance.choice([-(2**31) + 20, -1, 0, 7, 2**31 - 1, chance.randrange(-1000, 1000)]),
        "long": chance.choice([-(2**63) + 20, -1, 0, 2**63 - 1, chance.randrange(-(10**12), 10**12)]),
        "float": chance.choice([-1.5, 0.0, 3.25, math.inf]),
        "double": chance.choice([-1.5, 0.1, 1e300, -math.inf]),
        "decimal9": decimal.Decimal(chance.randrange(-(10**6), 10**6)).scaleb(-2),
        "decimal18": decimal.Decimal(chance.randrange(-(10**17), 10**17)).scaleb(-6),
        "decimal38": decimal.Decimal(chance.randrange(-(10**27), 10**27)).scaleb(-10),
        "date": datetime.date(1970, 1, 1) + datetime.timedelta(chance.randrange(-10000, 30000)),
        "time": (EPOCH + datetime.timedelta(microseconds=abs(micros))).time(),
        "timestamp": EPOCH + datetime.timedelta(microseconds=micros),
        "timestamptz": (EPOCH + datetime.timedelta(microseconds=micros)).replace(tzinfo=UTC),
        "string": text,
        "uuid": uuid.UUID(int=chance.randrange(2**128)).bytes,
        "fixed": bytes(chance.randrange(256) for _ in range(3)),
        "binary": text.encode() + b"\xff",
    }
    return made[name]


def random_table(count: int, seed: int) -> pyarrow.Table:
    chance = random.Random(seed)
    return pyarrow.table(
        {
            name: pyarrow.array([value(name, chance) for _ in range(count)], arrow)
            for name, (_, arrow) in PRIMITIVES.items()
        }
    )


ALL = Schema(*(field(at + 1, name, kind) for at, (name, (kind, _)) in enumerate(PRIMITIVES.items())))


def test_every_type_is_read_as_it_was(tmp_path: Path) -> None:
    data = random_table(5000, 1)
    files = written(data, ALL, str(tmp_path))
    assert len(files) == 1
    found = read(files)
    assert rows(found, ordered=True) == rows(data, ordered=True)
    assert files[0]["record-count"] == 5000
    assert files[0]["file-size-in-bytes"] == Path(path(files[0])).stat().st_size
    schema = pyarrow.parquet.ParquetFile(path(files[0])).schema
    kinds = {schema.column(at).name: schema.column(at) for at in range(len(PRIMITIVES))}
    assert [kinds[name].physical_type for name in ("decimal9", "decimal18", "decimal38")] == [
        "INT32",
        "INT64",
        "FIXED_LEN_BYTE_ARRAY",
    ]
    assert str(kinds["uuid"].logical_type) == "UUID"
    assert str(kinds["string"].logical_type) == "String"
    assert json.loads(kinds["timestamptz"].logical_type.to_json())["isAdjustedToUTC"] is True
    assert json.loads(kinds["timestamp"].logical_type.to_json())["isAdjustedToUTC"] is False
    assert json.loads(kinds["time"].logical_type.to_json()) == {
        "Type": "Time",
        "isAdjustedToUTC": False,
        "timeUnit": "microseconds",
    }
    ids = [int(each.metadata[b"PARQUET:field_id"]) for each in found.schema]
    assert ids == [each.field_id for each in ALL.fields]


def test_counts_and_bounds_say_what_is_there(tmp_path: Path) -> None:
    data = random_table(3000, 2)
    [file] = written(data, ALL, str(tmp_path), properties={"write.metadata.metrics.default": "full"})
    lower, upper = bound_values(file, "lower-bounds", ALL), bound_values(file, "upper-bounds", ALL)
    for column in ALL.fields:
        values = [each for each in data[column.name].to_pylist() if each is not None]
        assert pairs(file, "value-counts")[column.field_id] == 3000
        assert pairs(file, "null-value-counts")[column.field_id] == 3000 - len(values)
        least, most = min(values), max(values)
        found = lower[column.name], upper[column.name]
        assert found == tuple(internal(each, column.field_type) for each in (least, most)), column.name
    metadata = pyarrow.parquet.ParquetFile(path(file)).metadata
    sizes = {at + 1: metadata.row_group(0).column(at).total_compressed_size for at in range(len(ALL.fields))}
    assert pairs(file, "column-sizes") == sizes
    assert file["split-offsets"] == [4]


TRANSFORMS: list[tuple[str, Transform[Any, Any]]] = (
    [(name, IdentityTransform()) for name in PRIMITIVES]
    + [(name, BucketTransform(7)) for name in PRIMITIVES if name not in ("boolean", "float", "double")]
    + [(name, TruncateTransform(3)) for name in ("int", "long", "decimal9", "decimal38", "string", "binary")]
    + [
        (name, each())
        for name in ("date", "timestamp", "timestamptz")
        for each in (YearTransform, MonthTransform, DayTransform)
    ]
    + [(name, HourTransform()) for name in ("timestamp", "timestamptz")]
    + [("string", VoidTransform())]
)


@pytest.mark.parametrize(("name", "transform"), TRANSFORMS, ids=lambda each: str(each))
def test_rows_are_where_pyiceberg_would_put_them(tmp_path: Path, name: str, transform: Transform[Any, Any]) -> None:
    count = 300
    chance = random.Random(repr((name, transform)))
    kind, arrow = PRIMITIVES[name]
    schema = Schema(field(1, "id", ice.LongType()), field(2, name, kind))
    spec = PartitionSpec(PartitionField(2, 1000, transform, "p a"), spec_id=3)
    data = pyarrow.table(
        {
            "id": pyarrow.array(range(count), pyarrow.int64()),
            name: pyarrow.array([value(name, chance) for _ in range(count)], arrow),
        }
    )
    files = written(data, schema, str(tmp_path), spec=spec)
    apply = transform.transform(kind)
    seen: list[int] = []
    tuples = []
    for file in files:
        found = read([file])
        [partition] = partition_values(file, schema, spec)
        tuples.append(partition)
        for each in found[name].to_pylist():
            image = None if each is None else apply(internal(each, kind))
            assert image == partition
        assert file["spec-id"] == 3
        assert "/p+a=" in path(file)
        seen += found["id"].to_pylist()
    assert sorted(seen) == list(range(count))
    assert len(set(map(repr, tuples))) == len(tuples), "a partition has one file"


def test_paths_are_java_s(tmp_path: Path) -> None:
    schema = Schema(field(1, "name", ice.StringType()), field(2, "at", ice.TimestampType()))
    spec = PartitionSpec(
        PartitionField(1, 1000, IdentityTransform(), "name"), PartitionField(2, 1001, HourTransform(), "at_hour")
    )
    data = pyarrow.table({"name": ["a/b c", None], "at": pyarrow.array([EPOCH, None], pyarrow.timestamp("us"))})
    files = written(data, schema, str(tmp_path), spec=spec)
    folders = [path(file).removeprefix(str(tmp_path)).rsplit("/", 1)[0] for file in files]
    assert folders == ["/name=a%2Fb+c/at_hour=1970-01-01-00", "/name=null/at_hour=null"]


def test_rows_that_lie_together_are_not_gathered_again(tmp_path: Path) -> None:
    schema = Schema(field(1, "k", ice.LongType()), field(2, "v", ice.LongType()))
    spec = PartitionSpec(PartitionField(1, 1000, IdentityTransform(), "k"))
    keys = [at // 1000 for at in range(5000)]
    for order in (list(range(5000)), random.Random(3).sample(range(5000), 5000)):
        data = pyarrow.table({"k": [keys[at] for at in order], "v": order})
        files = written(data, schema, str(tmp_path), spec=spec)
        assert len(files) == 5
        for file in files:
            expected = [at for at in order if keys[at] == file["partition"][0]]
            assert read([file])["v"].to_pylist() == expected, "the frame's order within a partition"


@pytest.mark.parametrize("direction", [SortDirection.ASC, SortDirection.DESC])
@pytest.mark.parametrize("nulls", [NullOrder.NULLS_FIRST, NullOrder.NULLS_LAST])
def test_the_table_s_order(tmp_path: Path, direction: SortDirection, nulls: NullOrder) -> None:
    schema = Schema(field(1, "name", ice.StringType()), field(2, "v", ice.LongType()))
    order = SortOrder(
        SortField(1, TruncateTransform(1), direction=direction, null_order=nulls),
        SortField(2, IdentityTransform(), direction=direction, null_order=nulls),
        order_id=5,
    )
    chance = random.Random(4)
    data = pyarrow.table(
        {
            "name": [chance.choice(["ab", "ac", "b", "c", None]) for _ in range(1000)],
            "v": [chance.choice([1, 2, 3, None]) for _ in range(1000)],
        }
    )
    [file] = written(data, schema, str(tmp_path), order=order)
    assert file["sort-order-id"] == 5
    found = [(name and name[0], v) for name, v in rows(read([file]), ordered=True)]

    def key(pair: tuple[Any, Any]) -> Any:
        first = (nulls is NullOrder.NULLS_FIRST) == (direction is SortDirection.ASC)
        return [
            ((each is not None) == first, each if each is not None else type(other)())
            for each, other in zip(pair, ("", 0), strict=True)
        ]

    assert found == sorted(found, key=key, reverse=direction is SortDirection.DESC)


NESTED = Schema(
    field(
        1, "point", ice.StructType(field(2, "x", ice.DoubleType(), required=True), field(3, "label", ice.StringType()))
    ),
    field(4, "tags", ice.ListType(5, ice.StringType(), element_required=False)),
    field(6, "scores", ice.MapType(7, ice.StringType(), 8, ice.LongType(), value_required=False)),
    field(
        9,
        "deep",
        ice.ListType(10, ice.StructType(field(11, "n", ice.ListType(12, ice.IntegerType()))), element_required=False),
    ),
)


def nested(count: int) -> pyarrow.Table:
    kinds = {
        "point": pyarrow.struct([("label", pyarrow.large_string()), ("x", pyarrow.float32())]),
        "tags": pyarrow.large_list(pyarrow.string()),
        "scores": pyarrow.map_(pyarrow.string(), pyarrow.int32()),
        "deep": pyarrow.list_(pyarrow.struct([("n", pyarrow.list_(pyarrow.int16(), 2))])),
    }
    made = [
        {
            "point": None if at % 7 == 0 else {"x": at / 2, "label": None if at % 3 == 0 else f"p{at}"},
            "tags": None if at % 5 == 0 else [f"t{each}" if each else None for each in range(at % 4)],
            "scores": [(f"k{each}", each or None) for each in range(at % 3)],
            "deep": [{"n": [at, 1]}, None, {"n": None}][: at % 4],
        }
        for at in range(count)
    ]
    return pyarrow.Table.from_pylist(made, pyarrow.schema(list(kinds.items())))


def test_nested_columns(tmp_path: Path) -> None:
    data = nested(1000)
    files = written(data.slice(100), NESTED, str(tmp_path))
    found = read(files)
    expected = data.slice(100).to_pylist()
    for each in expected:  # fields in the table's order
        each["point"] = each["point"] and {"x": each["point"]["x"], "label": each["point"]["label"]}
    assert found.to_pylist() == expected
    [file] = files
    assert set(pairs(file, "lower-bounds")) == {2, 3}, "no bounds in lists and maps"
    assert set(pairs(file, "value-counts")) == {2, 3, 5, 7, 8, 12}
    assert pairs(file, "nan-value-counts") == {2: 0}


def one(kind: ice.IcebergType, *, required: bool = False) -> Schema:
    return Schema(field(1, "c", kind, required=required))


FITTING: dict[str, tuple[ice.IcebergType, pyarrow.Array]] = {
    "int64 to int": (ice.IntegerType(), pyarrow.array([1, None, -5], pyarrow.int64())),
    "uint32 to long": (ice.LongType(), pyarrow.array([2**32 - 1], pyarrow.uint32())),
    "float to double": (ice.DoubleType(), pyarrow.array([1.5, math.nan], pyarrow.float32())),
    "double to float": (ice.FloatType(), pyarrow.array([1.5, None, math.nan, math.inf], pyarrow.float64())),
    "int to double": (ice.DoubleType(), pyarrow.array([2**53, 7], pyarrow.int64())),
    "wider decimal": (ice.DecimalType(20, 4), pyarrow.array([decimal.Decimal("1.25")], pyarrow.decimal128(5, 2))),
    "decimal256": (ice.DecimalType(38, 2), pyarrow.array([decimal.Decimal("1.25")], pyarrow.decimal256(50, 2))),
    "less scale": (ice.DecimalType(9, 1), pyarrow.array([decimal.Decimal("1.50")], pyarrow.decimal128(9, 2))),
    "date64": (ice.DateType(), pyarrow.array([86_400_000], pyarrow.int64()).cast(pyarrow.date64())),
    "date to timestamp": (ice.TimestampType(), pyarrow.array([datetime.date(2026, 1, 2)])),
    "seconds": (ice.TimestampType(), pyarrow.array([5], pyarrow.timestamp("s"))),
    "nanoseconds": (ice.TimestamptzType(), pyarrow.array([5000], pyarrow.timestamp("ns", "Europe/Paris"))),
    "time of milliseconds": (ice.TimeType(), pyarrow.array([5], pyarrow.time32("ms"))),
    "dictionary of strings": (ice.StringType(), pyarrow.array(["a", None, "a"]).dictionary_encode()),
    "dictionary of numbers": (ice.LongType(), pyarrow.array([1, None, 1], pyarrow.int32()).dictionary_encode()),
    "string view": (ice.StringType(), pyarrow.array(["a", None, "a" * 50], pyarrow.string_view())),
    "binary to fixed": (ice.FixedType(2), pyarrow.array([b"ab", None], pyarrow.large_binary())),
    "fixed to binary": (ice.BinaryType(), pyarrow.array([b"ab", None], pyarrow.binary(2))),
    "seconds to nanoseconds": (ice.TimestampNanoType(), pyarrow.array([5, None], pyarrow.timestamp("s"))),
    "nanoseconds as they are": (ice.TimestamptzNanoType(), pyarrow.array([5], pyarrow.timestamp("ns", "UTC"))),
    "nulls": (ice.StringType(), pyarrow.nulls(3)),
    "run ends": (ice.LongType(), pyarrow.RunEndEncodedArray.from_arrays([2, 3], [5, None])),
}


@pytest.mark.parametrize("name", FITTING)
def test_types_that_hold_no_more_than_the_table_s(tmp_path: Path, name: str) -> None:
    kind, array = FITTING[name]
    [file] = written(pyarrow.table({"c": array}), one(kind), str(tmp_path))
    arrow = (
        PRIMITIVES[{"decimal(20, 4)": "decimal38"}.get(str(kind), str(kind))][1] if str(kind) in PRIMITIVES else None
    )
    found = read([file])["c"]
    plain = array.dictionary_decode() if pyarrow.types.is_dictionary(array.type) else array
    expected = [5, 5, None] if name == "run ends" else plain.cast(arrow or found.type).to_pylist()
    assert rows({"c": found.combine_chunks()}, ordered=True) == rows(
        {"c": pyarrow.array(expected, found.type)}, ordered=True
    )


REFUSED: dict[str, tuple[ice.IcebergType, pyarrow.Array, str]] = {
    "a large int": (ice.IntegerType(), pyarrow.array([1, 2**31], pyarrow.int64()), r"column \"c\", row 1: 2147483648"),
    "a large uint": (ice.LongType(), pyarrow.array([2**63], pyarrow.uint64()), "row 0: 9223372036854775808"),
    "a fine double": (ice.FloatType(), pyarrow.array([1.5, 0.1], pyarrow.float64()), "row 1: 0.1"),
    "an odd long": (ice.DoubleType(), pyarrow.array([2**53 + 1], pyarrow.int64()), "row 0: 9007199254740993"),
    "many digits": (ice.DecimalType(3, 2), pyarrow.array([decimal.Decimal("12.34")]), "row 0: 12.34"),
    "fine digits": (ice.DecimalType(9, 1), pyarrow.array([None, decimal.Decimal("1.25")]), "row 1: 1.25"),
    "nanoseconds": (ice.TimestampType(), pyarrow.array([1000, 1], pyarrow.timestamp("ns")), "row 1"),
    "far seconds": (ice.TimestampType(), pyarrow.array([2**62], pyarrow.timestamp("s")), "row 0"),
    "short bytes": (ice.FixedType(3), pyarrow.array([b"abc", b"ab"]), "row 1"),
    "text for numbers": (ice.LongType(), pyarrow.array(["1"]), "Utf8 in the frame and long in the table"),
    "numbers for text": (ice.StringType(), pyarrow.array([1]), "string in the table"),
    "floats for ints": (ice.LongType(), pyarrow.array([1.0]), "long in the table"),
    "no zone": (ice.TimestamptzType(), pyarrow.array([1], pyarrow.timestamp("us")), "timestamptz"),
    "a zone": (ice.TimestampType(), pyarrow.array([1], pyarrow.timestamp("us", "UTC")), "timestamp in the table"),
    "in a list": (
        ice.ListType(2, ice.IntegerType(), element_required=True),
        pyarrow.array([[1], [], [2, 2**40]]),
        r"column \"c.element\", row 2: 1099511627776",
    ),
    "null in a list": (
        ice.ListType(2, ice.IntegerType(), element_required=True),
        pyarrow.array([[1], [2, None]], pyarrow.list_(pyarrow.int32())),
        r"column \"c.element\", row 1: null",
    ),
    "in a struct": (
        ice.StructType(field(2, "a", ice.IntegerType(), required=True)),
        pyarrow.array([{"a": 1}, None, {"a": None}]),
        r"column \"c.a\", row 2: null",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_named(tmp_path: Path, name: str) -> None:
    kind, array, message = REFUSED[name]
    with pytest.raises(MetaflowTableTypeMismatch, match=message) as caught:
        written(pyarrow.table({"c": array}), one(kind), str(tmp_path))
    assert caught.value.hint
    assert not list(tmp_path.rglob("*.parquet"))


def test_nulls_in_required_columns(tmp_path: Path) -> None:
    data = pyarrow.table({"c": [1] * 100_000 + [None]})
    with pytest.raises(MetaflowTableTypeMismatch, match='column "c", row 100000: null'):
        written(data, one(ice.LongType(), required=True), str(tmp_path))


def test_columns_are_matched_by_name(tmp_path: Path) -> None:
    schema = Schema(
        field(1, "a", ice.LongType(), required=True),
        field(2, "b", ice.StringType()),
        ice.NestedField(3, "d", ice.DateType(), required=False, write_default="2026-01-02"),
    )
    [file] = written(pyarrow.table({"b": ["x"], "a": [1]}), schema, str(tmp_path))
    assert read([file]).to_pylist() == [{"a": 1, "b": "x", "d": datetime.date(2026, 1, 2)}]
    with pytest.raises(MetaflowTableTypeMismatch, match='lacks column "a"'):
        written(pyarrow.table({"b": ["x"]}), schema, str(tmp_path))
    with pytest.raises(MetaflowTableTypeMismatch, match='no column "z"') as caught:
        written(pyarrow.table({"a": [1], "z": [1]}), schema, str(tmp_path))
    assert "evolve=True" in str(caught.value)
    for names in (["a", "a"], ["a", "A"]):
        with pytest.raises(InvalidArgument, match=r"two columns|case only"):
            written(pyarrow.table([[1], [2]], names=names), schema, str(tmp_path))


def test_nan_is_counted_and_no_bound(tmp_path: Path) -> None:
    data = pyarrow.table({"c": [math.nan, 1.0, None, -2.0, math.nan]})
    [file] = written(data, one(ice.DoubleType()), str(tmp_path))
    assert pairs(file, "nan-value-counts") == {1: 2}
    assert pairs(file, "null-value-counts") == {1: 1}
    schema = one(ice.DoubleType())
    assert bound_values(file, "lower-bounds", schema) == {"c": -2.0}
    assert bound_values(file, "upper-bounds", schema) == {"c": 1.0}
    [file] = written(pyarrow.table({"c": [math.nan]}), schema, str(tmp_path))
    assert pairs(file, "lower-bounds") == {}


def test_metrics_modes(tmp_path: Path) -> None:
    schema = Schema(*(field(at, f"c{at}", ice.StringType()) for at in range(1, 6)))
    data = pyarrow.table({f"c{at}": ["a" * 40, "ü" * 40] for at in range(1, 6)})
    properties = {
        "write.metadata.metrics.default": "truncate(3)",
        "write.metadata.metrics.column.c2": "none",
        "write.metadata.metrics.column.c3": "counts",
        "write.metadata.metrics.column.c4": "full",
    }
    [file] = written(data, schema, str(tmp_path), properties=properties)
    assert bound_values(file, "lower-bounds", schema) == {"c1": "aaa", "c4": "a" * 40, "c5": "aaa"}
    assert bound_values(file, "upper-bounds", schema) == {"c1": "üüý", "c4": "ü" * 40, "c5": "üüý"}
    assert set(pairs(file, "value-counts")) == {1, 3, 4, 5}
    wide = Schema(*(field(at, f"c{at}", ice.LongType()) for at in range(1, 121)))
    [file] = written(pyarrow.table({f"c{at}": [at] for at in range(1, 121)}), wide, str(tmp_path))
    assert set(pairs(file, "lower-bounds")) == set(range(1, 101))


def test_sizes_and_codecs(tmp_path: Path) -> None:
    schema = Schema(field(1, "id", ice.LongType()), field(2, "text", ice.StringType()))
    chance = random.Random(8)
    data = pyarrow.table({"id": range(200_000), "text": [f"{chance.random()}" for _ in range(200_000)]})
    properties = {
        "write.target-file-size-bytes": str(1 << 20),
        "write.parquet.row-group-size-bytes": str(256 << 10),
        "write.parquet.compression-codec": "snappy",
        "write.parquet.bloom-filter-enabled.column.id": "true",
    }
    files = written(data, schema, str(tmp_path), properties=properties)
    assert len(files) > 2
    assert all(file["file-size-in-bytes"] < 2 << 20 for file in files)
    assert read(files).equals(data.cast(read(files).schema))
    for file in files:
        metadata = pyarrow.parquet.ParquetFile(path(file)).metadata
        assert file["split-offsets"] == sorted(file["split-offsets"])
        assert len(file["split-offsets"]) == metadata.num_row_groups
        assert metadata.num_row_groups > 1
        assert metadata.row_group(0).column(0).compression == "SNAPPY"
    with pytest.raises(ConfigurationError, match="compression-codec"):
        written(data, schema, str(tmp_path), properties={"write.parquet.compression-codec": "lzo"})


def test_a_bloom_filter_tells_what_is_not_there(tmp_path: Path) -> None:
    schema = Schema(field(1, "a.b", ice.LongType()), field(2, "plain", ice.LongType()))
    data = pyarrow.table({"a.b": range(0, 200_000, 2), "plain": range(0, 200_000, 2)})
    properties = {"write.parquet.bloom-filter-enabled.column.a.b": "true"}
    [file] = written(data, schema, str(tmp_path), properties=properties)
    with duck.connect() as connection:

        def excluded(column: str, number: int) -> bool:
            found = connection.sql(f"from parquet_bloom_probe('{path(file)}', '{column}', {number})").fetchall()
            return all(each[-1] for each in found)

        assert not any(excluded("a_x2Eb", number) for number in range(0, 2000, 20))
        assert sum(excluded("a_x2Eb", number) for number in range(1, 2001, 20)) > 90
        assert not any(excluded("plain", number) for number in range(1, 200, 20))


def test_no_rows_make_no_file(tmp_path: Path) -> None:
    assert written(pyarrow.table({"c": pyarrow.array([], pyarrow.int64())}), one(ice.LongType()), str(tmp_path)) == []


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    frame = _engine.Frame.from_arrow(pyarrow.table({"c": range(100_000)}))
    _engine.write(
        _engine.Store({}), frame, request(one(ice.LongType()), str(tmp_path)), lambda *each: told.append(each)
    )
    assert told[-1][0] == told[-1][1] > 0


def test_pyiceberg_and_duckdb_read_a_partitioned_table(warehouse: Warehouse) -> None:
    data = random_table(4000, 9)
    table = warehouse.create(ALL)
    with table.update_spec() as update:
        update.add_field("boolean", IdentityTransform(), "boolean_part")
        update.add_field("string", BucketTransform(3), "bucket")
    written_to(table, data.slice(0, 2000))
    files = written_to(table, data.slice(2000))
    assert len(files) > 3
    found = warehouse.check(table)
    assert rows(found) == rows(data)
    some = table.scan(row_filter="long >= 0 and int < 100").to_arrow()
    import pyarrow.compute as compute

    kept = data.filter(compute.and_(compute.greater_equal(data["long"], 0), compute.less(data["int"], 100)))
    assert rows(some) == rows(kept)


def test_an_object_in_many_parts(warehouse: Warehouse) -> None:
    import numpy

    generator = numpy.random.default_rng(7)
    data = pyarrow.table({f"c{at}": generator.integers(0, 2**62, 1_000_000) for at in range(6)})
    table = warehouse.create(data.schema)
    [file] = written_to(table, data)
    assert file["file-size-in-bytes"] > 32 << 20
    assert pyarrow.table(warehouse.table(table).load()).equals(data)
