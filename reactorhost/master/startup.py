"""From settings to a running host and back to nothing: check, lock, bind, supervise, clean up."""

from __future__ import annotations

import dataclasses
import gc
import logging
import os
import signal
import time
from collections.abc import Callable

from reactorhost.config.settings import Settings
from reactorhost.errors import error_of_system
from reactorhost.ipc.status import StatusDocument
from reactorhost.logs import AppendHandler, EventLog
from reactorhost.master.admin.commands import AdminCommands, Launch
from reactorhost.master.admin.control_server import ControlServer
from reactorhost.master.listen.bind import AddressInUseError
from reactorhost.master.listen.listeners import Listeners
from reactorhost.master.listen.unix_socket_files import check_owners
from reactorhost.master.rundir import RunDirectory
from reactorhost.master.stats.events import EventRing
from reactorhost.master.supervisor import Supervisor
from reactorhost.reactor import Reactor, new_poller
from reactorhost.system import process
from reactorhost.system.fork import ForkRegistry
from reactorhost.worker.boot import open_log

_LEFTOVER_SECONDS = 3.0
_LEFTOVER_LOOK_SECONDS = 0.05


def run_host(settings: Settings, launch: Launch, on_started: Callable[[StatusDocument], None]) -> None:
    """Be the master of a host until it was stopped; `on_started` is called once its workers are ready.

    Raises:
        ReactorhostError: it never came up. No process and no file of it is left.
    """
    account = process.resolve_account(settings.user, settings.group)
    check_owners(settings)
    registry = ForkRegistry()
    rundir = RunDirectory(settings.run_dir, settings.pid_file, registry)
    rundir.prepare()
    rundir.take_lock()
    started = False

    def note_started(document: StatusDocument) -> None:
        nonlocal started
        started = True
        on_started(document)

    try:
        settings, fresh_log = _with_log_file(settings)
        try:
            _supervise(settings, account, rundir, registry, launch, note_started)
        finally:
            if fresh_log and not started and settings.log_file is not None:
                settings.log_file.unlink(missing_ok=True)
    finally:
        rundir.clean_up()


def _supervise(
    settings: Settings,
    account: tuple[int, int, str] | None,
    rundir: RunDirectory,
    registry: ForkRegistry,
    launch: Launch,
    on_started: Callable[[StatusDocument], None],
) -> None:
    log_file = _open_log(settings)
    if settings.log_file is None:
        # The banner comes first on a terminal; of a start that fails the one sentence says it all.
        log_file.hold()

    def banner_first(document: StatusDocument) -> None:
        on_started(document)
        log_file.let_go()

    process.raise_descriptor_limit()
    process.name_process("rh-master")
    listeners = Listeners(settings.services, settings.backlog, settings.peer_timeout, registry)
    try:
        _bind(listeners, rundir)
        reactor = Reactor(new_poller(settings.poller))
        registry.add(reactor, reactor.close)
        log = EventRing(logging.getLogger("reactorhost"))
        master = Supervisor(reactor, registry, settings, account, listeners, rundir, log, log_file, banner_first)
        _serve_requests(master, AdminCommands(master, launch, log), reactor, registry, rundir, log)
    finally:
        listeners.close()


def _serve_requests(
    master: Supervisor,
    requests: AdminCommands,
    reactor: Reactor,
    registry: ForkRegistry,
    rundir: RunDirectory,
    log: EventLog,
) -> None:
    """Let the master run while signals and the control socket can ask something of it."""
    control = ControlServer(reactor, registry, rundir.control_socket, requests.verbs(), log)
    reactor.watch_signals(requests.signals())
    # Not for us yet, and the default would end the host.
    for ignored in (signal.SIGUSR2, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    try:
        control.open()
        # What is there now stays: no collection looks at it again, here or in a worker, whose pages it would copy.
        gc.freeze()
        gc.enable()
        master.run()
    finally:
        control.close()
        reactor.close()


def _with_log_file(settings: Settings) -> tuple[Settings, bool]:
    """Give a daemon without a log file one in its run directory; says whether a file of ours is new."""
    if settings.log_file is None and settings.daemon:
        settings = dataclasses.replace(settings, log_file=settings.run_dir / "reactorhost.log")
    return settings, settings.log_file is not None and not settings.log_file.exists()


def _open_log(settings: Settings) -> AppendHandler:
    try:
        return open_log(settings, master=os.getpid())
    except OSError as error:
        raise error_of_system(
            error, f"cannot open the log file {settings.log_file}", hint="choose another with --log-file"
        ) from None


def _bind(listeners: Listeners, rundir: RunDirectory) -> None:
    """Bind everything; workers of a master that was killed a moment ago may hold the addresses a little longer."""
    patience_ends = time.monotonic() + _LEFTOVER_SECONDS
    while True:
        try:
            listeners.bind()
        except AddressInUseError:
            listeners.close()
            if not rundir.leftover_workers() or time.monotonic() > patience_ends:
                raise
            # Before the loop there is nothing to keep waiting: a look now and then is enough.
            time.sleep(_LEFTOVER_LOOK_SECONDS)
        else:
            return
