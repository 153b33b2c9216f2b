"""The smallest flow with tables: one is made, loaded in shards by a foreach, and what comes out is committed once.

    python hello_table.py run

Needs metaflow-headrace and nothing else. Without a configured catalog the tables lie in the local one (SQLite and a
folder under HEADRACE_HOME); with HEADRACE_CATALOG they lie in yours.
"""

import contextlib

from metaflow import FlowSpec, MetaflowDataFrame, Parameter, Table, step


class HelloTable(FlowSpec):
    shards = Parameter("shards", default=4, help="tasks that load a part of the table each")

    @step
    def start(self):
        from headrace import errors, load_catalog

        with contextlib.suppress(errors.NamespaceExists):
            load_catalog().create_namespace("hello")
        numbers = Table.create("hello.numbers", {"n": "long", "word": "string"}, if_exists="ok")
        if numbers.snapshot is None:
            for first in range(0, 1000, 100):
                rows = range(first, first + 100)
                numbers.put(MetaflowDataFrame.from_columns([list(rows), [f"w{n % 7}" for n in rows]], ["n", "word"]))
        Table.create("hello.squares", {"n": "long", "square": "long"}, if_exists="ok")
        self.parts = numbers.scan("n >= 500").shards(self.shards)
        self.next(self.square, foreach="parts")

    @step
    def square(self):
        n = self.input.load(columns=["n"])["n"].to_pylist()
        frame = MetaflowDataFrame.from_columns([n, [each * each for each in n]], ["n", "square"])
        self.staged = Table("hello.squares").put_data(frame, shard=self.input)
        self.next(self.join)

    @step
    def join(self, inputs):
        table = Table("hello.squares")
        table.commit([each.staged for each in inputs], mode="overwrite")
        self.summary = dict(table.snapshot.summary)
        self.rows = len(table.get_all())
        self.next(self.end)

    @step
    def end(self):
        made_by = f"run {self.summary['metaflow.run-id']}, step {self.summary['metaflow.step']}"
        print(f"{self.rows} rows, committed by {made_by}")


if __name__ == "__main__":
    HelloTable()
