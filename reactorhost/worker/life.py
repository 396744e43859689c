"""A worker process from boot to exit: carries out the orders of the master.

Signal handlers and the master's line are in place before anything is loaded, but nothing is delivered until the loop
turns for the first time: in `_serve`, or while an async `worker_start` is awaited.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import traceback
from collections.abc import Sequence
from functools import partial
from types import FrameType

from reactorhost import logs
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.jsonlines import JsonLine, Message
from reactorhost.ipc.messages import Order, Report
from reactorhost.ipc.worker_spec import BorrowedListener, WorkerSpec
from reactorhost.logs import HOST_LOGGER, AppendHandler, EventLog
from reactorhost.plugins.attribution import StackPosition
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.imports import ImportedCode
from reactorhost.reactor import Reactor, WakeUp, new_poller
from reactorhost.system import oom, process
from reactorhost.system.fork import ForkRegistry
from reactorhost.worker.accept.acceptor import Acceptor
from reactorhost.worker.accept.capacity import CapacityReport
from reactorhost.worker.accept.slot_sockets import SlotSockets
from reactorhost.worker.builder import WorkerBuilder, WorkerParts, asyncio_bridge
from reactorhost.worker.context import Limits
from reactorhost.worker.hooks.hook_errors import ErrorReporter
from reactorhost.worker.hooks.loop_thread import LoopThread, call_before_threads
from reactorhost.worker.hooks.thread_pool import ThreadPool
from reactorhost.worker.hooks.timers import PluginTimers
from reactorhost.worker.loader import WorkerLoader
from reactorhost.worker.monitor.alarm import Alarm
from reactorhost.worker.monitor.connection_list import send_connection_list
from reactorhost.worker.monitor.stats_publisher import StatsPublisher
from reactorhost.worker.monitor.watchdog import Watchdog
from reactorhost.worker.outbound.dialer import SocketDialer
from reactorhost.worker.printed_lines import print_at_once, print_to_log
from reactorhost.worker.process.end_signals import EndSignals
from reactorhost.worker.process.exit_functions import forget_inherited, run_exit_functions
from reactorhost.worker.process.forked_children import ForkedChildren
from reactorhost.worker.shutdown import Shutdown
from reactorhost.worker.state import Lifecycle, WorkerState

# A worker is replaced; without the master the host is gone.
_OOM_SCORE_POINTS = 100
_QUIET_BRIDGE_SECONDS = 1.0
_FAILED_EXIT_SECONDS = 1.0
_EXIT_ALARM_SECONDS = 0.5

_CALLERS = {
    PluginTimers.call.__code__: "timer",
    ThreadPool.call_on_result.__code__: "on_result",
    ThreadPool.call_on_error.__code__: "on_error",
}
"""The functions of the host that call plugins back, and what the log of a slow one names as the hook."""


def run_worker(imported: ImportedCode, spec: WorkerSpec, stack_descriptor: int) -> int:
    """Run a worker from the fork to its end, and return its exit status; signals are still blocked.

    `imported` is the code that the process has from its master.
    """
    # First: until then a signal to this process waits (see `system.fork.fork`).
    process.reset_signals()
    forget_inherited()
    # Before privileges are dropped: then the file may belong to root.
    oom.raise_score(_OOM_SCORE_POINTS)
    process.name_process(f"rh-worker-{spec.slot}")
    process.dump_stacks_on_crash(stack_descriptor)
    imported.follow()
    settings = spec.settings
    log_file = logs.inherit(settings.log_format, settings.log_level, worker=os.getpid(), slot=spec.slot)
    if settings.daemon:
        print_to_log(log_file)
    else:
        print_at_once()
    return WorkerLife(spec, EventLog(logging.getLogger(HOST_LOGGER)), log_file, stack_descriptor).run()


class WorkerLife:
    """One worker process."""

    # Set by `_boot`, which needs the parts made before; no callback runs earlier (see above).
    _parts: WorkerParts
    _slot_sockets: SlotSockets
    _shutdown: Shutdown
    # Set by `run`, once the signals have handlers.
    _end_signals: EndSignals
    _forked_children: ForkedChildren

    def __init__(self, spec: WorkerSpec, log: EventLog, log_file: AppendHandler, stack_descriptor: int) -> None:
        settings = spec.settings
        self._spec = spec
        self._log = log
        self._log_file = log_file
        self._stack_descriptor = stack_descriptor
        self._lifecycle = Lifecycle()
        self._reactor = Reactor(new_poller(settings.poller))
        self._fork_registry = ForkRegistry()
        self._stats = StatsPublisher(self._reactor, spec.scoreboard, spec.page, self._set_timed, self._published)
        self._counters = self._stats.counters
        self._line = JsonLine(self._reactor, spec.master_line, self, self._fork_registry)
        self._error_reporter = ErrorReporter(self._reactor, self._counters, self._stats.timing, log, self._line.send)
        capacity = CapacityReport(self._reactor, self._line.send)
        self._acceptor = Acceptor(
            self._reactor, self._counters, log, self._fork_registry, settings.max_connections, capacity
        )
        self._loop_thread = LoopThread()
        self._wake_up = WakeUp(self._reactor, self._deliver_thread_results)
        self._threads = ThreadPool(
            settings.threads, settings.thread_queue, self._error_reporter.hook_failed, self._wake_up.wake
        )
        self._threads.after_call = self._end_if_forked
        self._alarm = Alarm()

    def run(self) -> int:
        """Boot, serve, drain, leave; returns the exit status."""
        self._reactor.watch_signals(
            {signal.SIGTERM: self._term_received, signal.SIGQUIT: self._quit_received}, self._signal_arrived
        )
        # After `watch_signals`, because it replaces the handler of TERM: see there.
        self._alarm.end_when_stuck(self._spec.settings.stop_seconds, self._spec.master_pid)
        self._end_signals = EndSignals((signal.SIGTERM, signal.SIGQUIT), self._signal_handler_failed)
        self._close_in_forked_children()
        call_before_threads(self._loop_thread.other_starts)
        try:
            self._boot()
        except ReactorhostError as error:
            self._end_if_forked()
            self._line.send({"report": Report.FAILED, **error.as_fields()})
            self._end_process(_FAILED_EXIT_SECONDS)
            return error.exit_status
        self._serve()
        self._shutdown.finish()
        self._end_if_forked()
        self._stats.store()
        self._end_process(self._shutdown.exit_seconds())
        return 0

    def _end_process(self, seconds: float) -> None:
        """Run the exit functions of plugins and end their processes within `seconds`."""
        # C code that holds the interpreter's lock stops the thread that keeps the time too.
        self._alarm.end_in(seconds + _EXIT_ALARM_SECONDS)
        run_exit_functions(seconds, self._log)

    def _close_in_forked_children(self) -> None:
        for each in self._spec.listeners:
            self._fork_registry.add(each.socket, each.socket.close)
        self._fork_registry.add(self._wake_up, self._wake_up.close_inherited)
        self._fork_registry.add(self._stack_descriptor, partial(os.close, self._stack_descriptor))
        self._forked_children = ForkedChildren(self._reactor, self._fork_registry, self._end_signals, self._log)
        self._forked_children.watch()

    def _end_if_forked(self) -> None:
        self._forked_children.end_if_child()

    def _signal_arrived(self, number: int) -> None:
        self._end_signals.arrived(number)

    def _signal_handler_failed(self, number: signal.Signals, raised: BaseException) -> None:
        details = "".join(traceback.format_exception(raised))
        self._log.error("signal_handler_failed", signal=number.name, error=repr(raised), details=details)

    def _boot(self) -> None:
        """Load plugins, make the parts and run `worker_start`.

        Raises:
            ReactorhostError: a plugin or the settings are wrong.
        """
        spec = self._spec
        settings = spec.settings
        loaded = WorkerLoader(settings, spec.account, spec.slot, self._log, self._error_reporter.add_plugin).load()
        self._end_if_forked()
        self._parts = parts = WorkerBuilder(
            reactor=self._reactor,
            hook_failed=self._error_reporter.hook_failed,
            hook_cancel_ignored=self._error_reporter.hook_cancel_ignored,
            stats_invalid=self._error_reporter.stats_invalid,
            counters=self._counters,
            loop_thread=self._loop_thread,
            timing=self._stats.timing,
            threads=self._threads,
            dialer=SocketDialer(self._reactor, settings.peer_timeout, self._error_reporter.outbound_tls_broken),
            new_bridge=partial(asyncio_bridge, event_loop=settings.event_loop, on_signal_change=self._end_signals.keep),
            log=self._log,
            send=self._line.send,
            on_ended=self._connection_ended,
            slot=spec.slot,
            generation=spec.generation,
        ).build(loaded, Limits(close_timeout=settings.close_timeout, max_send_buffer=settings.max_send_buffer))
        refusing = {service.name for service in settings.services if service.when_full == "refuse"}
        self._slot_sockets = SlotSockets(
            self._acceptor, parts.services, refusing, self._fork_registry, self._slot_released
        )
        self._shutdown = Shutdown(
            parts,
            self._slot_sockets,
            self._threads,
            self._lifecycle,
            self._alarm,
            self._line.send,
            settings,
            spec.master_pid,
        )
        self._forked_children.on_fork.append(parts.abandon)
        parts.call(parts.hooks.worker_start)
        self._end_if_forked()
        self._end_signals.keep()

    def _serve(self) -> None:
        """Run the loop until the worker has left."""
        parts = self._parts
        self._stats.start([plugin.name for plugin in parts.plugins])
        parts.metrics_report.start()
        # From inside the loop: READY says that it turns.
        self._reactor.call_soon(self._report_ready)
        watchdog = self._new_watchdog()
        if watchdog is not None:
            # A forked child has no timer, but it has the handler of its signal.
            self._fork_registry.add(watchdog, watchdog.stop)
            watchdog.start()
        if parts.bridge is None:
            self._reactor.run()
        elif self._lifecycle.state is not WorkerState.LEAVING:
            # An order to leave may have been carried out while `worker_start` was awaited.
            parts.bridge.run()
        if watchdog is not None:
            watchdog.stop()

    def _new_watchdog(self) -> Watchdog | None:
        limit_seconds = self._spec.settings.slow_hook
        if limit_seconds is None:
            return None
        parts, reactor, counters = self._parts, self._reactor, self._counters
        dispatchers = (parts.context.dispatcher, parts.outbound.context.dispatcher)

        def progress() -> int:
            # Also within a turn: a turn that serves many clients takes long without any slow hook.
            messages = sum(each.handed_over for each in dispatchers)
            loops = 0 if parts.bridge is None else parts.bridge.progress()
            # An accepted connection adds 1 to the sum, and so does one that ends: it never returns to an earlier value.
            return reactor.turns + messages + 2 * counters.accepted - counters.connections + loops

        def locate(frame: FrameType) -> StackPosition | None:
            return parts.hooks.attribution.locate(frame, _CALLERS)

        quiet_seconds = 0.0 if parts.bridge is None else _QUIET_BRIDGE_SECONDS
        return Watchdog(reactor, self._alarm, limit_seconds, progress, locate, self._log, quiet_seconds)

    def _report_ready(self) -> None:
        if self._lifecycle.state is WorkerState.BOOTING:
            plugins = [_described(plugin) for plugin in self._parts.plugins]
            self._line.send({"report": Report.READY, "plugins": plugins})

    # Orders of the master.

    def message_received(self, line: JsonLine, message: Message) -> None:
        """Carry out an order."""
        match message["order"]:
            case Order.SERVE:
                self._accept_own_slot()
            case Order.ADOPT:
                self._adopt(message["slot"], message["listeners"])
            case Order.RELEASE:
                self._slot_sockets.release(message["slot"])
            case Order.REFUSE:
                self._acceptor.refuse(message["refuse"])
            case Order.DRAIN:
                self._shutdown.drain(message["seconds"], final=message["final"])
            case Order.CONNECTIONS:
                transports = (*self._parts.transports(), *self._parts.outbound.transports())
                send_connection_list(self._reactor, transports, message["request"], self._line.send)
            case Order.REOPEN:
                self._reopen_log(message["request"])

    def line_closed(self, line: JsonLine) -> None:
        """Drain: the master is gone."""
        self._shutdown.master_gone()

    def _accept_own_slot(self) -> None:
        if self._lifecycle.state is WorkerState.BOOTING:
            self._lifecycle.enter(WorkerState.SERVING)
            for each in self._spec.listeners:
                self._slot_sockets.add(each)

    def _adopt(self, slot: int | None, listeners: Sequence[Message]) -> None:
        sockets = [socket.socket(fileno=descriptor) for descriptor in self._line.take_descriptors(len(listeners))]
        incomplete = len(sockets) < len(listeners)
        if incomplete:
            # At the limit of descriptors the kernel drops those that do not fit (SCM_RIGHTS, unix(7)) and reports
            # nothing but MSG_CTRUNC.
            self._log.warning("adoption_failed", for_slot=slot, reason="too many open files")
        if incomplete or self._lifecycle.state is not WorkerState.SERVING:
            for sock in sockets:
                sock.close()
            # Without a slot: new unix sockets. Those in whose place they were sent stay.
            if slot is not None:
                self._line.send({"report": Report.RELEASED, "slot": slot, "refused": incomplete})
            return
        for each, sock in zip(listeners, sockets, strict=True):
            self._slot_sockets.add(BorrowedListener(slot, each["service"], each["scheme"], sock))

    def _reopen_log(self, request: int) -> None:
        # Opened by the master: this process may have no permission to.
        descriptors = self._line.take_descriptors(1)
        for descriptor in descriptors:
            self._log_file.write_to(descriptor)
        error = None if descriptors else "too many open files"
        self._line.send({"report": Report.REOPENED, "request": request, "error": error})

    # Callbacks of the parts.

    def _term_received(self) -> None:
        self._shutdown.term_received()

    def _quit_received(self) -> None:
        self._shutdown.quit_received()

    def _slot_released(self, slot: int) -> None:
        """Report that this worker's copies of a slot's sockets are closed."""
        self._line.send({"report": Report.RELEASED, "slot": slot, "refused": False})
        self._shutdown.leave_if_done()

    def _connection_ended(self) -> None:
        if self._lifecycle.state is WorkerState.DRAINING:
            self._shutdown.leave_if_done()
        else:
            self._acceptor.resume()

    def _deliver_thread_results(self) -> None:
        self._threads.deliver()

    def _published(self) -> None:
        # By this timer, so that an idle worker does not wake up more often.
        self._end_signals.keep()

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
