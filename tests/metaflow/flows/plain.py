"""A flow that has nothing to do with tables, but for a name that it never uses."""

import sys

from metaflow import FlowSpec, Table, step


class Plain(FlowSpec):
    @step
    def start(self):
        self.answer = 42
        self.is_table = isinstance(self.answer, Table)
        self.imported = "headrace" in sys.modules
        self.next(self.end)

    @step
    def end(self):
        print("imported", self.imported, "answer", self.answer, self.is_table)


if __name__ == "__main__":
    Plain()
