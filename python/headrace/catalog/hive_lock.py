"""A lock of the metastore on one table: waited for, kept alive by heartbeats, given back.

Iceberg's own clients take the same lock around a commit, so whoever holds it is alone between looking at a table's
metadata location and moving it. A holder that dies is let go of by the metastore after `hive.txn.timeout` (300 s unless
set). Must not know: what is done under the lock. Neighbour: `hive.py`. Iceberg docs, "Hive", "Locking".
"""

from __future__ import annotations

import getpass
import random
import socket
import threading
import time
import uuid
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from headrace.errors import CatalogError, HeadraceError, MetaflowTableConflict
from headrace.metastore import Metastore
from headrace.metastore.connection import Lost

DEFAULT_TIMEOUT_S = 180.0
DEFAULT_HEARTBEAT_S = 60.0
"""A fifth of the metastore's patience, so that a few lost heartbeats do no harm."""
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.02, 1.0
_TRIES = 3


class HiveLock:
    """An exclusive lock on a table; a context manager.

    Parameters
    ----------
    metastore : Metastore
        Grants it.
    database, table : str
        What is locked.
    timeout_s : float
        Seconds to wait for it.
    heartbeat_s : float
        Seconds between heartbeats.

    Raises
    ------
    MetaflowTableConflict
        It was not granted in time: nothing was done.
    """

    def __init__(
        self,
        metastore: Metastore,
        database: str,
        table: str,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        heartbeat_s: float = DEFAULT_HEARTBEAT_S,
    ) -> None:
        self._metastore = metastore
        self._names = database.lower(), table.lower()
        self._timeout_s = timeout_s
        self._heartbeat_s = heartbeat_s
        self._id: int | None = None
        self._lost: str | None = None
        self._done = threading.Event()
        self._beats: threading.Thread | None = None

    def __enter__(self) -> Self:
        ends = time.monotonic() + self._timeout_s
        try:
            self._wait(self._ask(), ends)
        except BaseException:
            self._unlock()
            raise
        self._beats = threading.Thread(target=self._beat, daemon=True, name="headrace-hive-lock")
        self._beats.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        if self._beats is not None:
            self._beats.join()
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
                answer = self._metastore.lock(request)
            except (Lost, CatalogError) as error:
                self._give_back(agent)
                if not left:
                    raise CatalogError(f"Hive Metastore: it gives no lock: {error}") from error
                time.sleep(random.uniform(_SHORTEST_WAIT_S, _LONGEST_WAIT_S))
                continue
            except BaseException:  # Ctrl-C: a lock that is granted by now would be nobody's
                self._give_back(agent)
                raise
            self._id = answer.lockid
            return answer
        raise AssertionError("unreachable")

    def _wait(self, answer: Any, ends: float) -> None:
        """Wait until the lock is ours."""
        types, pause = self._metastore.types, _SHORTEST_WAIT_S
        while answer.state != types.LockState.ACQUIRED:
            if answer.state != types.LockState.WAITING or time.monotonic() > ends:
                waited = answer.state == types.LockState.WAITING
                why = f"not granted in {self._timeout_s:.0f} s" if waited else f"refused: {answer.errorMessage or ''}"
                hint = "another writer holds it; one that died lets go after the metastore's hive.txn.timeout"
                raise MetaflowTableConflict(f"the metastore's lock on the table was {why}", hint=hint)
            time.sleep(random.uniform(pause / 2, pause))
            pause = min(pause * 1.5, _LONGEST_WAIT_S)
            answer = self._check(answer, time.monotonic() < ends)

    def _check(self, before: Any, may_wait: bool) -> Any:
        """The lock's state; as it was before where the metastore fails to say (its own database had a deadlock)."""
        try:
            return self._metastore.check_lock(self._id or 0)
        except self._metastore.types.NoSuchLockException as error:
            raise MetaflowTableConflict(f"the metastore let go of the lock: {error.message}") from error
        except CatalogError:
            if may_wait:
                return before
            raise

    def _beat(self) -> None:
        """Heartbeats, until the lock is given back or gone."""
        gone = self._metastore.types.NoSuchLockException
        while not self._done.wait(self._heartbeat_s):
            try:
                self._metastore.heartbeat(self._id or 0)
            except gone as error:
                self._lost = str(error.message)
                return
            except Exception:  # the next one may arrive; `ensure_held` is told only what is certain
                continue

    def _unlock(self) -> None:
        """Give the lock back; where that fails the metastore lets go by itself."""
        if self._id is not None:
            with suppress(HeadraceError, Lost, *_thrift_errors()):
                self._metastore.unlock(self._id)
            self._id = None

    def _give_back(self, agent: str) -> None:
        with suppress(HeadraceError, Lost, *_thrift_errors()):
            for each in self._metastore.show_locks(*self._names):
                if each.agentInfo == agent:
                    self._metastore.unlock(each.lockid)


def _thrift_errors() -> tuple[type[Exception], ...]:
    from thriftpy2.thrift import TException

    return (TException,)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as containers have
        return "headrace"
