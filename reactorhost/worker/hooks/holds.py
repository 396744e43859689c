"""What plugins hold a draining worker for: `worker.hold`.

OPEN -> DRAINING (plugins save their state) -> WAITING (nothing else keeps the worker) -> ENDED

A hold counts from the moment it is made, so a plugin may hold the worker long before it drains. While the worker waits
for holds alone, the master is sent what they are for, and after some seconds the log has it. At the deadline of the
worker they are abandoned. One that is made after the end is not active.

`worker_stop` is a last chance: a hold that it releases was not in vain. What is left then is what the master knows of
the worker when it exits, so that a stop can report it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Self

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report
from reactorhost.logs import EventLog
from reactorhost.printable import printable
from reactorhost.reactor import Reactor, TimerHandle

_SLOW_SECONDS = 5.0
# Holds that come and go in a moment are of no interest.
_REPORT_SECONDS = 0.25
_MOST_CHARACTERS = 200


class HoldsState(enum.Enum):
    """Whether the worker waits for holds."""

    OPEN = "open"
    DRAINING = "draining"
    WAITING = "waiting"
    ENDED = "ended"
    """Nothing is waited for any more."""


def _ignore() -> None:
    """Do nothing; the default of `Holds.on_released`."""


class Holds:
    """The holds of one worker; `send` sends a report to the master, `check_thread` refuses calls of other threads.

    Attributes:
        on_released: called in the loop when a draining worker has no hold any more.
    """

    def __init__(
        self,
        reactor: Reactor,
        send: Callable[[Message], object],
        log: EventLog,
        check_thread: Callable[[str], object],
    ) -> None:
        self.on_released: Callable[[], object] = _ignore
        self._reactor = reactor
        self._send = send
        self._log = log
        self._check_thread = check_thread
        self._state = HoldsState.OPEN
        # In the order in which they were made.
        self._holds: dict[PluginHold, None] = {}
        self._reported: list[dict[str, str]] = []
        self._report_timer: TimerHandle | None = None

    @property
    def reasons(self) -> list[dict[str, str]]:
        """What the worker is held for, or was until the deadline: `plugin` and `reason` of each hold."""
        return [{"plugin": hold.plugin, "reason": hold.reason} for hold in self._holds]

    def hold(self, plugin: str, reason: str, on_drain: Callable[[], object] | None) -> PluginHold:
        """Keep the worker from leaving; `on_drain` is called when it drains, or now if it does already.

        Raises:
            TypeError: the reason is not a text.
        """
        if not isinstance(reason, str):
            raise TypeError(f"worker.hold takes a text as reason, not {type(reason).__name__}")
        hold = PluginHold(self, plugin, printable(reason)[:_MOST_CHARACTERS], on_drain)
        if self._state is not HoldsState.ENDED:
            self._holds[hold] = None
            self._changed()
            if self._state is not HoldsState.OPEN:
                hold.drain()
        return hold

    def is_active(self, hold: PluginHold) -> bool:
        """Return whether the worker waits for a hold."""
        return self._state is not HoldsState.ENDED and hold in self._holds

    def release(self, hold: PluginHold) -> None:
        """Wait for a hold no more.

        Raises:
            RuntimeError: this is another thread, as that of a function which saves the state may be.
        """
        self._check_thread("hold.release")
        if hold not in self._holds:
            return
        del self._holds[hold]
        self._changed()
        if not self._holds and self._state in (HoldsState.DRAINING, HoldsState.WAITING):
            # Not now: the hook that releases it may be one of many that the drain calls.
            self._reactor.call_soon(self.on_released)

    def drain(self) -> None:
        """Let plugins know that the worker is about to leave."""
        if self._state is HoldsState.OPEN:
            self._state = HoldsState.DRAINING
            for hold in tuple(self._holds):
                hold.drain()

    def keep(self) -> bool:
        """Return whether a hold keeps the worker, which drains and has nothing else to wait for."""
        if self._holds and self._state is HoldsState.DRAINING:
            self._state = HoldsState.WAITING
            self._changed()
            self._reactor.call_later(_SLOW_SECONDS, self._log_slow)
        return self._state is not HoldsState.ENDED and bool(self._holds)

    def end(self) -> None:
        """Wait for no hold any more: the worker leaves, or its deadline has passed, and what is held is abandoned."""
        if self._state is HoldsState.ENDED:
            return
        for hold in self._holds:
            self._log.warning("hold_abandoned", plugin=hold.plugin, reason=hold.reason)
        self._state = HoldsState.ENDED
        # Now: the worker may leave before the timer is due, and threads may keep it for some seconds more.
        self.report()

    def _log_slow(self) -> None:
        for hold in self._holds if self._state is HoldsState.WAITING else ():
            self._log.warning("worker_held", plugin=hold.plugin, reason=hold.reason, seconds=_SLOW_SECONDS)

    def _changed(self) -> None:
        if self._state is HoldsState.WAITING and self._report_timer is None:
            self._report_timer = self._reactor.call_later(_REPORT_SECONDS, self.report)

    def report(self) -> None:
        """Send the master what has changed."""
        if self._report_timer is not None:
            self._report_timer.cancel()
            self._report_timer = None
        if self.reasons != self._reported:
            self._reported = self.reasons
            self._send({"report": Report.HELD, "holds": self._reported})


class PluginHold:
    """See `reactorhost.api.worker_protocols.WorkerHold`; `on_drain` is called at most once."""

    __slots__ = ("_holds", "_on_drain", "plugin", "reason")

    def __init__(self, holds: Holds, plugin: str, reason: str, on_drain: Callable[[], object] | None) -> None:
        self.plugin = plugin
        self.reason = reason
        self._holds = holds
        self._on_drain = on_drain

    @property
    def active(self) -> bool:
        """Whether the worker still waits for it."""
        return self._holds.is_active(self)

    def drain(self) -> None:
        """Call `on_drain`."""
        if self._on_drain is not None:
            self._on_drain()

    def release(self) -> None:
        """Let the worker leave."""
        self._holds.release(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.release()
