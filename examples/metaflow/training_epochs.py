"""Training on a table in epochs whose order a seed decides; what was interrupted goes on at the very step.

    pip install metaflow-headrace torch numpy
    python training_epochs.py run --epochs 3 --checkpoint model.pt
    python training_epochs.py run --epochs 3 --checkpoint other.pt --most-steps 10   # stops; the same again goes on

A checkpoint has the model, its optimizer, the plan's shards and a position. The weights at the end are the same to the
last bit however often the run was stopped, retried or killed on the way.
"""

import contextlib

from metaflow import FlowSpec, Parameter, Table, retry, step

COEFFICIENTS = {"x1": 2.0, "x2": -1.0, "x3": 0.5}


class TrainingEpochs(FlowSpec):
    rows = Parameter("rows", default=40_000, help="rows of the table, where it is not there yet")
    shards = Parameter("shards", default=4)
    epochs = Parameter("epochs", default=3)
    batch_rows = Parameter("batch-rows", default=1_024)
    seed = Parameter("seed", default=1)
    most_steps = Parameter("most-steps", default=0, help="stop after so many steps; 0: when the epochs are over")
    checkpoint_steps = Parameter("checkpoint-steps", default=20, help="steps from one checkpoint to the next")
    checkpoint = Parameter("checkpoint", default="model.pt", help="a file; remotely, where all attempts see it")

    @step
    def start(self):
        from headrace import errors, load_catalog

        with contextlib.suppress(errors.NamespaceExists):
            load_catalog().create_namespace("training")
        examples = Table.create("training.examples", dict.fromkeys([*COEFFICIENTS, "y"], "float"), if_exists="ok")
        if examples.snapshot is None:
            for part in range(4):
                examples.put(some_examples(self.rows // 4, part))
        self.plan = examples.scan().shards(self.shards)
        self.next(self.train)

    @retry(times=3, minutes_between_retries=0)
    @step
    def train(self):
        import torch
        from epochs import Epochs

        training = Training(self.checkpoint, self.plan)
        self.began_at = training.position
        batches = Epochs(training.shards, self.epochs, self.batch_rows, self.seed).batches(training.position)
        self.losses = []
        for tensors, after in batches:
            self.losses.append(training.step(tensors, after))
            if len(self.losses) % self.checkpoint_steps == 0:
                training.save()
            if len(self.losses) == self.most_steps:
                break
        training.save()
        self.position = training.position
        self.weights = {name: each.clone() for name, each in training.model.state_dict().items()}
        assert all(torch.isfinite(each).all() for each in self.weights.values())
        self.next(self.end)

    @step
    def end(self):
        found = ", ".join(f"{weight:.3f}" for weight in self.weights["weight"][0].tolist())
        print(f"{len(self.losses)} steps from {self.began_at} to {self.position}: weights {found}")


class Training:
    """A model, its optimizer and a position, as a file has them or from the beginning."""

    def __init__(self, file, shards):
        import torch
        from epochs import Position

        self.file = file
        torch.manual_seed(0)
        self.model = torch.nn.Linear(len(COEFFICIENTS), 1)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.1)
        self.shards, self.position = shards, Position()
        with contextlib.suppress(FileNotFoundError):
            saved = torch.load(file, weights_only=False)
            self.model.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.shards, self.position = saved["shards"], saved["position"]

    def step(self, tensors, after):
        """Learn from one batch; returns the loss before it."""
        import torch

        inputs = torch.stack([tensors[name] for name in COEFFICIENTS], dim=1)
        loss = torch.nn.functional.mse_loss(self.model(inputs).squeeze(1), tensors["y"])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.position = after
        return loss.item()

    def save(self):
        """Replace the file: an interruption leaves the one before."""
        import os

        import torch

        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(state | {"shards": self.shards, "position": self.position}, f"{self.file}.new")
        os.replace(f"{self.file}.new", self.file)


def some_examples(rows, part):
    """Points near a plane."""
    import numpy
    from headrace import MetaflowDataFrame

    chance = numpy.random.default_rng(part)
    columns = {name: chance.standard_normal(rows, dtype=numpy.float32) for name in COEFFICIENTS}
    noise = chance.normal(0, 0.01, rows).astype(numpy.float32)
    columns["y"] = noise + sum(numpy.float32(weight) * columns[name] for name, weight in COEFFICIENTS.items())
    return MetaflowDataFrame.from_columns(list(columns.values()), list(columns))


if __name__ == "__main__":
    TrainingEpochs()
