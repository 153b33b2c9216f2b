"""Two catalogues of publications, as large as wanted, of which it is known what is the same: the generator.

Work number i is made of DBLP's record i modulo their number: the record itself the first time; later a sibling, with
two or three words of its title, one author and the year replaced by those of other records (as sequels, editions and
extended versions are alike and not the same). The left catalogue has every work as DBLP would write it. Right record i
is, three times in four, work i as another catalogue would write it: typing errors, abbreviations, lost words, authors
in another order, with initials or left out, a year that is off by one; else it is a work that the left one lacks. The
right catalogue is shuffled at last. Everything follows from the seed and i, so a catalogue is a beginning of every
larger one. Must not know: tables, blocks, scores. Neighbours: records.py has the real records, blocking.py the keys.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from random import Random

from records import Record

SHARED = 0.75
TYPING_ERRORS = (0, 0, 0, 0, 1, 1, 1, 2, 2, 3)
ABBREVIATED, WORD_LOST, INITIALS, REORDERED, AUTHOR_LOST, YEAR_OFF = 0.3, 0.15, 0.5, 0.3, 0.15, 0.15
ELSEWHERE = 1 << 40
"""Works of the right catalogue only have numbers from here on."""


class Generator:
    """Works and how the two catalogues write them.

    Parameters
    ----------
    real : sequence of Record
        What works are made of.
    seed : int
        The same seed gives the same catalogues everywhere.
    """

    def __init__(self, real: Sequence[Record], seed: int) -> None:
        self._real = [each for each in real if each.title and each.authors]
        self._seed = seed
        self._words = [word for each in self._real for word in each.title.split() if len(word) > 4]
        self._authors = [author for each in self._real for author in each.authors.split(", ")]

    def left(self, number: int) -> Record:
        """A record of the left catalogue."""
        return self._work(number)

    def right(self, number: int) -> tuple[Record, bool]:
        """A record of the right catalogue before it is shuffled, and whether left record `number` is the same work."""
        chance = self._chance("right", number)
        shared = chance.random() < SHARED
        work = self._work(number if shared else ELSEWHERE + number)
        return _as_others_write_it(work, chance), shared

    def _chance(self, *what: object) -> Random:
        return Random(f"{self._seed} {what}")

    def _work(self, number: int) -> Record:
        real = self._real[number % len(self._real)]
        if number < len(self._real):
            return real
        chance = self._chance("work", number)
        words = real.title.split()
        for _ in range(chance.choice((2, 3))):
            words[chance.randrange(len(words))] = chance.choice(self._words)
        authors = real.authors.split(", ")
        authors[chance.randrange(len(authors))] = chance.choice(self._authors)
        return Record(" ".join(words), ", ".join(authors), chance.randint(1994, 2003))


def _as_others_write_it(work: Record, chance: Random) -> Record:
    words = work.title.split()
    if len(words) > 3 and chance.random() < WORD_LOST:
        del words[chance.randrange(len(words))]
    if chance.random() < ABBREVIATED:
        at = chance.randrange(len(words))
        words[at] = words[at][:4] + "." if len(words[at]) > 6 else words[at]
    year = work.year + chance.choice((-1, 1)) if work.year and chance.random() < YEAR_OFF else work.year
    return Record(_mistyped(" ".join(words), chance), _authors(work.authors.split(", "), chance), year)


def _mistyped(text: str, chance: Random) -> str:
    """The text with a letter swapped, lost, doubled or replaced, so many times as somebody errs."""
    for _ in range(chance.choice(TYPING_ERRORS)):
        at = chance.randrange(len(text))
        found, after = text[at], text[at + 1 : at + 2]
        instead = chance.choice((after + found, "", found + found, chance.choice(string.ascii_lowercase)))
        text = text[:at] + instead + text[at + (2 if instead == after + found else 1) :]
    return text


def _authors(names: list[str], chance: Random) -> str:
    if len(names) > 1 and chance.random() < AUTHOR_LOST:
        del names[chance.randrange(len(names))]
    if chance.random() < REORDERED:
        chance.shuffle(names)
    if chance.random() < INITIALS:
        names = [" ".join([f"{given[0]}." for given in name.split()[:-1]] + name.split()[-1:]) for name in names]
    return ", ".join(names)
