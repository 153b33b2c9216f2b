"""Features of a table with Polars: each task of a foreach transforms a shard, the join commits what all of them staged.

    pip install metaflow-headrace polars
    python features.py run --rows 200_000 --tasks 4

The rows go from the table to Polars and back without a copy on the way. A task that is retried stages again and only
its last attempt is committed; a task that is missing fails the join, which says which. `@fast_data` gives the step its
catalog wherever it runs: see README.md for Kubernetes and a catalog in `catalog.json`.
"""

import contextlib

from metaflow import Config, FlowSpec, Parameter, Table, config_expr, fast_data, retry, step

TRIPS = {"trip": "long", "city": "string", "at": "timestamp", "km": "double", "minutes": "double"}
FEATURES = {
    "trip": "long",
    "city": "string",
    "hour": "int",
    "weekend": "boolean",
    "speed": "double",
    "speed_rank": "double",
}


class Features(FlowSpec):
    catalog = Config("catalog", default_value={"name": "", "properties": {}})
    rows = Parameter("rows", default=200_000)
    tasks = Parameter("tasks", default=4)

    @fast_data(catalog=config_expr("catalog.name"), properties=config_expr("catalog.properties"))
    @step
    def start(self):
        from headrace import errors, load_catalog

        with contextlib.suppress(errors.NamespaceExists):
            load_catalog().create_namespace("trips")
        trips = Table.create("trips.raw", TRIPS, partition_by="city", if_exists="ok")
        if trips.snapshot is None:
            trips.put(some_trips(self.rows))
        Table.create("trips.features", FEATURES, partition_by="city", if_exists="ok")
        plan = trips.scan("km > 0")
        print(plan)
        self.shards = plan.shards(self.tasks)
        self.next(self.transform, foreach="shards")

    @fast_data(catalog=config_expr("catalog.name"), properties=config_expr("catalog.properties"))
    @retry(times=3, minutes_between_retries=0)
    @step
    def transform(self):
        import polars

        trips = self.input.load().to_polars()
        features = trips.with_columns(
            hour=polars.col("at").dt.hour().cast(polars.Int32),
            weekend=polars.col("at").dt.weekday() > 5,
            speed=polars.col("km") / polars.col("minutes") * 60,
        ).with_columns(speed_rank=polars.col("speed").rank() / polars.len())
        self.count = len(features)
        self.staged = Table("trips.features").put_data(features.select(list(FEATURES)), shard=self.input)
        self.next(self.join)

    @fast_data(catalog=config_expr("catalog.name"), properties=config_expr("catalog.properties"))
    @retry(times=3, minutes_between_retries=0)
    @step
    def join(self, inputs):
        features = Table("trips.features")
        features.commit([each.staged for each in inputs], mode="overwrite")
        self.count = sum(each.count for each in inputs)
        self.summary = dict(features.snapshot.summary)
        self.next(self.end)

    @step
    def end(self):
        print(f"{self.count:,} rows of features in {self.summary['added-data-files']} files; made by")
        for name, value in self.summary.items():
            if name.startswith("metaflow."):
                print(f"  {name} = {value}")


def some_trips(rows):
    """Trips that never took place."""
    import polars

    n = polars.int_range(rows, eager=True)
    start = polars.datetime(2026, 1, 1)
    return polars.select(
        trip=n,
        city=polars.Series(["Lyon", "Graz", "Turku", "Porto"]).gather(n % 4),
        at=start + polars.duration(minutes=n * 7),
        km=(n * 37 % 211) / 10,
        minutes=(n * 53 % 89 + 1).cast(polars.Float64),
    )


if __name__ == "__main__":
    Features()
