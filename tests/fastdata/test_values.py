"""Columns of Python's own values."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from headrace import MetaflowDataFrame, errors

NOW = datetime.datetime(2026, 11, 25, 17, 1, 2, 345678)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, -5], "int64"),
        ([1, 2.5, None], "float64"),
        ([True, None, False], "bool"),
        (["a", None, ""], "string"),
        ([b"a", None], "binary"),
        ([NOW.date(), None, datetime.date(1900, 1, 1)], "date"),
        ([NOW, None], "timestamp[us]"),
        ([NOW.replace(tzinfo=datetime.UTC), None], "timestamp[us, UTC]"),
        ([None, None], "string"),
    ],
)
def test_lists_are_columns(values: list[Any], kind: str) -> None:
    column = MetaflowDataFrame.from_columns([values], ["x"])["x"]
    assert column.to_pylist() == values
    assert column.type == kind


def test_what_is_no_column() -> None:
    with pytest.raises(errors.InvalidArgument, match="int, str"):
        MetaflowDataFrame.from_columns([[1, "x"]], ["x"])
    with pytest.raises(errors.InvalidArgument, match="64 bits"):
        MetaflowDataFrame.from_columns([[1 << 70]], ["x"])
    with pytest.raises(errors.InvalidArgument, match="without one"):
        MetaflowDataFrame.from_columns([[NOW, NOW.replace(tzinfo=datetime.UTC)]], ["x"])
