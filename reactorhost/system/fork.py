"""Fork a process that closes what it inherited and exits without running its parent's clean-up."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Collection
from typing import NoReturn

_EXIT_SOFTWARE = 70


class ForkRegistry:
    """The descriptors that this process has open and that a process forked from it has to close.

    Whatever opens a descriptor that must not outlive this process adds it here and discards it when it closes it. There
    is one registry a process; a forked child that opens descriptors of its own makes a new one.

    The callable that is registered must only close: epoll sets are shared across a fork, so a child that unregisters a
    descriptor removes it from its parent's set.
    """

    def __init__(self) -> None:
        self._open: dict[object, Callable[[], object]] = {}

    def add(self, resource: object, close: Callable[[], object]) -> None:
        """Let forked children call `close`; `resource` is the key, compared by its own equality."""
        self._open[resource] = close

    def discard(self, resource: object) -> None:
        """Remove a resource that was closed; one that is not registered is ignored."""
        self._open.pop(resource, None)

    def close_in_child(self, keep: Collection[object] = ()) -> None:
        """Close every resource except those in `keep`; called in the child, in the order of registration.

        The registry is empty afterwards, the kept ones included: a child that forks again has nothing left to close
        twice, and its descriptor numbers may be in use for other files by then.
        """
        resources = self._open
        self._open = {}
        for resource, close in resources.items():
            if resource not in keep:
                # A failure must not leave the others open: a listener that stays open accepts clients that are lost.
                with contextlib.suppress(OSError):
                    close()


def fork(run: Callable[[], int], registry: ForkRegistry, keep: Collection[object] = ()) -> int:
    """Fork a child that closes what is registered, except `keep`, and exits with the status that `run` returns.

    Signals stay blocked across the fork and in the child until it has handlers of its own: with the inherited handlers,
    a signal to the child would write into the wake-up socket that it shares with the parent's reactor.

    Raises:
        OSError: the system has no room for another process.
    """
    # Call it in the main thread: PDEATHSIG fires when the thread that forked ends, not the process (prctl(2)).
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            run_and_exit(lambda: _run_child(run, registry, keep))
    finally:
        # Only the parent gets here: the child ended in `run_and_exit`.
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def run_and_exit(run: Callable[[], int]) -> NoReturn:
    """Run a forked child and end the process with the status that `run` returns.

    `os._exit` skips `finally` blocks and exit handlers of the frames below, which belong to the parent.
    """
    status = _EXIT_SOFTWARE
    try:
        status = run()
    finally:
        if sys.exc_info()[0] is not None:
            # Imported here: commands that never fork import this module too, for its registry.
            import traceback

            traceback.print_exc()
        # `_exit` does not flush them either.
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
        os._exit(status)


def _run_child(run: Callable[[], int], registry: ForkRegistry, keep: Collection[object]) -> int:
    registry.close_in_child(keep)
    return run()
