"""What operators can request of a running host, by a signal or on the control socket."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reactorhost import __version__
from reactorhost.api.hookspecs import PROJECT
from reactorhost.config import plugin_tables
from reactorhost.config.default_paths import by_run_dir
from reactorhost.config.settings import BY_NAME, Settings
from reactorhost.config.values import InvalidValueError
from reactorhost.config.worker_count import WorkerRange
from reactorhost.errors import ReactorhostError, UsageError, counted, error_from_os, joined_hints
from reactorhost.ipc.compact_status import compacted
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Order
from reactorhost.logs import AppendHandler
from reactorhost.master.admin.client_commands import ClientCommands
from reactorhost.master.admin.configuration_file import ConfigurationFile
from reactorhost.master.admin.control_server import Session, Verb
from reactorhost.master.admin.fixed_settings import FIXED_SETTINGS, bound
from reactorhost.master.admin.settings_report import settings_report
from reactorhost.master.context import MasterContext
from reactorhost.master.lifecycle import Lifecycle
from reactorhost.master.plan import readiness
from reactorhost.master.plan.planner import HostState
from reactorhost.master.plan.worker_table import WorkerRecord, WorkerState
from reactorhost.master.status_document import StatusBuilder
from reactorhost.master.supervisor import Supervisor
from reactorhost.master.workers.requests import TIMEOUT_SECONDS
from reactorhost.plugins import discovery
from reactorhost.plugins.imports import ImportedCode


@dataclass(frozen=True, slots=True)
class Launch:
    """How this host was started, for `restart`, for a reload and for reading the configuration again.

    `directory` may lead through a link that has been moved since: a reload enters it anew. With `has_manager` a service
    manager started it, which also has to restart it.
    """

    arguments: tuple[str, ...]
    directory: str
    environment: dict[str, str]
    has_manager: bool
    read_again: Callable[[], Settings]
    imported: ImportedCode
    configuration: ConfigurationFile
    terminal_gone: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class AdminCommands:
    """Validates requests and passes them to the planner; a request without a session came by a signal."""

    context: MasterContext
    supervisor: Supervisor
    lifecycle: Lifecycle
    status: StatusBuilder
    launch: Launch
    log_file: AppendHandler

    def signals(self) -> Mapping[signal.Signals, Callable[[], object]]:
        """Return the callback of each signal."""
        return {
            signal.SIGINT: self._interrupt,
            signal.SIGTERM: self._stop,
            signal.SIGQUIT: lambda: self._stop(at_once=True),
            signal.SIGHUP: self._signalled(self._hangup),
            signal.SIGUSR1: self._signalled(self._reload),
            signal.SIGTTIN: self._signalled(lambda: self._scale(self.context.planner.scaling.target + 1)),
            signal.SIGTTOU: self._signalled(lambda: self._scale(self.context.planner.scaling.target - 1)),
            signal.SIGCHLD: self.lifecycle.reap,
        }

    def verbs(self) -> Mapping[str, Verb]:
        """Return the callback of each verb of the control socket."""
        clients = ClientCommands(self.context)
        return {
            "ping": lambda session, message: session.done(name=self.context.planner.settings.name),
            "status": self._send_status,
            "health": self._send_health,
            "recycle": self._recycle,
            "stop": lambda session, message: self._stop(session, at_once=bool(message.get("now"))),
            "reload": lambda session, message: self._reload(session),
            "scale": lambda session, message: self._scale(message.get("workers"), session),
            "connections": clients.connections,
            "disconnect": clients.disconnect,
            "reopen": lambda session, message: self._reopen_logs(session),
            "launch": self._send_launch,
            "settings": lambda session, message: session.done(**settings_report(self.context.planner)),
        }

    def _signalled(self, request: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            # While the host stops, or beyond the limits, a request fails; a signal has no client to report that to.
            try:
                request()
            except ReactorhostError:
                pass
            except OSError as error:
                # Out of descriptors, for instance, when the configuration is read again.
                self.context.log.error("action_failed", action="signal", error=error.strerror)  # noqa: TRY400  no logger

        return run

    # Each of these raises a ReactorhostError where the request is not possible, and changes nothing then.

    def _interrupt(self) -> None:
        self.log_file.end_echoed_line()
        self._stop()

    def _stop(self, session: Session | None = None, *, at_once: bool = False) -> None:
        # A second signal ends the delay of a stop, and stops at once without one; a second client only follows.
        state = self.context.planner.state if session is None else None
        at_once = at_once or state is HostState.STOPPING
        self.lifecycle.stop(session, delayed=not at_once and state is not HostState.LEAVING, at_once=at_once)

    def _reload(self, session: Session | None = None) -> None:
        self._check_not_stopping()
        self._enter_directory()
        self._report_old_code(session)
        if session is not None and self.launch.configuration.has_changed():
            session.warning(
                f"{self.launch.configuration.path} has changed, and a reload brings code only; "
                f"`kill -HUP {os.getpid()}` reads it and reloads"
            )
        self.context.planner.reload.request(session)
        self.supervisor.schedule()

    def _enter_directory(self) -> None:
        # New workers inherit the directory, and `module:object` is imported from it.
        try:
            os.chdir(self.launch.directory)
        except OSError as error:
            # A host whose plugins are installed needs nothing of it. Where a plugin is in it, its import fails next.
            self.context.log.warning("directory_not_entered", path=self.launch.directory, error=error.strerror)

    def _report_old_code(self, session: Session | None) -> None:
        """Report what a reload does not replace: code that workers have from the fork, and that changed on disk."""
        changed = self.launch.imported.changed()
        if not changed:
            return
        versions = {}
        if PROJECT in changed and (on_disk := discovery.installed_host_version()) not in (None, __version__):
            versions = {"version": __version__, "installed": on_disk}
        self.context.log.warning("code_changed", modules=",".join(changed), **versions)
        if session is not None:
            installed = f"{PROJECT} {versions['installed']} is installed and {__version__} runs: " if versions else ""
            session.warning(
                f"{installed}{', '.join(changed)} changed on disk since the host started; "
                "workers use the old code until `reactorhost upgrade`"
            )

    def _scale(self, workers: object, session: Session | None = None) -> None:
        try:
            wanted: Any = BY_NAME["workers"].kind.read(workers)
        except InvalidValueError as error:
            raise UsageError(f"the number of workers {error}", hint=error.hint) from None
        self._check_not_stopping()
        if wanted == "auto":
            wanted = self.context.planner.settings.workers_range
            if wanted is None:
                hint = "name one: `reactorhost scale 2-8`, or `workers = { min = 2, max = 8 }` in the configuration"
                raise UsageError("this host has no range of workers", hint=hint)
        self._want(wanted, session)

    def _want(self, workers: int | WorkerRange, session: Session | None = None) -> None:
        """Have this number of workers from now on, or one in a range, as the load requires."""
        planner = self.context.planner
        before, fields = planner.scaling.target, {}
        planner.autoscale.range = None
        if isinstance(workers, WorkerRange):
            planner.autoscale.range, fields = workers, {"range": str(workers)}
            workers = workers.nearest(before)
        self.context.log.info("scaling", workers=workers, before=before, **fields)
        planner.scaling.request(workers, session)
        self.supervisor.schedule()

    def _recycle(self, session: Session, message: Message) -> None:
        pid = message.get("pid")
        if not isinstance(pid, int) or isinstance(pid, bool):
            raise UsageError(f"cannot recycle {pid!r}", hint="give the process id of a worker")
        self._check_not_stopping()
        self.context.planner.recycle(pid, session)
        self.context.log.info("recycling", pid=pid)
        self.supervisor.schedule()

    def _send_status(self, session: Session, message: Message) -> None:
        # An exit can be recorded in this turn already; the file must not show less than the response.
        self.lifecycle.write_workers()
        since = message.get("events_since")
        if since is not None and (not isinstance(since, int) or isinstance(since, bool)):
            raise UsageError(f"events_since must be the id of an event, not {since!r}")
        document = self.status.document(history=bool(message.get("history")), events_since=since)
        session.done(document=compacted(document) if message.get("compact") else document)

    def _send_health(self, session: Session, message: Message) -> None:
        not_ready = readiness.reasons(self.context.planner)
        session.done(ready=not not_ready, not_ready=not_ready)

    def _send_launch(self, session: Session, message: Message) -> None:
        # Of the variables that plugin options refer to, too: the caller of `restart` may not have them set.
        names = plugin_tables.variables(self.context.planner.settings.plugin_tables)
        session.done(
            name=self.context.planner.settings.name,
            arguments=self.launch.arguments,
            directory=self.launch.directory,
            environment=self.launch.environment | {name: os.environ[name] for name in names if name in os.environ},
            daemon=self.context.planner.settings.daemon,
            prefix=sys.prefix,
            has_manager=self.launch.has_manager,
        )

    def _reopen_logs(self, session: Session | None = None) -> None:
        """Open the log file again, and pass it to every worker; if it cannot be opened, all keep the old one."""
        try:
            descriptor = self.log_file.reopen()
        except OSError as error:
            self.context.log.error("log_not_reopened", error=error.strerror)  # noqa: TRY400  no logger
            what = f"cannot open {self.context.planner.settings.log_file} again: {error.strerror}"
            raise ReactorhostError(what, hint="the old file stays in use") from None
        self._pass_log(descriptor, session)

    def restore_log(self) -> None:
        """Open the log file again, which was removed, and pass it to every worker.

        Raises:
            ReactorhostError: it cannot be opened; the old one stays in use.
        """
        try:
            descriptor = self.log_file.reopen()
        except OSError as error:
            what = f"cannot open {self.context.planner.settings.log_file} again"
            raise error_from_os(error, what, hint=None) from None
        self._pass_log(descriptor, None)

    def _pass_log(self, descriptor: int | None, session: Session | None) -> None:
        failed: list[str] = []

        def answered(worker: WorkerRecord, answer: Message) -> None:
            if answer["error"] is not None:
                self.context.log.error("log_not_reopened", slot=worker.slot, pid=worker.pid, error=answer["error"])
                failed.append(f"worker {worker.slot} (pid {worker.pid}): {answer['error']}")

        def done(silent: Sequence[WorkerRecord]) -> None:
            for worker in silent:
                # One that boots carries the order out before it serves.
                if worker.state is not WorkerState.STARTING:
                    answered(worker, {"error": f"no answer within {TIMEOUT_SECONDS:g} s"})
            if session is not None and failed:
                what = f"the old log file is still in use by {', '.join(failed)}"
                session.failed(ReactorhostError(what, hint="run `reactorhost reopen` again, or `reactorhost reload`"))
            elif session is not None:
                log_file = self.context.planner.settings.log_file
                session.done(log_file=None if log_file is None else str(log_file))

        if descriptor is None:
            done(())
            return
        workers = tuple(self.context.planner.workers.values())
        if session is not None:
            session.progress(f"waiting for {counted(len(workers), 'worker')}", step_seconds=0.0)
        self.context.requests.send(workers, {"order": Order.REOPEN}, answered, done, [descriptor])

    def _hangup(self) -> None:
        # A terminal that closes sends the same signal as an operator who wants the configuration read again.
        if self.launch.terminal_gone():
            self.context.log.info("terminal_gone")
            self._stop()
            return
        self._read_configuration()

    def files_changed(self, paths: Sequence[str]) -> None:
        """Reload because source files have changed; for the configuration file as by HUP."""
        self.context.log.info("files_changed", files=", ".join(paths))
        if str(self.context.planner.settings.config_file) in paths:
            self._read_configuration()
        else:
            self._signalled(self._reload)()

    def _read_configuration(self) -> None:
        content = self.launch.configuration.content()
        try:
            self._change_settings(self.launch.read_again())
            self.launch.configuration.in_use = content
        except ReactorhostError as error:
            without_hints = (dataclasses.replace(each, hint=None) for each in error.problems)
            text = "; ".join(line.strip() for each in without_hints for line in each.lines())
            # The line may be read in any shell.
            host = by_run_dir(self.context.planner.settings.run_dir)
            hints = (host.in_commands(each.hint) for each in error.problems if each.hint)
            hint = joined_hints("nothing was changed", *hints)
            self.context.log.error("configuration_refused", error=text, hint=hint)  # noqa: TRY400  no logger
            return
        with contextlib.suppress(ReactorhostError):
            # `_reopen_logs` logs its failure, and the reload is requested all the same.
            self._reopen_logs()
        self._signalled(self._reload)()

    def _change_settings(self, fresh: Settings) -> None:
        """Run with other settings from now on; those of workers take effect in the workers that start from now on."""
        settings, planner = self.context.planner.settings, self.context.planner
        if bound(settings) != bound(fresh):
            what = "services and addresses cannot change in a running host"
            raise ReactorhostError(what, hint="use `reactorhost restart`")
        # Only if the file changed: the operator may have scaled the host by a signal or a command since.
        if (fresh.workers, fresh.workers_range) != (settings.workers, settings.workers_range):
            self._want(fresh.workers_range or fresh.workers)
        # The fixed ones keep their values, so that the status document is right.
        kept = {name: getattr(settings, name) for name in FIXED_SETTINGS}
        changed = [name for name, value in kept.items() if getattr(fresh, name) != value]
        # A daemon without a log file was given one at its start.
        waiting = [name for name in changed if name != "log_file" or fresh.log_file is not None]
        if waiting:
            self.context.log.warning("settings_wait_for_restart", settings=",".join(waiting))
        planner.settings = dataclasses.replace(fresh, **kept)
        self.supervisor.schedule()

    def _check_not_stopping(self) -> None:
        if self.context.planner.state in (HostState.LEAVING, HostState.STOPPING):
            raise ReactorhostError("the host is being stopped")
