"""From settings to a running host and back: check, lock, bind, supervise, clean up."""

from __future__ import annotations

import dataclasses
import gc
import logging
import os
import signal
import time
from collections.abc import Callable

from reactorhost import logs
from reactorhost.config.settings import Settings
from reactorhost.errors import error_from_os
from reactorhost.ipc.scoreboard import Scoreboard
from reactorhost.ipc.status import StatusDocument
from reactorhost.logs import AppendHandler
from reactorhost.master.admin.commands import AdminCommands, Launch
from reactorhost.master.admin.control_server import ControlServer
from reactorhost.master.admin.requests import Requests
from reactorhost.master.context import MasterContext
from reactorhost.master.lifecycle import Lifecycle
from reactorhost.master.listen.bind import AddressInUseError
from reactorhost.master.listen.listeners import Listeners
from reactorhost.master.listen.unix_socket_files import check_owners
from reactorhost.master.plan.planner import Planner
from reactorhost.master.rundir import RunDirectory
from reactorhost.master.stats.events import EventRing
from reactorhost.master.stats.monitor import Monitor
from reactorhost.master.stats.status_document import StatusBuilder
from reactorhost.master.supervisor import Supervisor
from reactorhost.master.workers.connection_lists import ConnectionLists
from reactorhost.master.workers.pool import MOST_WORKERS, RunWorker, WorkerPool
from reactorhost.reactor import Reactor, new_poller
from reactorhost.system import process
from reactorhost.system.fork import ForkRegistry

# During a reload old and new workers of a slot live side by side, and old ones may drain for long.
_SCOREBOARD_PAGES = MOST_WORKERS * 8
_LEFTOVER_SECONDS = 3.0
_LEFTOVER_POLL_SECONDS = 0.05


def run_host(
    settings: Settings, launch: Launch, run_worker: RunWorker, on_started: Callable[[StatusDocument], None]
) -> None:
    """Run the master of a host until the host has stopped; `on_started` is called once its workers are ready.

    `run_worker` is the entry point of the forked workers.

    Raises:
        ReactorhostError: the host did not start. No process and no file is left.
    """
    account = process.resolve_account(settings.user, settings.group)
    check_owners(settings)
    registry = ForkRegistry()
    rundir = RunDirectory(settings.run_dir, settings.pid_file, registry)
    rundir.prepare()
    rundir.take_lock()
    started = False

    def record_start(document: StatusDocument) -> None:
        nonlocal started
        started = True
        on_started(document)

    try:
        settings, fresh_log = _with_log_file(settings)
        try:
            _Startup(settings, account, rundir, registry, launch, run_worker, record_start).run()
        finally:
            if fresh_log and not started and settings.log_file is not None:
                settings.log_file.unlink(missing_ok=True)
    finally:
        rundir.clean_up()


class _Startup:
    """What a start needs, once the run directory is locked."""

    def __init__(
        self,
        settings: Settings,
        account: tuple[int, int, str] | None,
        rundir: RunDirectory,
        registry: ForkRegistry,
        launch: Launch,
        run_worker: RunWorker,
        on_started: Callable[[StatusDocument], None],
    ) -> None:
        self._settings = settings
        self._account = account
        self._rundir = rundir
        self._registry = registry
        self._launch = launch
        self._run_worker = run_worker
        self._on_started = on_started

    def run(self) -> None:
        log_file = self._open_log()
        if self._settings.log_file is None:
            # On a terminal the banner comes first. A start that fails prints one sentence and needs no log lines.
            log_file.hold()
        process.raise_descriptor_limit()
        process.name_process("rh-master")
        settings = self._settings
        listeners = Listeners(settings.services, settings.backlog, settings.peer_timeout, self._registry)
        try:
            self._bind(listeners)
            reactor = Reactor(new_poller(settings.poller))
            self._registry.add(reactor, reactor.close)
            self._supervise(reactor, self._build_context(reactor, listeners), log_file)
        finally:
            listeners.close()

    def _build_context(self, reactor: Reactor, listeners: Listeners) -> MasterContext:
        settings = self._settings
        log = EventRing(logging.getLogger("reactorhost"))
        planner = Planner(settings)
        pool = WorkerPool(reactor, self._registry, Scoreboard(_SCOREBOARD_PAGES), self._run_worker)
        monitor = Monitor(reactor, pool)
        status = StatusBuilder(planner, pool, monitor, listeners, log, time.time(), time.monotonic())
        lists = ConnectionLists(reactor, pool)
        return MasterContext(reactor, log, listeners, planner, pool, monitor, lists, status)

    def _supervise(self, reactor: Reactor, context: MasterContext, log_file: AppendHandler) -> None:
        def banner_first(document: StatusDocument) -> None:
            self._on_started(document)
            log_file.write_held()

        supervisor = Supervisor(context, self._account)
        lifecycle = Lifecycle(context, supervisor, self._rundir, banner_first)
        requests = Requests(context, supervisor, lifecycle, log_file)
        commands = AdminCommands(requests, lifecycle, self._launch, context.log)
        control = ControlServer(reactor, self._registry, self._rundir.control_socket, commands.verbs(), context.log)
        reactor.watch_signals(commands.signals())
        # USR2 has no meaning yet, but its default would end the host. Ignoring PIPE makes writes fail with EPIPE.
        for ignored in (signal.SIGUSR2, signal.SIGPIPE):
            signal.signal(ignored, signal.SIG_IGN)
        try:
            control.open()
            # What exists now lives as long as the host. Without this, every collection in a worker would touch it and
            # copy the pages that it shares with the master.
            gc.freeze()
            gc.enable()
            lifecycle.run()
        finally:
            control.close()
            reactor.close()

    def _open_log(self) -> AppendHandler:
        settings = self._settings
        try:
            return logs.install(
                settings.log_file,
                settings.log_format,
                settings.log_level,
                capture_output=settings.daemon,
                master=os.getpid(),
            )
        except OSError as error:
            raise error_from_os(
                error, f"cannot open the log file {settings.log_file}", hint="choose another with --log-file"
            ) from None

    def _bind(self, listeners: Listeners) -> None:
        """Bind everything; workers of a master that was killed a moment ago may hold the addresses a little longer."""
        give_up_at = time.monotonic() + _LEFTOVER_SECONDS
        while True:
            try:
                listeners.bind()
            except AddressInUseError:
                listeners.close()
                if not self._rundir.leftover_workers() or time.monotonic() > give_up_at:
                    raise
                # Poll: such a worker is not a child of this process, so its end causes no event here.
                time.sleep(_LEFTOVER_POLL_SECONDS)
            else:
                return


def _with_log_file(settings: Settings) -> tuple[Settings, bool]:
    """Return settings with a log file in the run directory if a daemon has none, and whether the file is new."""
    if settings.log_file is None and settings.daemon:
        settings = dataclasses.replace(settings, log_file=settings.run_dir / "reactorhost.log")
    return settings, settings.log_file is not None and not settings.log_file.exists()
