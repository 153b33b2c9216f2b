"""The questions, and what the machine must offer to answer them. Knows no contender by more than its name."""

from __future__ import annotations

from dataclasses import dataclass

US = "headrace"
PEERS = ("polars", "pyiceberg", "pyarrow", "duckdb")


@dataclass(frozen=True)
class Question:
    """One question. ``memory_per_scale`` is a first guess of peak memory, in bytes per unit of TPC-H scale."""

    name: str
    title: str
    memory_per_scale: int
    data: str


QUESTIONS = {
    question.name: question
    for question in (
        Question("s3_to_frame", "S3 table -> frame, lineitem, all 16 columns", 1300 << 20, "lineitem"),
        Question("local_to_frame", "local Parquet -> frame, lineitem, all 16 columns", 1300 << 20, "lineitem"),
        Question("frame_to_pandas", "S3 table -> pandas, lineitem, all 16 columns", 2600 << 20, "lineitem"),
        Question("plan_files", "plan a scan of 50,000 files, metadata on S3", 200 << 20, "many"),
        Question("plan_filtered", "plan one day in 50,000 files, metadata on S3", 200 << 20, "many"),
    )
}
