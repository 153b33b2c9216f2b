"""A lock of the metastore on one table: waited for, kept alive by heartbeats, given back.

Iceberg's own clients take the same lock around a commit, so whoever holds it is alone between looking at a table's
metadata location and moving it. Locks are granted in the order that they were asked for. One whose holder, or waiter,
died ends when the metastore has not heard of it for its `hive.txn.timeout` (300 s unless set), which it looks for every
`hive.timedout.txn.reaper.interval` (180 s). Must not know: what is done under the lock. Neighbour: `hive.py`. Iceberg
docs, "Hive", "Locking".
"""

from __future__ import annotations

import getpass
import random
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from headrace import config
from headrace.errors import (
    CatalogError,
    ConfigurationError,
    HeadraceError,
    MetaflowTableConflict,
    TableLocked,
)
from headrace.metastore import Metastore
from headrace.metastore.connection import Lost

_TRIES = 3
_CLEANING_S = 10.0
"""For each answer while a lock is given back: where none comes, the metastore lets go of the lock by itself."""
_SHOWN = 3


@dataclass(frozen=True)
class LockTimes:
    """How long what is waited for, in seconds; properties of the catalog in milliseconds.

    Attributes
    ----------
    timeout_s : float
        `hive.lock-timeout-ms`: for the lock. Longer than a metastore takes to let go of a dead writer's lock.
    shortest_wait_s, longest_wait_s : float
        `hive.lock-check-min-wait-ms`, `hive.lock-check-max-wait-ms`: between looks whether it is granted.
    heartbeat_s : float
        `hive.lock-heartbeat-interval-ms`: a fifth of the metastore's patience, so that a few lost ones do no harm.
    """

    timeout_s: float = 600.0
    shortest_wait_s: float = 0.02
    longest_wait_s: float = 1.0
    heartbeat_s: float = 60.0

    @staticmethod
    def of(properties: Mapping[str, str]) -> LockTimes:
        """From a catalog's properties; their names in Iceberg's Java client, "iceberg.hive.lock-...", count too."""
        names = {"timeout_s": "timeout", "heartbeat_s": "heartbeat-interval"}
        names |= {"shortest_wait_s": "check-min-wait", "longest_wait_s": "check-max-wait"}
        found = {}
        for field, name in names.items():
            for key in (f"iceberg.hive.lock-{name}-ms", f"hive.lock-{name}-ms"):
                if key in properties:
                    found[field] = _positive(key, config.as_int(properties, key, 0)) / 1000
        return LockTimes(**found)


def _positive(key: str, number: int) -> int:
    if number < 1:
        raise ConfigurationError(f"property {key!r}: expected milliseconds, found {number}")
    return number


class HiveLock:
    """An exclusive lock on a table; a context manager.

    Parameters
    ----------
    metastore : Metastore
        Grants it.
    database, table : str
        What is locked.
    times : LockTimes
        How long it is waited for.

    Raises
    ------
    TableLocked
        It was not granted in time: nothing was done. Says who has it.
    """

    def __init__(
        self,
        metastore: Metastore,
        database: str,
        table: str,
        times: LockTimes = LockTimes(),
    ) -> None:
        self._metastore = metastore
        self._names = database.lower(), table.lower()
        self._times = times
        self._ends_s = 0.0
        self._id: int | None = None
        self._lost: str | None = None
        self._done = threading.Event()
        self._beats: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._ends_s = time.monotonic() + self._times.timeout_s
        try:
            self._wait(self._ask())
        except BaseException:
            self._unlock()
            raise
        self._beats = threading.Thread(target=self._beat, daemon=True, name="headrace-hive-lock")
        self._beats.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        if self._beats is not None:
            self._beats.join()  # as long as its last heartbeat is waited for, at most
        self._unlock()

    def ensure_held(self) -> None:
        """Raise MetaflowTableConflict if the metastore has let go of the lock: somebody else may hold it now."""
        if self._lost is not None:
            hint = "raise the metastore's hive.txn.timeout, or lower hive.lock-heartbeat-interval-ms"
            raise MetaflowTableConflict(f"the metastore let go of the lock: {self._lost}", hint=hint)

    def abandon(self) -> None:
        """Do not unlock: what was asked for may still be under way, so the lock is left to end by itself."""
        self._id = None

    def _ask(self) -> Any:
        """Ask for the lock, again where the answer was lost; the lock of a lost answer is looked for and given back."""
        types = self._metastore.types
        component = types.LockComponent(
            type=types.LockType.EXCLUSIVE,
            level=types.LockLevel.TABLE,
            dbname=self._names[0],
            tablename=self._names[1],
        )
        for left in reversed(range(_TRIES)):
            agent = f"headrace-{uuid.uuid4()}"
            request = types.LockRequest(
                component=[component], user=_user(), hostname=socket.gethostname(), agentInfo=agent
            )
            try:
                answer = self._metastore.lock(request, timeout_s=self._left_s())
            except (Lost, CatalogError) as error:
                self._give_back(agent)
                if not left or time.monotonic() > self._ends_s:
                    raise CatalogError(f"Hive Metastore: it gives no lock: {error}") from error
                time.sleep(random.uniform(self._times.shortest_wait_s, self._times.longest_wait_s))
                continue
            except BaseException:  # Ctrl-C: a lock that is granted by now would be nobody's
                self._give_back(agent)
                raise
            self._id = answer.lockid
            return answer
        raise AssertionError("unreachable")

    def _wait(self, answer: Any) -> None:
        """Wait until the lock is ours."""
        types, pause = self._metastore.types, self._times.shortest_wait_s
        while answer.state != types.LockState.ACQUIRED:
            if answer.state != types.LockState.WAITING:
                raise TableLocked(f"the metastore refused a lock on the table: {answer.errorMessage or ''}")
            if time.monotonic() > self._ends_s:
                raise self._locked()
            time.sleep(min(random.uniform(pause / 2, pause), self._left_s()))
            pause = min(pause * 1.5, max(self._times.longest_wait_s, self._times.shortest_wait_s))
            answer = self._check(answer)

    def _check(self, before: Any) -> Any:
        """The lock's state; as it was before where the metastore fails to say (its own database had a deadlock)."""
        try:
            return self._metastore.check_lock(self._id or 0, timeout_s=self._left_s())
        except self._metastore.types.NoSuchLockException as error:
            raise MetaflowTableConflict(f"the metastore let go of the lock: {error.message}") from error
        except CatalogError:
            if time.monotonic() > self._ends_s:
                raise
            return before

    def _left_s(self) -> float:
        """What is left of the time; a little in any case, so that a last look is answered."""
        return max(self._ends_s - time.monotonic(), 1.0)

    def _locked(self) -> TableLocked:
        """The error for a lock that was not granted, with those that come before ours."""
        before = []
        with suppress(HeadraceError, Lost, *_thrift_errors()):
            locks = self._metastore.show_locks(*self._names, timeout_s=_CLEANING_S)
            before = sorted((each for each in locks if each.lockid < (self._id or 0)), key=lambda each: each.lockid)
        acquired, now_ms = self._metastore.types.LockState.ACQUIRED, time.time_ns() // 1_000_000
        told = [
            f"lock {each.lockid} of {each.user}@{each.hostname} ({each.agentInfo or 'no agent told'},"
            f" {'held' if each.state == acquired else 'waiting'},"
            f" last heard of {max(now_ms - each.lastheartbeat, 0) / 1000:,.0f} s ago)"
            for each in before[:_SHOWN]
        ]
        more = f" and {len(before) - _SHOWN} more" if len(before) > _SHOWN else ""
        whose = f": before it comes {', '.join(told)}{more}" if told else ""
        message = f"the metastore did not grant a lock on the table in {self._times.timeout_s:g} s{whose}"
        hint = (
            "a writer that died lets go after the metastore's hive.txn.timeout; for one that is alive, commit again or"
            " raise hive.lock-timeout-ms; catalog.metastore.unlock(id) ends a lock whose writer is surely gone"
        )
        return TableLocked(message, hint=hint)

    def _beat(self) -> None:
        """Heartbeats, until the lock is given back or gone."""
        gone = self._metastore.types.NoSuchLockException
        while not self._done.wait(self._times.heartbeat_s):
            try:
                self._metastore.heartbeat(self._id or 0, timeout_s=_CLEANING_S)
            except gone as error:
                self._lost = str(error.message)
                return
            except Exception:  # the next one may arrive; `ensure_held` is told only what is certain
                continue

    def _unlock(self) -> None:
        """Give the lock back; where that fails the metastore lets go by itself."""
        if self._id is not None:
            with suppress(HeadraceError, Lost, *_thrift_errors()):
                self._metastore.unlock(self._id, timeout_s=_CLEANING_S)
            self._id = None

    def _give_back(self, agent: str) -> None:
        with suppress(HeadraceError, Lost, *_thrift_errors()):
            for each in self._metastore.show_locks(*self._names, timeout_s=_CLEANING_S):
                if each.agentInfo == agent:
                    self._metastore.unlock(each.lockid, timeout_s=_CLEANING_S)


def _thrift_errors() -> tuple[type[Exception], ...]:
    from thriftpy2.thrift import TException

    return (TException,)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as containers have
        return "headrace"
