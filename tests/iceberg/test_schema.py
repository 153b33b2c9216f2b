"""Schemas: JSON both ways, names, selection, bounds; PyIceberg as the other party."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from headrace.errors import ColumnNotFound, InvalidArgument, MetaflowTableInvalidData
from headrace.iceberg import ListType, NestedField, PrimitiveType, Schema, StructType, parse_primitive
from headrace.iceberg.schema import assign_ids
from pyiceberg.schema import Schema as PyIcebergSchema

NESTED = {
    "type": "struct",
    "schema-id": 3,
    "identifier-field-ids": [1],
    "fields": [
        {"id": 1, "name": "id", "required": True, "type": "long", "doc": "key"},
        {
            "id": 2,
            "name": "place",
            "required": False,
            "type": {
                "type": "struct",
                "fields": [
                    {"id": 3, "name": "lat", "required": True, "type": "double"},
                    {"id": 4, "name": "lon", "required": True, "type": "double"},
                    {
                        "id": 5,
                        "name": "deep",
                        "required": False,
                        "type": {
                            "type": "struct",
                            "fields": [{"id": 6, "name": "x", "required": False, "type": "int"}],
                        },
                    },
                ],
            },
        },
        {
            "id": 7,
            "name": "tags",
            "required": False,
            "type": {
                "type": "list",
                "element-id": 8,
                "element-required": True,
                "element": {"type": "struct", "fields": [
                    {"id": 9, "name": "k", "required": False, "type": "string"},
                    {"id": 10, "name": "v", "required": False, "type": "decimal(9, 2)"},
                ]},
            },
        },
        {
            "id": 11,
            "name": "scores",
            "required": False,
            "type": {
                "type": "map",
                "key-id": 12,
                "key": "string",
                "value-id": 13,
                "value-required": False,
                "value": {"type": "struct", "fields": [{"id": 14, "name": "y", "required": False, "type": "fixed[4]"}]},
            },
        },
        {"id": 15, "name": "Upper", "required": False, "type": "timestamptz"},
    ],
}  # fmt: skip


@pytest.fixture
def schema() -> Schema:
    return Schema.from_json(NESTED)


def test_json_goes_both_ways_and_pyiceberg_reads_it(schema: Schema) -> None:
    assert schema.to_json() == NESTED
    theirs = PyIcebergSchema.model_validate_json(json.dumps(schema.to_json()))
    assert {field_id: theirs.find_column_name(field_id) for field_id in schema.names_by_id} == dict(schema.names_by_id)
    assert pickle.loads(pickle.dumps(schema)) == schema
    assert schema.highest_field_id == 15


PRIMITIVES = (
    "boolean int long float double date time timestamp timestamptz timestamp_ns timestamptz_ns string uuid fixed[16]"
    " binary unknown variant geometry geometry(srid:4326) geography geography(srid:4326,karney) decimal(38,0)"
)


@pytest.mark.parametrize("name", PRIMITIVES.split())
def test_every_primitive(name: str) -> None:
    parsed = parse_primitive(name)
    assert str(parsed).replace(" ", "") == name
    assert pickle.loads(pickle.dumps(parsed)) == parsed == parse_primitive(str(parsed))
    assert parsed.base == name.split("[")[0].split("(")[0]


@pytest.mark.parametrize(
    "name", ["integer", "decimal(39,1)", "decimal(9,10)", "decimal(9)", "fixed[-1]", "fixed[4294967296]", ""]
)
def test_types_that_are_none(name: str) -> None:
    with pytest.raises(MetaflowTableInvalidData):
        parse_primitive(name)


def test_find_by_full_name(schema: Schema) -> None:
    found = {name: schema.find_field(name).field_id for name in ("place.deep.x", "tags.element.k", "scores.key")}
    assert found == {"place.deep.x": 6, "tags.element.k": 9, "scores.key": 12}
    with pytest.raises(ColumnNotFound, match=r"did you mean 'place\.deep'"):
        schema.find_field("place.dep")
    with pytest.raises(ColumnNotFound, match="did you mean 'Upper'"):
        schema.find_field("upper")
    assert schema.find_field("PLACE.Lat", case_sensitive=False).field_id == 3
    twins = Schema((NestedField(1, "a", PrimitiveType("int")), NestedField(2, "A", PrimitiveType("int"))))
    assert twins.find_field("A", case_sensitive=False).field_id == 2
    pair = Schema((NestedField(1, "aB", PrimitiveType("int")), NestedField(2, "Ab", PrimitiveType("int"))))
    with pytest.raises(InvalidArgument, match="ambiguous"):
        pair.find_field("ab", case_sensitive=False)


def test_a_column_with_a_dot_in_its_name_wins() -> None:
    inner = StructType((NestedField(2, "b", PrimitiveType("int")),))
    dotted = Schema((NestedField(1, "a", inner), NestedField(3, "a.b", PrimitiveType("long"))))
    assert dotted.find_field("a.b").field_id == 3


@pytest.mark.parametrize(
    ("columns", "kept"),
    [
        (["id"], {1}),
        (["Upper", "id"], {15, 1}),
        (["place.lat"], {2, 3}),
        (["place.deep.x", "place.lon"], {2, 4, 5, 6}),
        (["place", "place.lat"], {2, 3, 4, 5, 6}),
        (["tags.element.v"], {7, 8, 10}),
        (["scores.value.y"], {11, 12, 13, 14}),
        (["scores.key"], {11, 12, 13, 14}),
        ([], set()),
        (None, set(range(1, 16))),
    ],
)
def test_selection_keeps_ids_and_prunes_structs(schema: Schema, columns: Any, kept: set[int]) -> None:
    assert set(schema.select(columns).names_by_id) == kept


def test_selection_order_and_mistakes(schema: Schema) -> None:
    assert schema.select(["Upper", "place.lon", "id", "place.lat"]).names == ["Upper", "place", "id"]
    place = schema.select(["place.lon", "place.lat"]).fields[0].type
    assert isinstance(place, StructType)
    assert [each.name for each in place.fields] == ["lat", "lon"]
    assert schema.select(["Upper"]).identifier_field_ids == ()
    with pytest.raises(ColumnNotFound):
        schema.select(["id", "nope"])
    with pytest.raises(InvalidArgument, match="sequence of names"):
        schema.select("id")


def _list_of(levels: int) -> Any:
    inner: Any = "int"
    for level in range(levels):
        inner = {"type": "list", "element-id": level + 2, "element-required": False, "element": inner}
    return {"type": "struct", "fields": [{"id": 1, "name": "a", "required": False, "type": inner}]}


def test_depth_is_bounded() -> None:
    assert len(Schema.from_json(_list_of(60)).names_by_id) == 61
    with pytest.raises(MetaflowTableInvalidData, match="deeper than 64"):
        Schema.from_json(_list_of(500))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fields": 5}, "schema.fields: expected an array, found 5"),
        ({"fields": [5]}, r"schema.fields\[0\]: expected a field"),
        ({"fields": [{"id": 1, "required": True, "type": "int"}]}, r"schema.fields\[0\].name: missing"),
        ({"fields": [{"id": True, "name": "a", "type": "int"}]}, r"fields\[0\].id: expected an integer, found True"),
        ({"fields": [{"id": 2**31, "name": "a", "type": "int"}]}, "an id of 0 to 2147483647"),
        (
            {"fields": [{"id": 1, "name": "a", "type": "strng"}]},
            r"\(a\).type: unknown type 'strng'(?s:.*)did you mean 'string'",
        ),
        ({"fields": [{"id": 1, "name": "a", "type": {"type": "set"}}]}, "'struct', 'list' or 'map'"),
        ({"fields": [{"id": 1, "name": "a", "type": "int"}] * 2}, "field id 1 is used twice"),
        ({"type": "list"}, "expected 'struct'"),
    ],
)
def test_malformed_schemas_name_the_field(change: dict[str, Any], message: str) -> None:
    with pytest.raises(MetaflowTableInvalidData, match=message):
        Schema.from_json(NESTED | change)


def test_assigned_ids_number_a_level_before_what_is_inside() -> None:
    inner = StructType((NestedField(0, "x", PrimitiveType("int")), NestedField(0, "y", PrimitiveType("int"))))
    fields = (
        NestedField(0, "s", ListType(NestedField(0, "element", inner))),
        NestedField(0, "t", PrimitiveType("int")),
    )
    assert Schema(assign_ids(fields)).names_by_id == {
        1: "s", 2: "t", 3: "s.element", 4: "s.element.x", 5: "s.element.y"
    }  # fmt: skip
