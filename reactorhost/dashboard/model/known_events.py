"""The events of a host, put together from answers that have only what is new."""

from __future__ import annotations

from reactorhost.ipc.status import CRASH_SECONDS, EventStatus, StatusDocument

_MOST = 200


class KnownEvents:
    """The entries that answers of one host have had so far, and their newest versions.

    Attributes:
        newest_id: what the next request names as `events_since`; None for all, before the first answer.
    """

    def __init__(self) -> None:
        self.newest_id: int | None = None
        self._pid: int | None = None
        self._events: dict[int, EventStatus] = {}
        self._crashes: dict[int, EventStatus] = {}

    def complete(self, document: StatusDocument) -> StatusDocument:
        """Return a document with the events and crashes that it has, and those that are known."""
        if document["pid"] != self._pid:
            # The ids of another master begin anew.
            self._pid, self.newest_id = document["pid"], 0
            self._events, self._crashes = {}, {}
        _update(self._events, document["events"])
        _update(self._crashes, document["crashes"])
        while len(self._events) > _MOST:
            del self._events[next(iter(self._events))]
        oldest = document["time"] - CRASH_SECONDS
        self._crashes = {entry: each for entry, each in self._crashes.items() if each["time"] >= oldest}
        self.newest_id = max((self.newest_id or 0, *(each["id"] for each in document["events"])))
        return {**document, "events": list(self._events.values()), "crashes": list(self._crashes.values())}


def _update(known: dict[int, EventStatus], changed: list[EventStatus]) -> None:
    for each in changed:
        # An entry that was repeated is now the newest.
        known.pop(each["entry"], None)
        known[each["entry"]] = each
