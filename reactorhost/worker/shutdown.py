"""The shutdown of a worker: drain, leave, and the one deadline that both obey.

The deadline is set by the first order to drain and only ever moves closer. Seconds relative to it:

    ... 0     open connections may end by themselves
    0 ... 1   the connections that are left flush their answers and are closed; hooks that still run are cancelled
    ... 2.0   functions in threads may finish; later they are left behind
    ... 2.7   asyncio tasks may handle their cancellation
    ... 2.9   exit functions of plugins run, and their processes end
    3         the master sends KILL, and the worker's own alarm ends the process

The last steps also run when the connections ended early; each may take a second then. The alarm is there for a worker
whose loop does not turn, and for one that has no master.

Signals: TERM drains within `stop_timeout`. QUIT closes everything at once and leaves.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from reactorhost.api.connection import CloseReason
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report
from reactorhost.worker.accept.slot_sockets import SlotSockets
from reactorhost.worker.builder import WorkerParts
from reactorhost.worker.hooks.thread_pool import ThreadPool
from reactorhost.worker.monitor.alarm import Alarm
from reactorhost.worker.state import Lifecycle, WorkerState

_STEP_SECONDS = 1.0
_THREADS_END_AT = 2.0
_TASKS_END_AT = 2.7
_EXIT_FUNCTIONS_END_AT = 2.9
_KILL_AT = 3.0
# A step that begins too late still gets a moment: a thread or task may be about to finish.
_LEAST_SECONDS = 0.1

_MOST_NAMES = 10


class Deadline:
    """The deadline of a worker's drain, and the time that the steps after it may take.

    Nothing here reads a clock: `now` is monotonic seconds.
    """

    def __init__(self) -> None:
        self._at = math.inf
        self._expired = False

    @staticmethod
    def longest_shutdown(stop_timeout: float) -> float:
        """Return the seconds after which a shutdown that began now has failed."""
        return stop_timeout + _KILL_AT

    def shorten(self, now: float, seconds: float) -> bool:
        """Set the deadline to `seconds` from now; returns False if it is earlier already."""
        if now + seconds >= self._at:
            return False
        self._at = now + seconds
        return True

    def expire(self, now: float) -> None:
        """Count the flush after the deadline as over too: no step may wait any more."""
        self._at = min(self._at, now - _STEP_SECONDS)
        self._expired = True

    def passed(self, now: float) -> bool:
        """Return whether connections have to be closed now."""
        return now >= self._at

    def thread_seconds(self, now: float) -> float:
        """Return how long functions in threads may still run."""
        return 0.0 if self._expired else self._step_seconds(now, _THREADS_END_AT)

    def task_seconds(self, now: float) -> float:
        """Return how long asyncio tasks may handle their cancellation."""
        return self._step_seconds(now, _TASKS_END_AT)

    def exit_seconds(self, now: float) -> float:
        """Return how long the exit functions of plugins may run."""
        return self._step_seconds(now, _EXIT_FUNCTIONS_END_AT)

    def _step_seconds(self, now: float, end_at: float) -> float:
        # Steps before this one may have used up their time and more.
        return min(_STEP_SECONDS, max(_LEAST_SECONDS, self._at + end_at - now))


@dataclass(slots=True, eq=False, repr=False)
class Shutdown:
    """Drains a worker and lets it leave; `send_report` sends a report to the master."""

    parts: WorkerParts
    slot_sockets: SlotSockets
    threads: ThreadPool
    lifecycle: Lifecycle
    alarm: Alarm
    send_report: Callable[[Message], object]
    stop_timeout: float
    master_pid: int
    _deadline: Deadline = field(default_factory=Deadline)

    # Causes.

    def term_received(self) -> None:
        """Drain within `stop_timeout`."""
        # The loop turns: the alarm that the signal's handler has set may be put off to the real end.
        self.alarm.end_in(Deadline.longest_shutdown(self.stop_timeout))
        self.send_report({"report": Report.LEAVING, "seconds": self.stop_timeout})
        # The kernel sends TERM too when the master ends (PDEATHSIG). No worker will take the queues over then.
        self.drain(self.stop_timeout, final=os.getppid() != self.master_pid)

    def quit_received(self) -> None:
        """Close everything now and leave."""
        self.send_report({"report": Report.LEAVING, "seconds": 0})
        self._deadline.expire(self.parts.context.reactor.now)
        if self.lifecycle.state is WorkerState.LEAVING:
            self.parts.context.reactor.stop()
            return
        self._begin_draining(final=False)
        for transport in self.parts.transports():
            # First, for its reason: `abort` alone would report `local`, the plugin's own.
            transport.close_for(CloseReason.SHUTDOWN)
            transport.abort()
        self._abandon_datagrams_and_handshakes()
        self.parts.outbound.abort()
        self._cancel_hooks()
        self.leave_if_done()

    def master_gone(self) -> None:
        """Drain without a master: no other worker will accept what is queued."""
        self.parts.context.log.warning("master_gone", connections=self.parts.context.counters.connections)
        self.drain(self.stop_timeout, final=True)

    def drain(self, seconds: float, *, final: bool) -> None:
        """Accept nothing more and leave when the connections have ended, or after `seconds`.

        `final`: no other worker will accept what is queued, so accept it first.
        """
        if self._deadline.shorten(self.parts.context.reactor.now, seconds):
            self.parts.context.reactor.call_later(seconds, self._deadline_reached)
        if not self.lifecycle.accepting:
            return
        self._begin_draining(final=final)
        self.parts.context.log.info(
            "worker_draining", connections=self.parts.context.counters.connections, seconds=round(seconds, 1)
        )
        for service in self.parts.services.values():
            service.drain()
        self.leave_if_done()

    # Steps.

    def _begin_draining(self, *, final: bool) -> None:
        if self.lifecycle.state is WorkerState.SERVING:
            if final:
                self.slot_sockets.empty_queues()
            else:
                self.slot_sockets.release_all()
        # A worker that never served leaves the queues of its slot to the next one.
        if self.lifecycle.accepting:
            self.lifecycle.enter(WorkerState.DRAINING)

    def _deadline_reached(self) -> None:
        if not self._deadline.passed(self.parts.context.reactor.now):
            return
        for transport in self.parts.transports():
            transport.close_for(CloseReason.SHUTDOWN, _STEP_SECONDS)
        self._abandon_datagrams_and_handshakes()
        self._cancel_hooks()
        self.parts.outbound.leave(_STEP_SECONDS)

    def _abandon_datagrams_and_handshakes(self) -> None:
        self.slot_sockets.abandon()
        self.parts.end_handshakes()

    def _cancel_hooks(self) -> None:
        hook_queues = self.parts.context.hook_queues
        if hook_queues is not None:
            hook_queues.hurry()

    def leave_if_done(self) -> None:
        """Leave if the worker drains and nothing is left to wait for."""
        done = not (self.parts.occupied or self.slot_sockets.in_use)
        if done and self.lifecycle.state is WorkerState.DRAINING:
            self.lifecycle.enter(WorkerState.LEAVING)
            self.parts.facades.cancel_timers()
            self.parts.outbound.leave(_STEP_SECONDS)
            self.parts.outbound.when_left(partial(self._wait_for_threads, self.parts.context.reactor.now))

    def _wait_for_threads(self, since: float) -> None:
        # Again: the `close` hooks of outbound connections may have set timers.
        self.parts.facades.cancel_timers()
        self.parts.context.reactor.call_at(
            since + self._deadline.thread_seconds(self.parts.context.reactor.now), self.parts.context.reactor.stop
        )
        self.threads.finish(self.parts.context.reactor.stop)

    def finish(self) -> None:
        """Run `worker_stop` and end what plugins left behind; the loop has stopped."""
        parts = self.parts
        parts.call(parts.hooks.worker_stop)
        self._log_abandoned_threads()
        # After `worker_stop`, which may count something.
        parts.metrics_report.send_last()
        if parts.bridge is not None:
            unfinished = parts.bridge.close(self._deadline.task_seconds(self.parts.context.reactor.now))
            if unfinished:
                self.parts.context.log.warning("tasks_abandoned", count=len(unfinished), tasks=",".join(unfinished))

    def exit_seconds(self) -> float:
        """Return how long the exit functions of plugins may run; `finish` was called before."""
        # Not the reactor's `now`: its loop has stopped.
        return self._deadline.exit_seconds(time.monotonic())

    def _log_abandoned_threads(self) -> None:
        running, cancelled = self.threads.running(), self.threads.cancelled()
        if running or cancelled:
            names = ", ".join(list(dict.fromkeys(running + cancelled))[:_MOST_NAMES])
            self.parts.context.log.warning(
                "threads_abandoned", running=len(running), cancelled=len(cancelled), functions=names
            )
