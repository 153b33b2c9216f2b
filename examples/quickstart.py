"""The main job: a warehouse table on S3, in this process's memory. `make demo` runs this against a server of its own.

The catalog named "demo" is configured by variables that PyIceberg reads too (PYICEBERG_CATALOG__DEMO__URI, ...); after
`make demo` they are in .work/demo/environment:

    source .work/demo/environment && python examples/quickstart.py
"""

import subprocess
import sys

from headrace import Table


def main() -> None:
    title("a table, and the plan of a scan: which files, how many bytes, nothing loaded yet")
    table = Table("demo.lineitem", catalog="demo")
    plan = table.scan()
    print(plan)

    title("loaded: every column one contiguous Arrow array")
    frame = plan.load()
    print(frame)
    print(frame.metrics)

    title("only what is needed: a filter, three columns")
    late = table.load("l_receiptdate > '1998-12-25'", columns=["l_orderkey", "l_receiptdate", "l_shipmode"])
    print(late)

    title("to pandas, to Polars")
    in_pandas = frame.to_pandas()
    print(in_pandas.groupby("l_returnflag")["l_extendedprice"].count())
    in_polars = frame.to_polars()
    print(in_polars.select("l_orderkey", "l_shipmode", "l_comment").head(3))
    del frame, in_pandas, in_polars

    title("the same table into memory, each in a process of its own")
    in_own_process(next(iter(SAME_JOB.values())))  # whoever is first pays for memory that the machine gave away
    for name, source in SAME_JOB.items():
        print(f"{name:>10}  {in_own_process(source)}", flush=True)


# What a user of each library writes. Imports are not timed; finding the table in the catalog is.
SAME_JOB = {
    "headrace": """
from headrace import Table
start()
frame = Table("demo.lineitem", catalog="demo").load(progress=False)
stop(len(frame))
""",
    "Polars": """
import os, polars, pyiceberg.io.pyarrow
from pyiceberg.catalog import load_catalog
start()
catalog = load_catalog("demo")
keys = {name: catalog.properties[f"s3.{name}"] for name in ("endpoint", "access-key-id", "secret-access-key", "region")}
options = {"aws_" + name.replace("-", "_"): value for name, value in keys.items()} | {"aws_allow_http": "true"}
table = catalog.load_table("demo.lineitem")
frame = polars.scan_iceberg(table, storage_options=options, reader_override="native").collect()
stop(frame.height)
""",
    "PyIceberg": """
import pyiceberg.io.pyarrow
from pyiceberg.catalog import load_catalog
start()
frame = load_catalog("demo").load_table("demo.lineitem").scan().to_arrow()
stop(frame.num_rows)
""",
}

TIMING = """
import resource, time, warnings
warnings.simplefilter("ignore")
def now():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime
def start():
    global before
    before = now()
def stop(rows):
    wall_s, cpu_s = (after - first for after, first in zip(now(), before))
    print(f"{rows:,} rows in {wall_s:.2f} s, {cpu_s:.2f} CPU seconds")
"""


def in_own_process(source: str) -> str:
    """What a program prints; its last line of error where it fails."""
    done = subprocess.run([sys.executable, "-c", TIMING + source], capture_output=True, text=True)
    return done.stdout.strip() or (done.stderr.strip().splitlines() or ["no output"])[-1]


def title(text: str) -> None:
    print(f"\n--- {text}", flush=True)


if __name__ == "__main__":
    main()
