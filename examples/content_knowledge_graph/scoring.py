"""Pairs to matches: the kernel compares, pandas weighs, and what is alike enough is kept.

Must not know: where pairs come from and where matches go. Neighbours: kernel.py compares titles and authors, flow.py
has the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy
from headrace import MetaflowDataFrame
from kernel import Kernel
from records import Labelled, Record

if TYPE_CHECKING:
    import pandas

FLOOR = 0.3
"""Titles that share less than this of their trigrams are told apart by that alone."""
THRESHOLD = 0.76
WEIGHTS = {"title": 0.45, "jaro_winkler": 0.3, "authors": 0.25}
A_YEAR_APART = 0.04
COLUMNS = ["title", "authors", "year"]


class Scorer:
    """Two catalogues, ready to compare their records.

    Parameters
    ----------
    kernel : Kernel
    left, right : MetaflowDataFrame
        `title`, `authors` and `year`, in the order of the ids.

    Attributes
    ----------
    compared : int
        How many pairs there were so far.
    """

    def __init__(self, kernel: Kernel, left: MetaflowDataFrame, right: MetaflowDataFrame) -> None:
        self._kernel = kernel
        self._left, self._right = kernel.catalogue(left), kernel.catalogue(right)
        self.compared = 0
        self._left_year, self._right_year = left["year"].to_numpy(), right["year"].to_numpy()

    def matches(self, pairs: Any) -> pandas.DataFrame:
        """The pairs (`left_id`, `right_id`) that are alike enough, with their score."""
        scored = self.score(pairs)
        return scored.loc[scored["score"] >= THRESHOLD, ["left_id", "right_id", "score"]]

    def score(self, pairs: Any) -> pandas.DataFrame:
        """The pairs whose titles are above the floor, with what the kernel says of them, and the score."""
        scores = self._kernel.score(self._left, self._right, pairs, FLOOR)
        self.compared += scores.compared
        found = MetaflowDataFrame.from_arrow(scores).to_pandas()
        left, right = self._left_year[found["left_id"]], self._right_year[found["right_id"]]
        known = (left > 0) & (right > 0)
        apart = numpy.where(known, numpy.minimum(numpy.abs(left - right), 5), 1)
        weighed = sum(weight * found[name] for name, weight in WEIGHTS.items())
        return found.assign(years_apart=apart, score=(weighed - A_YEAR_APART * apart).astype("float32"))


def judge(kernel: Kernel, pairs: Sequence[Labelled]) -> dict[str, float]:
    """Precision and recall on pairs of real records that people labelled."""
    sides = [[each.left for each in pairs], [each.right for each in pairs]]
    left, right = (frame_of(side) for side in sides)
    ids = numpy.arange(len(pairs), dtype=numpy.int32)
    found = Scorer(kernel, left, right).matches(MetaflowDataFrame.from_columns([ids, ids], ["left_id", "right_id"]))
    same = numpy.array([each.same for each in pairs])
    return quality(len(found), int(same[found["left_id"]].sum()), int(same.sum()))


def quality(found: int, right: int, wanted: int) -> dict[str, float]:
    """Precision and recall, of how many were found, how many of these are right, and how many there are."""
    return {"precision": right / found if found else 1.0, "recall": right / wanted if wanted else 1.0}


def frame_of(records: Sequence[Record]) -> MetaflowDataFrame:
    """The columns that a Scorer takes."""
    return MetaflowDataFrame.from_columns([[getattr(each, name) for each in records] for name in COLUMNS], COLUMNS)
