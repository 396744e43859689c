"""The history of groups in one worker: what `keep_history` and `history` of a `Worker` do.

A request is answered at the end of the turn: from the stored messages of the backend if there is one, otherwise, or if
it cannot be read, from the rings of this worker. These are complete only when those of another worker have been read
(`history_transfer`), so the first requests wait for that, within bounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from reactorhost.api.awaitable import TaskState
from reactorhost.api.history_request import HistoryRequest
from reactorhost.bus.backend import Keep
from reactorhost.bus.history import Entry, Histories
from reactorhost.bus.numbers import Numbers, ReceivedNumbers
from reactorhost.bus.refs import Origin
from reactorhost.plugins.guard import as_error
from reactorhost.reactor import Reactor
from reactorhost.worker.bus.local.history_transfer import HistoryTransfer, TransferState
from reactorhost.worker.bus.local.interest import Interest
from reactorhost.worker.hooks.callbacks import check_function
from reactorhost.worker.hooks.hook_errors import HookFailure

MOST_KEPT_MESSAGES = 100_000
STORED_SECONDS = 5.0
"""How long the backend may take before a request is answered from the rings."""

OnStored = Callable[[Sequence[bytes] | None], object]
ReadStored = Callable[[str, int, OnStored], object]
"""Called with a key, the number of messages, and a function to call with them, the newest last, or with None."""


@dataclass(slots=True, eq=False)
class _Read:
    """A request of a plugin."""

    request: HistoryRequest
    plugin: str
    key: str
    most: int
    on_result: Callable[[list[bytes]], object] | None
    # As for `run_in_thread`: of the hook that makes the request.
    variables: Context = field(default_factory=copy_context)


class History:
    """The history of the groups of one worker.

    Attributes:
        transfer: reads the history of other workers.
        read_stored: reads the stored messages of the backend, None without one.
    """

    def __init__(self, origin: Origin, reactor: Reactor, interest: Interest, hook_failed: HookFailure) -> None:
        self.read_stored: ReadStored | None = None
        self._origin = origin.id
        self._reactor = reactor
        self._interest = interest
        self._hook_failed = hook_failed
        self._histories = Histories()
        self._numbers = Numbers()
        self._received = ReceivedNumbers()
        self._waiting: list[_Read] = []
        self.transfer = HistoryTransfer(origin, reactor, self._histories, self._answer_waiting)

    # What a `Worker` calls.

    def keep(self, pattern: str, messages: int, seconds: float | None) -> None:
        """Keep the messages of the keys that fit a pattern.

        Raises:
            TypeError: a number is of another type.
            ValueError: a number is out of range.
        """
        _check_count("keep_history", "messages", messages)
        if seconds is not None:
            if not isinstance(seconds, int | float) or isinstance(seconds, bool):
                raise TypeError(f"keep_history needs seconds as a number, not {seconds!r}")
            if not 0 < seconds < math.inf:
                raise ValueError(f"keep_history needs positive seconds, or None for ever, not {seconds!r}")
        self._histories.keep(pattern, Keep(messages, seconds))
        self._interest.keep(pattern)
        self.transfer.begin()

    def read(
        self, plugin: str, key: str, most: int, on_result: Callable[[list[bytes]], object] | None
    ) -> HistoryRequest:
        """Read the newest messages of a key.

        Raises:
            TypeError: `most` is not an integer, or `on_result` is not a plain function.
            ValueError: `most` is out of range, or the key is not kept.
        """
        _check_count("history", "most", most)
        if on_result is not None:
            check_function("on_result", on_result)
        if self._histories.keep_of(key) is None:
            raise ValueError(f"no keep_history covers the group {key[2:]!r}: call worker.keep_history in worker_start")
        read = _Read(HistoryRequest(), plugin, key, most, on_result)
        if self.read_stored is not None:
            self._read_stored(self.read_stored, read)
        else:
            self._read_rings(read)
        return read.request

    # What the bus calls.

    def keep_of(self, key: str) -> Keep | None:
        """Return how much of a key is kept, None for nothing."""
        return self._histories.keep_of(key)

    def published(self, key: str, data: bytes) -> int:
        """Keep an own message; returns its number, 0 if the key is not kept."""
        if self._histories.keep_of(key) is None:
            return 0
        number = self._numbers.next(key)
        self._histories.add(key, Entry(self._origin, number, data), self._reactor.clock())
        return number

    def received(self, origin: Origin, key: str, number: int, data: bytes) -> bool:
        """Keep a numbered message of another worker; returns False if it was received before."""
        if not self._received.admits(key, origin, number):
            return False
        # Without a number: its publisher does not keep this key, as after a reload of a changed plugin.
        if number:
            self._histories.add(key, Entry(origin.id, number, data), self._reactor.clock())
        return True

    def since(self, key: str, number: int) -> Sequence[tuple[int, bytes]] | None:
        """Return the own messages of a key from a number on, or None if some are not kept any more."""
        return self._histories.since(key, self._origin, number)

    # Answers.

    def _read_rings(self, read: _Read) -> None:
        if self.transfer.state is TransferState.READY:
            self._reactor.call_soon(self._answer, read, None)
        else:
            self._waiting.append(read)

    def _answer_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for read in waiting:
            self._read_rings(read)

    def _read_stored(self, read_stored: ReadStored, read: _Read) -> None:
        is_open = True

        def answer(messages: Sequence[bytes] | None) -> None:
            # Once: an answer may come after the time is over.
            nonlocal is_open
            if not is_open:
                return
            is_open = False
            timer.cancel()
            if messages is None:
                self._read_rings(read)
            else:
                self._reactor.call_soon(self._answer, read, list(messages[-read.most :]))

        timer = self._reactor.call_later(STORED_SECONDS, answer, None)
        read_stored(read.key, read.most, answer)

    def _answer(self, read: _Read, messages: list[bytes] | None) -> None:
        if read.request.state is not TaskState.PENDING:
            # The plugin has cancelled it.
            return
        if messages is None:
            messages = self._histories.newest(read.key, read.most, self._reactor.clock())
        read.request.set_result(messages)
        if read.on_result is not None:
            read.variables.run(self.call_on_result, read.plugin, read.on_result, messages)

    # The code object of this function marks callbacks on a stack: see `worker.hook_watchdog`.
    def call_on_result(self, plugin: str, function: Callable[[list[bytes]], object], messages: list[bytes]) -> None:
        """Call a plugin's `on_result`."""
        try:
            function(messages)
        except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
            self._hook_failed(plugin, "on_result", None, as_error(raised))


def _check_count(method: str, name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{method} needs a number of messages as {name}, not {value!r}")
    if not 1 <= value <= MOST_KEPT_MESSAGES:
        raise ValueError(f"{method} needs 1 to {MOST_KEPT_MESSAGES} messages, not {value}")
