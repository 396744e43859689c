"""A worker from boot to leaving: serves until it is told to drain, drains until nothing is left, leaves."""

from __future__ import annotations

import enum
import itertools
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import FrameType
from typing import TYPE_CHECKING, Any

from reactorhost import __version__
from reactorhost.address import Address
from reactorhost.config.service import Service
from reactorhost.config.settings import Settings
from reactorhost.connection import CloseReason, Connection
from reactorhost.errors import ReactorhostError
from reactorhost.jsonline import JsonLine, Message
from reactorhost.logs import AppendHandler, EventLog
from reactorhost.plugins import chain, framings, loading, options, tracebacks
from reactorhost.plugins.blame import Standing
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.reactor import Reactor, WakeUp
from reactorhost.scoreboard import Scoreboard
from reactorhost.worker import process
from reactorhost.worker.bulletin import Bulletin
from reactorhost.worker.dialling import SocketDialler
from reactorhost.worker.figures import Figures
from reactorhost.worker.intake import Intake, Listener
from reactorhost.worker.messages import Order, Report
from reactorhost.worker.numbers import Numbers
from reactorhost.worker.outbound import Outbounds
from reactorhost.worker.ports import Ports
from reactorhost.worker.service import Limits, RunningService, Surroundings
from reactorhost.worker.threads import Threads
from reactorhost.worker.timers import PluginTimers
from reactorhost.worker.transport import StreamTransport
from reactorhost.worker.views import Views
from reactorhost.worker.watchdog import Watchdog

if TYPE_CHECKING:
    from reactorhost.worker.guest import Guest
    from reactorhost.worker.lanes import Lanes
    from reactorhost.worker.tls import ServerTls

_FAREWELL_SECONDS = 1.0
_ROWS_A_TURN = 200
_SECONDS_BETWEEN_TOLD_ERRORS = 1.0
_MOST_ERROR_WORDS = 500
_MOST_DETAILS = 32_000
_MOST_NAMES = 10
_SELECT = selectors.DefaultSelector.select.__code__
_CALLERS = {PluginTimers.call.__code__: "timer", Threads.call.__code__: "then"}
"""What of the host calls plugins back, and what stands for the hook in the log then."""


@dataclass(frozen=True, slots=True)
class BorrowedListener:
    """A listening socket of the slot, open in master and worker; `slot` is None where all slots share it."""

    slot: int | None
    service: str
    scheme: str
    socket: socket.socket


@dataclass(frozen=True, slots=True)
class WorkerTask:
    """What the master gives a worker on its way."""

    settings: Settings
    slot: int
    generation: int
    master_pid: int
    master_line: socket.socket
    listeners: tuple[BorrowedListener, ...]
    scoreboard: Scoreboard
    page: int
    account: tuple[int, int, str] | None


class Stage(enum.Enum):
    """Where a worker stands in its life; it only goes forward."""

    BOOTING = 1
    SERVING = 2
    DRAINING = 3
    LEAVING = 4


class WorkerLife:
    """One worker process, seen from inside."""

    def __init__(self, task: WorkerTask, log: EventLog, log_file: AppendHandler) -> None:
        self._task = task
        self._log = log
        self._log_file = log_file
        self._stage = Stage.BOOTING
        self._reactor = Reactor()
        self._figures = Figures(self._reactor, task.scoreboard, task.page, self._set_timed)
        self._tally = self._figures.tally
        self._told_errors: dict[str, float] = {}
        self._intake = Intake(self._reactor, self._tally, log, task.settings.max_connections)
        self._ports = Ports(self._port_closed)
        self._services: dict[str, RunningService] = {}
        # Both only in a worker with async hooks.
        self._guest: Guest | None = None
        self._lanes: Lanes | None = None
        self._plugins: dict[str, LoadedPlugin] = {}
        self._leave_at: float | None = None
        self._thread_seconds = _FAREWELL_SECONDS
        self._wake_up = WakeUp(self._reactor, self._deliver)
        self._threads = Threads(
            task.settings.threads, task.settings.thread_queue, self._hook_failed, self._wake_up.wake
        )
        self._line = JsonLine(self._reactor, task.master_line, self)

    def run(self) -> int:
        """Live, and return the exit status."""
        self._reactor.watch_signals({signal.SIGTERM: self._terminated, signal.SIGQUIT: self._quit})
        process.end_when_stuck(self._longest_farewell(), self._task.master_pid)
        os.register_at_fork(after_in_child=self._close_in_fork)
        try:
            self._boot()
        except ReactorhostError as error:
            self._line.send({"report": Report.FAILED, **error.as_fields()})
            return error.exit_status
        self._figures.start([plugin.name for plugin in self._plugins.values()])
        self._bulletin.start()
        self._reactor.call_soon(self._tell_ready)
        watchdog = self._start_watchdog()
        if self._guest is None:
            self._reactor.run()
        elif self._stage is not Stage.LEAVING:
            # Told to leave while worker_start still waited for something.
            self._guest.run()
        if watchdog is not None:
            watchdog.stop()
        self._call(self._hooks.worker_stop)
        self._tell_abandoned()
        self._bulletin.tell_last()
        if self._guest is not None:
            self._leave_loop(self._guest)
        self._figures.store()
        return 0

    def _leave_loop(self, guest: Guest) -> None:
        stubborn = guest.close()
        if stubborn:
            self._log.warning("tasks_left_behind", count=len(stubborn), tasks=",".join(stubborn))

    def _start_watchdog(self) -> Watchdog | None:
        limit = self._task.settings.slow_hook
        if limit is None:
            return None

        def locate(frame: FrameType) -> Standing | None:
            return self._hooks.blame.standing(frame, _CALLERS)

        rests = _rests if self._guest is None else self._guest.rests
        watchdog = Watchdog(limit, self._progress, rests, locate, self._log)
        watchdog.start()
        return watchdog

    def _progress(self) -> int:
        # A turn in which many clients are served in their turn is no slow hook, however long it takes.
        tally = self._tally
        loops = 0 if self._guest is None else self._guest.progress()
        outbound = self._outbounds.surroundings.tally.messages
        return self._reactor.turns + tally.messages + outbound + 2 * tally.accepted - tally.connections + loops

    def _close_in_fork(self) -> None:
        # A plugin's own child would keep the listeners open after us, and clients waiting for ever.
        self._line.close_inherited()
        self._intake.close_inherited()
        self._wake_up.close_inherited()
        self._ports.close_inherited()
        for each in self._task.listeners:
            each.socket.close()

    # Booting.

    def _boot(self) -> None:
        settings = self._task.settings
        # While the key files can be read.
        certificates = {service.name: self._load_certificates(service) for service in settings.services}
        if self._task.account is not None:
            process.drop_privileges(*self._task.account)
        process.tie_to_parent()
        for named in dict.fromkeys(named for service in settings.services for named in service.plugins):
            self._plugins[named] = self._load(named)
        if any(plugin.awaits for plugin in self._plugins.values()):
            self._become_guest()
        surroundings = Surroundings(
            self._reactor,
            self._tally,
            itertools.count(1),
            self._hook_failed,
            self._figures.stopwatch,
            self._log,
            self._lanes,
        )
        for service in settings.services:
            self._services[service.name] = self._running(service, surroundings, certificates[service.name])
        self._outbounds = self._outbound(surroundings)
        self._hooks = chain.resolve_worker(tuple(self._plugins.values()), self._worker_hook_failed)
        self._start_views()
        self._call(self._hooks.worker_start)

    def _become_guest(self) -> None:
        """Let a loop of asyncio drive the reactor, because a hook awaits something."""
        from reactorhost.worker.guest import Guest, new_loop
        from reactorhost.worker.lanes import Lanes

        self._guest = Guest(self._reactor, new_loop(self._task.settings.event_loop))
        self._lanes = Lanes(self._hook_left_behind)

    def _load_certificates(self, service: Service) -> ServerTls | None:
        if service.tls is None:
            return None
        # Here and not above: a worker that speaks no TLS does without it.
        from reactorhost.worker.tls import ServerTls

        loaded = ServerTls(service.tls, self._task.settings.where(f"service.{service.name}.certificate"))
        for certificate in loaded.certificates:
            days = certificate.days_left(time.time())
            # Every worker has the same; the first slot's tells, whose worker is the first of a reload too.
            if days is not None and self._task.slot == 0:
                self._log.warning("certificate_expires", service=service.name, file=certificate.path, days_left=days)
        return loaded

    def _running(self, service: Service, surroundings: Surroundings, tls: ServerTls | None) -> RunningService:
        settings = self._task.settings
        plugins = [self._plugins[named] for named in service.plugins]
        limits = Limits(
            close_timeout=settings.close_timeout,
            idle_timeout=service.idle_timeout,
            max_send_buffer=settings.max_send_buffer,
            handshake_timeout=service.handshake_timeout,
            max_datagram=service.max_datagram,
        )
        if service.framing is None:
            new_framing = framings.of_plugins(service.name, plugins)
        else:
            where = settings.where(f"service.{service.name}.framing")
            new_framing = framings.written(service.name, service.framing, where)
        running = RunningService(service.name, plugins, surroundings, limits, new_framing, tls, service.proxy_from)
        running.on_ended = self._connection_ended
        return running

    def _outbound(self, surroundings: Surroundings) -> Outbounds:
        settings = self._task.settings
        limits = Limits(close_timeout=settings.close_timeout, max_send_buffer=settings.max_send_buffer)
        return Outbounds(surroundings, limits, SocketDialler(self._reactor, settings.peer_timeout, self._tls_broken))

    def _tls_broken(self, address: Address, reason: str) -> None:
        self._log.warning("outbound_tls_broken", address=address, reason=reason)

    def _call(self, hook: Callable[[chain.WorkerOf], Any]) -> None:
        """Call a hook of the worker, and wait for it when it awaits something."""
        returned = hook(self._views.of)
        if self._hooks.awaits:
            assert self._guest is not None
            self._guest.complete(returned)

    def _start_views(self) -> None:
        numbers = Numbers(self._hooks.stats, self._hook_failed, self._stats_refused)
        services = tuple(self._services.values())
        self._bulletin = Bulletin(self._reactor, numbers, self._line.send)
        self._views = Views(
            self._task.slot,
            self._task.generation,
            services,
            self._reactor,
            self._threads,
            numbers,
            self._outbounds,
            self._hook_failed,
        )

    def _load(self, named: str) -> LoadedPlugin:
        plugin = loading.load(named, __version__)
        settings = self._task.settings
        table = settings.plugin_tables.get(plugin.name, {})
        options.configure(plugin, table, partial(settings.where_option, plugin.name))
        return plugin

    def _tell_ready(self) -> None:
        if self._stage is Stage.BOOTING:
            plugins = [_described(plugin) for plugin in self._plugins.values()]
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
                self._release(message["slot"])
            case Order.DRAIN:
                self._drain(message["seconds"], final=message["final"])
            case Order.CONNECTIONS:
                self._send_rows(message["request"], self._rows())
            case Order.REOPEN:
                self._reopen()

    def line_closed(self, line: JsonLine) -> None:
        """Leave: the master is gone, and with it everybody who could take the queues over."""
        self._log.warning("master_gone", connections=self._tally.connections)
        self._drain(self._task.settings.stop_timeout, final=True)

    def _serve(self) -> None:
        if self._stage is Stage.BOOTING:
            self._stage = Stage.SERVING
            for each in self._task.listeners:
                self._take_in(each)

    def _take_in(self, borrowed: BorrowedListener) -> None:
        """Serve the clients of a listening socket."""
        service = self._services[borrowed.service]
        if borrowed.scheme == "udp":
            assert borrowed.slot is not None, "slots do not share UDP sockets"
            self._ports.add(borrowed.slot, service, borrowed.socket)
        else:
            self._intake.add([Listener(borrowed.slot, borrowed.socket, service.acceptor(borrowed.scheme))])

    def _adopt(self, slot: int, listeners: Sequence[Message]) -> None:
        sockets = [socket.socket(fileno=descriptor) for descriptor in self._line.take_descriptors(len(listeners))]
        short = len(sockets) < len(listeners)
        if short:
            # The kernel drops what finds no free descriptor. Whoever waits there waits for a worker of its own.
            self._log.warning("adoption_failed", for_slot=slot, reason="too many open files")
        if short or self._stage is not Stage.SERVING:
            for sock in sockets:
                sock.close()
            self._release(slot)
            return
        for each, sock in zip(listeners, sockets, strict=True):
            self._take_in(BorrowedListener(slot, each["service"], each["scheme"], sock))

    def _reopen(self) -> None:
        try:
            self._log_file.reopen()
        except OSError as error:
            self._log.error("log_not_reopened", error=error.strerror)

    # Leaving.

    def _terminated(self) -> None:
        seconds = self._task.settings.stop_timeout
        process.put_off_alarm(self._longest_farewell())
        self._line.send({"report": Report.LEAVING, "seconds": seconds})
        self._drain(seconds, final=os.getppid() != self._task.master_pid)

    def _longest_farewell(self) -> float:
        return self._task.settings.stop_timeout + _FAREWELL_SECONDS + 2

    def _quit(self) -> None:
        self._line.send({"report": Report.LEAVING, "seconds": 0})
        self._stop_accepting(final=False)
        self._stage = Stage.DRAINING
        self._thread_seconds = 0.0
        for transport in self._transports():
            transport.close_for(CloseReason.SHUTDOWN)
            transport.abort()
        self._ports.abandon()
        self._end_preludes()
        self._outbounds.abort()
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
        self._log.info("worker_draining", connections=self._tally.connections, seconds=round(seconds, 1))
        for service in self._services.values():
            service.drain()
        self._leave_if_empty()

    def _stop_accepting(self, *, final: bool) -> None:
        if self._stage is Stage.BOOTING:
            # It never served: what waits in the slot's queues is for whoever comes next.
            return
        if final:
            self._intake.drain_and_close()
            self._ports.finish()
        else:
            for slot in self._intake.release_all() | self._ports.slots():
                self._release(slot)

    def _release(self, slot: int) -> None:
        """Leave what waits at the sockets of a slot to somebody else, and say so once every copy of ours is closed."""
        self._intake.release(slot)
        if slot in self._ports.slots():
            self._ports.release(slot)
        else:
            self._tell_released(slot)

    def _port_closed(self, slot: int) -> None:
        if slot not in self._ports.slots():
            self._tell_released(slot)
        self._leave_if_empty()

    def _tell_released(self, slot: int) -> None:
        self._line.send({"report": Report.RELEASED, "slot": slot})

    def _drain_deadline(self) -> None:
        if self._leave_at is not None and self._reactor.now >= self._leave_at:
            for transport in self._transports():
                transport.close_for(CloseReason.SHUTDOWN, _FAREWELL_SECONDS)
            self._ports.abandon()
            self._end_preludes()
            if self._lanes is not None:
                self._lanes.hurry()
            self._outbounds.leave(_FAREWELL_SECONDS)

    def _end_preludes(self) -> None:
        for service in self._services.values():
            service.preludes.end_all()

    def _connection_ended(self) -> None:
        if self._stage is Stage.DRAINING:
            self._leave_if_empty()
        else:
            self._intake.connection_ended()

    def _leave_if_empty(self) -> None:
        served = any(service.occupied for service in self._services.values()) or self._ports.slots()
        if self._stage is Stage.DRAINING and not served:
            self._stage = Stage.LEAVING
            self._views.cancel_timers()
            self._outbounds.leave(_FAREWELL_SECONDS)
            self._outbounds.when_left(partial(self._left, self._reactor.now))

    def _left(self, since: float) -> None:
        # Again: the goodbyes of outbound connections may have set some.
        self._views.cancel_timers()
        self._reactor.call_at(since + self._thread_seconds, self._reactor.stop)
        self._threads.finish(self._reactor.stop)

    def _deliver(self) -> None:
        self._threads.deliver()

    def _tell_abandoned(self) -> None:
        running, cancelled = self._threads.running(), self._threads.cancelled()
        if running or cancelled:
            names = ", ".join(list(dict.fromkeys(running + cancelled))[:_MOST_NAMES])
            self._log.warning("threads_abandoned", running=len(running), cancelled=len(cancelled), functions=names)

    # What others want to know.

    def _set_timed(self, timed: bool) -> None:
        for service in self._services.values():
            service.set_timed(timed)

    def _send_rows(self, request: int, rows: Iterator[Message]) -> None:
        # A few a turn: listing 20,000 clients must not keep any of them waiting.
        some = list(islice(rows, _ROWS_A_TURN))
        last = len(some) < _ROWS_A_TURN
        self._line.send({"report": Report.CONNECTIONS, "request": request, "rows": some, "last": last})
        if not last:
            self._reactor.call_soon(self._send_rows, request, rows)

    def _rows(self) -> Iterator[Message]:
        transports = (*self._transports(), *self._outbounds.transports())
        return (_row(transport, self._reactor.now) for transport in transports)

    def _transports(self) -> list[StreamTransport]:
        return [transport for service in self._services.values() for transport in service.transports]

    # Failures of plugins.

    def _hook_failed(self, plugin: str, hook: str, connection: Connection | None, error: Exception) -> None:
        self._tally.hook_errors += 1
        self._figures.stopwatch.failed(plugin)
        self._tell_error(plugin, f"{type(error).__name__}: {error}")
        peer = {} if connection is None else {"peer": connection.peer, "connection": connection.id}
        self._log.error(
            "hook_failed",
            plugin=plugin,
            hook=hook,
            **peer,
            error=f"{type(error).__name__}: {error}"[:_MOST_ERROR_WORDS],
            where=self._place(plugin, error) or "?",
            details=tracebacks.text(error)[-_MOST_DETAILS:],
        )

    def _hook_left_behind(self, connection: Connection) -> None:
        self._log.warning(
            "hook_left_behind", service=connection.service, peer=connection.peer, connection=connection.id
        )

    def _stats_refused(self, plugin: str, reason: str) -> None:
        self._log.warning("stats_refused", plugin=plugin, reason=reason)

    def _place(self, plugin: str, error: Exception) -> str | None:
        home = next((each.home for each in self._plugins.values() if each.name == plugin), None)
        return tracebacks.place(error, home)

    def _tell_error(self, plugin: str, error: str) -> None:
        # The newest is enough, and a plugin that fails at every message must not flood the master.
        if (
            self._reactor.now - self._told_errors.get(plugin, -_SECONDS_BETWEEN_TOLD_ERRORS)
            >= _SECONDS_BETWEEN_TOLD_ERRORS
        ):
            self._told_errors[plugin] = self._reactor.now
            self._line.send({"report": Report.HOOK_FAILED, "plugin": plugin, "error": error[:_MOST_ERROR_WORDS]})

    def _worker_hook_failed(self, plugin: str, hook: str, worker: Any, error: Exception) -> None:
        self._hook_failed(plugin, hook, None, error)


def _rests(innermost: FrameType) -> bool:
    # Whoever called it matters: a hook may have a selector of its own, in `asyncio.run` for instance.
    caller = innermost.f_back
    return innermost.f_code is _SELECT and caller is not None and caller.f_code is Reactor.turn.__code__


def _described(plugin: LoadedPlugin) -> Message:
    identity = plugin.identity
    return {
        "name": identity.name,
        "distribution": identity.distribution,
        "version": identity.version,
        "hooks": plugin.hooks,
    }


def _row(transport: StreamTransport, now: float) -> Message:
    connection = transport.connection
    return {
        "id": connection.id,
        "service": connection.service,
        "peer": str(connection.peer),
        "age_seconds": round(connection.age, 3),
        "idle_seconds": round(max(0.0, now - transport.active_at), 3),
        "bytes_in": connection.bytes_in,
        "bytes_out": connection.bytes_out,
        "queued_bytes": connection.queued,
        "state": transport.phase.value,
    }
