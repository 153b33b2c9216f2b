"""A step whose catalog comes from a Config, through the decorator; secrets from the environment."""

from metaflow import Config, FlowSpec, Parameter, Table, config_expr, environment, fast_data, step


class Configured(FlowSpec):
    settings = Config("settings", default="settings.json")
    source = Parameter("source")

    @fast_data(catalog=config_expr("settings.name"), properties=config_expr("settings.properties"))
    @environment(vars={"MINE": "kept"})
    @step
    def start(self):
        import os

        assert os.environ["MINE"] == "kept"
        self.table = Table(self.source)
        print("catalog", self.table.catalog, "rows", len(self.table.load()))
        self.next(self.end)

    @fast_data(catalog=config_expr("settings.name"), properties=config_expr("settings.properties"))
    @step
    def end(self):
        print("again", len(self.table.load()))


if __name__ == "__main__":
    Configured()
