"""The questions, and what the machine must offer to answer them. Knows no contender by more than its name."""

from __future__ import annotations

from dataclasses import dataclass

US = "headrace"
PEERS = ("polars", "pyiceberg", "pyarrow", "duckdb")


@dataclass(frozen=True)
class Question:
    """One question.

    ``scale`` is lineitem's TPC-H scale unless told otherwise, 0 where the table of many files is read instead.
    ``memory_bytes`` is a first guess of a run's peak memory, per unit of scale where there is one.
    """

    name: str
    title: str
    scale: float
    memory_bytes: int


QUESTIONS = {
    question.name: question
    for question in (
        Question("s3_to_frame", "S3 table -> frame, lineitem, all 16 columns", 4, 1500 << 20),
        Question("local_to_frame", "local Parquet -> frame, lineitem, all 16 columns", 4, 1500 << 20),
        # At scale 1: peers make Python objects of decimals and dates, and need 4.9 GiB for it; 19 GiB at scale 4.
        Question("frame_to_pandas", "S3 table -> pandas, lineitem, all 16 columns", 1, 5000 << 20),
        Question("plan_files", "plan a scan of 50,000 files, metadata on S3", 0, 600 << 20),
        Question("plan_filtered", "plan one day in 50,000 files, metadata on S3", 0, 600 << 20),
    )
}
