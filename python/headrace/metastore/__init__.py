"""The Hive Metastore: its Thrift calls, its type names, its tables as values.

    client.py ──► connection.py ──► hive_metastore.thrift        types.py ──► description.py

Must not know: catalogs, Iceberg's metadata files, folders, data files. Neighbours: `headrace.catalog.hive` keeps a
catalog's contract with it, `headrace.hive` reads and writes legacy tables.
"""

from headrace.metastore.client import Metastore
from headrace.metastore.description import HiveTable

__all__ = ["HiveTable", "Metastore"]
