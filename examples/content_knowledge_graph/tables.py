"""The tables of the graph, and how the catalogues get into them and out again.

Must not know: what a block is, what a score is. Neighbours: flow.py is what happens to the tables.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from datetime import timedelta

import headrace
import numpy
from blocking import KEYS, Numbers
from headrace import MetaflowDataFrame, Table
from records import Record

NAMESPACE = "graph"
CATALOGUE = {"id": "int", "title": "string", "authors": "string", "year": "int"} | dict.fromkeys(KEYS, "int")
PAIR = {"left_id": "int", "right_id": "int"}
SCHEMAS = {
    "left_catalogue": CATALOGUE,
    "right_catalogue": CATALOGUE,
    "truth": PAIR,
    "pairs": PAIR | {"part": "int"},
    "matches": PAIR | {"score": "float"},
    "links": PAIR | {"score": "float"},
}
CHUNK_RECORDS = 100_000


def create() -> None:
    """Make the namespace and the tables, where they are not there."""
    with contextlib.suppress(headrace.errors.NamespaceExists):
        headrace.load_catalog().create_namespace(NAMESPACE)
    for name, schema in SCHEMAS.items():
        partition_by = "part" if "part" in schema else None
        Table.create(f"{NAMESPACE}.{name}", schema, partition_by=partition_by, if_exists="ok")


def table(name: str) -> Table:
    """One of the tables, as it is now."""
    return Table(f"{NAMESPACE}.{name}")


def write_catalogue(name: str, records: Sequence[Record], keys: Numbers) -> int:
    """Replace a catalogue; its records' ids are their positions. Returns how many bytes it has."""
    staged = []
    for first in range(0, len(records), CHUNK_RECORDS):
        some = records[first : first + CHUNK_RECORDS]
        ids = numpy.arange(first, first + len(some), dtype=numpy.int32)
        texts = [[each.title for each in some], [each.authors for each in some]]
        years = numpy.array([each.year for each in some], dtype=numpy.int32)
        numbers = list(keys[first : first + len(some)].T.astype(numpy.int32))
        staged.append(
            table(name).put_data(MetaflowDataFrame.from_columns([ids, *texts, years, *numbers], list(CATALOGUE)))
        )
    table(name).commit(staged, mode="overwrite")
    return sum(each["bytes"] for some in staged for each in some)


def read_catalogue(name: str, columns: Iterable[str]) -> MetaflowDataFrame:
    """These columns of a catalogue, in the order of the ids."""
    frame = table(name).load(columns=["id", *columns])
    ids = frame["id"].to_numpy()
    if not numpy.array_equal(ids, numpy.arange(len(ids))):
        frame = frame.gather(numpy.argsort(ids))
    return frame[list(columns)]


def read_keys(name: str) -> Numbers:
    """The blocking keys of a catalogue, a row a record, in the order of the ids."""
    frame = read_catalogue(name, KEYS)
    return numpy.stack([frame[key].to_numpy().astype(numpy.int64) for key in KEYS], axis=1)


def expire(name: str) -> None:
    """Remove what earlier runs left of a table: only its newest snapshot stays."""
    table(name).expire_snapshots(timedelta(0), retain_last=1)
