"""The Fast Data surface: the names and meanings that Netflix published for `metaflow.Table` and `MetaflowDataFrame`.

`tables.py` and `frames.py` are mixed into headrace's own classes: one implementation, two layers of names. Must not
know: catalogs, the engine's requests. Neighbours: `headrace.table` and `headrace.dataframe` mix it in.
"""
