"""The newest log events, for the status document.

An event that repeats is one entry with a count: otherwise a plugin that fails at every message would leave room for
nothing else. Crashes have a ring of their own, because the cause of an incident must outlast what follows from it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from reactorhost.ipc.event_identity import Identity, identity_of, is_repeat
from reactorhost.ipc.status import CRASH_SECONDS, EventStatus
from reactorhost.logs import EventLog

NEWEST = 50
"""How many events a status document has unless the request names the ones that it knows."""

_MOST = 200
_MOST_CRASHES = 50
_MOST_CHARACTERS = 1000
_CRASHES = frozenset(
    {"worker_crashed", "worker_not_booted", "worker_not_forked", "slot_not_opened", "reload_failed", "upgrade_failed"}
)

# The seconds of the newest say nothing of the others, and the longest one is what clients have noticed.
_DURATIONS = frozenset({"slow_hook", "slow_hook_ended"})


@dataclass(frozen=True, slots=True)
class EventsState:
    """See `EventRing`."""

    events: list[EventStatus]
    counts: dict[tuple[str, str], int]
    newest: dict[str, float]
    crashes: list[EventStatus] = field(default_factory=list)
    last_id: int = 0


class EventRing(EventLog):
    """A log that also keeps its newest events, from level info up.

    Attributes:
        counts: how many events there were, by name and level.
        newest: when the newest of each name was, in Unix time.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.time, **context: object) -> None:
        super().__init__(logger, **context)
        self._events = _Entries(_MOST)
        self._crashes = _Entries(_MOST_CRASHES)
        self._last_id = 0
        self._clock = clock
        self.counts: Counter[tuple[str, str]] = Counter()
        self.newest: dict[str, float] = {}

    def events(self, since: int | None = None) -> list[EventStatus]:
        """Return the entries that were made or changed after the id `since`, or the newest ones; the newest last."""
        return self._events.all()[-NEWEST:] if since is None else self._changed(self._events, since)

    def crashes(self, since: int | None = None) -> list[EventStatus]:
        """Return the crashes and failed reloads of the last hour likewise, without a limit by other events."""
        oldest = self._clock() - CRASH_SECONDS
        return [each for each in self._changed(self._crashes, since or 0) if each["time"] >= oldest]

    def export(self) -> EventsState:
        """Return the events and their numbers, for another program."""
        counts, newest = dict(self.counts), dict(self.newest)
        return EventsState(self._events.all(), counts, newest, self._crashes.all(), self._last_id)

    def restore(self, state: EventsState) -> None:
        """Continue with the events of another program."""
        self._last_id = state.last_id
        # The crashes first: those that are events too have the larger ids, and the order is that of the ids.
        for each in state.crashes:
            self._crashes.put(each)
        for each in state.events:
            self._keep(self._complete(each))
        self.counts.update(state.counts)
        self.newest.update(state.newest)

    def _log(self, level: int, event: str, fields: Mapping[str, object], details: str | None = None) -> None:
        super()._log(level, event, fields, details)
        if level >= logging.INFO:
            self.remember(logging.getLevelName(level).lower(), event, **fields)

    def remember(self, level: str, event: str, /, **fields: object) -> None:
        """Keep an event without logging it: another process has logged it."""
        now = self._clock()
        self.counts[event, level] += 1
        self.newest[event] = now
        self._last_id += 1
        made: EventStatus = {
            "id": self._last_id,
            "entry": self._last_id,
            "time": now,
            "first_time": now,
            "level": level,
            "event": event,
            "fields": {key: _plain(value) for key, value in fields.items()},
            "count": 1 + _suppressed(fields),
            "slots": _slots(fields),
        }
        before = self._crashes.repeated(made) or self._events.repeated(made)
        if before is not None and is_repeat(made, before):
            made["entry"], made["first_time"] = before["entry"], before["first_time"]
            made["count"] += before["count"]
            made["slots"] = sorted({*before["slots"], *made["slots"]})
            if event in _DURATIONS:
                made["fields"]["longest_seconds"] = _longest(before, made)
        self._keep(made)

    def _keep(self, entry: EventStatus) -> None:
        if entry["event"] in _CRASHES:
            self._crashes.put(entry)
        self._events.put(entry)

    def _complete(self, event: Mapping[str, Any]) -> EventStatus:
        """Return an event with the fields that one of an earlier version lacks."""
        self._last_id = max(self._last_id, event.get("id", self._last_id + 1))
        added = {"id": self._last_id, "entry": self._last_id, "first_time": event["time"], "count": 1}
        return cast("EventStatus", {**added, "slots": _slots(event["fields"]), **event})

    def _changed(self, entries: _Entries, since: int) -> list[EventStatus]:
        # The ids of a host that was restarted begin anew: a request with one of before gets everything.
        known = since if since <= self._last_id else 0
        return [each for each in entries.all() if each["id"] > known]


class _Entries:
    """The newest entries, at most `most`, in the order of their ids."""

    def __init__(self, most: int) -> None:
        self._most = most
        # By the number of the entry, which stays when a repeat changes it.
        self._entries: dict[int, EventStatus] = {}
        # The number of the newest entry of a kind: a worker that fails often must not cost a search each time.
        self._numbers: dict[Identity, int] = {}

    def all(self) -> list[EventStatus]:
        """Return the entries, the newest last."""
        return list(self._entries.values())

    def put(self, entry: EventStatus) -> None:
        """Add an entry as the newest one, in place of an earlier version of it."""
        number = entry["entry"]
        self._entries.pop(number, None)
        self._entries[number] = entry
        self._numbers[_identity(entry)] = number
        if len(self._entries) > self._most:
            oldest = self._entries.pop(next(iter(self._entries)))
            identity = _identity(oldest)
            if self._numbers[identity] == oldest["entry"]:
                del self._numbers[identity]

    def repeated(self, event: EventStatus) -> EventStatus | None:
        """Return the newest entry of which an event is a repeat, or None."""
        number = self._numbers.get(_identity(event))
        return None if number is None else self._entries[number]


def _identity(event: EventStatus) -> Identity:
    return identity_of(event["level"], event["event"], event["fields"])


def _longest(before: EventStatus, made: EventStatus) -> float:
    longest = before["fields"].get("longest_seconds", before["fields"].get("seconds"))
    measured = (longest, made["fields"].get("seconds"))
    return max((float(each) for each in measured if isinstance(each, int | float)), default=0.0)


def _plain(value: object) -> str | int | float | None:
    return value if value is None or isinstance(value, int | float) else str(value)[:_MOST_CHARACTERS]


def _suppressed(fields: Mapping[str, object]) -> int:
    """Return how many events a log that limits its lines left out since the one before."""
    suppressed = fields.get("suppressed")
    return suppressed if isinstance(suppressed, int) else 0


def _slots(fields: Mapping[str, Any]) -> list[int]:
    slot = fields.get("slot")
    return [slot] if isinstance(slot, int) else []
