"""`Batches`: frames one after another while later ones are on their way, for Python and for any Arrow consumer.

Must not know: plans, files. Neighbours: `headrace.plan` begins streams, the engine brings the frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from headrace import _engine
    from headrace.dataframe import MetaflowDataFrame

ProgressOption = bool | Callable[[int, int], None] | None


class Batches(Iterator["MetaflowDataFrame"]):
    """Frames of a plan or shard, made by `ScanPlan.batches`. Each is given once, in order.

    Iterate over it, or hand it to whatever reads Arrow streams: ``duckdb.sql("select ... from batches")``,
    ``pyarrow.RecordBatchReader.from_stream(batches)``, ``polars.DataFrame(batches)``. A consumer that is handed it
    twice gets what is left the second time.

    Notes
    -----
    Frames are read by one thread at a time; several may share the stream. It belongs to the process that began it: a
    forked child cannot read it, but can call `batches` on the same plan or shard.
    """

    def __init__(self, stream: _engine.Batches, naming: Callable[[], AbstractContextManager[None]]) -> None:
        self._stream = stream
        self._naming = naming

    @property
    def schema(self) -> list[str]:
        """Names of the columns, as of every frame."""
        return self._stream.names

    def __next__(self) -> MetaflowDataFrame:
        from headrace.dataframe import MetaflowDataFrame

        try:
            with self._naming():
                frame = self._stream.next()
        except KeyboardInterrupt:
            self.close()
            raise
        if frame is None:
            raise StopIteration
        return MetaflowDataFrame(frame)

    def close(self) -> None:
        """End what is on its way; iteration ends. Closing twice is no error."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __arrow_c_schema__(self) -> object:
        """The columns, as an Arrow capsule."""
        return self._stream.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """What is left of the frames, as an Arrow capsule; a batch comes when the consumer pulls it."""
        return self._stream.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        return f"<Batches of {len(self.schema)} columns>"
