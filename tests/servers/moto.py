"""Moto's imitation of AWS Glue on loopback. Knows nothing of headrace.

It answers as Glue does, but it is no Glue: it takes an UpdateTable whatever version that names, checks no signature and
throttles nobody. So it shows what calls do one after another, never that two at once are safe. Neighbour: process.py.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Self

from . import process


class Moto:
    """A running server.

    Attributes
    ----------
    url : str
        "http://127.0.0.1:<port>".
    properties : dict of str to str
        How PyIceberg's Glue catalog and ours are pointed at it.
    """

    def __init__(self, port: int, child: subprocess.Popen[bytes]) -> None:
        self.url, self._child = f"http://127.0.0.1:{port}", child
        self.properties = {
            "glue.endpoint": self.url,
            "glue.region": "us-east-1",
            "glue.access-key-id": "key",
            "glue.secret-access-key": "secret",
        }

    @classmethod
    def start(cls, folder: Path) -> Self:
        """Serve from memory, with the log in ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        port, log = process.free_ports(1), folder / "moto.log"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        child = process.spawn(command, log=log)
        process.wait_ready(child, [port], log=log)
        return cls(port, child)

    def stop(self) -> None:
        process.stop(self._child, grace_s=0.0)
