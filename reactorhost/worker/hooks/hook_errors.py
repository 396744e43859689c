"""Complaints: what a worker tells its log and its master of what goes wrong in plugins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from reactorhost.address import Address
from reactorhost.api.connection import Connection
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report
from reactorhost.ipc.scoreboard import Counters
from reactorhost.logs import EventLog
from reactorhost.plugins import tracebacks
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.reactor import Reactor
from reactorhost.worker.hooks.hook_timing import HookTiming

_SECONDS_BETWEEN_TOLD_ERRORS = 1.0
_MOST_ERROR_WORDS = 500
_MOST_DETAILS = 32_000


class HookFailure(Protocol):
    """Called with an exception of a plugin's hook, timer or thread."""

    def __call__(self, plugin: str, hook: str, connection: Connection | None, error: Exception) -> None:
        """Report it."""


class ErrorReporter:
    """Logs and counts; `tell_master` sends a report."""

    def __init__(
        self,
        reactor: Reactor,
        counters: Counters,
        timing: HookTiming,
        log: EventLog,
        tell_master: Callable[[Message], object],
    ) -> None:
        self._reactor = reactor
        self._counters = counters
        self._timing = timing
        self._log = log
        self._tell_master = tell_master
        self._homes: dict[str, str | None] = {}
        self._told_at: dict[str, float] = {}

    def know(self, plugin: LoadedPlugin) -> None:
        """Find places in the code of this plugin from now on."""
        self._homes[plugin.name] = plugin.home

    def hook_failed(self, plugin: str, hook: str, connection: Connection | None, error: Exception) -> None:
        """Tell of an exception in a plugin's code."""
        self._counters.hook_errors += 1
        self._timing.failed(plugin)
        words = tracebacks.words(error)[:_MOST_ERROR_WORDS]
        self._tell_newest(plugin, words)
        peer = {} if connection is None else {"peer": connection.peer, "connection": connection.id}
        self._log.error(
            "hook_failed",
            plugin=plugin,
            hook=hook,
            **peer,
            error=words,
            where=tracebacks.place(error, self._homes.get(plugin)) or "?",
            details=tracebacks.text(error)[-_MOST_DETAILS:],
        )

    def worker_hook_failed(self, plugin: str, hook: str, worker: Any, error: Exception) -> None:
        """Tell of an exception that has to do with no connection."""
        self.hook_failed(plugin, hook, None, error)

    def hook_cancel_ignored(self, connection: Connection) -> None:
        """Tell of an async hook that would not end."""
        self._log.warning(
            "hook_cancel_ignored", service=connection.service, peer=connection.peer, connection=connection.id
        )

    def stats_invalid(self, plugin: str, reason: str) -> None:
        """Tell of numbers that are none."""
        self._log.warning("stats_invalid", plugin=plugin, reason=reason)

    def outbound_tls_broken(self, address: Address, reason: str) -> None:
        """Tell of a far end that broke TLS after its handshake."""
        self._log.warning("outbound_tls_broken", address=address, reason=reason)

    def _tell_newest(self, plugin: str, error: str) -> None:
        # The newest is enough, and a plugin that fails at every message must not flood the master.
        now = self._reactor.now
        if now - self._told_at.get(plugin, -_SECONDS_BETWEEN_TOLD_ERRORS) >= _SECONDS_BETWEEN_TOLD_ERRORS:
            self._told_at[plugin] = now
            self._tell_master({"report": Report.HOOK_FAILED, "plugin": plugin, "error": error})
