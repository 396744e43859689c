"""From settings to a running host and back: check, lock, bind, supervise, clean up."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from reactorhost import logs
from reactorhost.config.default_paths import DEFAULT_LOG, base_dirs, selection
from reactorhost.config.settings import MAX_WORKERS, Settings
from reactorhost.errors import BootError, ReactorhostError, StoppedEarlyError, error_from_os, limit_hint
from reactorhost.ipc.moments import Moment
from reactorhost.ipc.scoreboard import Scoreboard, ScoreboardState
from reactorhost.ipc.status import StatusDocument
from reactorhost.logs import HOST_LOGGER, AppendHandler, EventLog
from reactorhost.master.admin.commands import AdminCommands, Launch
from reactorhost.master.admin.control_server import ControlServer
from reactorhost.master.autoscaler import Autoscaler
from reactorhost.master.context import MasterContext
from reactorhost.master.file_watch import FileWatch
from reactorhost.master.instances import MASTER_NAME, check_alone
from reactorhost.master.leftovers import GRACE_SECONDS, Leftovers
from reactorhost.master.lifecycle import Lifecycle
from reactorhost.master.listen.bind import AddressInUseError
from reactorhost.master.listen.listeners import Listeners
from reactorhost.master.listen.passed_sockets import PassedSockets
from reactorhost.master.plan.planner import Planner
from reactorhost.master.recycler import Recycler
from reactorhost.master.rundir import RunDirectory
from reactorhost.master.stats.bus_monitor import BusMonitor
from reactorhost.master.stats.events import EventRing
from reactorhost.master.stats.monitor import Monitor
from reactorhost.master.stats.shared_counters import SharedCounterRows
from reactorhost.master.status_document import StatusBuilder
from reactorhost.master.supervisor import Supervisor
from reactorhost.master.systemd.notices import notify_manager, reporting_failure
from reactorhost.master.systemd.socket_store import continue_slots
from reactorhost.master.terminal_output import poll_ttou
from reactorhost.master.upgrade.document import Resumption
from reactorhost.master.upgrade.operation import Upgrade
from reactorhost.master.upgrade.state import MasterParts
from reactorhost.master.workers.introductions import Introductions
from reactorhost.master.workers.pool import RunWorker, WorkerPool
from reactorhost.master.workers.requests import WorkerRequests
from reactorhost.reactor import Reactor, new_poller
from reactorhost.system import process
from reactorhost.system.account import resolve_account
from reactorhost.system.fork import ForkRegistry
from reactorhost.system.manager_variables import ManagerVariables

if TYPE_CHECKING:
    from reactorhost.master.http.server import HttpServer
    from reactorhost.system.notify import NotifySocket

# During a reload old and new workers of a slot run side by side, and old ones may drain for long.
_SCOREBOARD_PAGES = MAX_WORKERS * 8
_SHOWN_LINES = 20
_LEFTOVER_POLL_SECONDS = 0.05


def run_host(
    settings: Settings,
    launch: Launch,
    manager: ManagerVariables,
    run_worker: RunWorker,
    on_started: Callable[[StatusDocument], None],
    resumption: Resumption | None = None,
) -> None:
    """Run the master of a host until the host has stopped; `on_started` is called once its workers are ready.

    `manager` is what a service manager passed, `run_worker` the entry point of the forked workers. With a `resumption`
    the host runs already, and this program continues it.

    Raises:
        ReactorhostError: the host did not start. No process and no file is left.
    """
    registry = ForkRegistry()
    selected = selection(settings.name, settings.run_dir, os.environ, os.geteuid())
    rundir = RunDirectory(settings.run_dir, settings.pid_file, registry, selected)
    if resumption is None:
        rundir.prepare()
        rundir.take_lock()
    else:
        rundir.restore(resumption.document.state.rundir)
    with ExitStack() as clean_up:
        # Inside: a program that cannot continue the host returns to the one of before, and must not clean up.
        with contextlib.nullcontext() if resumption is None else resumption.falling_back():
            lifecycle = _set_up(
                clean_up, settings, launch, manager, run_worker, on_started, registry, rundir, resumption
            )
            if resumption is not None:
                resumption.complete()
                lifecycle.context.pool.scoreboard.close_unused()
        lifecycle.run()


def _set_up(
    clean_up: ExitStack,
    settings: Settings,
    launch: Launch,
    manager: ManagerVariables,
    run_worker: RunWorker,
    on_started: Callable[[StatusDocument], None],
    registry: ForkRegistry,
    rundir: RunDirectory,
    resumption: Resumption | None,
) -> Lifecycle:
    """Return what runs the host; everything else is in place by then, or restored from the program of before."""
    state = None if resumption is None else resumption.document.state
    account = resolve_account(settings.user, settings.group)
    notify_socket = clean_up.enter_context(reporting_failure(manager, registry))
    # Last, because it ends the lock: until then no other master may bind the addresses or create the files.
    leftovers = Leftovers(rundir.recorded_workers(), EventLog(logging.getLogger(HOST_LOGGER)))
    registry.add(leftovers, leftovers.close)
    clean_up.callback(lambda: rundir.clean_up(leftovers=bool(leftovers.running())))
    if state is None:
        # A host that continues has its lock for long, and a look at it from this process would end it.
        check_alone(settings.name, settings.run_dir, base_dirs(os.environ, os.geteuid()))
    unless_started = clean_up.enter_context(ExitStack())
    settings = _with_log_of_daemon(settings)
    log_file = _open_log(settings, unless_started, None if state is None else state.log)
    process.raise_descriptor_limit()
    process.name_process(MASTER_NAME)
    with _as_start_error():
        listeners = Listeners(settings, registry, PassedSockets.of(manager.descriptors))
        clean_up.callback(listeners.close)
        if state is None:
            _bind(listeners, leftovers)
        else:
            listeners.restore(state.listeners)

        reactor = Reactor(new_poller(settings.poller))
        clean_up.callback(reactor.close)
        # A worker that kept this reactor would share its wake-up socket, and its signals would reach the master.
        registry.add(reactor, reactor.close)
        scoreboard = _scoreboard(None if state is None else state.pool.scoreboard)
        context = _context(settings, listeners, WorkerPool(reactor, registry, scoreboard, run_worker, account))
        began = (time.time(), time.monotonic()) if state is None else state.stats.began
        status = StatusBuilder(context, *began)

        def started() -> None:
            # From here on the log file stays, whatever becomes of the host.
            unless_started.pop_all()
            on_started(status.document())
            log_file.write_held()

        supervisor = Supervisor(context)
        lifecycle = Lifecycle(context, supervisor, rundir, started, started=state is not None)
        leftovers.schedule(reactor, settings.stop_timeout)
        _serve_operators(clean_up, lifecycle, status, launch, log_file, manager, notify_socket, resumption)
        # What exists now lives as long as the host. Without this, every collection in a worker would touch it and
        # copy the pages that it shares with the master.
        gc.freeze()
        gc.enable()
    return lifecycle


def _serve_operators(
    clean_up: ExitStack,
    lifecycle: Lifecycle,
    status: StatusBuilder,
    launch: Launch,
    log_file: AppendHandler,
    manager: ManagerVariables,
    notify_socket: NotifySocket | None,
    resumption: Resumption | None,
) -> None:
    """Handle signals and requests, notify the service manager, and watch the files."""
    context, supervisor, rundir = lifecycle.context, lifecycle.supervisor, lifecycle.rundir
    reactor, registry = context.reactor, context.pool.registry
    commands = AdminCommands(context, supervisor, lifecycle, status, launch, log_file)
    # Called when the control socket is there, which has the verb of the upgrade.
    upgrade = Upgrade(
        launch, lifecycle, manager, lambda: MasterParts(context, rundir, control, endpoint, status, log_file)
    )
    verbs = {**commands.verbs(), **upgrade.verbs()}
    control = ControlServer(reactor, registry, rundir.control_socket, verbs, context.log)
    clean_up.callback(control.close)
    signals = {**commands.signals(), **upgrade.signals()}
    _watch_signals(reactor, notify_manager(notify_socket, manager, context, lifecycle, signals))
    if resumption is None:
        control.open()
    endpoint = _open_endpoint(context, registry, status, resumption)
    if endpoint is not None:
        clean_up.callback(endpoint.close)
    if resumption is not None:
        upgrade.resume(resumption.document)
    clean_up.callback(_watch_code(context, commands))
    files = FileWatch(context, rundir, control, endpoint, log_file, commands.restore_log)
    recycler, autoscaler = Recycler(context, supervisor), Autoscaler(context, supervisor)
    lifecycle.each_second += [files.check, control.disconnect_idle, context.bus.sample]
    lifecycle.each_second += [recycler.check, autoscaler.check]


def _scoreboard(state: ScoreboardState | None) -> Scoreboard:
    try:
        return Scoreboard(_SCOREBOARD_PAGES, state)
    except OSError as error:
        # Some sandboxes refuse this call, and the operator has to know which one it was.
        what = f"cannot fork a worker: memfd_create: {error.strerror}"
        raise BootError(what, hint=limit_hint(error)) from None


def _context(settings: Settings, listeners: Listeners, pool: WorkerPool) -> MasterContext:
    reactor = pool.reactor
    log = EventRing(logging.getLogger(HOST_LOGGER))
    monitor = Monitor(reactor, pool)
    planner = Planner(settings, started=Moment(time.monotonic(), time.time()))
    continue_slots(planner, listeners, time.monotonic())
    listeners.passed.close(log)
    return MasterContext(
        reactor,
        log,
        listeners,
        planner,
        pool,
        monitor,
        WorkerRequests(reactor, pool),
        Introductions(reactor, pool, log),
        SharedCounterRows(pool, log),
        BusMonitor(pool, monitor.samples.past, log),
    )


def _watch_code(context: MasterContext, commands: AdminCommands) -> Callable[[], object]:
    """Watch the code of the plugins if the settings say so; returns what ends that."""
    settings = context.planner.settings
    if not settings.reload_on_change:
        return lambda: None
    from reactorhost.master.code_watch import CodeWatch

    config_file = None if settings.config_file is None else str(settings.config_file)
    watch = CodeWatch(context.pool, context.log, config_file, commands.files_changed)
    watch.start()
    return watch.close


def _open_endpoint(
    context: MasterContext, registry: ForkRegistry, status: StatusBuilder, resumption: Resumption | None
) -> HttpServer | None:
    """Listen for probes and scrapes, from before the first worker starts until the last one has ended."""
    address = context.planner.settings.admin
    if address is None:
        return None
    # Late: most hosts need neither it nor h11.
    from reactorhost.master.admin.probes import Probes
    from reactorhost.master.http.server import HttpServer
    from reactorhost.master.http.sockets import is_local
    from reactorhost.master.metrics.route import metrics_route

    routes = {**Probes(context.planner, status).routes(), "/metrics": metrics_route(context, status.started_at)}
    state = None if resumption is None else resumption.document.state.endpoint
    server = HttpServer.at(address, context.reactor, registry, routes, state)
    context.admin.extend(server.sockets.addresses())
    if state is None and not is_local(address):
        context.log.warning("admin_exposed", address=address, hint="other machines reach it, without password and TLS")
    return server


def _watch_signals(reactor: Reactor, callbacks: Mapping[signal.Signals, Callable[[], object]]) -> None:
    reactor.watch_signals(callbacks)
    if os.isatty(1) or os.isatty(2):
        poll_ttou(reactor, callbacks[signal.SIGTTOU])
    # So that writes fail with EPIPE.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


@contextlib.contextmanager
def _as_start_error() -> Iterator[None]:
    """Raise what the system refuses while a host is set up as the error of a start."""
    try:
        yield
    except OSError as error:
        raise error_from_os(error, "cannot start", hint=limit_hint(error)) from None


def _remove_log(path: Path, kind: object, error: BaseException | None, trace: object) -> None:
    """Remove the log that a failed start made, after adding its end to an error that does not show the cause itself."""
    if not isinstance(error, ReactorhostError):
        # A bug, whose traceback is written there when this process ends.
        return
    if error.details is None and not isinstance(error, StoppedEarlyError):
        with contextlib.suppress(OSError):
            error.details = "\n".join(path.read_text(errors="replace").splitlines()[-_SHOWN_LINES:])
    path.unlink(missing_ok=True)


def _with_log_of_daemon(settings: Settings) -> Settings:
    if settings.log_file is None and settings.daemon:
        return dataclasses.replace(settings, log_file=settings.run_dir / DEFAULT_LOG)
    return settings


def _open_log(settings: Settings, unless_started: ExitStack, resumed: int | None = None) -> AppendHandler:
    is_new = settings.log_file is not None and not os.path.exists(settings.log_file)
    try:
        log_file = logs.install(
            settings.log_file,
            settings.log_format,
            settings.log_level,
            capture_output=settings.daemon,
            descriptor=resumed,
            master=os.getpid(),
        )
    except OSError as error:
        what = f"cannot open the log file {settings.log_file}"
        raise error_from_os(error, what, hint="choose another with --log-file") from None
    if settings.log_file is not None and is_new:
        unless_started.push(partial(_remove_log, settings.log_file))
    if settings.log_file is None and resumed is None:
        # On a terminal the banner comes first. A start that fails prints one sentence and needs no log lines.
        log_file.hold()
    return log_file


def _bind(listeners: Listeners, leftovers: Leftovers) -> None:
    """Bind everything; workers of a master that was killed a moment ago may hold the addresses a little longer."""
    give_up_at = time.monotonic() + GRACE_SECONDS
    while True:
        try:
            listeners.bind()
        except AddressInUseError:
            listeners.close()
            if not leftovers.running():
                raise
            if time.monotonic() > give_up_at:
                if not leftovers.end_listening():
                    raise
                give_up_at = time.monotonic() + GRACE_SECONDS
            # Poll: such a worker is not a child of this process, so its end causes no event here.
            time.sleep(_LEFTOVER_POLL_SECONDS)
        else:
            return
