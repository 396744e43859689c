"""Messages that this worker has dropped: counted, and logged in a bounded number of lines."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from reactorhost.ipc.counters import Counters
from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor

_LINE_SECONDS = 10.0


@dataclass(slots=True)
class _Line:
    """A line that is to be logged: its fields, and the messages that were dropped since the one before."""

    fields: Mapping[str, object]
    messages: int = 0


class Drops:
    """Counts and logs drops, for each receiver at the end of the turn of the first one, then every ten seconds."""

    def __init__(self, reactor: Reactor, counters: Counters, log: EventLog) -> None:
        self._reactor = reactor
        self._counters = counters
        self._log = log
        self._lines: dict[Hashable, _Line] = {}

    def add(self, receiver: Hashable, fields: Mapping[str, object], messages: int = 1) -> None:
        """Count messages that were dropped on their way to a receiver, which the fields describe."""
        self._counters.bus_dropped += messages
        line = self._lines.get(receiver)
        if line is None:
            line = self._lines[receiver] = _Line(fields)
            self._reactor.call_soon(self._write, receiver)
        line.fields = fields
        line.messages += messages

    def finish(self) -> None:
        """Log what is not logged yet; the loop has stopped."""
        for line in self._lines.values():
            self._log_line(line)

    def _write(self, receiver: Hashable) -> None:
        if self._log_line(self._lines[receiver]):
            self._reactor.call_later(_LINE_SECONDS, self._write, receiver)
        else:
            del self._lines[receiver]

    def _log_line(self, line: _Line) -> bool:
        if not line.messages:
            return False
        self._log.warning("bus_messages_dropped", **line.fields, messages=line.messages)
        line.messages = 0
        return True
