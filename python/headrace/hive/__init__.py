"""Legacy Hive tables: folders of Parquet files that a metastore lists, read and written like Iceberg's.

    names.py, values.py ──► pruning.py ──► partitions.py ──► listing.py ──► planning.py
                                                                       └──► writing.py

Must not know: how bytes travel, Parquet, frames' memory. Neighbours: `headrace.metastore` describes tables and makes
calls, `headrace.table` asks for plans; a plan is the same ScanPlan that Iceberg tables have.
"""
