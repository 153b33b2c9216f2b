"""The shape of Fast Data's story: plan shards, load and match one in each task, stage, commit once."""

import os
import signal
import sys
from pathlib import Path

from metaflow import FlowSpec, MetaflowDataFrame, Parameter, Table, current, retry, step


def perish(point):
    """Die as a machine that is lost, once for each file of this name in the folder of deaths."""
    folder = os.environ.get("DEATHS")
    if folder and (found := sorted(Path(folder).glob(f"{point}*"))):
        found[0].unlink()
        os.kill(os.getpid(), signal.SIGKILL)


class Matches(FlowSpec):
    source = Parameter("source")
    target = Parameter("target")
    n = Parameter("n", default=3)
    overwrite = Parameter("overwrite", default=False)

    @step
    def start(self):
        self.shards = Table(self.source).scan("id >= 0", columns=["id", "name", "ds"]).shards(self.n)
        self.out = Table(self.target)
        self.next(self.match, foreach="shards")

    @retry(times=4, minutes_between_retries=0)
    @step
    def match(self):
        perish(f"match-begin-{self.index}-")
        shard = self.input
        frame = shard.load()
        assert isinstance(frame, MetaflowDataFrame)
        perish(f"match-loaded-{self.index}-")
        self.staged = self.out.put_data(frame, shard=shard)
        self.rows = len(frame)
        perish(f"match-staged-{self.index}-")
        self.next(self.join)

    @retry(times=4, minutes_between_retries=0)
    @step
    def join(self, inputs):
        perish("join-begin")
        self.rows = sum(each.rows for each in inputs)
        table = Table(self.target)
        done = table.commit([each.staged for each in inputs], overwrite=self.overwrite)
        self.out = table
        self.snapshot = done.snapshot_id
        self.summary = dict(table.snapshot.summary)
        perish("join-committed")
        self.next(self.end)

    @step
    def end(self):
        assert self.out.snapshot.snapshot_id == self.snapshot  # pickled, and still at what it committed
        print(f"{self.rows} rows in snapshot {self.snapshot}", file=sys.stderr)
        assert self.out.stats["metaflow.flow"] == current.flow_name


if __name__ == "__main__":
    Matches()
