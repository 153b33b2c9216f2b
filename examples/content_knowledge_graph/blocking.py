"""Which pairs are worth comparing: those that agree in at least one of three keys, each pair once.

A key is a number made of a record: the first of its authors' names, its longest word, its beginning and year. Every
key is a pass over both catalogues; a pass leaves out the pairs that an earlier one has, which it sees from the keys of
the two records alone, so nobody remembers pairs. All passes in order are one long row of runs (a left record, and the
right records with its key), and a task takes an interval of that row: its pairs are made in slices of bounded size.
Must not know: tables, titles once the keys are made, scores. Neighbours: flow.py stores keys and pairs.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from itertools import combinations, pairwise

import numpy
import numpy.typing
from records import Record

Numbers = numpy.typing.NDArray[numpy.int64]
Ids = numpy.typing.NDArray[numpy.int32]
KEY_BITS = 31
KEYS = ("key_name", "key_word", "key_begin")
STOP_WORDS = frozenset(["a", "an", "and", "for", "from", "in", "of", "on", "the", "to", "using", "via", "with"])


def keys(record: Record) -> tuple[int, int, int]:
    """A record's key in each pass."""
    names = sorted(_words(author)[-1][:4] for author in record.authors.split(",") if _words(author))
    words = [word for word in _words(record.title) if word not in STOP_WORDS] or [""]
    longest = max(words, key=lambda word: (len(word), word))
    return _hash(" ".join(names[:1])), _hash(longest[:6]), _hash(f"{words[0][:4]} {record.year}")


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _hash(text: str) -> int:
    return zlib.crc32(text.encode()) & (1 << KEY_BITS) - 1


def count(left: Numbers, right: Numbers) -> int:
    """How many pairs agree in some key: by inclusion and exclusion, without making any.

    Parameters
    ----------
    left, right : array of shape (records, 3)
        The keys of each catalogue.
    """
    total = 0
    for size in range(1, len(KEYS) + 1):
        for chosen in combinations(range(len(KEYS)), size):
            total += (-1) ** (size + 1) * _agreeing(left[:, chosen], right[:, chosen])
    return total


def _agreeing(left: Numbers, right: Numbers) -> int:
    """How many pairs agree in all of these keys."""
    found = numpy.zeros(len(left) + len(right), dtype=numpy.int64)
    for key in numpy.concatenate([left, right]).T:
        _, found = numpy.unique(found << KEY_BITS | key, return_inverse=True)
    lefts = numpy.bincount(found[: len(left)], minlength=found.max(initial=0) + 1)
    rights = numpy.bincount(found[len(left) :], minlength=len(lefts))
    return int(lefts @ rights)


def prefix_with(pairs: int, left: Numbers, right: Numbers) -> int | None:
    """How many records of both catalogues, from the first on, give at least so many pairs; None if all are too few."""
    if count(left, right) < pairs:
        return None
    low, high = 0, len(left)
    while high - low > max(1, high // 500):  # pairs grow with the square: 0.2 % more records, 0.4 % more pairs
        middle = (low + high) // 2
        if count(left[:middle], right[:middle]) < pairs:
            low = middle
        else:
            high = middle
    return high


class Runs:
    """The row of runs over two catalogues.

    Parameters
    ----------
    left, right : array of shape (records, 3)
        The keys of each catalogue, in the order of their ids.
    """

    def __init__(self, left: Numbers, right: Numbers) -> None:
        self._left, self._right = left, right
        passes = [self._pass(at) for at in range(len(KEYS))]
        self._orders = [each[0] for each in passes]
        self._at = numpy.concatenate([numpy.full(len(each[1]), at, numpy.int8) for at, each in enumerate(passes)])
        self._record, self._start, self._count = (numpy.concatenate([each[n] for each in passes]) for n in (1, 2, 3))
        self._before = numpy.concatenate([[0], numpy.cumsum(self._count)])

    def _pass(self, at: int) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        """The right records sorted by key; of each left record that has some with its key: which, where, how many."""
        order = numpy.argsort(self._right[:, at], kind="stable")
        record = numpy.argsort(self._left[:, at], kind="stable")
        in_order = self._right[order, at]
        start = numpy.searchsorted(in_order, self._left[record, at], "left")
        count = numpy.searchsorted(in_order, self._left[record, at], "right") - start
        some = count > 0
        return order, record[some], start[some], count[some]

    def __len__(self) -> int:
        return len(self._record)

    def cut(self, tasks: int) -> list[tuple[int, int]]:
        """Intervals of runs, one a task, that have about as many pairs each (before repeated ones are left out)."""
        at = numpy.linspace(0, self._before[-1], tasks + 1)
        edges = numpy.searchsorted(self._before, at)
        return [(int(begin), int(end)) for begin, end in pairwise(edges)]

    def pairs(self, begin: int, end: int, slice_pairs: int) -> Iterator[tuple[Ids, Ids]]:
        """The pairs of an interval, as arrays of left and of right ids, about `slice_pairs` at a time."""
        while begin < end:
            until = int(numpy.searchsorted(self._before, self._before[begin] + slice_pairs, "right")) - 1
            until = min(max(until, begin + 1), end)
            for at in range(len(KEYS)):
                low, high = numpy.searchsorted(self._at, [at, at + 1])
                if max(begin, low) < min(until, high):
                    yield self._slice(at, max(begin, int(low)), min(until, int(high)))
            begin = until

    def _slice(self, at: int, begin: int, end: int) -> tuple[Ids, Ids]:
        count = self._count[begin:end]
        left = numpy.repeat(self._record[begin:end].astype(numpy.int32), count)
        shift = numpy.repeat(self._start[begin:end] - (self._before[begin:end] - self._before[begin]), count)
        right = self._orders[at].astype(numpy.int32)[shift + numpy.arange(len(left))]
        new = numpy.ones(len(left), bool)
        for earlier in range(at):
            new &= self._left[left, earlier] != self._right[right, earlier]
        return left[new], right[new]
