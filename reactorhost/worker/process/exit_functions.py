"""What Python runs when an interpreter exits, and the end of the processes that plugins have left behind.

A worker ends with `os._exit`, which runs nothing: the master, which it was forked from, has exit functions of its own.
So the functions that were registered in this process are called here, within a time:

    ... 1/2   process pools are shut down, then the functions of `atexit` run; that of `multiprocessing` is one of them
    1/2       TERM to the child processes that are left: a function that waits for one of them can return
    3/4       KILL to these
    1         the process ends, whatever still runs

A thread keeps to these times. An exception raised by a signal handler would also interrupt functions that could have
returned, and end up in the code of plugins; and some functions must run in the main thread, such as one that closes a
connection of sqlite3.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

from reactorhost.logs import EventLog
from reactorhost.system import process

# For TERM, then for KILL; each goes on to what the processes that have ended had started.
_END_SECONDS = ((signal.SIGTERM, 0.15), (signal.SIGKILL, 0.05))
_POLL_SECONDS = 0.01


def forget_inherited() -> None:
    """Forget the exit functions of the process that forked this one."""
    # As in `multiprocessing.process.BaseProcess._bootstrap`; there is no public function.
    atexit._clear()  # noqa: SLF001
    # `logging` had registered it, for handlers that buffer.
    atexit.register(logging.shutdown)


def run_exit_functions(seconds: float, log: EventLog) -> None:
    """Call the exit functions of plugins, and end their processes; ends this process if that takes longer."""
    done = threading.Event()

    def keep_time() -> None:
        if done.wait(seconds / 2):
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in children():
                _send(pid, number)
            if done.wait(seconds / 4):
                return
        log.warning("exit_functions_abandoned", seconds=round(seconds, 1))
        os._exit(0)

    # A program that a plugin has started may have started others.
    process.adopt_orphans()
    threading.Thread(target=keep_time, daemon=True).start()
    _shut_down_process_pools()
    atexit._run_exitfuncs()  # noqa: SLF001  no public function either
    done.set()
    _end_children(log)


def children() -> list[int]:
    """Return the child processes, except those that outlive a worker.

    These are the leaders of a session of their own, which a plugin has detached, and the resource tracker of
    `multiprocessing`, which removes what its processes have left behind once the last of them has ended.
    """
    pids: list[int] = []
    # Without a free descriptor none is found.
    with contextlib.suppress(OSError):
        for path in Path("/proc/self/task").glob("*/children"):
            # The thread may have ended since.
            with contextlib.suppress(OSError):
                pids += map(int, path.read_text().split())
    tracker = getattr(sys.modules.get("multiprocessing.resource_tracker"), "_resource_tracker", None)
    return [pid for pid in pids if pid != getattr(tracker, "_pid", None) and not _is_detached(pid)]


def _shut_down_process_pools() -> None:
    # Before the functions of `atexit`, as Python does: `multiprocessing` waits for all processes, and those of a pool
    # of `concurrent.futures` end only when it is shut down. Threads have had their time in `Shutdown`.
    pools = sys.modules.get("concurrent.futures.process")
    if pools is not None:
        pools._python_exit()  # noqa: SLF001  `threading` calls it in an interpreter that exits


def _end_children(log: EventLog) -> None:
    ended: set[int] = set()
    for number, seconds in _END_SECONDS:
        sent: set[int] = set()
        deadline = time.monotonic() + seconds
        while (left := {pid for pid in children() if not _has_ended(pid)}) and time.monotonic() < deadline:
            for pid in left - sent:
                _send(pid, number)
            sent |= left
            time.sleep(_POLL_SECONDS)
        ended |= sent
    if ended:
        log.warning("children_ended", count=len(ended), pids=",".join(map(str, sorted(ended))))


def _has_ended(pid: int) -> bool:
    try:
        # Leaves its status to whatever waits for it: a plugin's thread may.
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _is_detached(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        return os.getsid(pid) != os.getsid(0)
    return True


def _send(pid: int, number: signal.Signals) -> None:
    # One that was waited for since; one that is not, keeps its id.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
