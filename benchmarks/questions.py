"""The questions, their contenders and their goals. Knows no contender by more than its name.

A contender is a library, or a library and one way of using it: ``polars:arrow`` is Polars told to give Arrow-backed
pandas. Neighbours: goals.py holds results against the goals, jobs/ holds what each contender does.
"""

from __future__ import annotations

from dataclasses import dataclass

US = "headrace"
FRAMES = ("polars", "polars:files", "pyiceberg", "pyarrow", "duckdb", "daft")
WRITERS = ("pyiceberg", "polars", "duckdb")
DELETES = ("polars", "pyiceberg", "duckdb", "daft")
STREAMS = ("polars", "pyiceberg", "pyarrow", "duckdb")
LOCAL = ("polars", "pyiceberg", "pyarrow", "duckdb", "daft")
PLAIN, ARROW = ("polars", "pyiceberg", "pyarrow", "daft"), ("polars:arrow", "pyiceberg:arrow", "pyarrow:arrow")
OBJECTS = ("obstore", "obstore:threads", "pyarrow", "boto3")
HIVE = ("polars", "pyarrow", "duckdb")
LIBRARIES = ("headrace", "polars", "pyiceberg", "pyarrow", "duckdb", "daft", "obstore", "boto3", "metaflow")

FULL_SCALE = 4.0
NUMBERS = ("l_orderkey", "l_partkey", "l_suppkey", "l_linenumber", "l_shipdate", "l_commitdate", "l_receiptdate")
FOUR = ("l_orderkey", "l_extendedprice", "l_shipdate", "l_shipmode")


@dataclass(frozen=True)
class Goal:
    """Our ``measure`` (a name of goals.MEASURES) over the smallest among ``against`` is to be at most ``limit``.

    With nobody to compare with, the measure itself is.
    """

    measure: str
    limit: float
    against: tuple[str, ...] = ()
    said: str = "best peer"


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes
    ----------
    job : the function that a contender's module answers it with.
    dataset : what it reads, a name of datasets.DATASETS.
    peers : who else is asked; our own other ways of doing it among them.
    scale : how much of the run's scale it takes: a quarter where peers make a Python object of each value.
    columns : those that are wanted, empty for all. ``filtered``: only a few days' rows are.
    by_month : the table that is written is partitioned so.
    served : by whom objects are ("s3", "http", "tls").
    metastore : whether a Hive Metastore is needed.
    loads : how often the job is done in one process; the last time is what is measured.
    gib : a first guess of a run's memory at full scale.
    """

    name: str
    title: str
    job: str
    dataset: str
    peers: tuple[str, ...]
    goals: tuple[Goal, ...] = ()
    scale: float = 1.0
    columns: tuple[str, ...] = ()
    filtered: bool = False
    served: str = "s3"
    by_month: bool = False
    metastore: bool = False
    loads: int = 1
    gib: float = 6.0


def _both(limit: float, against: tuple[str, ...], said: str = "best peer") -> tuple[Goal, ...]:
    return Goal("wall", limit, against, said), Goal("cpu", limit, against, said)


_ALL = (
    Question(
        "s3_to_frame",
        "S3 table -> frame, lineitem, all 16 columns",
        "s3_frame",
        "lineitem",
        FRAMES,
        (Goal("wall", 0.5, FRAMES), Goal("cpu", 0.55, FRAMES), Goal("memory", 1.10)),
    ),
    Question(
        "local_to_frame",
        "local Parquet (zstd) -> frame, lineitem, all 16 columns",
        "local_frame",
        "lineitem",
        LOCAL,
        (*_both(0.6, LOCAL), Goal("memory", 1.10)),
    ),
    Question(
        "local_uncompressed",
        "local uncompressed Parquet -> frame, lineitem, all 16 columns",
        "local_frame",
        "lineitem_uncompressed",
        LOCAL,
        _both(0.6, LOCAL),
    ),
    Question(
        "local_snappy",
        "local snappy Parquet -> frame, lineitem, all 16 columns",
        "local_frame",
        "lineitem_snappy",
        LOCAL,
        _both(0.6, LOCAL),
    ),
    Question(
        "s3_to_pandas",
        "S3 table -> pandas, lineitem, all 16 columns",
        "s3_pandas",
        "lineitem",
        ("headrace:frame", *PLAIN, *ARROW, "duckdb"),
        (
            Goal("cpu", 0.06, PLAIN, "best peer as it comes"),
            Goal("cpu", 0.6, ARROW, "best peer told to give Arrow-backed pandas"),
            *_both(1.25, ("headrace:frame",), "our own table -> frame"),
        ),
        scale=0.25,
    ),
    Question(
        "s3_to_pandas_numpy",
        "S3 table -> pandas, as pandas.read_parquet gives it",
        "s3_pandas_numpy",
        "lineitem",
        ("pyarrow", "pyiceberg"),
        _both(0.5, ("pyarrow", "pyiceberg")),
        scale=0.25,
    ),
    Question(
        "numbers_to_pandas",
        "frame of numbers and dates, loaded for pandas -> pandas",
        "s3_pandas_steps",
        "lineitem",
        ("polars", "pyarrow"),
        (Goal("conversion", 0.01, said="our own load"),),
        columns=NUMBERS,
    ),
    Question(
        "objects_http",
        "object bytes -> memory from nginx, 8 x 96 MiB",
        "objects",
        "objects",
        OBJECTS,
        _both(0.6, ("obstore", "obstore:threads"), "obstore"),
        served="http",
        gib=1.6,
    ),
    Question(
        "objects_tls",
        "object bytes -> memory from nginx over TLS, 8 x 96 MiB",
        "objects",
        "objects",
        OBJECTS,
        _both(1.0, OBJECTS, "every peer"),
        served="tls",
        gib=1.6,
    ),
    Question(
        "objects_s3",
        "object bytes -> memory from SeaweedFS, 8 x 96 MiB",
        "objects",
        "objects",
        ("metaflow", *OBJECTS),
        (Goal("cpu", 0.1, ("metaflow",), "metaflow.S3's get_many"),),
        gib=1.6,
    ),
    Question(
        "four_columns",
        "S3 table -> frame, 4 of 16 columns of lineitem",
        "s3_frame",
        "lineitem",
        FRAMES,
        _both(0.7, FRAMES),
        columns=FOUR,
    ),
    Question(
        "filtered",
        "S3 table -> frame, the 0.4 % of lineitem's rows that a filter keeps",
        "s3_frame",
        "lineitem",
        FRAMES,
        _both(0.7, FRAMES),
        filtered=True,
    ),
    Question(
        "deleted",
        "S3 table -> frame, lineitem, all 16 columns, 1 % of the rows deleted by position",
        "s3_frame",
        "lineitem_deleted",
        ("headrace:undeleted", *DELETES),
        (Goal("cpu", 1.15, ("headrace:undeleted",), "the same without deletes"), *_both(0.5, DELETES)),
    ),
    Question(
        "wide",
        "S3 table -> frame, 500 float columns, half with nulls, 1 M rows",
        "s3_frame",
        "wide",
        FRAMES,
        _both(0.5, FRAMES),
        gib=10.0,
    ),
    Question(
        "lists",
        "S3 table -> 2-D NumPy, 1 M rows of 768-float lists",
        "s3_array",
        "lists",
        FRAMES,
        (*_both(0.35, FRAMES), Goal("memory", 1.15)),
        gib=8.0,
    ),
    Question(
        "small_files",
        "S3 table -> frame, 2,000 files of 1 MB",
        "s3_frame",
        "small_files",
        FRAMES,
        _both(0.5, FRAMES),
        gib=5.0,
    ),
    Question(
        "second_load",
        "S3 table -> frame, the second time in the same process",
        "s3_frame",
        "lineitem",
        ("polars", "pyarrow"),
        (Goal("again", 0.8, said="the first load"),),
        loads=2,
    ),
    Question(
        "batches",
        "S3 table -> batches within 256 MiB, all 16 columns, the key column summed",
        "s3_batches",
        "lineitem",
        STREAMS,
        (Goal("beyond", 256, said="MiB"), *_both(1.0, STREAMS)),
        gib=2.0,
    ),
    Question(
        "plan_files",
        "plan a scan of 50,000 files, metadata on S3",
        "plan",
        "many_files",
        ("polars", "pyiceberg", "duckdb"),
        (Goal("entry", 1.0, said="us a file"),),
        gib=1.0,
    ),
    Question(
        "plan_blocks",
        "plan 50,000 files whose manifests have blocks as long as Spark's",
        "plan",
        "java_files",
        ("polars", "pyiceberg", "duckdb"),
        (Goal("entry", 1.0, said="us a file"),),
        gib=1.0,
    ),
    Question(
        "plan_again",
        "plan the same 50,000 files a second time in the same process",
        "plan",
        "many_files",
        ("polars", "pyiceberg", "duckdb"),
        (Goal("entry", 0.3, said="us a file"),),
        loads=2,
        gib=1.0,
    ),
    Question(
        "plan_million",
        "plan a scan of 1,000,000 files in 1,000 manifests, metadata on S3",
        "plan",
        "million_files",
        ("duckdb",),
        (Goal("wall", 2.0, said="s"), Goal("beyond", 1024, said="MiB")),
        gib=2.0,
    ),
    Question(
        "plan_million_blocks",
        "plan 1,000,000 files in 1,000 manifests with blocks as long as Spark's",
        "plan",
        "million_java_files",
        ("duckdb",),
        (Goal("wall", 2.0, said="s"), Goal("beyond", 1024, said="MiB")),
        gib=2.0,
    ),
    Question(
        "plan_wide",
        "plan a scan of 5,000 files with statistics of 1,000 columns",
        "plan",
        "wide_files",
        ("polars", "pyiceberg", "duckdb"),
        (Goal("wall", 0.5, said="s"), Goal("beyond", 256, said="MiB")),
        gib=1.0,
    ),
    Question(
        "plan_filtered",
        "plan one day in 50,000 files, metadata on S3",
        "plan",
        "many_files",
        ("polars", "pyiceberg"),
        filtered=True,
        gib=1.0,
    ),
    Question(
        "hive_plan",
        "plan 20 of 2,000 partitions of a Hive table on S3",
        "hive_plan",
        "hive_days",
        HIVE,
        (Goal("wall", 0.15, said="s"), *_both(1.0, HIVE)),
        filtered=True,
        metastore=True,
        gib=0.5,
    ),
    Question(
        "hive_load",
        "Hive table of 2,000 partitions on S3 -> frame",
        "hive_frame",
        "hive_days",
        ("headrace:iceberg", *HIVE),
        (Goal("user", 1.1, ("headrace:iceberg",), "the same files as an Iceberg table"), *_both(1.0, HIVE)),
        metastore=True,
        gib=1.5,
    ),
    Question(
        "write",
        "frame -> S3 table, lineitem, all 16 columns",
        "write_table",
        "lineitem",
        WRITERS,
        (*_both(0.5, ("pyiceberg",), "PyIceberg"), Goal("beyond", 512, said="MiB")),
    ),
    Question(
        "write_by_month",
        "frame -> S3 table partitioned by month, lineitem, all 16 columns",
        "write_table",
        "lineitem",
        WRITERS,
        (*_both(0.5, ("pyiceberg",), "PyIceberg"), Goal("beyond", 512, said="MiB")),
        by_month=True,
    ),
    Question(
        "commit_staged",
        "commit 10,000 staged files",
        "commit_staged",
        "many_files",
        ("pyiceberg",),
        (Goal("wall", 2.0, said="s"),),
        gib=1.0,
    ),
    Question(
        "append_to_many",
        "append 1,000 rows to a table of 1,000,000 files in 1,000 manifests",
        "append_to_many",
        "million_files",
        ("headrace:empty", "pyiceberg"),
        (Goal("wall", 2.0, ("headrace:empty",), "an append to an empty table"),),
        gib=1.0,
    ),
)
QUESTIONS = {question.name: question for question in _ALL}


def library(who: str) -> str:
    """The library of a contender: ``polars`` for ``polars:arrow``."""
    return who.partition(":")[0]
