"""Open what a host is managed by: signals, the control socket, the HTTP endpoint, the service manager, its files."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reactorhost.config.settings import Settings
from reactorhost.logs import AppendHandler
from reactorhost.master.admin.commands import AdminCommands, Launch
from reactorhost.master.admin.control_server import ControlServer
from reactorhost.master.autoscaler import Autoscaler
from reactorhost.master.file_watch import FileWatch
from reactorhost.master.lifecycle import Lifecycle
from reactorhost.master.listen.bind import naming_setting
from reactorhost.master.recycler import Recycler
from reactorhost.master.status_document import StatusBuilder
from reactorhost.master.systemd.notices import notify_manager
from reactorhost.master.terminal_output import poll_ttou
from reactorhost.master.upgrade.document import Resumption
from reactorhost.master.upgrade.operation import Upgrade
from reactorhost.master.upgrade.state import MasterParts
from reactorhost.reactor import Reactor
from reactorhost.system.manager_variables import ManagerVariables

if TYPE_CHECKING:
    from reactorhost.master.http.server import HttpServer
    from reactorhost.system.notify import NotifySocket


@dataclass(frozen=True, slots=True)
class Management:
    """The parts that operators, monitors and the service manager use; `open` puts them in place.

    Attributes:
        manager: what the service manager passed, and `notify_socket`, where notifications are sent.
        resumption: the host that this program continues, or None at a start.
    """

    lifecycle: Lifecycle
    status: StatusBuilder
    launch: Launch
    log_file: AppendHandler
    manager: ManagerVariables
    notify_socket: NotifySocket | None
    resumption: Resumption | None

    def open(self, clean_up: ExitStack) -> None:
        """Handle signals and requests, notify the service manager, and watch the files.

        Raises:
            ReactorhostError: the control socket or the HTTP endpoint cannot be opened.
        """
        lifecycle, status, log_file = self.lifecycle, self.status, self.log_file
        context, supervisor, rundir = lifecycle.context, lifecycle.supervisor, lifecycle.rundir
        reactor, registry = context.reactor, context.pool.registry
        commands = AdminCommands(context, supervisor, lifecycle, status, self.launch, log_file)
        # Called when the control socket is there, which has the verb of the upgrade.
        upgrade = Upgrade(
            self.launch,
            lifecycle,
            self.manager,
            lambda: MasterParts(context, rundir, control, endpoint, status, log_file),
        )
        verbs = {**commands.verbs(), **upgrade.verbs()}
        control = ControlServer(reactor, registry, rundir.control_socket, verbs, context.log)
        clean_up.callback(control.close)
        signals = {**commands.signals(), **upgrade.signals()}
        _watch_signals(reactor, notify_manager(self.notify_socket, self.manager, context, lifecycle, signals))
        if self.resumption is None:
            control.open()
        endpoint = self._open_endpoint()
        if endpoint is not None:
            clean_up.callback(endpoint.close)
        if self.resumption is not None:
            upgrade.resume(self.resumption.document)
        clean_up.callback(self._watch_code(commands))
        files = FileWatch(context, rundir, control, endpoint, log_file, commands.restore_log)
        recycler, autoscaler = Recycler(context, supervisor), Autoscaler(context, supervisor)
        lifecycle.each_second += [files.check, control.disconnect_idle, context.bus.sample]
        lifecycle.each_second += [recycler.check, autoscaler.check]

    def _open_endpoint(self) -> HttpServer | None:
        """Listen for probes and scrapes, from before the first worker starts until the last one has ended."""
        context, resumption = self.lifecycle.context, self.resumption
        address = context.planner.settings.admin
        if address is None:
            return None
        # Late, as `import_late_parts` says.
        from reactorhost.master.admin.probes import Probes
        from reactorhost.master.http.server import HttpServer
        from reactorhost.master.http.sockets import is_local
        from reactorhost.master.metrics.route import metrics_route

        metrics = metrics_route(context, self.status.started_at)
        routes = {**Probes(context.planner, self.status).routes(), "/metrics": metrics}
        state = None if resumption is None else resumption.document.state.endpoint
        with naming_setting(context.planner.settings, "admin", "--admin"):
            server = HttpServer.at(address, context.reactor, context.pool.registry, routes, state)
        context.admin.extend(server.sockets.addresses())
        if state is None and not is_local(address):
            hint = "other machines reach it, without password and TLS"
            context.log.warning("admin_exposed", address=address, hint=hint)
        return server

    def _watch_code(self, commands: AdminCommands) -> Callable[[], object]:
        """Watch the code of the plugins if the settings say so; returns what ends that."""
        context = self.lifecycle.context
        settings = context.planner.settings
        if not settings.reload_on_change:
            return lambda: None
        from reactorhost.master.code_watch import CodeWatch

        config_file = None if settings.config_file is None else str(settings.config_file)
        watch = CodeWatch(context.pool, context.log, config_file, commands.files_changed)
        watch.start()
        return watch.close


def import_late_parts(settings: Settings) -> None:
    """Import what the master of a host with these settings imports late, because most hosts do not need it.

    The check of an upgrade does so: a part that cannot be imported must not be found after the program was replaced,
    when the files of the one before may be gone.
    """
    if settings.admin is not None:
        for name in ("admin.probes", "http.server", "metrics.route"):
            importlib.import_module(f"reactorhost.master.{name}")
    if settings.reload_on_change:
        importlib.import_module("reactorhost.master.code_watch")


def _watch_signals(reactor: Reactor, callbacks: Mapping[signal.Signals, Callable[[], object]]) -> None:
    reactor.watch_signals(callbacks)
    if os.isatty(1) or os.isatty(2):
        poll_ttou(reactor, callbacks[signal.SIGTTOU])
    # So that writes fail with EPIPE.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
