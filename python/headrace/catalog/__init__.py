"""Catalogs: from a table's name to its metadata and the credentials for its objects.

`load_catalog` resolves configuration and builds one; nothing is connected before the first operation. Must not know:
plans, frames, how tables are read. Neighbours: `headrace.config` resolves properties, `headrace.table` uses catalogs.
"""

from __future__ import annotations

from headrace import config
from headrace.catalog.base import Catalog, LoadedTable
from headrace.catalog.static import load_static

__all__ = ["Catalog", "LoadedTable", "load_catalog", "load_static"]


def load_catalog(name: str | None = None, **properties: str | bool | int) -> Catalog:
    """Open a catalog by its name.

    Parameters
    ----------
    name : str or None
        As configured; None means the default catalog, which without any configuration is embedded: SQLite and a
        warehouse folder under `HEADRACE_HOME`.
    **properties : str, bool or int
        Properties under PyIceberg's names, which win over configured ones. Names with dots or hyphens are given as
        `**{"s3.endpoint": "..."}`.

    Returns
    -------
    Catalog
        Ready to use; it connects at its first operation.

    Raises
    ------
    ConfigurationError
        Unknown catalog, type or misspelt property; the nearest name and where configuration was looked for.

    Examples
    --------
    >>> catalog = load_catalog("prod", type="rest", uri="https://catalog.example.com")
    >>> catalog
    RestCatalog('prod', type='rest', uri='https://catalog.example.com')
    """
    resolved = config.resolve(name, properties)
    kind = config.catalog_type(resolved)
    if kind == "rest":
        from headrace.catalog.rest import RestCatalog

        return RestCatalog(resolved.name, resolved.properties)
    if kind == "sql":
        from headrace.catalog.sql import SqlCatalog

        return SqlCatalog(resolved.name, resolved.properties)
    if kind == "hive":
        from headrace.catalog.hive import HiveCatalog

        return HiveCatalog(resolved.name, resolved.properties)
    from headrace.catalog.glue import GlueCatalog

    return GlueCatalog(resolved.name, resolved.properties)
