"""Protobuf messages as a frame, by their descriptors, through PyArrow. Must not know: generated classes."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from headrace.errors import InvalidArgument, MetaflowDataFrameException, UnsupportedError
from headrace.handoff import required

if TYPE_CHECKING:
    from headrace.dataframe import MetaflowDataFrame

_PLAIN = {1: "float64", 2: "float32", 3: "int64", 4: "uint64", 5: "int32", 6: "uint64", 7: "uint32", 8: "bool_",
          9: "large_string", 12: "large_binary", 13: "uint32", 15: "int32", 16: "int64", 17: "int32",
          18: "int64"}  # fmt: skip
"""PyArrow's types by FieldDescriptor.TYPE_* (descriptor.proto)."""
_MESSAGE, _GROUP, _ENUM = 11, 10, 14
_WRAPPERS = "google.protobuf."
_MAX_DEPTH = 32

Getter = Callable[[Any], Any]


def from_protobuf(messages: Sequence[Any]) -> MetaflowDataFrame:
    """See `MetaflowDataFrame.from_protobuf`."""
    from headrace.dataframe import MetaflowDataFrame

    pyarrow = required("pyarrow", "from_protobuf()")
    rows = list(messages)
    if not rows:
        raise InvalidArgument("no messages, and without one there is no type to make columns of")
    descriptor = getattr(rows[0], "DESCRIPTOR", None)
    if descriptor is None:
        raise InvalidArgument(f"protobuf messages are expected, found {type(rows[0]).__name__}")
    other = next((each for each in rows if getattr(each, "DESCRIPTOR", None) is not descriptor), None)
    if other is not None:
        raise MetaflowDataFrameException(f"messages of {descriptor.full_name} and {type(other).__name__} in one frame")
    columns, names = [], []
    for field in descriptor.fields:
        kind, get = _field(pyarrow, field, 0)
        columns.append(pyarrow.array([get(row) for row in rows], type=kind))
        names.append(field.name)
    return MetaflowDataFrame.from_arrow(pyarrow.table(columns, names=names))


def _field(pyarrow: Any, field: Any, depth: int) -> tuple[Any, Getter]:
    """(Arrow type, what takes the value from a message) of a field."""
    name = field.name
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, _ = _value(pyarrow, field.message_type.fields_by_name["key"], depth)
        kind, convert = _value(pyarrow, field.message_type.fields_by_name["value"], depth)
        return pyarrow.map_(key, kind), lambda row: [(k, convert(v)) for k, v in getattr(row, name).items()]
    kind, convert = _value(pyarrow, field, depth)
    if _is_repeated(field):
        return pyarrow.large_list(kind), lambda row: [convert(each) for each in getattr(row, name)]
    if field.has_presence:
        return kind, lambda row: convert(getattr(row, name)) if row.HasField(name) else None
    return kind, lambda row: convert(getattr(row, name))


def _is_repeated(field: Any) -> bool:
    found = getattr(field, "is_repeated", None)
    return bool(found) if found is not None else field.label == field.LABEL_REPEATED


def _value(pyarrow: Any, field: Any, depth: int) -> tuple[Any, Getter]:
    """(Arrow type, conversion) of one value of a field."""
    if depth > _MAX_DEPTH:
        raise UnsupportedError(f"field {field.full_name} lies in itself: no column type is so deep")
    if field.type == _ENUM:
        names = field.enum_type.values_by_number
        return pyarrow.large_string(), lambda value: names[value].name if value in names else str(value)
    if field.type in (_MESSAGE, _GROUP):
        return _message(pyarrow, field.message_type, depth + 1)
    return getattr(pyarrow, _PLAIN[field.type])(), lambda value: value


def _message(pyarrow: Any, descriptor: Any, depth: int) -> tuple[Any, Getter]:
    name = descriptor.full_name.removeprefix(_WRAPPERS)
    if name == "Timestamp":
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        return pyarrow.timestamp("us", tz="UTC"), lambda value: epoch + _span(value)
    if name == "Duration":
        return pyarrow.duration("us"), _span
    if descriptor.full_name.startswith(_WRAPPERS) and name.endswith("Value") and len(descriptor.fields) == 1:
        kind, convert = _value(pyarrow, descriptor.fields[0], depth)
        return kind, lambda value: convert(value.value)
    fields = [(each.name, *_field(pyarrow, each, depth)) for each in descriptor.fields]
    kind = pyarrow.struct([(each, inner) for each, inner, _ in fields])
    return kind, lambda value: {each: get(value) for each, _, get in fields}


def _span(value: Any) -> datetime.timedelta:
    return datetime.timedelta(seconds=value.seconds, microseconds=value.nanos // 1000)
