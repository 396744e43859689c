"""Calls of a WSGI application in the threads of the worker, many in a row in one thread.

    event loop                          thread
    add -> pending -> _start  -------->  _run: takes what is pending until nothing is left
    deliver  <-------------------------  notify, for each message; one wake-up for all that come before it

A thread that has finished one call takes the next by itself: passing each call to a thread of its own would cost two
wake-ups more, of the thread and of the loop. A call that blocks does not hold others back, because a thread that begins
lets the loop start another one if more is pending.

`append` and `popleft` of a deque are atomic. `_starting` and `_notified` are cleared before what they stand for is
taken, so what is added later is seen, or is announced once more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import copy_context
from typing import Protocol

from reactorhost import Worker
from reactorhost_asgi.refusals import TOO_MANY, RefusedError

_MOST_PENDING = 1000
_MOST_IN_A_ROW = 100


class Call(Protocol):
    """One call."""

    def run(self) -> None:
        """Make the call, in a thread; raises nothing."""

    def wake(self) -> None:
        """Take notice of a message, in the event loop."""


class Calls:
    """The calls of one worker."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        # An answer may begin the next request of its client, which must not see what the application has set.
        self._variables = copy_context()
        self._pending: deque[Call] = deque()
        self._notifying: deque[Call] = deque()
        self._starting = False
        self._notified = False

    def add(self, call: Call) -> None:
        """Make a call as soon as a thread is free.

        Raises:
            RefusedError: too many calls wait already.
        """
        if len(self._pending) >= _MOST_PENDING:
            raise RefusedError(TOO_MANY)
        self._pending.append(call)
        try:
            self._start()
        except RuntimeError:
            # The queue is full, or the system cannot start a thread.
            try:
                self._pending.remove(call)
            except ValueError:
                # A thread that runs other calls has taken it meanwhile.
                return
            raise RefusedError(TOO_MANY) from None

    def _start(self) -> None:
        if self._pending and not self._starting:
            self._starting = True
            try:
                self._worker.run_in_thread(self._run)
            except RuntimeError:
                self._starting = False
                raise

    def _deliver(self) -> None:
        self._notified = False
        while self._notifying:
            self._notifying.popleft().wake()

    # In a thread.

    def notify(self, call: Call) -> None:
        """Wake a call in the event loop."""
        self._notifying.append(call)
        if not self._notified:
            self._notified = True
            self._loop.call_soon_threadsafe(self._deliver, context=self._variables)

    def _run(self) -> None:
        self._starting = False
        if len(self._pending) > 1:
            self._loop.call_soon_threadsafe(self._start)
        # Not for ever: the threads are those of other plugins too.
        for _ in range(_MOST_IN_A_ROW):
            try:
                call = self._pending.popleft()
            except IndexError:
                return
            call.run()
        self._loop.call_soon_threadsafe(self._start)
