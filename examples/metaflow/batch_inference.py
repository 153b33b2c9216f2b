"""A PyTorch model over a table larger than memory: each task streams a shard, batch after batch, and stages scores.

    pip install metaflow-headrace torch numpy pyarrow
    python batch_inference.py run --rows 100_000 --tasks 2

A batch of embeddings comes as one contiguous column and is a tensor without a copy (DLPack); later batches are on their
way while the model works, within a limit of memory that no size of table changes.
"""

import contextlib

from metaflow import FlowSpec, MetaflowDataFrame, Parameter, Table, retry, step

DIMENSIONS = 32
STREAM_BYTES = 64 << 20


class BatchInference(FlowSpec):
    rows = Parameter("rows", default=100_000, help="items of the table, where it is not there yet")
    tasks = Parameter("tasks", default=2)
    batch_rows = Parameter("batch-rows", default=8_192, help="rows that the model sees at once")

    @step
    def start(self):
        from headrace import errors, load_catalog

        with contextlib.suppress(errors.NamespaceExists):
            load_catalog().create_namespace("vectors")
        items = Table.create("vectors.items", {"id": "long", "embedding": "list<float>"}, if_exists="ok")
        if items.snapshot is None:
            for first in range(0, self.rows, self.rows // 4):
                items.put(some_items(first, self.rows // 4))
        Table.create("vectors.scores", {"id": "long", "score": "float"}, if_exists="ok")
        self.weights = a_model(seed=7).state_dict()
        self.shards = items.scan().shards(self.tasks)
        self.next(self.infer, foreach="shards")

    @retry(times=3, minutes_between_retries=0)
    @step
    def infer(self):
        import torch

        model = a_model()
        model.load_state_dict(self.weights)
        ids, scores = [torch.empty(0, dtype=torch.int64)], [torch.empty(0)]  # a shard may have no rows
        with torch.inference_mode(), self.input.batches(STREAM_BYTES, self.batch_rows) as batches:
            for batch in batches:
                tensors = batch.to_torch_tensors()  # (rows,) and (rows, 32), in the batch's own memory
                ids.append(tensors["id"].clone())  # what outlives the batch
                scores.append(model(tensors["embedding"]).squeeze(1))
        self.batches = len(ids) - 1
        found = [torch.cat(each).numpy() for each in (ids, scores)]
        self.staged = Table("vectors.scores").put_data(
            MetaflowDataFrame.from_columns(found, ["id", "score"]), shard=self.input
        )
        self.next(self.join)

    @retry(times=3, minutes_between_retries=0)
    @step
    def join(self, inputs):
        scores = Table("vectors.scores")
        scores.commit([each.staged for each in inputs], mode="overwrite")
        self.batches = sum(each.batches for each in inputs)
        self.rows_scored = scores.scan().rows
        self.next(self.end)

    @step
    def end(self):
        print(f"{self.rows_scored:,} rows scored in {self.batches} batches")


def a_model(seed=None):
    """A small network; without a seed its weights are to be loaded."""
    import torch

    if seed is not None:
        torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Linear(DIMENSIONS, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1), torch.nn.Sigmoid()
    ).eval()


def some_items(first, rows):
    """Embeddings of nothing."""
    import numpy
    import pyarrow

    values = numpy.random.default_rng(first).standard_normal(rows * DIMENSIONS, dtype=numpy.float32)
    offsets = numpy.arange(0, rows * DIMENSIONS + 1, DIMENSIONS, dtype=numpy.int64)
    embeddings = pyarrow.LargeListArray.from_arrays(offsets, values)
    return pyarrow.table({"id": numpy.arange(first, first + rows), "embedding": embeddings})


if __name__ == "__main__":
    BatchInference()
