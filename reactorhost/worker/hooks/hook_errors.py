"""Report errors in plugin code: to the log, to the worker's counters and to the master."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
from reactorhost.worker.hooks.hook_timing import HookTiming
from reactorhost.worker.limited_lines import LimitedLines

_MOST_ERROR_CHARACTERS = 500
_MOST_DETAILS_CHARACTERS = 32_000
_REPORT_SECONDS = 1.0
_MOST_KINDS = 20


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
    # Of each plugin that has reported an error in the last second: what it has not reported yet, by hook and cause.
    _unreported: dict[str, dict[object, Message]] = field(default_factory=dict, init=False)
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
        self._report(plugin, fields)
        # By place: the errors of one line of code must not hide those of another.
        if self._lines.admits(lines="hook_failed", plugin=plugin, hook=hook, where=where):
            # The last part: a traceback ends with what was raised.
            self.log.error("hook_failed", **fields, details=tracebacks.text(error)[-_MOST_DETAILS_CHARACTERS:])

    def _report(self, plugin: str, fields: Message) -> None:
        """Report an error at once, but no more than once a second: clients must not flood the master."""
        unreported = self._unreported.get(plugin)
        if unreported is None:
            self._send(plugin, [{**fields, "count": 1}])
            return
        kind = (fields["hook"], fields["where"], fields["error"].partition(":")[0])
        count = unreported[kind]["count"] if kind in unreported else 0
        if count or len(unreported) < _MOST_KINDS:
            unreported[kind] = {**fields, "count": count + 1}

    def _send(self, plugin: str, errors: Iterable[Message]) -> None:
        for each in errors:
            self.send_report({"report": Report.HOOK_FAILED, **each})
        self._unreported[plugin] = {}
        self.reactor.call_later(_REPORT_SECONDS, self._report_others, plugin)

    def _report_others(self, plugin: str) -> None:
        if errors := self._unreported.pop(plugin):
            self._send(plugin, errors.values())

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
