"""Random Arrow arrays of every type that PyArrow writes to Parquet. The seed is the caller's; nothing else is random."""

from __future__ import annotations

import string
from collections.abc import Callable
from random import Random
from typing import Any

import pyarrow as pa

Value = Callable[[Random], Any]

#: Types that are written as themselves, with what makes one value.
PRIMITIVE: dict[str, tuple[pa.DataType, Value]] = {}


def _integers() -> None:
    for bits in (8, 16, 32, 64):
        signed, unsigned = getattr(pa, f"int{bits}")(), getattr(pa, f"uint{bits}")()
        PRIMITIVE[f"int{bits}"] = (signed, _between(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
        PRIMITIVE[f"uint{bits}"] = (unsigned, _between(0, 2**bits - 1))


def _between(low: int, high: int) -> Value:
    """Mostly small numbers, sometimes the ends."""

    def value(random: Random) -> int:
        kind = random.random()
        if kind < 0.1:
            return random.choice([low, high, low + 1, high - 1])
        return random.randint(low, high) if kind < 0.4 else random.randint(max(low, -100), min(high, 100))

    return value


def _float(random: Random) -> float:
    special = [0.0, -0.0, float("nan"), float("inf"), float("-inf"), 1.5]
    return random.choice(special) if random.random() < 0.3 else round(random.uniform(-1e4, 1e4), 2)


def _text(random: Random) -> str:
    """Short and long (past the 12 bytes that a view holds), repeated and not, and not only ASCII."""
    length = random.choice([0, 1, 5, 12, 13, 40, 200])
    alphabet = string.ascii_letters + "äöü€𝄞日本"
    fresh = "".join(random.choices(alphabet, k=length))
    return random.choice(["", "same", "a text that is said again", fresh])


def _bytes(random: Random) -> bytes:
    return random.randbytes(random.choice([0, 1, 12, 13, 50])) if random.random() < 0.7 else b"the same bytes again"


def _decimal(digits: int, scale: int) -> Value:
    from decimal import Decimal

    return lambda random: Decimal(random.randint(-(10**digits) + 1, 10**digits - 1)).scaleb(-scale)


def _others() -> None:
    PRIMITIVE["bool"] = (pa.bool_(), lambda random: random.random() < 0.5)
    PRIMITIVE["runs_of_bool"] = (pa.bool_(), lambda random: random.random() < 0.97)
    PRIMITIVE["float16"] = (pa.float16(), _float)
    PRIMITIVE["float32"] = (pa.float32(), _float)
    PRIMITIVE["float64"] = (pa.float64(), _float)
    for digits, scale in ((1, 0), (9, 2), (10, 4), (18, 18), (19, 3), (38, 10)):
        PRIMITIVE[f"decimal_{digits}_{scale}"] = (pa.decimal128(digits, scale), _decimal(digits, scale))
    PRIMITIVE["decimal256"] = (pa.decimal256(50, 5), _decimal(27, 5))
    PRIMITIVE["date32"] = (pa.date32(), _between(-(10**6), 10**6))
    PRIMITIVE["time32_ms"] = (pa.time32("ms"), _between(0, 86_399_999))
    PRIMITIVE["time64_us"] = (pa.time64("us"), _between(0, 86_399_999_999))
    PRIMITIVE["time64_ns"] = (pa.time64("ns"), _between(0, 86_399_999_999_999))
    for unit, reach in (("ms", 2**52), ("us", 2**62), ("ns", 2**63 - 1)):
        PRIMITIVE[f"timestamp_{unit}"] = (pa.timestamp(unit), _between(-reach, reach))
        PRIMITIVE[f"timestamp_{unit}_utc"] = (pa.timestamp(unit, "UTC"), _between(-reach, reach))
    PRIMITIVE["timestamp_us_berlin"] = (pa.timestamp("us", "Europe/Berlin"), _between(-(2**50), 2**50))
    PRIMITIVE["duration_us"] = (pa.duration("us"), _between(-(2**60), 2**60))
    PRIMITIVE["duration_ns"] = (pa.duration("ns"), _between(-(2**60), 2**60))
    PRIMITIVE["string"] = (pa.string(), _text)
    PRIMITIVE["large_string"] = (pa.large_string(), _text)
    PRIMITIVE["string_view"] = (pa.string_view(), _text)
    PRIMITIVE["binary"] = (pa.binary(), _bytes)
    PRIMITIVE["large_binary"] = (pa.large_binary(), _bytes)
    PRIMITIVE["binary_view"] = (pa.binary_view(), _bytes)
    PRIMITIVE["fixed"] = (pa.binary(7), lambda random: random.randbytes(7))
    PRIMITIVE["uuid"] = (pa.binary(16), lambda random: random.randbytes(16))
    PRIMITIVE["null"] = (pa.null(), lambda random: None)


_integers()
_others()


def with_nulls(random: Random, rows: int, pattern: str, value: Value) -> list[Any]:
    """`rows` values, None by the pattern: none, all, some, runs, ends."""
    hidden: Callable[[int], bool] = {
        "none": lambda row: False,
        "all": lambda row: True,
        "some": lambda row: random.random() < 0.3,
        "runs": lambda row: row // 37 % 2 == 0,
        "ends": lambda row: row in (0, rows - 1),
    }[pattern]
    return [None if hidden(row) else value(random) for row in range(rows)]


PATTERNS = ("none", "all", "some", "runs", "ends")


def primitive(random: Random, name: str, rows: int, pattern: str) -> pa.Array:
    """An array of one of `PRIMITIVE`."""
    data_type, value = PRIMITIVE[name]
    values = with_nulls(random, rows, pattern, value)
    kind = pa.types
    if kind.is_temporal(data_type):  # as integers: Python's own datetimes end in the year 9999
        width = data_type.bit_width
        return pa.array(values, pa.int32() if width == 32 else pa.int64()).cast(data_type, safe=False)
    if data_type == pa.float16():
        return pa.array(values, pa.float32()).cast(data_type)
    return pa.array(values, data_type)


def nested_type(random: Random, depth: int) -> pa.DataType:
    """A random type: lists, structs and maps down to `depth`."""
    leaves = [pa.int32(), pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.decimal128(12, 3), pa.binary()]
    leaves += [pa.binary(5), pa.timestamp("us", "UTC"), pa.uint16()]
    if depth == 0:
        return random.choice(leaves)
    inner = [nested_type(random, random.randrange(depth)) for _ in range(random.randint(1, 3))]
    kind = random.choice(["list", "large", "struct", "struct", "map"])
    if kind == "list":
        return pa.list_(inner[0])
    if kind == "large":
        return pa.large_list(inner[0])
    if kind == "map":
        return pa.map_(random.choice([pa.string(), pa.int32()]), inner[0])
    return pa.struct([(f"f{index}", each) for index, each in enumerate(inner)])


def nested_value(random: Random, data_type: pa.DataType, nulls: float) -> Any:
    """A Python value of a nested type; None with the probability `nulls` at every level."""
    if random.random() < nulls:
        return None
    kind = pa.types
    if kind.is_list(data_type) or kind.is_large_list(data_type):
        count = random.choice([0, 0, 1, 2, 5])
        return [nested_value(random, data_type.value_type, nulls) for _ in range(count)]
    if kind.is_map(data_type):
        count = random.choice([0, 1, 3])
        keys = [f"key {at}" if kind.is_string(data_type.key_type) else at for at in range(count)]
        return [(key, nested_value(random, data_type.item_type, nulls)) for key in keys]
    if kind.is_struct(data_type):
        return {field.name: nested_value(random, field.type, nulls) for field in data_type}
    return leaf_value(random, data_type)


def leaf_value(random: Random, data_type: pa.DataType) -> Any:
    """A Python value of one of the leaves of `nested_type`."""
    kind = pa.types
    if kind.is_string(data_type):
        return _text(random)
    if kind.is_boolean(data_type):
        return random.random() < 0.5
    if kind.is_decimal(data_type):
        return _decimal(9, 3)(random)
    if kind.is_fixed_size_binary(data_type):
        return random.randbytes(data_type.byte_width)
    if kind.is_binary(data_type):
        return _bytes(random)
    if kind.is_timestamp(data_type):
        return random.randint(-(2**50), 2**50)
    if kind.is_floating(data_type):
        return _float(random)
    return random.randint(0, 60_000)
