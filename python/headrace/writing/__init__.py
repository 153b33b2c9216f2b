"""Commits: files that were written become a table's next snapshot, once, whatever dies on the way.

`staging` says what was written, `snapshots` what a new snapshot consists of, `conflicts` what it must not collide with,
`commit` tries until the answer is known, `summary` counts. Must not know: Parquet, frames, how a catalog keeps its
word. What grows with files (manifests) is the engine's. Neighbours: `headrace.table` above; `headrace.access`,
`headrace.catalog` and `headrace.iceberg` below.
"""
