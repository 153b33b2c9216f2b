"""DuckDB as an independent reader of Iceberg tables and Parquet files. Knows nothing of headrace.

Its extensions come from PyPI packages, so nothing is downloaded at run time. An internal error invalidates a whole
connection: use one connection per check.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from .seaweed import SeaweedFS

_EXTENSIONS = ("avro", "httpfs", "iceberg")


def connect(server: SeaweedFS | None = None, *, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """A fresh in-memory connection that reads Iceberg by path, and through REST as ``warehouse.<db>.<table>``."""
    import duckdb

    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in _EXTENSIONS:
        package = importlib.import_module(f"duckdb_extension_{name}")
        file = next(Path(next(iter(package.__path__))).glob("extensions/*/*.duckdb_extension"))
        connection.execute(f"load '{file}'")
    if threads:
        connection.execute(f"set threads = {threads}")
    if server is not None:
        attach(
            connection,
            endpoint=server.endpoint,
            rest_uri=server.rest_uri,
            warehouse=server.warehouse,
            access_key=server.access_key,
            secret_key=server.secret_key,
            region=server.region,
        )
    return connection


def attach(
    connection: duckdb.DuckDBPyConnection,
    *,
    endpoint: str,
    rest_uri: str,
    warehouse: str,
    access_key: str,
    secret_key: str,
    region: str,
    read_only: bool = True,
) -> None:
    """Attach a REST catalog with OAuth2, and its S3, as ``warehouse``."""
    connection.execute(
        f"create secret storage (type s3, key_id '{access_key}', secret '{secret_key}', region '{region}', "
        f"endpoint '{endpoint.removeprefix('http://')}', url_style 'path', use_ssl false)"
    )
    connection.execute(
        f"create secret catalog (type iceberg, client_id '{access_key}', client_secret '{secret_key}', "
        f"oauth2_server_uri '{rest_uri}/v1/oauth/tokens', oauth2_scope 'catalog')"
    )
    connection.execute(
        f"attach '{warehouse}' as warehouse (type iceberg, endpoint '{rest_uri}', secret catalog, "
        f"access_delegation_mode 'none', read_only {str(read_only).lower()})"
    )
