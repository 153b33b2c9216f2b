"""The Content Knowledge Graph: which records of two catalogues are the same work, among all pairs worth comparing.

    catalogues ─► pairs (a foreach) ─► commit ─► matches (a foreach) ─► commit ─► links, precision and recall

Each task of the first foreach makes the candidate pairs of an interval of blocks and stages them; each task of the
second streams a shard of the pairs through a C++ kernel and stages what matches. Every table is committed once, by
whoever joins. A task's memory is that of the two catalogues and a few batches, however many pairs there are. `run.py`
runs this with settings for one machine. Neighbours: catalogues.py, blocking.py, scoring.py do the work.
"""

from metaflow import FlowSpec, Parameter, retry, step

PAIRS_A_TASK = 32_000_000
SLICE_PAIRS = 2_000_000
FILE_PAIRS = 8_000_000
STREAM_BYTES = 128 << 20


class ContentKnowledgeGraph(FlowSpec):
    pairs = Parameter("pairs", default=1_000_000, help="candidate pairs at least; catalogues grow with the root of it")
    seed = Parameter("seed", default=2026, help="the same seed gives the same catalogues, pairs and matches")
    least_tasks = Parameter("least-tasks", default=2, help="tasks of each foreach, at least")
    data = Parameter("data", default="data", help="folder where the package with the real records is, or comes to")
    build = Parameter("build", default="build", help="folder of the compiled kernel, or where it is compiled to")
    report_file = Parameter("report", default="report.json", help="where the figures are written to")

    @step
    def start(self):
        """Make the catalogues, as large as it takes, and what is the same in them."""
        import tables
        from making import make_catalogues
        from measure import measured

        tables.create()
        with measured() as self.measured_catalogues:
            self.made = make_catalogues(self.data, self.seed, self.pairs)
            self.measured_catalogues["rows"] = 2 * self.made["records"]
        self.next(self.plan_pairs)

    @step
    def plan_pairs(self):
        """Cut the blocks into intervals with as many pairs each."""
        import tables
        from blocking import Runs

        tasks = max(self.least_tasks, -(-self.pairs // PAIRS_A_TASK))
        runs = Runs(*(tables.read_keys(side) for side in ("left_catalogue", "right_catalogue")))
        self.intervals = list(enumerate(runs.cut(tasks)))
        self.next(self.make_pairs, foreach="intervals")

    @retry(times=2, minutes_between_retries=0)
    @step
    def make_pairs(self):
        """Make and stage the pairs of an interval, a file's worth in memory at a time."""
        from making import stage_pairs
        from measure import measured

        part, (begin, end) = self.input
        with measured() as self.measured:
            self.staged, self.measured["rows"] = stage_pairs(part, begin, end, SLICE_PAIRS, FILE_PAIRS)
        self.next(self.join_pairs)

    @retry(times=2, minutes_between_retries=0)
    @step
    def join_pairs(self, inputs):
        """Commit the pairs."""
        import tables
        from measure import stage

        self.merge_artifacts(inputs, include=["made", "measured_catalogues"])
        self.stage_pairs = stage([each.measured for each in inputs])
        pairs = tables.table("pairs")
        pairs.commit([each.staged for each in inputs], mode="overwrite")
        tables.expire("pairs")
        self.stage_pairs |= {"bytes": pairs.scan().bytes, "snapshot": pairs.snapshot.snapshot_id}
        self.next(self.plan_matches)

    @step
    def plan_matches(self):
        """Cut the pairs into shards with as many rows each."""
        import tables

        plan = tables.table("pairs").scan(columns=["left_id", "right_id"])
        self.shards = plan.shards(max(self.least_tasks, -(-plan.rows // PAIRS_A_TASK)), by="rows")
        self.next(self.match, foreach="shards")

    @retry(times=2, minutes_between_retries=0)
    @step
    def match(self):
        """Stream a shard through the kernel, weigh what is near, and stage what matches."""
        import tables
        from kernel import Kernel
        from measure import measured
        from scoring import COLUMNS, Scorer

        with measured() as self.measured:
            kernel = Kernel(self.build)
            sides = (tables.read_catalogue(side, COLUMNS) for side in ("left_catalogue", "right_catalogue"))
            with self.input.batches(memory_limit=STREAM_BYTES) as batches:
                scorer = Scorer(kernel, *sides)
                matches = scorer.matches(batches)
            self.staged = tables.table("matches").put_data(matches, shard=self.input)
            self.measured["rows"] = scorer.compared
        self.next(self.join_matches)

    @retry(times=2, minutes_between_retries=0)
    @step
    def join_matches(self, inputs):
        """Commit the matches."""
        import tables
        from measure import stage

        self.merge_artifacts(inputs, include=["made", "measured_catalogues", "stage_pairs"])
        self.stage_matches = stage([each.measured for each in inputs])
        matches = tables.table("matches")
        matches.commit([each.staged for each in inputs], mode="overwrite")
        tables.expire("matches")
        self.stage_matches["snapshot"] = matches.snapshot.snapshot_id
        self.lineage = {name: value for name, value in matches.snapshot.summary.items() if name.startswith("metaflow.")}
        self.next(self.end)

    @step
    def end(self):
        """Link each right record to the left one that it matches best, and hold all of it to the truth."""
        import json
        from pathlib import Path

        from judging import judge
        from kernel import Kernel
        from measure import measured, stage

        with measured() as figures:
            self.quality, figures["rows"], snapshot = judge(Kernel(self.build), self.data)
        self.report = {
            "pairs_wanted": self.pairs,
            "seed": self.seed,
            "catalogues": self.made,
            "stages": {
                "catalogues": stage([self.measured_catalogues]),
                "pairs": self.stage_pairs,
                "matches": self.stage_matches,
                "links": stage([figures]) | {"snapshot": snapshot},
            },
            "quality": self.quality,
            "lineage": self.lineage,
        }
        Path(self.report_file).write_text(json.dumps(self.report, indent=2) + "\n")


if __name__ == "__main__":
    ContentKnowledgeGraph()
