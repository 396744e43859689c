"""The shutdown of a worker: drain, leave, and the one deadline that both obey.

The deadline is set by the first order to drain and only ever moves closer. What follows takes `closing_seconds` of the
settings, the last part of `stop_timeout`. In shares of them:

    ... 0      open connections may end by themselves; a leader finishes its jobs and its `leader_stop`; plugins may
               hold the worker
    0 ... 1/3  the connections that are left flush their answers and are closed; hooks that still run are cancelled.
               Holds are abandoned at the end
    ... 0.6    functions in threads may finish; later they are left behind
    ... 0.8    asyncio tasks may handle their cancellation
    ... 0.88   exit functions of plugins run, and their processes end
    0.9        the master sends ABRT to a worker whose loop does not turn, for its stack
    1          the master sends KILL, and the worker's own alarm ends the process

The last steps also run when the connections ended early; each may take a third of the time then. The alarm is there for
a worker whose loop does not turn, and for one that has no master.

Signals: QUIT closes everything at once and leaves. TERM drains within `stop_timeout`, but by an order of the master:
systemd, supervisord and `tini -g` send TERM to all processes of a host, and then no other worker will accept what is
queued. The worker cannot know that. The master does, as soon as it handles its own signal, so it waits a moment for
that before it orders the drain. Meanwhile the worker serves on.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from reactorhost.api.close_reason import CloseReason
from reactorhost.config.settings import Settings
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report
from reactorhost.worker.accept.slot_sockets import SlotSockets
from reactorhost.worker.builder import WorkerParts
from reactorhost.worker.hooks.thread_pool import ThreadPool
from reactorhost.worker.process.alarm import Alarm
from reactorhost.worker.state import Lifecycle, WorkerState

_STEP_SHARE = 1 / 3
_THREADS_END_AT = 0.6
_TASKS_END_AT = 0.8
_EXIT_FUNCTIONS_END_AT = 0.88
# A step that begins too late still gets a moment: a thread or task may be about to finish.
_LEAST_SECONDS = 0.1

_ORDER_SECONDS = 2.0
_MOST_NAMES = 10


class Deadline:
    """The deadline of a worker's drain, and the time that the steps after it may take.

    Nothing here reads a clock: `now` is monotonic seconds.

    Attributes:
        step_seconds: how long one step after the drain may take.
    """

    def __init__(self, closing_seconds: float) -> None:
        self._closing_seconds = closing_seconds
        self.step_seconds = closing_seconds * _STEP_SHARE
        self._at = math.inf
        self._expired = False

    def shorten(self, now: float, seconds: float) -> bool:
        """Set the deadline to `seconds` from now; returns False if it is earlier already."""
        if now + seconds >= self._at:
            return False
        self._at = now + seconds
        return True

    def expire(self, now: float) -> None:
        """Count the flush after the deadline as over too: no step may wait any more."""
        self._at = min(self._at, now - self.step_seconds)
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
        left = self._at + end_at * self._closing_seconds - now
        return min(self.step_seconds, max(_LEAST_SECONDS, left))


@dataclass(slots=True, eq=False, repr=False)
class Shutdown:
    """Drains a worker and lets it leave; `send_report` sends a report to the master."""

    parts: WorkerParts
    slot_sockets: SlotSockets
    threads: ThreadPool
    lifecycle: Lifecycle
    alarm: Alarm
    send_report: Callable[[Message], object]
    settings: Settings
    master_pid: int
    _deadline: Deadline = field(init=False)

    def __post_init__(self) -> None:
        self._deadline = Deadline(self.settings.closing_seconds)
        self.parts.leadership.on_stepped_down = self.leave_if_done
        self.parts.holds.on_released = self.leave_if_done

    # Causes.

    def term_received(self) -> None:
        """Drain within `stop_timeout`."""
        seconds = self.settings.stop_drain_seconds
        # The loop turns: the alarm that the signal's handler has set may be put off to the real end.
        self.alarm.end_in(self.settings.stop_seconds)
        # That is also the end of the master (PDEATHSIG). No worker will take the queues over then.
        orphaned = os.getppid() != self.master_pid
        waits = self.lifecycle.state is WorkerState.SERVING and not orphaned
        self.send_report({"report": Report.LEAVING, "seconds": seconds, "waits": waits})
        if waits:
            # A master that is stopped sends no order.
            patience = min(_ORDER_SECONDS, self.settings.stop_seconds / 2)
            left = max(0.0, seconds - patience)
            self.parts.context.reactor.call_later(patience, partial(self.drain, left, final=False))
        else:
            self.drain(seconds, final=orphaned)

    def quit_received(self) -> None:
        """Close everything now and leave."""
        self.send_report({"report": Report.LEAVING, "seconds": 0, "waits": False})
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
        self.parts.leadership.hurry(_LEAST_SECONDS)
        self.parts.holds.end()
        self.leave_if_done()

    def master_gone(self) -> None:
        """Drain without a master: no other worker will accept what is queued."""
        self.parts.context.log.warning("master_gone", connections=self.parts.context.counters.connections)
        self.drain(self.settings.stop_drain_seconds, final=True)

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
        # After the hooks `drain`, which may have closed every connection that a plugin waits for.
        self.parts.holds.drain()
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
            # Beside the connections: another worker leads as soon as this one does not, however long they last.
            self.parts.leadership.step_down()

    def _deadline_reached(self) -> None:
        if not self._deadline.passed(self.parts.context.reactor.now):
            return
        for transport in self.parts.transports():
            transport.close_for(CloseReason.SHUTDOWN, self._deadline.step_seconds)
        self._abandon_datagrams_and_handshakes()
        self._cancel_hooks()
        self.parts.leadership.hurry(self._deadline.step_seconds)
        # Later, since plugins may hold the worker until their connections have ended, which are closed now.
        self.parts.context.reactor.call_later(self._deadline.step_seconds, self._abandon_holds)
        self.parts.bus.leave()
        self.parts.outbound.leave(self._deadline.step_seconds)

    def _abandon_holds(self) -> None:
        self.parts.holds.end()
        self.leave_if_done()

    def _abandon_datagrams_and_handshakes(self) -> None:
        self.slot_sockets.abandon()
        self.parts.end_handshakes()

    def _cancel_hooks(self) -> None:
        hook_queues = self.parts.context.hook_queues
        if hook_queues is not None:
            hook_queues.hurry()

    def leave_if_done(self) -> None:
        """Leave if the worker drains and nothing is left to wait for."""
        done = not (self.parts.occupied or self.slot_sockets.in_use or self.parts.leadership.stepping_down)
        # The holds last: while they keep the worker, nothing else does.
        if done and self.lifecycle.state is WorkerState.DRAINING and not self.parts.holds.keep():
            self.lifecycle.enter(WorkerState.LEAVING)
            self.parts.holds.end()
            self.parts.facades.cancel_calls()
            self.parts.bus.end_subscriptions()
            self.parts.outbound.leave(self._deadline.step_seconds)
            self.parts.outbound.when_left(partial(self._wait_for_threads, self.parts.context.reactor.now))

    def _wait_for_threads(self, since: float) -> None:
        # Again: the `close` hooks of outbound connections may have set timers.
        self.parts.facades.cancel_calls()
        self.parts.context.reactor.call_at(
            since + self._deadline.thread_seconds(self.parts.context.reactor.now), self.parts.context.reactor.stop
        )
        # A thread may have passed functions to the loop before it ended.
        self.threads.finish(partial(self.parts.soon.when_idle, self.parts.context.reactor.stop))

    def finish(self) -> None:
        """Run `worker_stop` and end what plugins left behind; the loop has stopped."""
        parts = self.parts
        parts.call(parts.hooks.worker_stop)
        # What a plugin has not released by now is not done.
        parts.holds.report()
        parts.soon.stop()
        # After the last call of a plugin, which may publish something.
        parts.bus.stop()
        self._log_abandoned_threads()
        # After `worker_stop`, which may count something.
        parts.metrics_report.send_last()
        if parts.bridge is not None:
            unfinished = parts.bridge.close(self._deadline.task_seconds(self.parts.context.reactor.now))
            if unfinished:
                self.parts.context.log.warning("tasks_abandoned", count=len(unfinished), tasks=_few(unfinished))

    def exit_seconds(self) -> float:
        """Return how long the exit functions of plugins may run; `finish` was called before."""
        # Not the reactor's `now`: its loop has stopped.
        return self._deadline.exit_seconds(time.monotonic())

    def _log_abandoned_threads(self) -> None:
        running, cancelled = self.threads.running(), self.threads.cancelled()
        if running or cancelled:
            self.parts.context.log.warning(
                "threads_abandoned",
                running=len(running),
                cancelled=len(cancelled),
                functions=_few(running + cancelled),
            )


def _few(names: list[str]) -> str:
    """Return the first different names."""
    return ", ".join(list(dict.fromkeys(names))[:_MOST_NAMES])
