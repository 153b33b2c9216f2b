"""Batch inference and training as flows, and epochs in plain Python."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import headrace
import numpy
import pytest
import torch

from tests.examples.conftest import EXAMPLES
from tests.metaflow.project import Project

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def project(tmp_path: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A new user's folder with the flows, whose embedded catalog this process sees too."""
    made = Project(tmp_path / "project")
    for each in (EXAMPLES / "metaflow").glob("*.py"):
        shutil.copy(each, made.folder)
    monkeypatch.setenv("HEADRACE_HOME", made.environment["HEADRACE_HOME"])
    return made


CHECK = """
import numpy, torch, headrace
from batch_inference import a_model, some_items
scores = headrace.Table("vectors.scores").load().to_pandas().sort_values("id")
assert scores["id"].tolist() == list(range(5_000))
items = [headrace.MetaflowDataFrame.from_arrow(some_items(at, 1250)).to_torch_tensors() for at in range(0, 5000, 1250)]
with torch.inference_mode():
    wanted = a_model(seed=7)(torch.cat([each["embedding"] for each in items])).squeeze(1).numpy()
numpy.testing.assert_allclose(scores["score"], wanted, rtol=1e-5)
"""


def test_batch_inference_scores_every_row(project: Project) -> None:
    ran = project.succeed("batch_inference.py", "run", "--rows", 5_000, "--tasks", 3, "--batch-rows", 512)
    assert "5,000 rows scored in 11 batches" in ran.output
    checked = project.python(CHECK)
    assert checked.code == 0, checked.output


def weights(file: Path) -> list[Any]:
    saved = torch.load(file, weights_only=False)
    return [saved["position"], *(each.tolist() for each in saved["model"].values())]


def test_training_that_was_stopped_ends_as_if_it_was_not(project: Project) -> None:
    options = ["run", "--rows", 4_000, "--batch-rows", 200, "--epochs", 3, "--checkpoint"]
    ran = project.succeed("training_epochs.py", *options, "whole.pt")
    assert "60 steps from" in ran.output
    project.succeed("training_epochs.py", *options, "parts.pt", "--most-steps", 7)
    assert weights(project.folder / "parts.pt")[0] != weights(project.folder / "whole.pt")[0]
    ran = project.succeed("training_epochs.py", *options, "parts.pt")
    assert "53 steps from Position(epoch=0, shard=1, row=400)" in ran.output
    assert weights(project.folder / "parts.pt") == weights(project.folder / "whole.pt")
    learnt = weights(project.folder / "whole.pt")[1][0]
    assert learnt == pytest.approx([2.0, -1.0, 0.5], abs=0.05)


@pytest.fixture
def shards(workdir: Path) -> Callable[[int], list[headrace.Shard]]:
    """A table of 1,000 ids in 4 files, in so many shards."""
    headrace.load_catalog().create_namespace("db")
    table = headrace.Table.create("db.numbers", {"id": "long"})
    for first in range(0, 1000, 250):
        ids = numpy.arange(first, first + 250)
        table.append(headrace.MetaflowDataFrame.from_columns([ids], ["id"]))
    return table.scan().shards


def test_an_epoch_has_every_row_once_in_an_order_of_its_own(shards: Callable[[int], list[headrace.Shard]]) -> None:
    from epochs import Epochs

    epochs = Epochs(shards(4), epochs=2, batch_rows=60, seed=5)
    seen = [tensors["id"].tolist() for tensors, _ in epochs.batches()]
    first, second = (list(chain(*half)) for half in (seen[: len(seen) // 2], seen[len(seen) // 2 :]))
    assert sorted(first) == sorted(second) == list(range(1000))
    assert first != second
    assert len({number // 250 for number in first[:250]}) == 1  # shard after shard
    again = [tensors["id"].tolist() for tensors, _ in epochs.batches()]
    other = [tensors["id"].tolist() for tensors, _ in Epochs(shards(4), 2, 60, seed=6).batches()]
    assert seen == again
    assert seen != other


def test_every_position_goes_on_where_it_was(shards: Callable[[int], list[headrace.Shard]]) -> None:
    """Also with more shards than files, of which some are empty."""
    from epochs import Epochs

    epochs = Epochs(shards(6), epochs=2, batch_rows=110, seed=5)
    whole = list(epochs.batches())
    for at, (_, after) in enumerate(whole):
        rest = [tensors["id"].tolist() for tensors, _ in epochs.batches(after)]
        assert rest == [tensors["id"].tolist() for tensors, _ in whole[at + 1 :]]
