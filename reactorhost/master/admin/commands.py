"""The commands of the control socket, and the signals: what each of them requests of the host."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reactorhost.config import plugin_tables
from reactorhost.config.settings import Settings
from reactorhost.errors import ReactorhostError, UsageError
from reactorhost.ipc.jsonlines import Message
from reactorhost.logs import EventLog
from reactorhost.master.admin.control_server import Session, Verb
from reactorhost.master.admin.requests import Requests
from reactorhost.master.lifecycle import Lifecycle


@dataclass(frozen=True, slots=True)
class Launch:
    """How this host was started, for `restart` and for reading the configuration again."""

    arguments: tuple[str, ...]
    directory: str
    environment: dict[str, str]
    read_again: Callable[[], Settings]
    terminal_gone: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class AdminCommands:
    """Turns signals and messages of the control socket into requests."""

    requests: Requests
    lifecycle: Lifecycle
    launch: Launch
    log: EventLog

    def signals(self) -> Mapping[signal.Signals, Callable[[], object]]:
        """Return the callback of each signal."""
        return {
            signal.SIGINT: self.requests.stop,
            signal.SIGTERM: self.requests.stop,
            signal.SIGQUIT: lambda: self.requests.stop(at_once=True),
            signal.SIGHUP: self._hangup,
            signal.SIGUSR1: self._reload,
            signal.SIGTTIN: lambda: self._scale_by(1),
            signal.SIGTTOU: lambda: self._scale_by(-1),
            signal.SIGCHLD: self.lifecycle.reap,
        }

    def verbs(self) -> Mapping[str, Verb]:
        """Return the callback of each verb of the control socket."""
        return {
            "ping": lambda session, message: session.done(),
            "status": self._status,
            "recycle": self._recycle,
            "stop": lambda session, message: self.requests.stop(session, at_once=bool(message.get("now"))),
            "reload": lambda session, message: self.requests.reload(session),
            "scale": self._scale,
            "connections": lambda session, message: self.requests.connections(session),
            "reopen": self._reopen,
            "launch": self._launch,
        }

    def _reload(self) -> None:
        # While the host stops the request fails, and a signal has no client to report that to.
        with contextlib.suppress(ReactorhostError):
            self.requests.reload()

    def _scale_by(self, difference: int) -> None:
        # Beyond the limits a signal has no effect.
        with contextlib.suppress(ReactorhostError):
            self.requests.scale_by(difference)

    def _hangup(self) -> None:
        # A terminal that closes sends the same signal as an operator who wants the configuration read again.
        if self.launch.terminal_gone():
            self.log.info("terminal_gone")
            self.requests.stop()
            return
        try:
            self.requests.change_settings(self.launch.read_again())
        except ReactorhostError as error:
            text = "; ".join(line.strip() for line in error.lines())
            self.log.error("configuration_refused", error=text, hint="nothing was changed")  # noqa: TRY400  no logger
            return
        with contextlib.suppress(ReactorhostError):
            # `reopen_logs` logs its failure.
            self.requests.reopen_logs()
        self._reload()

    def _status(self, session: Session, message: Message) -> None:
        session.done(document=self.requests.status(history=bool(message.get("history"))))

    def _recycle(self, session: Session, message: Message) -> None:
        pid = message.get("pid")
        if not isinstance(pid, int) or isinstance(pid, bool):
            raise UsageError(f"cannot recycle {pid!r}", hint="give the process id of a worker")
        self.requests.recycle(pid, session)

    def _scale(self, session: Session, message: Message) -> None:
        workers = message.get("workers")
        if not isinstance(workers, int) or isinstance(workers, bool):
            raise UsageError(f"cannot scale to {workers!r} workers", hint="give a whole number")
        self.requests.scale(workers, session)

    def _reopen(self, session: Session, message: Message) -> None:
        self.requests.reopen_logs()
        session.done()

    def _launch(self, session: Session, message: Message) -> None:
        session.done(
            arguments=self.launch.arguments,
            directory=self.launch.directory,
            environment=self.launch.environment | self._plugin_variables(),
            daemon=self.requests.settings.daemon,
        )

    def _plugin_variables(self) -> dict[str, str]:
        """Return the variables that plugin options refer to: the caller of `restart` may not have them set."""
        names = plugin_tables.variables(self.requests.settings.plugin_tables)
        return {name: os.environ[name] for name in names if name in os.environ}
