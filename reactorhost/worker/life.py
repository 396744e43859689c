"""A worker from boot to leaving: serves until it is told to drain, drains until nothing is left, leaves."""

from __future__ import annotations

import enum
import os
import signal
import socket
from collections.abc import Sequence
from functools import partial

from reactorhost.api.connection import CloseReason
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.jsonlines import JsonLine, Message
from reactorhost.ipc.messages import Order, Report
from reactorhost.ipc.worker_spec import BorrowedListener, WorkerSpec
from reactorhost.logs import AppendHandler, EventLog
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.reactor import Reactor, WakeUp, new_poller
from reactorhost.system.fork import ForkRegistry
from reactorhost.worker import progress
from reactorhost.worker.accept.acceptor import Acceptor
from reactorhost.worker.accept.slot_sockets import SlotSockets
from reactorhost.worker.builder import WorkerBuilder, WorkerParts, asyncio_bridge
from reactorhost.worker.context import Limits
from reactorhost.worker.hooks.hook_errors import ErrorReporter
from reactorhost.worker.hooks.thread_pool import ThreadPool
from reactorhost.worker.loader import WorkerLoader
from reactorhost.worker.monitor.alarm import Alarm
from reactorhost.worker.monitor.connection_list import Listing
from reactorhost.worker.monitor.stats_publisher import StatsPublisher
from reactorhost.worker.monitor.watchdog import Watchdog
from reactorhost.worker.outbound.dialer import SocketDialer

_FAREWELL_SECONDS = 1.0
_MOST_NAMES = 10


class Stage(enum.Enum):
    """Where a worker stands in its life; it only goes forward."""

    BOOTING = 1
    SERVING = 2
    DRAINING = 3
    LEAVING = 4


class WorkerLife:
    """One worker process, seen from inside."""

    _parts: WorkerParts
    _slot_sockets: SlotSockets

    def __init__(self, task: WorkerSpec, log: EventLog, log_file: AppendHandler) -> None:
        self._task = task
        self._log = log
        self._log_file = log_file
        self._stage = Stage.BOOTING
        self._reactor = Reactor(new_poller(task.settings.poller))
        self._figures = StatsPublisher(self._reactor, task.scoreboard, task.page, self._set_timed)
        self._counters = self._figures.counters
        self._fork_registry = ForkRegistry()
        self._line = JsonLine(self._reactor, task.master_line, self, self._fork_registry)
        self._error_reporter = ErrorReporter(self._reactor, self._counters, self._figures.timing, log, self._line.send)
        self._acceptor = Acceptor(self._reactor, self._counters, log, task.settings.max_connections)
        self._wake_up = WakeUp(self._reactor, self._deliver)
        self._threads = ThreadPool(
            task.settings.threads, task.settings.thread_queue, self._error_reporter.hook_failed, self._wake_up.wake
        )
        self._thread_seconds = _FAREWELL_SECONDS
        self._leave_at: float | None = None
        self._alarm = Alarm()
        self._watchdog: Watchdog | None = None

    def run(self) -> int:
        """Live, and return the exit status."""
        self._reactor.watch_signals({signal.SIGTERM: self._terminated, signal.SIGQUIT: self._quit})
        self._alarm.end_when_stuck(self._longest_farewell(), self._task.master_pid)
        os.register_at_fork(after_in_child=self._close_in_fork)
        try:
            self._boot()
        except ReactorhostError as error:
            self._line.send({"report": Report.FAILED, **error.as_fields()})
            return error.exit_status
        self._serve_and_drain(self._parts)
        self._leave(self._parts)
        return 0

    def _boot(self) -> None:
        settings = self._task.settings
        loaded = WorkerLoader(self._task, self._log, self._error_reporter.know).load()
        self._parts = WorkerBuilder(
            reactor=self._reactor,
            hook_failed=self._error_reporter.hook_failed,
            hook_cancel_ignored=self._error_reporter.hook_cancel_ignored,
            stats_invalid=self._error_reporter.stats_invalid,
            counters=self._counters,
            timing=self._figures.timing,
            threads=self._threads,
            dialer=SocketDialer(self._reactor, settings.peer_timeout, self._error_reporter.outbound_tls_broken),
            new_bridge=partial(asyncio_bridge, event_loop=settings.event_loop),
            log=self._log,
            send=self._line.send,
            on_ended=self._connection_ended,
            slot=self._task.slot,
            generation=self._task.generation,
        ).build(loaded, Limits(close_timeout=settings.close_timeout, max_send_buffer=settings.max_send_buffer))
        self._slot_sockets = SlotSockets(self._acceptor, self._parts.services, self._released)
        self._parts.call(self._parts.hooks.worker_start)

    def _serve_and_drain(self, parts: WorkerParts) -> None:
        self._figures.start([plugin.name for plugin in parts.plugins])
        parts.metrics_report.start()
        self._reactor.call_soon(self._tell_ready)
        limit = self._task.settings.slow_hook
        self._watchdog = progress.watchdog(parts, self._reactor, self._alarm, self._counters, limit, self._log)
        if self._watchdog is not None:
            self._watchdog.start()
        if parts.bridge is None:
            self._reactor.run()
        elif self._stage is not Stage.LEAVING:
            # Told to leave while worker_start still waited for something.
            parts.bridge.run()
        if self._watchdog is not None:
            self._watchdog.stop()

    def _leave(self, parts: WorkerParts) -> None:
        parts.call(parts.hooks.worker_stop)
        self._tell_abandoned()
        parts.metrics_report.tell_last()
        unfinished = [] if parts.bridge is None else parts.bridge.close(self._seconds_left(2.7))
        if unfinished:
            self._log.warning("tasks_left_behind", count=len(unfinished), tasks=",".join(unfinished))
        self._figures.store()

    def _close_in_fork(self) -> None:
        # A plugin's own child would keep the listeners open after us, and clients waiting for ever.
        if self._watchdog is not None:
            self._watchdog.stop()
        self._fork_registry.close_in_child()
        self._wake_up.close_inherited()
        if self._stage is not Stage.BOOTING:
            self._slot_sockets.close_inherited()
        for each in self._task.listeners:
            each.socket.close()

    def _tell_ready(self) -> None:
        if self._stage is Stage.BOOTING:
            plugins = [_described(plugin) for plugin in self._parts.plugins]
            self._line.send({"report": Report.READY, "plugins": plugins})

    # Orders.

    def message_received(self, line: JsonLine, message: Message) -> None:
        """Carry out an order of the master."""
        match message["order"]:
            case Order.SERVE:
                self._serve()
            case Order.ADOPT:
                self._adopt(message["slot"], message["listeners"])
            case Order.RELEASE:
                self._slot_sockets.release(message["slot"])
            case Order.DRAIN:
                self._drain(message["seconds"], final=message["final"])
            case Order.CONNECTIONS:
                transports = (*self._parts.transports(), *self._parts.outbound.transports())
                Listing(self._reactor, message["request"], self._line.send).tell(transports)
            case Order.REOPEN:
                self._reopen()

    def line_closed(self, line: JsonLine) -> None:
        """Leave: the master is gone, and with it everybody who could take the queues over."""
        self._log.warning("master_gone", connections=self._counters.connections)
        self._drain(self._task.settings.stop_timeout, final=True)

    def _serve(self) -> None:
        if self._stage is Stage.BOOTING:
            self._stage = Stage.SERVING
            for each in self._task.listeners:
                self._slot_sockets.add(each)

    def _adopt(self, slot: int, listeners: Sequence[Message]) -> None:
        sockets = [socket.socket(fileno=descriptor) for descriptor in self._line.take_descriptors(len(listeners))]
        short = len(sockets) < len(listeners)
        if short:
            # The kernel drops what finds no free descriptor. Whoever waits there waits for a worker of its own.
            self._log.warning("adoption_failed", for_slot=slot, reason="too many open files")
        if short or self._stage is not Stage.SERVING:
            for sock in sockets:
                sock.close()
            self._slot_sockets.release(slot)
            return
        for each, sock in zip(listeners, sockets, strict=True):
            self._slot_sockets.add(BorrowedListener(slot, each["service"], each["scheme"], sock))

    def _reopen(self) -> None:
        try:
            self._log_file.reopen()
        except OSError as error:
            self._log.error("log_not_reopened", error=error.strerror)

    # Leaving.

    def _terminated(self) -> None:
        seconds = self._task.settings.stop_timeout
        self._alarm.end_in(self._longest_farewell())
        self._line.send({"report": Report.LEAVING, "seconds": seconds})
        self._drain(seconds, final=os.getppid() != self._task.master_pid)

    def _longest_farewell(self) -> float:
        return self._task.settings.stop_timeout + _FAREWELL_SECONDS + 2

    def _quit(self) -> None:
        self._line.send({"report": Report.LEAVING, "seconds": 0})
        self._thread_seconds = 0.0
        # As if the deadline had passed: the master kills soon.
        self._leave_at = self._reactor.now - _FAREWELL_SECONDS
        if self._stage is Stage.LEAVING:
            self._reactor.stop()
            return
        self._stop_accepting(final=False)
        self._stage = Stage.DRAINING
        for transport in self._parts.transports():
            transport.close_for(CloseReason.SHUTDOWN)
            transport.abort()
        self._slot_sockets.abandon()
        self._parts.end_handshakes()
        self._parts.outbound.abort()
        self._hurry()
        self._leave_if_empty()

    def _drain(self, seconds: float, *, final: bool) -> None:
        leave_at = self._reactor.now + seconds
        if self._leave_at is None or leave_at < self._leave_at:
            self._leave_at = leave_at
            self._reactor.call_at(leave_at, self._drain_deadline)
        if self._stage in (Stage.DRAINING, Stage.LEAVING):
            return
        self._stop_accepting(final=final)
        self._stage = Stage.DRAINING
        self._log.info("worker_draining", connections=self._counters.connections, seconds=round(seconds, 1))
        for service in self._parts.services.values():
            service.drain()
        self._leave_if_empty()

    def _stop_accepting(self, *, final: bool) -> None:
        if self._stage is Stage.BOOTING:
            # It never served: what waits in the slot's queues is for whoever comes next.
            return
        if final:
            self._slot_sockets.finish()
        else:
            self._slot_sockets.release_all()

    def _released(self, slot: int) -> None:
        """Tell the master that every copy of a slot's sockets is closed."""
        self._line.send({"report": Report.RELEASED, "slot": slot})
        self._leave_if_empty()

    def _drain_deadline(self) -> None:
        if self._leave_at is not None and self._reactor.now >= self._leave_at:
            for transport in self._parts.transports():
                transport.close_for(CloseReason.SHUTDOWN, _FAREWELL_SECONDS)
            self._slot_sockets.abandon()
            self._parts.end_handshakes()
            self._hurry()
            self._parts.outbound.leave(_FAREWELL_SECONDS)

    def _hurry(self) -> None:
        if self._parts.hook_queues is not None:
            self._parts.hook_queues.hurry()

    def _seconds_left(self, after_deadline: float) -> float:
        """Return how long a last step may take: a second, and not past so many seconds after the deadline."""
        # The master kills three seconds after it; the steps before this one may have taken their time.
        if self._leave_at is None:
            return _FAREWELL_SECONDS
        return min(_FAREWELL_SECONDS, max(0.1, self._leave_at + after_deadline - self._reactor.now))

    def _connection_ended(self) -> None:
        if self._stage is Stage.DRAINING:
            self._leave_if_empty()
        else:
            self._slot_sockets.connection_ended()

    def _leave_if_empty(self) -> None:
        if self._stage is Stage.DRAINING and not (self._parts.occupied or self._slot_sockets.in_use):
            self._stage = Stage.LEAVING
            self._parts.facades.cancel_timers()
            self._parts.outbound.leave(_FAREWELL_SECONDS)
            self._parts.outbound.when_left(partial(self._left, self._reactor.now))

    def _left(self, since: float) -> None:
        # Again: the goodbyes of outbound connections may have set some.
        self._parts.facades.cancel_timers()
        self._reactor.call_at(since + min(self._thread_seconds, self._seconds_left(2.0)), self._reactor.stop)
        self._threads.finish(self._reactor.stop)

    def _deliver(self) -> None:
        self._threads.deliver()

    def _tell_abandoned(self) -> None:
        running, cancelled = self._threads.running(), self._threads.cancelled()
        if running or cancelled:
            names = ", ".join(list(dict.fromkeys(running + cancelled))[:_MOST_NAMES])
            self._log.warning("threads_abandoned", running=len(running), cancelled=len(cancelled), functions=names)

    def _set_timed(self, timed: bool) -> None:
        for service in self._parts.services.values():
            service.context.set_timed(timed)


def _described(plugin: LoadedPlugin) -> Message:
    identity = plugin.identity
    return {
        "name": identity.name,
        "distribution": identity.distribution,
        "version": identity.version,
        "hooks": plugin.hooks,
    }
