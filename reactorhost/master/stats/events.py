"""The newest log events, for the status document."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping

from reactorhost.ipc.status import EventStatus
from reactorhost.logs import EventLog

_MOST = 200


class EventRing(EventLog):
    """A log that also keeps its newest events, from level info up."""

    def __init__(self, logger: logging.Logger, **context: object) -> None:
        super().__init__(logger, **context)
        self._events: deque[EventStatus] = deque(maxlen=_MOST)

    def events(self) -> list[EventStatus]:
        """Return the events, the oldest first."""
        return list(self._events)

    def restore(self, events: Iterable[EventStatus]) -> None:
        """Add the events that another program kept."""
        self._events.extend(events)

    def _log(self, level: int, event: str, fields: Mapping[str, object], details: str | None = None) -> None:
        super()._log(level, event, fields, details)
        if level >= logging.INFO:
            self.remember(logging.getLevelName(level).lower(), event, **fields)

    def remember(self, level: str, event: str, **fields: object) -> None:
        """Keep an event without logging it: another process has logged it."""
        plain: dict[str, str | int | float | None] = {
            key: value if isinstance(value, int | float) else str(value) for key, value in fields.items()
        }
        self._events.append({"time": time.time(), "level": level, "event": event, "fields": plain})
