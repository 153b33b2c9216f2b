"""Every partition transform of every type, written by headrace: Spark reads each row, and finds it where it belongs.

Spark computes each row's partition values with Iceberg's own functions and compares them with those of the file that
the row came from. Each case is a table of its own, in format versions 1, 2 and 3 in turn.
"""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from dataclasses import dataclass
from typing import Any

import headrace
import pyarrow
import pytest

from tests.interop.sides import Sides

UTC = datetime.UTC
MOMENTS = [
    datetime.datetime(2026, 1, 2, 3, 4, 5, 678901),
    datetime.datetime(1969, 12, 31, 23, 59, 59, 999999),
    datetime.datetime(1970, 1, 1),
    datetime.datetime(1, 1, 1),
    datetime.datetime(1582, 10, 4, 12),
    datetime.datetime(2262, 4, 12),
]
INSTANTS = [each.replace(tzinfo=UTC) for each in MOMENTS]
DAYS = [each.date() for each in MOMENTS] + [datetime.date(1968, 2, 29)]
DECIMAL = decimal.Decimal
TEXTS = ["", "a", "späte Gäste", "\N{SNOWMAN}\N{GRINNING FACE}x", "a/b=c d%", "null"]


@dataclass(frozen=True)
class Case:
    """A column's type, values for it, and partitions with how Spark computes them (None where it cannot)."""

    kind: str
    arrow: pyarrow.DataType
    values: list[Any]
    partitions: dict[str, tuple[str, str | None]]


def plain(*more: str) -> dict[str, tuple[str, str | None]]:
    """Identity, and transforms of the column ``v`` by their text: each with the name of the partition field."""
    known = {
        "identity": ("v", ("v", "v")),
        "bucket": ("bucket(7, v)", ("v_bucket", "rest.system.bucket(7, v)")),
        "truncate": ("truncate(3, v)", ("v_trunc", "rest.system.truncate(3, v)")),
        "year": ("year(v)", ("v_year", "rest.system.years(v)")),
        "month": ("month(v)", ("v_month", "rest.system.months(v)")),
        "day": ("day(v)", ("v_day", "rest.system.days(v)")),
        "hour": ("hour(v)", ("v_hour", "rest.system.hours(v)")),
        "void": ("void(v)", ("v_null", "null")),
    }
    return dict(known[each] for each in more)


ALL = ("identity", "bucket", "truncate")
CASES = {
    "boolean": Case("boolean", pyarrow.bool_(), [True, False], plain("identity")),
    "int": Case("int", pyarrow.int32(), [0, 1, -1, -2, 34, -(2**31) + 2, 2**31 - 1], plain(*ALL)),
    "long": Case("long", pyarrow.int64(), [0, 1, -1, -2, 34, -(2**63) + 2, 2**63 - 1], plain(*ALL)),
    "float": Case("float", pyarrow.float32(), [0.0, -1.5, math.nan, math.inf], plain("identity")),
    "double": Case("double", pyarrow.float64(), [0.0, -1.5, math.nan, -math.inf], plain("identity")),
    "decimal(9, 2)": Case(
        "decimal(9, 2)", pyarrow.decimal128(9, 2), [DECIMAL("14.20"), DECIMAL("-0.01"), DECIMAL("9999999.99")], plain(*ALL)
    ),
    "decimal(38, 5)": Case(
        "decimal(38, 5)", pyarrow.decimal128(38, 5), [DECIMAL("-1"), DECIMAL("9" * 33 + ".99999"), DECIMAL(0)], plain("identity", "bucket")
    ),
    "string": Case("string", pyarrow.string(), TEXTS, plain(*ALL)),
    "binary": Case("binary", pyarrow.binary(), [b"", b"\0", b"\xff\xfe\xfd\xfc", b"text"], plain(*ALL)),
    "fixed[4]": Case("fixed[4]", pyarrow.binary(4), [b"\0\0\0\0", b"abcd"], plain("bucket")),
    "uuid": Case(
        "uuid", pyarrow.uuid(), [uuid.UUID("f79c3e09-677c-4bbd-a479-3f349cb785e7").bytes, uuid.UUID(int=1).bytes],
        {"v": ("v", None), "bucket(7, v)": ("v_bucket", None)},
    ),
    "date": Case("date", pyarrow.date32(), DAYS, plain("identity", "bucket")),
    "timestamp": Case("timestamp", pyarrow.timestamp("us"), MOMENTS, plain("identity", "bucket")),
    "timestamptz": Case("timestamptz", pyarrow.timestamp("us", "UTC"), INSTANTS, plain("identity", "bucket")),
    **{
        f"{each}(date)": Case("date", pyarrow.date32(), DAYS, plain(each)) for each in ("year", "month", "day")
    },
    **{
        f"{each}(timestamp)": Case("timestamp", pyarrow.timestamp("us"), MOMENTS, plain(each))
        for each in ("year", "month", "day", "hour")
    },
    **{
        f"{each}(timestamptz)": Case("timestamptz", pyarrow.timestamp("us", "UTC"), INSTANTS, plain(each))
        for each in ("year", "month", "day", "hour")
    },
    "void": Case("string", pyarrow.string(), TEXTS, plain("void")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_rows_are_where_spark_expects_them(sides: Sides, name: str) -> None:
    case = CASES[name]
    version = 1 + list(CASES).index(name) % 3
    values = [*case.values, None] * 2
    data = pyarrow.table(
        {"n": pyarrow.array(range(len(values)), pyarrow.int64()), "v": pyarrow.array(values, case.arrow)}
    )
    table = sides.name()
    made = headrace.Table.create(
        table,
        {"n": "long", "v": case.kind},
        partition_by=list(case.partitions),
        properties={"format-version": str(version), "write.data.path": f"s3://data/{table}"},
        catalog=sides.catalog,
    )
    made.append(data)

    assert sides.check(table).num_rows == len(values)

    checked = [(field, computed) for field, computed in case.partitions.values() if computed]
    if checked:
        wrong = " or ".join(f"_partition.{field} is distinct from {computed}" for field, computed in checked)
        misplaced = sides.by_spark(table, "n, v, _partition", wrong)
        assert misplaced.num_rows == 0, misplaced.to_pylist()
    assert sides.by_spark(table, "n", "v is null").num_rows == 2
