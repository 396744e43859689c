"""Report to the master which files this worker has imported, so that it reloads when one of them changes."""

from __future__ import annotations

import sys
from collections.abc import Callable

from reactorhost.ipc.messages import Message, Report
from reactorhost.plugins.source_files import source_files
from reactorhost.reactor import Reactor
from reactorhost.system.changed_files import Signature

_INTERVAL_SECONDS = 1.0


class SourceReport:
    """Sends the files that were imported since the last report: plugins also import when they are called."""

    def __init__(self, reactor: Reactor, send: Callable[[Message], object]) -> None:
        self._reactor = reactor
        self._send = send
        self._modules = 0
        self._known: dict[str, Signature] = {}

    def start(self) -> None:
        """Report now, and again when a module was imported."""
        self.report()
        self._reactor.call_later(_INTERVAL_SECONDS, self.start)

    def report(self) -> None:
        """Report what is new."""
        if len(sys.modules) == self._modules:
            return
        self._modules = len(sys.modules)
        files = source_files()
        new = {path: signature for path, signature in files.items() if path not in self._known}
        self._known |= new
        if new:
            self._send({"report": Report.SOURCES, "files": new})
