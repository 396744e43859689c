"""From settings to a running host and back: check, lock, bind, supervise, clean up."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from reactorhost.config.default_paths import base_dirs, selection
from reactorhost.config.settings import MAX_WORKERS, Settings
from reactorhost.errors import BootError, counted, error_from_os, limit_hint
from reactorhost.ipc.moments import Moment
from reactorhost.ipc.scoreboard import Scoreboard, ScoreboardState
from reactorhost.logs import HOST_LOGGER, EventLog
from reactorhost.master.admin.commands import Launch
from reactorhost.master.context import MasterContext
from reactorhost.master.instances import MASTER_NAME, check_alone
from reactorhost.master.leftovers import GRACE_SECONDS, Leftovers
from reactorhost.master.lifecycle import Lifecycle
from reactorhost.master.listen.bind import AddressInUseError
from reactorhost.master.listen.listeners import Listeners
from reactorhost.master.listen.passed_sockets import PassedSockets
from reactorhost.master.management import Management
from reactorhost.master.plan.planner import Planner
from reactorhost.master.rundir import RunDirectory
from reactorhost.master.start_log import open_log, with_log_of_daemon
from reactorhost.master.start_progress import Starter, StartProgress
from reactorhost.master.stats.bus_monitor import BusMonitor
from reactorhost.master.stats.events import EventRing
from reactorhost.master.stats.monitor import Monitor
from reactorhost.master.stats.service_sums import ServiceSums
from reactorhost.master.stats.shared_counters import SharedCounterRows
from reactorhost.master.status_document import StatusBuilder
from reactorhost.master.supervisor import Supervisor
from reactorhost.master.systemd.notices import reporting_failure
from reactorhost.master.systemd.socket_store import continue_slots
from reactorhost.master.upgrade.document import Resumption
from reactorhost.master.upgrade.state import MasterState
from reactorhost.master.workers.introductions import Introductions
from reactorhost.master.workers.pool import RunWorker, WorkerPool
from reactorhost.master.workers.requests import WorkerRequests
from reactorhost.reactor import Reactor, new_poller
from reactorhost.system import process
from reactorhost.system.account import Account, resolve_account
from reactorhost.system.fork import ForkRegistry
from reactorhost.system.manager_variables import ManagerVariables

# During a reload old and new workers of a slot run side by side, and old ones may drain for long.
_SCOREBOARD_PAGES = MAX_WORKERS * 8
_LEFTOVER_POLL_SECONDS = 0.05


def run_host(
    settings: Settings,
    launch: Launch,
    manager: ManagerVariables,
    run_worker: RunWorker,
    starter: Starter,
    resumption: Resumption | None = None,
) -> None:
    """Run the master of a host until the host has stopped; the `starter` follows its start.

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
    setup = _Setup(settings, launch, manager, run_worker, starter, resumption, registry, rundir)
    with ExitStack() as clean_up:
        # Inside: a program that cannot continue the host returns to the one of before, and must not clean up.
        with contextlib.nullcontext() if resumption is None else resumption.falling_back():
            lifecycle = setup.lifecycle(clean_up)
            if resumption is not None:
                resumption.complete()
                lifecycle.context.pool.scoreboard.close_unused()
        lifecycle.run()


@dataclass(frozen=True, slots=True)
class _Setup:
    """What a host is made of: see `run_host`. The run directory is locked."""

    settings: Settings
    launch: Launch
    manager: ManagerVariables
    run_worker: RunWorker
    starter: Starter
    resumption: Resumption | None
    registry: ForkRegistry
    rundir: RunDirectory

    @property
    def state(self) -> MasterState | None:
        """The state of the host that this program continues, or None at a start."""
        return None if self.resumption is None else self.resumption.document.state

    def lifecycle(self, clean_up: ExitStack) -> Lifecycle:
        """Return what runs the host; everything else is in place by then, or restored from the program of before.

        Raises:
            ReactorhostError: the host cannot be started, or continued.
        """
        state, registry, rundir = self.state, self.registry, self.rundir
        account = resolve_account(self.settings.user, self.settings.group)
        notify_socket = clean_up.enter_context(reporting_failure(self.manager, registry))
        # Last, because it ends the lock: until then no other master may bind the addresses or create the files.
        leftovers = Leftovers(rundir.recorded_workers(), EventLog(logging.getLogger(HOST_LOGGER)))
        registry.add(leftovers, leftovers.close)
        clean_up.callback(lambda: rundir.clean_up(leftovers=bool(leftovers.running())))
        if state is None:
            # A host that continues has its lock for long, and a look at it from this process would end it.
            check_alone(self.settings.name, self.settings.run_dir, base_dirs(os.environ, os.geteuid()))
        unless_started = clean_up.enter_context(ExitStack())
        settings = with_log_of_daemon(self.settings)
        log_file = open_log(settings, unless_started, None if state is None else state.log)
        process.raise_descriptor_limit()
        process.name_process(MASTER_NAME)
        with _as_start_error():
            listeners = Listeners(settings, registry, PassedSockets.of(self.manager.descriptors))
            clean_up.callback(listeners.close)
            if state is None:
                _bind(listeners, leftovers, self.starter)
            else:
                listeners.restore(state.listeners)

            context = _context(settings, listeners, self._pool(clean_up, settings, account))
            began = (time.time(), time.monotonic()) if state is None else state.stats.began
            status = StatusBuilder(context, *began)

            def started() -> None:
                # From here on the log file stays, whatever becomes of the host.
                unless_started.pop_all()
                self.starter.started(status.document())
                log_file.write_held()

            lifecycle = Lifecycle(context, Supervisor(context), rundir, started, started=state is not None)
            lifecycle.on_stopping = self.starter.stopping
            if state is None:
                StartProgress(lifecycle, self.starter).follow()
            leftovers.schedule(context.reactor, settings.stop_timeout)
            management = Management(
                lifecycle, status, self.launch, log_file, self.manager, notify_socket, self.resumption
            )
            management.open(clean_up)
            # What exists now lives as long as the host. Without this, every collection in a worker would touch it and
            # copy the pages that it shares with the master.
            gc.freeze()
            gc.enable()
        return lifecycle

    def _pool(self, clean_up: ExitStack, settings: Settings, account: Account | None) -> WorkerPool:
        reactor = Reactor(new_poller(settings.poller))
        clean_up.callback(reactor.close)
        # A worker that kept this reactor would share its wake-up socket, and its signals would reach the master.
        self.registry.add(reactor, reactor.close)
        scoreboard = _scoreboard(None if self.state is None else self.state.pool.scoreboard, len(settings.services))
        return WorkerPool(reactor, self.registry, scoreboard, self.run_worker, account)


def _scoreboard(state: ScoreboardState | None, services: int) -> Scoreboard:
    try:
        # Services cannot change while a host runs.
        return Scoreboard(_SCOREBOARD_PAGES, state, services=services)
    except OSError as error:
        # Some sandboxes refuse this call, and the operator has to know which one it was.
        what = f"cannot fork a worker: memfd_create: {error.strerror}"
        raise BootError(what, hint=limit_hint(error)) from None


def _context(settings: Settings, listeners: Listeners, pool: WorkerPool) -> MasterContext:
    reactor = pool.reactor
    log = EventRing(logging.getLogger(HOST_LOGGER))
    monitor = Monitor(reactor, pool, ServiceSums(len(settings.services)))
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


@contextlib.contextmanager
def _as_start_error() -> Iterator[None]:
    """Raise what the system refuses while a host is set up as the error of a start."""
    try:
        yield
    except OSError as error:
        raise error_from_os(error, "cannot start", hint=limit_hint(error)) from None


def _bind(listeners: Listeners, leftovers: Leftovers, starter: Starter) -> None:
    """Bind everything; workers of a master that was killed a moment ago may hold the addresses a little longer."""
    began = time.monotonic()
    give_up_at = began + GRACE_SECONDS
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
            waited_for = counted(len(leftovers.running()), "worker")
            starter.show(f"waiting for {waited_for} of a host that was killed", step_seconds=time.monotonic() - began)
            # Poll: such a worker is not a child of this process, so its end causes no event here.
            time.sleep(_LEFTOVER_POLL_SECONDS)
        else:
            return
