"""Frames, Tables, plans and columns as artifacts."""

import pickle
from dataclasses import dataclass

from metaflow import FlowSpec, MetaflowColumn, MetaflowDataFrame, Parameter, Table, step


@dataclass
class Row:
    id: int
    name: str


class Artifacts(FlowSpec):
    source = Parameter("source")
    large = Parameter("large", default=False)

    @step
    def start(self):
        self.table = Table(self.source)
        self.frame: MetaflowDataFrame[Row] = self.table.load(columns=["id", "name"]).validate_schema(Row)
        self.column = self.frame["id"]
        self.plan = self.table.scan("id < 10")
        self.kind = MetaflowDataFrame
        if self.large:
            self.big = MetaflowDataFrame.from_buffer(memoryview(large()))
        self.next(self.end)

    @step
    def end(self):
        assert isinstance(self.frame, MetaflowDataFrame)
        assert isinstance(self.table, Table)
        assert isinstance(self.column, MetaflowColumn)
        assert self.kind is MetaflowDataFrame
        assert self.frame["id"].to_pylist() == self.column.to_pylist() == self.table.get_all()["id"].to_pylist()
        assert len(self.plan.load()) == 10
        for each in (self.table, self.plan):
            assert b"testsecret" not in pickle.dumps(each)
            assert len(pickle.dumps(each)) < 4096


def large():
    import io

    import numpy

    out = io.BytesIO()
    MetaflowDataFrame.from_columns([numpy.zeros(10_000_000)], ["x"]).to_buffer(out)
    return out.getvalue()


if __name__ == "__main__":
    Artifacts()
