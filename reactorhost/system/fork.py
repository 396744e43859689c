"""Forking: makes a process that has nothing of the master's but what it was given."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from reactorhost.system.forked import leave_forked


def fork(live: Callable[[], int], close_inherited: Callable[[], None]) -> int:
    """Fork a child that closes what it should not hold, lives, and exits with what `live` returns.

    Signals stay blocked across the fork: one that came before the child reset its handlers would wake the master's
    loop. The child lets them through once it has handlers of its own.

    Raises:
        OSError: the system has no room for another process.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            leave_forked(lambda: _live(live, close_inherited))
    finally:
        # The child never comes here: it left by _exit.
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _live(live: Callable[[], int], close_inherited: Callable[[], None]) -> int:
    close_inherited()
    return live()
