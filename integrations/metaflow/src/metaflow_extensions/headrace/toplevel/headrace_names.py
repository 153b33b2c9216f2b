"""Stand-ins for headrace's classes: they are what `from metaflow import Table` gives, and headrace is imported when one
is used: called, asked for an attribute, subclassed, or tested against.

A step without headrace in its environment can thus import them, and is told what to do only where it uses one.
Instances are headrace's own. Neighbours: `headrace_import` imports. Must not know: what the classes do.
"""

from __future__ import annotations

import sys
import types
from typing import Any

from .headrace_import import real


class StandIn(type):
    """The class of stand-ins: whatever is asked of one goes to the class of the same name in headrace."""

    def __new__(mcs, name: str, bases: tuple[type, ...], members: dict[str, Any], **options: Any) -> Any:
        if not any(isinstance(base, StandIn) for base in bases):
            return super().__new__(mcs, name, bases, members)
        meant = tuple(real(base.__name__) if isinstance(base, StandIn) else base for base in bases)
        return types.new_class(name, meant, options, lambda namespace: namespace.update(members))

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return real(cls.__name__)(*args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):  # what inspect and typing look for must not import headrace
            raise AttributeError(name)
        return getattr(real(cls.__name__), name)

    def __getitem__(cls, schema: Any) -> Any:
        return types.GenericAlias(cls, schema)

    def __instancecheck__(cls, instance: Any) -> bool:
        # An instance can be there only if headrace is: nobody else's isinstance imports it
        return "headrace" in sys.modules and isinstance(instance, real(cls.__name__))

    def __subclasscheck__(cls, subclass: type) -> bool:
        return subclass is cls or (not isinstance(subclass, StandIn) and issubclass(subclass, real(cls.__name__)))

    def __dir__(cls) -> list[str]:
        return dir(real(cls.__name__))


class Table(metaclass=StandIn):
    """A warehouse table: `Table("db.table")`, `.scan(...)`, `.get_partitions(...)`, `.put_data(frame)`, `.commit(...)`.

    This is headrace's `Table`, imported on first use; `help(headrace.Table)` tells all of it.
    """

    def __init__(self, db: Any, table: Any = None, catalog: Any = None, catalog_name: str = "", **chosen: Any) -> None:
        raise NotImplementedError("a stand-in has no instances")

    def __getattr__(self, name: str) -> Any: ...


class MetaflowDataFrame(metaclass=StandIn):
    """Immutable columns in Arrow memory: `from_pandas(...)`, `.to_pandas()`, `.to_polars()`, `.split(...)`, ...

    This is headrace's `MetaflowDataFrame`, imported on first use; `help(headrace.MetaflowDataFrame)` tells all of it.
    """

    def __getattr__(self, name: str) -> Any: ...


class MetaflowColumn(metaclass=StandIn):
    """One column of a `MetaflowDataFrame`: headrace's `MetaflowColumn`, imported on first use."""

    def __getattr__(self, name: str) -> Any: ...
