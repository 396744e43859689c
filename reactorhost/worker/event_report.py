"""Report warnings and errors of this worker to the master, for the events of the status document.

The log has each of them already. An event is only remembered when it is logged, because that may happen in a thread or
in the signal handler of the watchdog; a timer of the loop sends what has gathered, a few kinds at a time.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report
from reactorhost.logs import EventLog

Event = tuple[str, str, Mapping[str, object]]

# Failures of hooks have a report of their own; of lost messages the master knows the number; of suppressed lines the
# first ones are reported.
_NOT_REPORTED = frozenset({"hook_failed", "bus_messages_dropped", "log_suppressed"})
_MOST_WAITING = 200
_MOST_SENT = 20
_MOST_CHARACTERS = 500
# Of a client. Events that differ in these only are sent as one.
_OF_A_CLIENT = ("peer", "connection")


class ReportedLog(EventLog):
    """A log whose warnings and errors are sent to the master by `flush`."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger)
        self._waiting: deque[Event] = deque(maxlen=_MOST_WAITING)

    def flush(self, send: Callable[[Message], object]) -> None:
        """Send the events since the last call; of more than 20 kinds the first ones."""
        sent: dict[object, tuple[Event, int]] = {}
        while self._waiting:
            event = self._waiting.popleft()
            level, name, fields = event
            kind = (level, name, *((key, value) for key, value in fields.items() if _identifies(key, value)))
            sent[kind] = (event, sent[kind][1] + 1 if kind in sent else 0)
        for (level, name, fields), repeats in list(sent.values())[:_MOST_SENT]:
            plain = {key: _plain(value) for key, value in fields.items()}
            if repeats:
                suppressed = plain.get("suppressed")
                plain["suppressed"] = repeats + (suppressed if isinstance(suppressed, int) else 0)
            send({"report": Report.EVENT, "level": level, "event": name, "fields": plain})

    def _log(self, level: int, event: str, fields: Mapping[str, object], details: str | None = None) -> None:
        super()._log(level, event, fields, details)
        if level >= logging.WARNING and event not in _NOT_REPORTED:
            self._waiting.append((logging.getLevelName(level).lower(), event, fields))


def _identifies(key: str, value: object) -> bool:
    return isinstance(value, str) and key not in _OF_A_CLIENT


def _plain(value: object) -> str | int | float | None:
    return value if value is None or isinstance(value, int | float) else str(value)[:_MOST_CHARACTERS]
