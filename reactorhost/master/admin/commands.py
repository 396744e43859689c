"""What operators ask of a running host, by signals and over the control socket."""

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
from reactorhost.master.supervisor import Supervisor


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
    """The ways in which a master can be asked for something."""

    master: Supervisor
    launch: Launch
    log: EventLog

    def signals(self) -> Mapping[signal.Signals, Callable[[], object]]:
        """Return what each signal asks for."""
        return {
            signal.SIGINT: self.master.ask_stop,
            signal.SIGTERM: self.master.ask_stop,
            signal.SIGQUIT: lambda: self.master.ask_stop(at_once=True),
            signal.SIGHUP: self._hung_up,
            signal.SIGUSR1: self._reload,
            signal.SIGTTIN: lambda: self._scale_by(1),
            signal.SIGTTOU: lambda: self._scale_by(-1),
            signal.SIGCHLD: self.master.reap,
        }

    def verbs(self) -> Mapping[str, Verb]:
        """Return what each verb of the control socket asks for."""
        return {
            "ping": lambda session, request: session.done(),
            "status": self._status,
            "recycle": self._recycle,
            "stop": lambda session, request: self.master.ask_stop(session, at_once=bool(request.get("now"))),
            "reload": lambda session, request: self.master.ask_reload(session),
            "scale": self._scale,
            "connections": lambda session, request: self.master.ask_connections(session),
            "reopen": self._reopen,
            "launch": self._tell_launch,
        }

    def _reload(self) -> None:
        # A host that stops has nobody to tell that it will not.
        with contextlib.suppress(ReactorhostError):
            self.master.ask_reload()

    def _scale_by(self, difference: int) -> None:
        # Past the limits a signal does nothing.
        with contextlib.suppress(ReactorhostError):
            self.master.ask_scale(self.master.workers + difference)

    def _hung_up(self) -> None:
        if self.launch.terminal_gone():
            self.log.info("terminal_gone")
            self.master.ask_stop()
            return
        try:
            self.master.change_settings(self.launch.read_again())
        except ReactorhostError as error:
            told = "; ".join(line.strip() for line in error.lines())
            self.log.error("configuration_refused", error=told, hint="nothing was changed")  # noqa: TRY400  no logger
            return
        with contextlib.suppress(ReactorhostError):
            # The log tells of it, where it still can.
            self.master.reopen_logs()
        self._reload()

    def _status(self, session: Session, request: Message) -> None:
        session.done(document=self.master.status(history=bool(request.get("history"))))

    def _recycle(self, session: Session, request: Message) -> None:
        pid = request.get("pid")
        if not isinstance(pid, int) or isinstance(pid, bool):
            raise UsageError(f"cannot recycle {pid!r}", hint="give the process id of a worker")
        self.master.ask_recycle(pid, session)

    def _scale(self, session: Session, request: Message) -> None:
        workers = request.get("workers")
        if not isinstance(workers, int) or isinstance(workers, bool):
            raise UsageError(f"cannot scale to {workers!r} workers", hint="give a whole number")
        self.master.ask_scale(workers, session)

    def _reopen(self, session: Session, request: Message) -> None:
        self.master.reopen_logs()
        session.done()

    def _tell_launch(self, session: Session, request: Message) -> None:
        session.done(
            arguments=self.launch.arguments,
            directory=self.launch.directory,
            environment=self.launch.environment | self._secrets(),
            daemon=self.master.settings.daemon,
        )

    def _secrets(self) -> dict[str, str]:
        """Return the variables that plugins take values from: who restarts the host may not have them."""
        names = plugin_tables.variables(self.master.settings.plugin_tables)
        return {name: os.environ[name] for name in names if name in os.environ}
