"""Work in forked processes: each shares the frame's memory, and sends back what it made, pickled.

Forked, not spawned, so that closures serve and no row is copied. Must not know: what the work is.
"""

from __future__ import annotations

import inspect
import os
import pickle
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from headrace.errors import MetaflowDataFrameException

_FAILED = 17


def parallel_map(function: Callable[[Any], Any], arguments: Sequence[Any], at_once: int) -> list[Any]:
    """Call a function for each argument, each in a process of its own, at most so many at once.

    Raises
    ------
    MetaflowDataFrameException
        The first call that failed; the others are ended.
    """
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        files = [Path(folder, str(at)) for at in range(len(arguments))]
        running: dict[int, int] = {}
        try:
            for at, argument in enumerate(arguments):
                if len(running) >= at_once:
                    _wait(running, files)
                running[_start(function, argument, files[at])] = at
            while running:
                _wait(running, files)
        finally:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        return [pickle.loads(each.read_bytes()) for each in files]


def of_pairs(function: Callable[..., Any]) -> Callable[[tuple[Any, Any]], Any]:
    """A function of two arguments as one of a pair; one of a single argument as it is."""
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return function
    except ValueError:  # a builtin without a signature
        pass
    return lambda pair: function(*pair)


def _start(function: Callable[[Any], Any], argument: Any, file: Path) -> int:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()  # else the child writes again what is not flushed
    with warnings.catch_warnings():
        # Python 3.12 warns of any fork beside threads: the engine's are remade in the child
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return pid
    try:
        code = _work(function, argument, file)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code if "code" in locals() else _FAILED)


def _work(function: Callable[[Any], Any], argument: Any, file: Path) -> int:
    try:
        with file.open("wb") as out:
            _Pickler(out, pickle.HIGHEST_PROTOCOL).dump(function(argument))
        return 0
    except BaseException:
        file.write_text(traceback.format_exc())
        return _FAILED


class _Pickler(pickle.Pickler):
    """Frames of any size: the limit is for artifacts, and these bytes are gone when they are read."""

    def reducer_override(self, value: Any) -> Any:
        from headrace.dataframe import MetaflowDataFrame, unpickled

        if isinstance(value, MetaflowDataFrame):
            return unpickled, (value._frame.to_bytes(),)
        return NotImplemented


def _wait(running: dict[int, int], files: Sequence[Path]) -> None:
    """Wait for the oldest process."""
    pid, at = next(iter(running.items()))
    _, status = os.waitpid(pid, 0)
    del running[pid]
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return
    if code == _FAILED and files[at].exists():
        raise MetaflowDataFrameException(f"the function failed on part {at}:\n{files[at].read_text()}")
    reason = f"was ended by signal {-code}" if code < 0 else f"exited with {code}"
    hint = "signal 9 is most often the system, out of memory: fewer at once (max_parallel)"
    raise MetaflowDataFrameException(f"the process of part {at} {reason}", hint=hint if code == -9 else None)
