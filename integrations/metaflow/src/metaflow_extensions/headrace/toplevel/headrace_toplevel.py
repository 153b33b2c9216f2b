"""The names that `metaflow` gets: `Table`, `MetaflowDataFrame`, `MetaflowColumn`, `fast_data`.

Metaflow copies every name of this module that does not begin with two underscores into its own, so there are no others
here (nor `from __future__ import annotations`, which is a name too). Must not import headrace: a flow that never uses
it must run without. Neighbours: `headrace_names` makes stand-ins, `headrace_decorator` is `@fast_data`, `headrace_host`
tells headrace about the flow.
"""

from .headrace_decorator import fast_data as fast_data
from .headrace_host import on_import as __on_import
from .headrace_names import MetaflowColumn as MetaflowColumn
from .headrace_names import MetaflowDataFrame as MetaflowDataFrame
from .headrace_names import Table as Table
from .headrace_version import __version__ as __version__

__mf_extensions__ = "headrace"

__on_import()
