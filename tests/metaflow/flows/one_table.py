"""One step that reads a table and one that writes to it."""

from metaflow import FlowSpec, MetaflowDataFrame, Parameter, Table, step


class OneTable(FlowSpec):
    source = Parameter("source")

    @step
    def start(self):
        table = Table(self.source)
        frame = table.get_all()
        assert isinstance(frame, MetaflowDataFrame)
        self.rows = len(frame)
        table.put(frame)
        self.summary = dict(table.snapshot.summary)
        print(f"loaded {self.rows} rows as {self.summary['metaflow.flow']}/{self.summary['metaflow.run-id']}")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    OneTable()
