"""A shard whose task fails and is caught: the join must not commit the others as if they were all."""

from metaflow import FlowSpec, Parameter, Table, catch, step


class Caught(FlowSpec):
    source = Parameter("source")
    target = Parameter("target")
    partial = Parameter("partial", default=False)

    @step
    def start(self):
        self.shards = Table(self.source).scan().shards(3)
        self.next(self.match, foreach="shards")

    @catch(var="failed", print_exception=False)
    @step
    def match(self):
        if self.index == 1:
            raise ValueError("this shard is no good")
        self.staged = Table(self.target).put_data(self.input.load(), shard=self.input)
        self.next(self.join)

    @step
    def join(self, inputs):
        Table(self.target).commit([getattr(each, "staged", []) for each in inputs], partial=self.partial)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Caught()
