"""Child processes that cannot outlive us, and ports that are free. Knows nothing of any particular server.

Neighbours: seaweed.py and postgres.py start their servers here.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def free_ports(count: int) -> int:
    """Return a base such that ``base .. base+count-1``, and each of them + 10000, are free on loopback.

    SeaweedFS takes every port twice (HTTP, and gRPC 10000 above). All lie under 32768, where the kernel's own
    ephemeral ports begin, so nothing takes them between this call and the server's start but another caller.
    """
    while True:
        base = random.randrange(11000, 22000, 10)
        with contextlib.ExitStack() as held:
            try:
                for offset in range(count):
                    for port in (base + offset, base + offset + 10000):
                        held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
        return base


def accepts(port: int) -> bool:
    """Whether something accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
    detached: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a server with its output in ``log``; unless detached it dies with this process, however that ends.

    ``user`` is the account to run as (with its own group and no others), for servers that refuse root.
    """
    account: dict[str, Any] = {"user": user, "group": _group_of(user), "extra_groups": []} if user else {}
    with open(log, "ab") as output:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            start_new_session=detached,
            preexec_fn=None if detached else _die_with_parent,
            **account,
        )
    if not detached:
        atexit.register(stop, process, grace_s=0.0)
    return process


def _die_with_parent() -> None:
    # Runs in the child after it changed its user, since a change of user clears the setting. The kernel sends the
    # signal even when this process is killed with SIGKILL and no atexit runs.
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _group_of(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid


def wait_ready(process: subprocess.Popen[bytes], ports: Iterable[int], *, log: Path, timeout_s: float = 60.0) -> None:
    """Return once every port accepts; raise with the log's end if the process dies or takes too long."""
    waiting, deadline = list(ports), time.monotonic() + timeout_s
    while waiting:
        if process.poll() is not None:
            raise RuntimeError(f"server ended with status {process.returncode} while starting:\n{tail(log)}")
        if time.monotonic() > deadline:
            stop(process, grace_s=0.0)
            raise RuntimeError(f"server was not ready in {timeout_s:.0f} s (ports {waiting} closed):\n{tail(log)}")
        waiting = [port for port in waiting if not accepts(port)]
        time.sleep(0.02)


def tail(log: Path, size_bytes: int = 2000) -> str:
    """The end of a log file."""
    return log.read_bytes()[-size_bytes:].decode(errors="replace") if log.exists() else "(no log)"


def stop(process: subprocess.Popen[bytes], *, grace_s: float) -> None:
    """End a process that we started: SIGTERM, and SIGKILL after ``grace_s`` (at once for 0)."""
    if process.poll() is not None:
        return
    if grace_s > 0:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    if process.poll() is None:
        process.kill()
        process.wait(10)
