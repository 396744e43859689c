"""The newest log events, for the status document."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from reactorhost.ipc.status import EventStatus
from reactorhost.logs import EventLog

_MOST = 200


@dataclass(frozen=True, slots=True)
class EventsState:
    """See `EventRing`."""

    events: list[EventStatus]
    counts: dict[tuple[str, str], int]
    newest: dict[str, float]


class EventRing(EventLog):
    """A log that also keeps its newest events, from level info up.

    Attributes:
        counts: how many events there were, by name and level.
        newest: when the newest of each name was, in Unix time.
    """

    def __init__(self, logger: logging.Logger, **context: object) -> None:
        super().__init__(logger, **context)
        self._events: deque[EventStatus] = deque(maxlen=_MOST)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.newest: dict[str, float] = {}

    def events(self) -> list[EventStatus]:
        """Return the events, the oldest first."""
        return list(self._events)

    def export(self) -> EventsState:
        """Return the events and their numbers, for another program."""
        return EventsState(self.events(), dict(self.counts), dict(self.newest))

    def restore(self, state: EventsState) -> None:
        """Continue with the events of another program."""
        self._events.extend(state.events)
        self.counts.update(state.counts)
        self.newest.update(state.newest)

    def _log(self, level: int, event: str, fields: Mapping[str, object], details: str | None = None) -> None:
        super()._log(level, event, fields, details)
        if level >= logging.INFO:
            self.remember(logging.getLevelName(level).lower(), event, **fields)

    def remember(self, level: str, event: str, **fields: object) -> None:
        """Keep an event without logging it: another process has logged it."""
        plain: dict[str, str | int | float | None] = {
            key: value if isinstance(value, int | float) else str(value) for key, value in fields.items()
        }
        now = time.time()
        self.counts[event, level] += 1
        self.newest[event] = now
        self._events.append({"time": now, "level": level, "event": event, "fields": plain})
