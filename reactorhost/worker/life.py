"""A worker process from boot to exit: carries out the orders of the master.

Signal handlers and the master's line are in place before anything is loaded, but nothing is delivered until the loop
turns for the first time: in `_serve`, or while an async `worker_start` is awaited.
"""

from __future__ import annotations

import os
import signal
from functools import partial

from reactorhost.api.worker import Worker
from reactorhost.errors import ReactorhostError, boot_error
from reactorhost.ipc.jsonlines import JsonLine, Message
from reactorhost.ipc.messages import BootStep, Order, Report
from reactorhost.ipc.moments import Moment
from reactorhost.ipc.worker_spec import WorkerSpec
from reactorhost.logs import AppendHandler
from reactorhost.plugins.worker_limit import WorkerLimit
from reactorhost.reactor import Reactor, WakeUp, new_poller
from reactorhost.system.process import tie_to_parent
from reactorhost.worker.accept.acceptor import Acceptor
from reactorhost.worker.accept.adoption import Adoption
from reactorhost.worker.accept.capacity import CapacityReport
from reactorhost.worker.accept.slot_sockets import SlotSockets
from reactorhost.worker.admission.accept_rate import accept_rates
from reactorhost.worker.admission.address_counts import AddressCounts
from reactorhost.worker.builder import WorkerBuilder, WorkerParts, asyncio_bridge
from reactorhost.worker.bus.bus import BusSetup
from reactorhost.worker.bus.connector import BusConnector
from reactorhost.worker.bus.peers.introductions import Introductions
from reactorhost.worker.bus.start import BusStart
from reactorhost.worker.context import Limits
from reactorhost.worker.event_report import ReportedLog
from reactorhost.worker.hook_watchdog import new_watchdog
from reactorhost.worker.hooks.hook_errors import ErrorReporter
from reactorhost.worker.hooks.loop_thread import LoopThread, call_before_threads
from reactorhost.worker.hooks.shared_counters import SharedCounters
from reactorhost.worker.hooks.soon_calls import SoonCalls
from reactorhost.worker.hooks.thread_pool import ThreadPool
from reactorhost.worker.loader import WorkerLoader
from reactorhost.worker.monitor.connection_list import ConnectionLists
from reactorhost.worker.monitor.connection_rows import Transport
from reactorhost.worker.monitor.disconnect import disconnect
from reactorhost.worker.monitor.source_report import SourceReport
from reactorhost.worker.monitor.stats_publisher import StatsPublisher
from reactorhost.worker.outbound.dialer import SocketDialer
from reactorhost.worker.process.worker_process import WorkerProcess
from reactorhost.worker.role import Role
from reactorhost.worker.shutdown import Shutdown
from reactorhost.worker.state import Lifecycle, WorkerState

_FAILED_EXIT_SECONDS = 1.0


class WorkerLife:
    """One worker process."""

    # Set by `_boot`, which needs the parts made before; no callback runs earlier (see above).
    _most_workers: dict[str, WorkerLimit]
    _parts: WorkerParts
    _slot_sockets: SlotSockets
    _adoption: Adoption
    _shutdown: Shutdown

    def __init__(self, spec: WorkerSpec, log: ReportedLog, log_file: AppendHandler, stack_descriptor: int) -> None:
        settings = spec.settings
        self._spec = spec
        self._log = log
        self._log_file = log_file
        self._stack_descriptor = stack_descriptor
        self._lifecycle = Lifecycle()
        self._reactor = Reactor(new_poller(settings.poller))
        self._process = WorkerProcess(self._reactor, log)
        self._fork_registry = self._process.fork_registry
        self._stats = StatsPublisher(self._reactor, spec.scoreboard, spec.page, self._set_timed, self._stats_published)
        self._counters = self._stats.counters
        self._line = JsonLine(self._reactor, spec.master_line, self, self._fork_registry)
        self._introductions = Introductions(spec, self._reactor, self._fork_registry, log, self._counters, self._line)
        self._connector = BusConnector(
            self._introductions, self._reactor, self._counters, log, self._line, settings.bus_down_period
        )
        self._error_reporter = ErrorReporter(self._reactor, self._counters, self._stats.timing, log, self._line.send)
        self._connection_lists = ConnectionLists(self._reactor, self._line.send)
        self._shared_counters = SharedCounters(spec.scoreboard.shared_cells, spec.page, self._line.send)
        capacity = CapacityReport(self._reactor, self._line.send)
        self._acceptor = Acceptor(
            self._reactor, self._counters, log, self._fork_registry, settings.max_connections, capacity
        )
        self._sources = SourceReport(self._reactor, self._line.send) if settings.reload_on_change else None
        self._loop_thread = LoopThread()
        self._wake_up = WakeUp(self._reactor, self._woken_by_thread)
        self._soon = SoonCalls(self._error_reporter.hook_failed, self._wake_up.wake)
        self._threads = ThreadPool(
            settings.threads,
            settings.thread_queue,
            self._error_reporter.hook_failed,
            self._wake_up.wake,
            after_call=self._process.end_if_forked,
        )

    def prepare(self) -> None:
        """Make everything ready for code of plugins; called before `run`.

        Raises:
            OSError: the system has no room for it.
        """
        for each in self._spec.listeners:
            self._fork_registry.add(each.socket, each.socket.close)
        self._fork_registry.add(self._wake_up, self._wake_up.close_inherited)
        self._fork_registry.add(self._stack_descriptor, partial(os.close, self._stack_descriptor))
        self._process.watch(
            self._term_received,
            self._quit_received,
            stop_seconds=self._spec.settings.stop_seconds,
            master_pid=self._spec.master_pid,
        )
        call_before_threads(self._loop_thread.other_starts)

    def run(self) -> int:
        """Boot, serve, drain, leave; returns the exit status."""
        try:
            self._boot()
        except (ReactorhostError, OSError) as raised:
            error = raised if isinstance(raised, ReactorhostError) else boot_error(raised)
            self._process.end_if_forked()
            if self._sources is not None:
                # A change of what it could import may be what it needs.
                self._sources.report()
            self._line.send({"report": Report.FAILED, **error.as_fields()})
            self._process.run_exit_functions(_FAILED_EXIT_SECONDS)
            return error.exit_status
        self._serve()
        self._shutdown.finish()
        self._process.end_if_forked()
        self._log.flush(self._line.send)
        self._stats.store()
        self._process.run_exit_functions(self._shutdown.exit_seconds())
        return 0

    def _boot(self) -> None:
        """Load plugins, make the parts and run `worker_start`.

        Raises:
            ReactorhostError: a plugin or the settings are wrong.
            OSError: the system has no room for the worker.
        """
        spec = self._spec
        settings = spec.settings
        loader = WorkerLoader(
            settings, spec.account, spec.slot, self._log, self._error_reporter.add_plugin, self._report_step
        )
        loaded = loader.load()
        backend = loader.load_backend()
        self._process.end_if_forked()
        self._most_workers = {each.name: each.most_workers for each in loaded if each.most_workers is not None}
        role = Role(spec.count)
        self._parts = parts = WorkerBuilder(
            reactor=self._reactor,
            hook_failed=self._error_reporter.hook_failed,
            hook_cancel_ignored=self._error_reporter.hook_cancel_ignored,
            stats_invalid=self._error_reporter.stats_invalid,
            counters=self._counters,
            loop_thread=self._loop_thread,
            timing=self._stats.timing,
            threads=self._threads,
            soon=self._soon,
            dialer=SocketDialer(self._reactor, settings.peer_timeout, self._error_reporter.outbound_tls_broken),
            new_bridge=partial(
                asyncio_bridge,
                event_loop=settings.event_loop,
                on_signal_change=self._process.keep_end_signals,
            ),
            log=self._log,
            send=self._line.send,
            on_ended=self._connection_ended,
            slot=spec.slot,
            generation=spec.generation,
            bus=BusSetup(
                self._introductions.origin,
                settings.bus_max_message,
                self._connector.new_outbound,
                self._connector.leave,
            ),
            shared_counters=self._shared_counters,
            address_counts=lambda: AddressCounts(spec.scoreboard.address_sketch(), spec.page),
            role=role,
            jobs_started=self._stats.note_jobs,
        ).build(loaded, Limits(close_timeout=settings.close_timeout, max_send_buffer=settings.max_send_buffer))
        if backend is not None:
            made = backend.make(parts.facades.of(backend.plugin))
            self._connector.use(made, backend.plugin, self._error_reporter.hook_failed)
        refusing = {service.name for service in settings.services if service.when_full == "refuse"}
        self._slot_sockets = SlotSockets(
            self._acceptor,
            parts.services,
            refusing,
            self._fork_registry,
            self._slot_released,
            [*spec.listeners],
            accept_rates(settings.services, self._most_workers, lambda: role.count, self._reactor.now),
        )
        self._adoption = Adoption(self._slot_sockets, self._line, self._lifecycle, self._log)
        self._shutdown = Shutdown(
            parts,
            self._slot_sockets,
            self._threads,
            self._lifecycle,
            self._process.alarm,
            self._line.send,
            settings,
            spec.master_pid,
        )
        self._process.call_in_children(parts.abandon)
        try:
            parts.call(parts.hooks.worker_start, self._starting)
        except ReactorhostError:
            self._process.end_if_forked()
            # It may have sent something. Without this, its end would be a crash for other workers.
            parts.bus.stop()
            raise
        self._process.end_if_forked()
        self._process.keep_end_signals()

    def _serve(self) -> None:
        """Run the loop until the worker has left."""
        parts = self._parts
        self._stats.start([plugin.name for plugin in parts.plugins], parts.service_stats)
        parts.metrics_report.start()
        if self._sources is not None:
            self._sources.start()
        settings = self._spec.settings
        start = BusStart(
            parts.bus,
            self._reactor,
            self._log,
            settings.boot_timeout,
            used=self._spec.bus_used,
            on_ready=self._report_ready,
        )
        # From inside the loop: READY says that it turns.
        self._reactor.call_soon(start.begin)
        slow_hook = settings.slow_hook
        note = partial(self._spec.scoreboard.write_stall, self._spec.page)
        watchdog = None if slow_hook is None else new_watchdog(parts, self._process.alarm, slow_hook, note)
        if watchdog is not None:
            # A forked child has no timer, but it has the handler of its signal.
            self._fork_registry.add(watchdog, self._process.alarm.stop)
            watchdog.start()
            # The kernel delivers the lowest of several pending signals first, and that one decides whether the system
            # call that they interrupt goes on (SA_RESTART). TERM behind an alarm of the watchdog would not end a
            # blocking `read`, so Python would never handle it. QUIT comes before the alarm.
            tie_to_parent(signal.SIGQUIT)
        if parts.bridge is None:
            self._reactor.run()
        elif self._lifecycle.state is not WorkerState.LEAVING:
            # An order to leave may have been carried out while `worker_start` was awaited.
            parts.bridge.run()
        if watchdog is not None:
            watchdog.stop()

    def _report_step(self, step: BootStep, plugin: str) -> None:
        # Sent at once, without the loop: the code that runs next may take minutes, or never return.
        self._line.send({"report": Report.BOOTING, "step": step, "plugin": plugin})

    def _starting(self, plugin: str) -> Worker:
        self._report_step(BootStep.WORKER_START, plugin)
        return self._parts.facades.of(plugin)

    def _report_ready(self) -> None:
        if self._lifecycle.state is WorkerState.BOOTING:
            plugins = [plugin.as_fields() for plugin in self._parts.plugins]
            self._line.send(
                {
                    "report": Report.READY,
                    "plugins": plugins,
                    "service_workers": self._most_workers,
                    "uses_leader": self._parts.leadership.used,
                }
            )

    # Orders of the master.

    def message_received(self, line: JsonLine, message: Message) -> None:  # noqa: C901, PLR0912  one arm for each order
        """Carry out an order."""
        match message["order"]:
            case Order.SERVE:
                self._accept_own_slot()
            case Order.ADOPT:
                self._adoption.adopt(message["slot"], message["listeners"])
            case Order.RELEASE:
                self._slot_sockets.release(message["slot"])
            case Order.MOVE:
                self._give_up(message["service"], message["slots"], message["to"])
            case Order.REFUSE:
                self._acceptor.refuse(message["services"])
            case Order.DRAIN:
                self._shutdown.drain(message["seconds"], final=message["final"])
            case Order.LEAD:
                self._parts.leadership.lead(Moment(message["since"], message["since_unix"]))
            case Order.COUNT:
                self._parts.facades.role.count = message["count"]
            case Order.CONNECTIONS:
                self._connection_lists.answer(self._transports(), message)
            case Order.DISCONNECT:
                self._line.send(disconnect(self._transports(), message["request"], message["id"]))
            case Order.USE_BUS:
                self._parts.bus.begin()
            case Order.INTRODUCE:
                self._introductions.introduce(message["pid"], late=message["late"])
            case Order.ALL_INTRODUCED:
                self._introductions.all_introduced()
            case Order.REOPEN:
                self._reopen_log(message["request"])
            case Order.SHARED_COUNTER:
                self._shared_counters.assign(message["plugin"], message["name"], message["row"])

    def line_closed(self, line: JsonLine) -> None:
        """Drain: the master is gone."""
        self._shutdown.master_gone()

    def _transports(self) -> tuple[Transport, ...]:
        return (*self._parts.transports(), *self._parts.outbound.transports())

    def _accept_own_slot(self) -> None:
        if self._lifecycle.state is WorkerState.BOOTING:
            self._lifecycle.enter(WorkerState.SERVING)
            self._slot_sockets.begin()

    def _give_up(self, service: str, slots: list[int | None], to: int | None) -> None:
        # With its own slot, the clients of the socket that all slots share are for other workers too.
        shared = [None] if self._spec.slot in slots else []
        self._slot_sockets.give_up(service, [*slots, *shared], to)

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

    def _slot_released(self, slot: int | None) -> None:
        """Report that this worker's copies of a slot's sockets are closed; those that all slots share stay."""
        if slot is not None:
            self._line.send({"report": Report.RELEASED, "slot": slot, "refused": False})
        self._shutdown.leave_if_done()

    def _connection_ended(self) -> None:
        if self._lifecycle.state is WorkerState.DRAINING:
            self._shutdown.leave_if_done()
        else:
            self._acceptor.resume()

    def _stats_published(self) -> None:
        # By the timer of the stats, so that an idle worker does not wake up more often.
        self._process.keep_end_signals()
        self._log.flush(self._line.send)

    def _woken_by_thread(self) -> None:
        # First: a function in a thread may have passed them on before it ended.
        self._soon.run()
        self._threads.deliver()

    def _set_timed(self, timed: bool) -> None:
        for service in self._parts.services.values():
            service.context.set_timed(timed)
