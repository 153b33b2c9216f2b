"""A Hive Metastore on loopback, with its database in a folder of its own. Knows nothing of headrace.

Two versions, since they speak differently: 2.3.10 (as Spark knows it) and 4.0.1, where `get_table` is gone and only
`get_table_req` is left. S3 locations are taken as they are and never looked at (jvm/ObjectStore.java). Neighbours:
process.py, jvm/.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Self

from . import jvm, process

VERSIONS = ("2.3.10", "4.0.1")
_OPENS = [
    part
    for package in ("lang", "net", "util", "util.concurrent", "nio")
    for part in ("--add-opens", f"java.base/java.{package}=ALL-UNNAMED")
]
# Small and quick to start rather than fast: what it serves are a few tables.
_JVM = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *_OPENS]


class HiveMetastore:
    """A running metastore.

    Attributes
    ----------
    uri : str
        "thrift://127.0.0.1:<port>".
    warehouse : Path
        Where it puts databases without a location.
    """

    def __init__(self, folder: Path, version: str, port: int, child: subprocess.Popen[bytes]) -> None:
        self.folder, self.version, self.port, self._child = folder, version, port, child
        self.uri = f"thrift://127.0.0.1:{port}"
        self.warehouse = folder / "warehouse"

    @classmethod
    def start(
        cls, folder: Path, version: str = "2.3.10", port: int | None = None, lock_silence_s: float = 10.0
    ) -> Self:
        """Serve the metastore in ``folder``, made there if it is new. Takes some 3 s, and 300 MB.

        Parameters
        ----------
        folder : Path
            Started again on the same folder, it has the tables that it had.
        version : {"2.3.10", "4.0.1"}
        port : int or None
            A port to take again; None: any that is free.
        lock_silence_s : float
            For how long it keeps a lock without a heartbeat (`hive.txn.timeout`).

        Raises
        ------
        tests.servers.jvm.Unavailable
            There is no JDK 17.
        """
        if version not in VERSIONS:
            raise ValueError(f"metastores are {VERSIONS}, not {version!r}")
        major, fresh = version[0], not (folder / "database").exists()
        folder.mkdir(parents=True, exist_ok=True)
        class_path = _class_path(major)
        classes = jvm.compiled(["ObjectStore", "LockTimeouts", f"Metastore{major}"], class_path, folder / "classes")
        for attempt in range(3):  # another process may take the port between the choice and the start
            chosen, log = port or process.free_ports(1), folder / "metastore.log"
            command: list[str | Path] = [jvm.java_home() / "bin" / "java", *_JVM, *_settings(folder, major, fresh)]
            command.append(f"-Dheadrace.lock-silence-ms={lock_silence_s * 1000:.0f}")
            command += ["-cp", f"{classes}:{class_path}", f"Metastore{major}", str(chosen)]
            child = process.spawn(command, log=log)
            try:
                process.wait_ready(child, [chosen], log=log)
                return cls(folder, version, chosen, child)
            except RuntimeError:
                if attempt == 2 or "BindException" not in process.tail(log, 20000):
                    raise
                fresh = False
        raise AssertionError("unreachable")

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._child.pid

    def stop(self, grace_s: float = 0.0) -> None:
        """End the server: at once (its database recovers), or by SIGTERM with some seconds of grace."""
        process.stop(self._child, grace_s=grace_s)


def _class_path(major: str) -> str:
    own = ":".join(map(str, jvm.jars(f"metastore-{major}")))
    return f"{own}:{jvm.pyspark_jars()}/*" if major == "2" else own


def _settings(folder: Path, major: str, fresh: bool) -> list[str]:
    """System properties. The database is Derby in a folder, not synchronised to the disk."""
    connection = "javax.jdo.option.Connection"
    settings = {
        "derby.stream.error.file": folder / "derby.log",
        "derby.system.durability": "test",
        "derby.locks.deadlockTimeout": "1",  # seconds; unless set 20, and 60: a metastore waits with its own lock held
        "derby.locks.waitTimeout": "3",
        f"{connection}URL": f"jdbc:derby:{folder}/database;create=true",
        f"{connection}DriverName": "org.apache.derby.jdbc.EmbeddedDriver",
        "datanucleus.schema.autoCreateAll": "true",
        "datanucleus.query.sql.allowAll": "true",
        "java.io.tmpdir": folder / "classes",
        "headrace.fresh": str(fresh).lower(),
    }
    if major == "2":
        settings |= {"hive.metastore.schema.verification": "false", "hive.async.log.enabled": "false"}
        settings |= {"hive.metastore.warehouse.dir": folder / "warehouse"}
    else:
        settings |= {"metastore.schema.verification": "false", "metastore.warehouse.dir": folder / "managed"}
        settings |= {"metastore.warehouse.external.dir": folder / "warehouse"}
    return [f"-D{name}={value}" for name, value in settings.items()]
