"""Processes that a plugin forks with `os.fork` or `multiprocessing`: they get nothing of the worker.

A child would otherwise hold the listeners and the clients' sockets open, share the epoll set, and share the socket that
signals wake the loop by: TERM to the child would drain the worker. Programs that a plugin starts need none of this,
because `exec` closes the descriptors and removes the handlers.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Callable
from typing import NoReturn

from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.system import process
from reactorhost.system.fork import ForkRegistry, run_and_exit
from reactorhost.worker.process.end_signals import EndSignals


class ForkedChildren:
    """What happens in every child that this process forks, until the child execs.

    Attributes:
        on_fork: called in the child, with the function that ends it, for each part of the worker that needs more.
    """

    def __init__(self, reactor: Reactor, registry: ForkRegistry, end_signals: EndSignals, log: EventLog) -> None:
        self.on_fork: list[Callable[[Callable[[], NoReturn]], object]] = []
        self._reactor = reactor
        self._registry = registry
        self._end_signals = end_signals
        self._log = log
        self._in_child = False
        # By thread: several may fork at once.
        self._masks: dict[int, set[int | signal.Signals]] = {}

    def watch(self) -> None:
        """Begin; a process cannot end this."""
        os.register_at_fork(before=self._before, after_in_parent=self._restore_mask, after_in_child=self._release)

    def end_if_child(self) -> None:
        """End this process if a plugin has forked it; the code that did so has returned to the host."""
        if self._in_child:
            self._end()

    def _before(self) -> None:
        # A signal to the child must not find the worker's handlers, and write to its socket.
        if not self._in_child:
            self._masks[threading.get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    def _restore_mask(self) -> None:
        if not self._in_child:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.pop(threading.get_ident()))

    def _release(self) -> None:
        if self._in_child:
            return
        try:
            signal.set_wakeup_fd(-1)
            self._end_signals.release_in_child()
            process.stop_ignoring_signals()
            # It would write to the file that the master reads as the stack of the worker.
            faulthandler.disable()
            self._reactor.abandon(self._end)
            self._registry.close_in_child()
            for call in self.on_fork:
                call(self._end)
        finally:
            self._restore_mask()
            self._in_child = True

    def _end(self) -> NoReturn:
        self._log.warning("forked_child_ended", pid=os.getpid(), hint="end a process after os.fork() with os._exit()")
        run_and_exit(lambda: 0)
