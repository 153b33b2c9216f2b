"""ORC files as Iceberg's writers make them, by PyArrow: types with Iceberg's attributes; and random ones.

Knows nothing of how a file is read.
"""

from __future__ import annotations

import datetime
import decimal
import random
from typing import Any

import pyarrow
import pyarrow.orc

from tests.table.handmade import HandMade

EPOCH = datetime.date(1970, 1, 1)
MIDNIGHT = datetime.datetime(1970, 1, 1)
MICROSECOND = datetime.timedelta(microseconds=1)


def attributed(name: str, kind: pyarrow.DataType, field: Any, ids: bool = True) -> pyarrow.Field:
    """A column with Iceberg's attributes (spec: Appendix A), which PyArrow writes from a field's metadata."""
    inner = field.type
    told = str(inner)
    metadata = {"iceberg.id": str(field.field_id), "iceberg.required": str(field.required).lower()} if ids else {}
    if told == "uuid":
        kind, metadata = pyarrow.binary(), metadata | {"iceberg.binary-type": "UUID"}
    elif told.startswith("fixed"):
        kind, metadata = pyarrow.binary(), metadata | {"iceberg.binary-type": "FIXED", "iceberg.length": told[6:-1]}
    elif told == "time":
        kind, metadata = pyarrow.int64(), metadata | {"iceberg.long-type": "TIME"}
    elif pyarrow.types.is_struct(kind):
        kind = pyarrow.struct(
            [attributed(each.name, kind.field(at).type, each, ids) for at, each in enumerate(inner.fields)]
        )
    elif pyarrow.types.is_map(kind):
        key = attributed("key", kind.key_type, inner.key, ids).with_nullable(False)
        kind = pyarrow.map_(key, attributed("value", kind.item_type, inner.value, ids))
    elif pyarrow.types.is_large_list(kind) or pyarrow.types.is_list(kind):
        kind = pyarrow.list_(attributed("element", kind.value_type, inner.element, ids))
    elif kind in (pyarrow.string_view(), pyarrow.large_string()):
        kind = pyarrow.string()
    elif kind in (pyarrow.binary_view(), pyarrow.large_binary()):
        kind = pyarrow.binary()
    elif pyarrow.types.is_timestamp(kind):
        metadata |= {"iceberg.timestamp-unit": "NANOS" if kind.unit == "ns" else "MICROS"} if ids else {}
    return pyarrow.field(name, kind, metadata=metadata)


def microseconds(clock: datetime.time | None) -> int | None:
    """A time of day as ORC's long."""
    return None if clock is None else (datetime.datetime.combine(EPOCH, clock) - MIDNIGHT) // MICROSECOND


def write_orc(made: HandMade, name: str, rows: list[dict[str, Any]], ids: bool = True, **options: Any) -> str:
    """A data file of the table's columns; `options` are PyArrow's."""
    path = made.place(name)
    shown = pyarrow.table(made.table.scan(limit=0).load()).schema
    fields = made.table.metadata.schema.fields
    schema = pyarrow.schema([attributed(each.name, shown.field(each.name).type, each, ids) for each in fields])
    plain = [row | ({"clock": microseconds(row["clock"])} if "clock" in row else {}) for row in rows]
    pyarrow.orc.write_table(pyarrow.Table.from_pylist(plain, schema=schema), path, **options)
    return f"file://{path}"


KINDS = (
    *("boolean", "int", "long", "float", "double", "date", "timestamp", "timestamptz", "string", "binary"),
    *("decimal(5, 2)", "decimal(18, 6)", "decimal(38, 3)"),
)


class Chance:
    """Random columns and values, the same for a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.values = {}

    def kind(self, depth: int = 0) -> str:
        """A type of Iceberg's, nested at times."""
        nested = self.random.random() if depth < 2 else 1
        if nested < 0.12:
            return f"list<{self.kind(depth + 1)}>"
        if nested < 0.2:
            key = self.random.choice(["string", "int", "date"])
            return f"map<{key}, {self.kind(depth + 1)}>"
        if nested < 0.32:
            inner = ", ".join(f"f{at}: {self.kind(depth + 1)}" for at in range(self.random.randint(1, 3)))
            return f"struct<{inner}>"
        return self.random.choice(KINDS)

    def column(self, kind: Any, rows: int) -> list[Any]:
        """Values of a type of Iceberg's: runs, steps, few different ones or many, nulls in stretches."""
        nulls = self.random.choice([0, 0, 0.1, 0.9, 1])
        style = self.random.choice(["same", "few", "steps", "any"])
        few = [self.value(kind) for _ in range(4)]
        made: list[Any] = []
        while len(made) < rows:
            length = self.random.choice([1, 1, 3, 10, 200, 600])
            if self.random.random() < nulls:
                made += [None] * length
            elif style == "same":
                made += [few[0]] * length
            elif style == "few":
                made += [self.random.choice(few) for _ in range(length)]
            elif style == "steps" and str(kind) in ("int", "long"):
                start, step = self.random.randint(-(10**6), 10**6), self.random.randint(-50, 50)
                made += [start + step * at for at in range(length)]
            else:
                made += [self.value(kind) for _ in range(length)]
        return made[:rows]

    def value(self, kind: Any) -> Any:
        """One value that is not null; what is in it may be."""
        if hasattr(kind, "fields"):
            return {each.name: self.optional(each.type) for each in kind.fields}
        if hasattr(kind, "element"):
            return [self.optional(kind.element.type) for _ in range(self.random.choice([0, 1, 2, 5, 30]))]
        if hasattr(kind, "key"):
            keys = {self.value(kind.key.type) for _ in range(self.random.choice([0, 1, 3]))}
            return [(key, self.optional(kind.value.type)) for key in sorted(keys)]
        return self.plain(str(kind))

    def optional(self, kind: Any) -> Any:
        return None if self.random.random() < 0.15 else self.value(kind)

    def plain(self, kind: str) -> Any:
        chance = self.random
        if kind.startswith("decimal"):
            precision, scale = (int(each) for each in kind[8:-1].split(","))
            digits = chance.randint(0, precision)
            unscaled = chance.randint(-(10**digits) + 1, 10**digits - 1)
            return decimal.Decimal(unscaled).scaleb(-scale, decimal.Context(prec=40))
        bits = chance.choice([3, 12, 31, 63])
        match kind:
            case "boolean":
                return chance.random() < 0.5
            case "int":
                return chance.randint(-(2 ** min(bits, 31)), 2 ** min(bits, 31) - 1)
            case "long":
                return chance.randint(-(2**bits), 2**bits - 1)
            case "float":
                return float(chance.randint(-(2**20), 2**20)) / 64
            case "double":
                return chance.choice([0.0, float("inf"), chance.gauss(0, 1e10), chance.random()])
            case "date":
                return EPOCH + datetime.timedelta(days=chance.randint(-(10**5), 10**5))
            case "string":
                return "".join(chance.choices("ab\u00e9\u4e2d\U0001f600 ", k=chance.choice([0, 1, 5, 40])))
            case "binary":
                return chance.randbytes(chance.choice([0, 1, 9, 300]))
        # ORC cannot hold the last second before 1970, but for its first millisecond (ORC-763).
        offset = chance.choice([0, chance.randint(0, 9 * 10**15), -chance.randint(10**6, 9 * 10**15)])
        moment = MIDNIGHT + offset * MICROSECOND
        return moment.replace(tzinfo=datetime.UTC) if kind == "timestamptz" else moment
