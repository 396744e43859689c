"""Report errors in plugin code: to the log, to the worker's counters and to the master."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from reactorhost.address import Address
from reactorhost.api.connection import Connection
from reactorhost.ipc.counters import Counters
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report
from reactorhost.logs import EventLog
from reactorhost.plugins import tracebacks
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.reactor import Reactor
from reactorhost.system.rate_limit import RateLimit
from reactorhost.worker.hooks.hook_timing import HookTiming
from reactorhost.worker.limited_lines import LimitedLines

_MOST_ERROR_CHARACTERS = 500
_MOST_DETAILS_CHARACTERS = 32_000


class HookFailure(Protocol):
    """Called with an exception of a plugin's hook, timer or thread."""

    def __call__(self, plugin: str, hook: str, connection: Connection | None, error: Exception) -> None:
        """Report the exception."""


@dataclass(slots=True, eq=False, repr=False)
class ErrorReporter:
    """Logs and counts errors; `send_report` sends a report to the master. Clients can cause them, at any rate."""

    reactor: Reactor
    counters: Counters
    timing: HookTiming
    log: EventLog
    send_report: Callable[[Message], object]
    _homes: dict[str, str | None] = field(default_factory=dict, init=False)
    _reports: RateLimit = field(default_factory=lambda: RateLimit(1), init=False)
    _lines: LimitedLines = field(init=False)

    def __post_init__(self) -> None:
        self._lines = LimitedLines(self.reactor, self.log)

    def add_plugin(self, plugin: LoadedPlugin) -> None:
        """Name places in this plugin's files when one of its hooks fails."""
        self._homes[plugin.name] = plugin.home

    def hook_failed(self, plugin: str, hook: str, connection: Connection | None, error: Exception) -> None:
        """Report an exception in a plugin's code."""
        self.counters.hook_errors += 1
        self.timing.failed(plugin)
        message = tracebacks.words(error)[:_MOST_ERROR_CHARACTERS]
        where = tracebacks.place(error, self._homes.get(plugin)) or "?"
        client = {} if connection is None else {"peer": str(connection.peer), "connection": connection.id}
        fields = {"plugin": plugin, "hook": hook, **client, "error": message, "where": where}
        # One a second is enough for `status`: a plugin that fails at every message must not flood the master.
        if self._reports.admits(self.reactor.now, plugin):
            self.send_report({"report": Report.HOOK_FAILED, **fields})
        # By place: the errors of one line of code must not hide those of another.
        if self._lines.admits(lines="hook_failed", plugin=plugin, hook=hook, where=where):
            # The last part: a traceback ends with what was raised.
            self.log.error("hook_failed", **fields, details=tracebacks.text(error)[-_MOST_DETAILS_CHARACTERS:])

    def hook_cancel_ignored(self, connection: Connection) -> None:
        """Log that an async hook did not end when it was cancelled."""
        if self._lines.admits(lines="hook_cancel_ignored", service=connection.service):
            self.log.warning(
                "hook_cancel_ignored", service=connection.service, peer=connection.peer, connection=connection.id
            )

    def stats_invalid(self, plugin: str, reason: str) -> None:
        """Log that a `stats` hook returned something else than names and numbers."""
        self.log.warning("stats_invalid", plugin=plugin, reason=reason)

    def outbound_tls_broken(self, address: Address, reason: str) -> None:
        """Log that TLS to a server failed after the handshake."""
        # Not by address: a plugin may connect where its clients want.
        if self._lines.admits(lines="outbound_tls_broken"):
            self.log.warning("outbound_tls_broken", address=address, reason=reason)
