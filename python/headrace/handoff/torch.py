"""To PyTorch: numeric columns through DLPack, their memory shared; what a tensor cannot hold is refused by name."""

from __future__ import annotations

from typing import Any

from headrace import _engine
from headrace.errors import MetaflowDataFrameException
from headrace.handoff import required
from headrace.handoff.numpy import is_time


class _Lent:
    """What ``torch.from_dlpack`` asks for a tensor."""

    def __init__(self, values: _engine.Column, shape: tuple[int, ...], boolean: bool) -> None:
        self._values, self._shape, self._boolean = values, shape, boolean

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, **_: Any) -> object:
        # The legacy capsule: with the read-only flag of DLPack 1, PyTorch, which has no read-only tensors, would copy
        # or refuse.
        return self._values.dlpack(list(self._shape), self._boolean, False)


def to_tensors(frame: _engine.Frame, device: str) -> dict[str, Any]:
    """Return one tensor a column, on ``device``."""
    torch = required("torch", "to_torch_tensors()")
    return {column.name: to_tensor(torch, column).to(device) for column in map(frame.column, range(frame.num_columns))}


def to_tensor(torch: Any, column: _engine.Column) -> Any:
    """Return one column as a tensor of shape (rows, ...) that shares its memory (booleans are copied)."""
    tensor = column.tensor()
    if tensor is None or is_time(tensor[0].type):
        raise _refused(column)
    values, shape = tensor
    boolean = values.type == "b"
    lent = _Lent(values.dense(), (len(column), *shape), boolean)
    return torch.from_dlpack(lent)


def _refused(column: _engine.Column) -> MetaflowDataFrameException:
    """Why ``column`` is no tensor, and what to do."""
    kind = column.type
    if is_time(kind):
        why, hint = "PyTorch has no times", "to_numpy().astype('int64') counts them in the unit of their dtype"
    elif kind.startswith("d:"):
        why, hint = "PyTorch has no decimals", "to_numpy(as_type='float64') rounds them"
    elif kind.startswith("+") and not kind.startswith(("+s", "+m")):
        why, hint = "its lists differ in length, hold nulls, or hold no numbers", "to_numpy(shape=..., pad_value=...)"
    elif column.null_count and kind in "bcCsSiIlLefg":
        why = f"it has {column.null_count} nulls"
        hint = "take() the rows without, or torch.from_numpy(column.to_numpy(null_value=...))"
    else:
        why, hint = "PyTorch holds numbers only", "drop() the column, or encode it as numbers first"
    return MetaflowDataFrameException(
        f"column {column.name!r} ({column.type_name}) cannot be a tensor: {why}", hint=hint
    )
