"""Data and delete files in Avro, by fastavro: every type, evolution, filters, row deletes, shards.

It is the oracle of what a file holds; what may be in one is the spec's Appendix A.
"""

from __future__ import annotations

import datetime
import decimal
import pickle
import uuid
from pathlib import Path
from typing import Any

import fastavro
import pyarrow
import pytest
from headrace.errors import HeadraceError, UnsupportedError
from pyiceberg.manifest import FileFormat

from tests.table.handmade import PATH_ID, POSITION_ID, HandMade

COLUMNS = {
    "flag": "boolean",
    "small": "int",
    "large": "long",
    "single": "float",
    "double": "double",
    "money": "decimal(9, 2)",
    "widest": "decimal(38, 10)",
    "day": "date",
    "clock": "time",
    "at": "timestamp",
    "instant": "timestamptz",
    "text": "string",
    "key": "uuid",
    "fixed": "fixed[5]",
    "blob": "binary",
    "point": "struct<x: double, names: list<string>>",
    "counts": "map<string, long>",
    "by_day": "map<int, struct<a: long>>",
}
INSTANT = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901)
FIRST: dict[str, Any] = {
    "flag": True,
    "small": -(2**31),
    "large": 2**63 - 1,
    "single": 1.5,
    "double": 5e-324,
    "money": decimal.Decimal("-9999999.99"),
    "widest": decimal.Decimal("9" * 28 + "." + "9" * 10),
    "day": datetime.date(1969, 12, 31),
    "clock": datetime.time(23, 59, 59, 999999),
    "at": INSTANT,
    "instant": INSTANT.replace(tzinfo=datetime.UTC),
    "text": "sp\u00e4te G\u00e4ste",
    "key": uuid.UUID(int=5).bytes,
    "fixed": b"12345",
    "blob": b"\xff\x00",
    "point": {"x": 0.5, "names": ["a", None]},
    "counts": {"k": 1, "l": None},
    "by_day": {7: {"a": 1}, 8: None},
}
SECOND: dict[str, Any] = dict.fromkeys(COLUMNS)


def avro_type(kind: str, field: Any, ids: bool) -> Any:
    """Avro's type of one of Iceberg's (spec: Appendix A)."""
    plain = {"boolean": "boolean", "int": "int", "long": "long", "float": "float", "double": "double"}
    logical = {
        "date": {"type": "int", "logicalType": "date"},
        "time": {"type": "long", "logicalType": "time-micros"},
        "timestamp": {"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": False},
        "timestamptz": {"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": True},
        "string": "string",
        "binary": "bytes",
        "uuid": {"type": "fixed", "name": f"uuid_{field.field_id}", "size": 16},
    }
    if kind in plain or kind in logical:
        return plain.get(kind) or logical[kind]
    if kind.startswith("decimal"):
        precision, scale = (int(each) for each in kind[8:-1].split(","))
        size = 5 if precision == 9 else 16
        name = f"decimal_{field.field_id}"
        return {
            "type": "fixed",
            "name": name,
            "size": size,
            "logicalType": "decimal",
            "precision": precision,
            "scale": scale,
        }
    if kind.startswith("fixed"):
        return {"type": "fixed", "name": f"fixed_{field.field_id}", "size": int(kind[6:-1])}
    return nested(field, ids)


def nested(field: Any, ids: bool) -> Any:
    inner = field.type
    if hasattr(inner, "fields"):
        return record(f"r{field.field_id}", inner.fields, ids)
    if hasattr(inner, "element"):
        items = optional(inner.element, ids)
        return {"type": "array", "items": items} | ({"element-id": inner.element.field_id} if ids else {})
    values = optional(inner.value, ids)
    if str(inner.key.type) == "string":
        own = {"key-id": inner.key.field_id, "value-id": inner.value.field_id} if ids else {}
        return {"type": "map", "values": values} | own
    pair = record(f"k{inner.key.field_id}_v{inner.value.field_id}", (inner.key, inner.value), ids)
    return {"type": "array", "logicalType": "map", "items": pair}


def optional(field: Any, ids: bool) -> Any:
    made = avro_type(str(field.type), field, ids)
    return made if field.required else ["null", made]


def record(name: str, fields: Any, ids: bool) -> dict[str, Any]:
    made = []
    for each in fields:
        default = {} if each.required else {"default": None}
        made.append(
            {"name": each.name, "type": optional(each, ids), **default, **({"field-id": each.field_id} if ids else {})}
        )
    return {"type": "record", "name": name, "fields": made}


def as_avro(value: Any) -> Any:
    """fastavro takes a map with other than strings for keys as the records that it is."""
    if isinstance(value, dict) and value and not isinstance(next(iter(value)), str):
        return [{"key": key, "value": each} for key, each in value.items()]
    if isinstance(value, datetime.datetime) and value.tzinfo is None:
        return int((value - datetime.datetime(1970, 1, 1)) / datetime.timedelta(microseconds=1))
    return value


def write(made: HandMade, name: str, rows: list[dict[str, Any]], ids: bool = True, codec: str = "deflate") -> str:
    path = made.place(name)
    schema = record("table", made.table.metadata.schema.fields, ids)
    with path.open("wb") as file:
        fastavro.writer(file, schema, [{key: as_avro(each) for key, each in row.items()} for row in rows], codec)
    return f"file://{path}"


@pytest.fixture
def everything(tmp_path: Path) -> HandMade:
    return HandMade(tmp_path / "made", COLUMNS)


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """Rows as PyArrow tells them."""
    maps = {name: row[name] and list(row[name].items()) for name in ("counts", "by_day")}
    return row | maps


@pytest.mark.parametrize("ids", [True, False], ids=["ids", "names"])
@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_every_type(everything: HandMade, ids: bool, codec: str) -> None:
    location = write(everything, "a.avro", [FIRST, SECOND], ids, codec)
    everything.add(location, 2, "avro")

    found = pyarrow.table(everything.table.load())

    assert found.to_pylist() == [plain(FIRST), plain(SECOND)]
    assert found.schema.field("key").type == pyarrow.binary(16)
    assert str(found.schema.field("instant").type) == "timestamp[us, tz=UTC]"
    assert everything.rows(columns=["large", "point.x"]) == [
        {"large": 2**63 - 1, "point": {"x": 0.5}},
        {"large": None, "point": None},
    ]
    assert everything.rows(filter="money < 0 and text like 'sp%'", columns=["small"]) == [{"small": -(2**31)}]
    assert everything.rows(filter="point.x is null", columns=["flag"]) == [{"flag": None}]


def test_evolved_columns_partitions_and_files_of_both_formats(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"id": "int", "dropped": "string", "ds": "string"}, partition_by="ds")
    location = write(made, "old.avro", [{"id": each, "dropped": "x", "ds": "a"} for each in range(1000)])
    made.add(location, 1000, "avro", ["a"])
    with made.table.update_schema() as change:
        change.promote("id", "long").rename("id", "key").drop("dropped").add("new", "double")
    made.append(pyarrow.table({"key": [5000], "ds": ["a"], "new": [0.5]}))

    found = sorted(made.rows(filter="key >= 998"), key=lambda row: row["key"])
    assert found == [
        {"key": 998, "ds": "a", "new": None},
        {"key": 999, "ds": "a", "new": None},
        {"key": 5000, "ds": "a", "new": 0.5},
    ]
    assert len(made.rows(limit=10)) == 10


def test_shards_have_a_file_once(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"id": "long"})
    for part in range(3):
        location = write(made, f"{part}.avro", [{"id": 1000 * part + each} for each in range(1000)], codec="null")
        made.add(location, 1000, "avro")
    for count in (2, 5, 40):
        shards = pickle.loads(pickle.dumps(made.table.scan().shards(count)))
        found = [each for shard in shards for each in pyarrow.table(shard.load())["id"].to_pylist()]
        assert sorted(found) == list(range(3000))
    batches = [pyarrow.table(each) for each in made.table.scan("id >= 2990").batches()]
    assert sorted(pyarrow.concat_tables(batches)["id"].to_pylist()) == list(range(2990, 3000))


def test_deletes_in_avro_and_of_rows_in_avro(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"id": "long"})
    location = write(made, "data.avro", [{"id": each} for each in range(100)])
    made.add(location, 100, "avro")
    [parquet] = made.append({"id": range(100, 110)})
    made.commit(made.delete_positions([(location, 0), (location, 99)]))
    assert sorted(row["id"] for row in made.rows()) == [*range(1, 99), *range(100, 110)]

    path = made.place("deletes.avro")
    fields = [
        {"name": "file_path", "type": "string", "field-id": PATH_ID},
        {"name": "pos", "type": "long", "field-id": POSITION_ID},
    ]
    with path.open("wb") as file:
        pairs = sorted([(location, 1), (parquet, 9)])
        rows = [{"file_path": place, "pos": position} for place, position in pairs]
        fastavro.writer(file, {"type": "record", "name": "d", "fields": fields}, rows)
    made.commit(made.deletes_of(f"file://{path}", 2, FileFormat.AVRO))
    assert sorted(row["id"] for row in made.rows()) == [*range(2, 99), *range(100, 109)]
    made.commit(made.delete_values(pyarrow.table({"id": [2, 50, 100]}), {"id": 1}))
    assert sorted(row["id"] for row in made.rows()) == [*range(3, 50), *range(51, 99), *range(101, 109)]
    assert made.rows(filter="id < 5", columns=["_pos"]) == [{"_pos": 3}, {"_pos": 4}]


def test_damaged_files_are_refused_by_name(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "made", {"id": "long"})
    location = write(made, "data.avro", [{"id": each} for each in range(10_000)], codec="null")
    made.add(location, 10_000, "avro")
    path = Path(location.removeprefix("file://"))
    whole = path.read_bytes()
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])  # the sync marker is random: any fixed byte may be the right one
    for damaged in (whole[:-20], whole[:300], b"Obj\x01" + bytes(100), flipped):
        path.write_bytes(damaged + bytes(len(whole) - len(damaged)))
        with pytest.raises(HeadraceError, match=r"data\.avro"):
            made.rows()


@pytest.mark.parametrize(("format_", "named"), [("unheard", "UNHEARD"), ("avro", "encrypted")])
def test_what_is_not_read_is_refused_when_planned(tmp_path: Path, format_: str, named: str) -> None:
    made = HandMade(tmp_path / "made", {"id": "long"})
    location = write(made, "data.avro", [{"id": 1}])
    made.add(location, 1, format_, **({"key-metadata": "01"} if named == "encrypted" else {}))
    with pytest.raises(UnsupportedError, match=named) as raised:
        made.table.scan()
    assert location in str(raised.value)
