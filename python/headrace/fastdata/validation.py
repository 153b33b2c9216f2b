"""A frame's columns against a dataclass. Must not know: Iceberg's types."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import types
import typing
import uuid
from typing import TYPE_CHECKING, Any

from headrace.errors import MetaflowDataFrameException

if TYPE_CHECKING:
    from headrace.dataframe import MetaflowDataFrame

_SERVES: tuple[tuple[tuple[str, ...], tuple[Any, ...]], ...] = (
    (("b",), (bool, int)),
    (("c", "C", "s", "S", "i", "I", "l", "L"), (int,)),
    (("e", "f", "g"), (float, int)),
    (("u", "U", "vu"), (str,)),
    (("z", "Z", "vz"), (bytes, str)),
    (("tdD", "tdm"), (datetime.date, datetime.datetime)),
    (("tss:", "tsm:", "tsu:", "tsn:"), (datetime.datetime,)),
    (("tts", "ttm", "ttu", "ttn"), (datetime.time,)),
    (("tDs", "tDm", "tDu", "tDn"), (datetime.timedelta,)),
    (("d:",), (decimal.Decimal, float, int)),
    (("w:",), (bytes, uuid.UUID)),
    (("+l", "+L", "+w:", "+vl", "+vL"), (list,)),
    (("+s",), (dict,)),
    (("+m",), (dict,)),
)
"""Arrow format strings (a prefix where it ends in a colon) and the annotations that they serve."""


def check(frame: MetaflowDataFrame, expected: Any, strict: bool, check_types: bool) -> None:
    """See `MetaflowDataFrame.validate_schema`."""
    if not dataclasses.is_dataclass(expected):
        raise MetaflowDataFrameException(f"a dataclass is expected, found {expected!r:.80}")
    known = set(frame.schema)
    fields = [each.name for each in dataclasses.fields(expected)]
    found = [f"column {name!r} is missing" for name in fields if name not in known]
    if strict:
        found += [f"column {name!r} is not expected" for name in sorted(known - set(fields))]
    if check_types:
        cls = expected if isinstance(expected, type) else type(expected)
        hints = typing.get_type_hints(cls)
        for name in fields:
            if name in known and not _serves(frame[name]._column.type, hints[name]):
                found.append(f"column {name!r} is {frame[name].type}, not {_shown(hints[name])}")
    if found:
        cls_name = getattr(expected, "__name__", type(expected).__name__)
        raise MetaflowDataFrameException(f"the frame is not a {cls_name}: {'; '.join(found)}")


def _serves(kind: str, hint: Any) -> bool:
    """Whether values of an Arrow type are of an annotation."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_serves(kind, each) for each in arguments if each is not type(None))
    if dataclasses.is_dataclass(hint):
        return kind == "+s"
    plain = origin or hint
    for formats, classes in _SERVES:
        if any(kind == each or (each.endswith(":") and kind.startswith(each)) for each in formats):
            return plain in classes
    return False


def _shown(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
