"""PostgreSQL on loopback with a database of its own, for SQL catalogs. Knows nothing of headrace.

The server is the system's (Debian package `postgresql`), found on PATH, by pg_config, or under /usr/lib/postgresql.
Neighbour: process.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

from . import process

INSTALL_HINT = "PostgreSQL's server is not installed: run scripts/install_postgres (apt-get install postgresql)"


class Postgres:
    """A running server: role ``test`` without password, database ``catalog``."""

    user, database = "test", "catalog"

    def __init__(self, work_dir: Path, port: int, child: subprocess.Popen[bytes]) -> None:
        self.work_dir, self.port, self._child = work_dir, port, child

    @classmethod
    def start(cls, work_dir: Path) -> Self:
        """Make a cluster in ``work_dir`` and serve it. Takes about a second.

        ``work_dir`` must be reachable for the account "nobody" when this process is root, which PostgreSQL refuses.
        """
        tools = find_tools()
        account = "nobody" if os.geteuid() == 0 else None
        data, log = work_dir / "data", work_dir / "postgres.log"
        data.mkdir(parents=True, mode=0o700)
        if account:
            shutil.chown(work_dir, account)
            shutil.chown(data, account)
        made = process.spawn(
            [tools / "initdb", "-D", data, "-U", cls.user, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            log=log,
            user=account,
        )
        if made.wait(120) != 0:
            raise RuntimeError(f"initdb failed:\n{process.tail(log)}")
        port = process.free_ports(1)
        options = ["listen_addresses=127.0.0.1", f"unix_socket_directories={work_dir}", "fsync=off"]
        options += ["shared_buffers=32MB", "max_connections=50"]
        flags = [part for option in options for part in ("-c", option)]
        child = process.spawn([tools / "postgres", "-D", data, "-p", str(port), *flags], log=log, user=account)
        process.wait_ready(child, [port], log=log)
        server = cls(work_dir, port, child)
        server._create_database()
        return server

    @property
    def uri(self) -> str:
        """For libpq, psycopg and headrace."""
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/{self.database}"

    @property
    def sqlalchemy_uri(self) -> str:
        """For PyIceberg's SqlCatalog."""
        return self.uri.replace("postgresql://", "postgresql+psycopg2://")

    def stop(self) -> None:
        """End the server at once; its data is the tests' own."""
        # SIGQUIT is PostgreSQL's immediate shutdown: it ends its own children, which SIGKILL would leave for a while.
        if self._child.poll() is None:
            self._child.send_signal(3)
            try:
                self._child.wait(10)
            except subprocess.TimeoutExpired:
                process.stop(self._child, grace_s=0.0)

    def _create_database(self) -> None:
        import psycopg

        address = f"postgresql://{self.user}@127.0.0.1:{self.port}/postgres"
        for attempt in range(100):  # it accepts connections a moment before it accepts sessions
            try:
                with psycopg.connect(address, autocommit=True, connect_timeout=5) as connection:
                    connection.execute(f"create database {self.database}")
                return
            except psycopg.OperationalError:
                if attempt == 99 or self._child.poll() is not None:
                    raise
                import time

                time.sleep(0.05)


def find_tools() -> Path:
    """The folder of initdb and postgres.

    Raises
    ------
    RuntimeError
        Where PostgreSQL is not installed; says how to install it.
    """
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: -int(each.parent.name))
    config = shutil.which("pg_config")
    if config:
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True)
        candidates.insert(0, Path(answer.stdout.strip()))
    server = shutil.which("postgres")
    if server:
        candidates.append(Path(server).resolve().parent)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise RuntimeError(INSTALL_HINT)
