"""Spark 3.5 with Iceberg's runtime, in a process of its own, on the servers that a test run has. Knows nothing of headrace.

Three Iceberg catalogs: ``rest`` (SeaweedFS' own), ``hms`` (a Hive Metastore, its tables on S3), ``loc`` (a folder); the
session's own catalog holds legacy Hive tables where there is a metastore. Neighbours: spark_worker.py is the process;
jvm/ says what it stands on.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any, Self

import pyarrow

from . import jvm, process
from .hive_metastore import HiveMetastore
from .seaweed import SeaweedFS

ROOT = Path(__file__).parents[2]
_CATALOG = "org.apache.iceberg.spark.SparkCatalog"


class SparkError(RuntimeError):
    """Spark failed; the text is its own."""


class Spark:
    """A running session. Not for threads: one request at a time."""

    def __init__(self, child: subprocess.Popen[bytes], connection: Connection, log: Path) -> None:
        self._child, self._connection, self._log = child, connection, log

    @classmethod
    def start(cls, folder: Path, seaweed: SeaweedFS, metastore: HiveMetastore | None = None) -> Self:
        """Start Spark, its files in ``folder``. Takes some 5 s, and 700 MB."""
        folder.mkdir(parents=True)
        log, socket, request = folder / "spark.log", folder / "socket", folder / "request.json"
        settings = _session(folder) | _rest(seaweed) | (_hive(seaweed, metastore) if metastore else {})
        named = {f"spark.{name}": value for name, value in settings.items()}
        request.write_text(json.dumps({"settings": named, "hive": metastore is not None}))
        command: list[str | Path] = [sys.executable, "-m", "tests.servers.spark_worker", socket, request]
        env = {"JAVA_HOME": str(jvm.java_home()), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": str(folder)}
        env |= {"PYTHONPATH": str(ROOT), "AWS_REGION": seaweed.region, "TZ": "UTC"}
        child = process.spawn(command, log=log, env=env)
        return cls(child, _connect(socket, child, log), log)

    def sql(self, text: str) -> None:
        """Run a statement."""
        self._ask("sql", text)

    def rows(self, text: str) -> pyarrow.Table:
        """The rows of a query, types as Spark has them."""
        return pyarrow.ipc.open_stream(self._ask("rows", text)).read_all()

    def insert(self, table: str, data: pyarrow.Table, branch: str | None = None) -> None:
        """Append rows, given as Arrow, one file a partition."""
        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, data.schema) as writer:
            writer.write_table(data)
        self._ask("insert", table, sink.getvalue().to_pybytes(), branch)

    def equality_delete(
        self,
        table: str,
        keys: str,
        partition: str | None = None,
        spec_id: int | None = None,
        file_format: str = "parquet",
    ) -> None:
        """Commit one equality-delete file: see spark_worker.py."""
        self._ask("equality_delete", table, keys, partition, spec_id, file_format)

    def stop(self) -> None:
        """End Spark; its JVM ends with the process that holds it."""
        self._connection.close()
        process.stop(self._child, grace_s=5.0)

    def _ask(self, name: str, *arguments: Any) -> Any:
        try:
            self._connection.send((name, *arguments))
            done, value = self._connection.recv()
        except (EOFError, OSError) as error:
            raise SparkError(f"Spark ended:\n{process.tail(self._log)}") from error
        if not done:
            raise SparkError(value)
        return value


def _connect(socket: Path, child: subprocess.Popen[bytes], log: Path, timeout_s: float = 120.0) -> Connection:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return Client(str(socket), "AF_UNIX")
        except OSError as error:
            if child.poll() is not None or time.monotonic() > deadline:
                process.stop(child, grace_s=0.0)
                raise RuntimeError(f"Spark did not start:\n{process.tail(log)}") from error
        time.sleep(0.05)


def _session(folder: Path) -> dict[str, str]:
    jvm_options = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Duser.timezone=UTC"
    return {
        "driver.memory": "2g",
        "driver.host": "127.0.0.1",
        "driver.bindAddress": "127.0.0.1",
        "driver.extraJavaOptions": f"{jvm_options} -Dderby.system.home={folder} -Djava.io.tmpdir={folder}",
        "ui.enabled": "false",
        "ui.showConsoleProgress": "false",
        "jars": ",".join(map(str, jvm.jars("spark"))),
        "sql.shuffle.partitions": "2",
        "default.parallelism": "2",
        "sql.session.timeZone": "UTC",
        "sql.warehouse.dir": f"{folder}/session",
        "sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "sql.catalog.loc": _CATALOG,
        "sql.catalog.loc.type": "hadoop",
        "sql.catalog.loc.warehouse": f"file://{folder}/loc",
        "sql.catalog.loc.cache-enabled": "false",
    }


def _storage(seaweed: SeaweedFS) -> dict[str, str]:
    return {
        "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        "client.region": seaweed.region,
        "s3.endpoint": seaweed.endpoint,
        "s3.path-style-access": "true",
        "s3.access-key-id": seaweed.access_key,
        "s3.secret-access-key": seaweed.secret_key,
    }


def _rest(seaweed: SeaweedFS) -> dict[str, str]:
    named = {
        "type": "rest",
        "uri": seaweed.rest_uri,
        "warehouse": seaweed.warehouse,
        "credential": f"{seaweed.access_key}:{seaweed.secret_key}",
        "scope": "catalog",
        "oauth2-server-uri": f"{seaweed.rest_uri}/v1/oauth/tokens",
        "cache-enabled": "false",  # others write to the same tables
        **_storage(seaweed),
    }
    return {"sql.catalog.rest": _CATALOG} | {f"sql.catalog.rest.{name}": value for name, value in named.items()}


def _hive(seaweed: SeaweedFS, metastore: HiveMetastore) -> dict[str, str]:
    named = {
        "type": "hive",
        "uri": metastore.uri,
        "warehouse": f"s3://{seaweed.bucket}/hms",
        "cache-enabled": "false",
        **_storage(seaweed),
    }
    catalog = {f"sql.catalog.hms.{name}": value for name, value in named.items()}
    return {
        "sql.catalog.hms": _CATALOG,
        "hadoop.hive.metastore.uris": metastore.uri,
        "hadoop.hive.exec.dynamic.partition.mode": "nonstrict",
        **catalog,
    }
