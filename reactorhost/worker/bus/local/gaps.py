"""The hook `gap`, for messages that were dropped on their way to this worker.

The hook is called once for each group or topic, however many messages of it were dropped before the call. What waits is
bounded by the groups and patterns of this worker, and some topics: see `_of_key`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

from reactorhost.bus.names import TOPIC, matches
from reactorhost.worker.bus.local.interest import Interest
from reactorhost.worker.hooks.worker_calls import Call, WorkerCalls

MOST_TOPICS = 1000
"""Topics that wait for a call of their own, though only a pattern of topics is subscribed to."""


class Gaps:
    """Calls the hook for the groups and topics whose messages are delivered in this worker."""

    def __init__(self, calls: WorkerCalls, interest: Interest) -> None:
        self._calls = calls
        self._interest = interest
        self._wanted = calls.has("gap")
        # By key: whether all that was dropped has been delivered nevertheless.
        self._waiting: OrderedDict[str, bool] = OrderedDict()
        self._scheduled = False

    def missed(self, keys: Sequence[str] | None, *, recovered: bool) -> None:
        """Call the hook for those of the keys that are delivered here, or with None for all that are."""
        if not self._wanted:
            return
        found = self._interest.delivered if keys is None else (each for key in keys for each in self._of_key(key))
        for key in found:
            # One that was not recovered is not made good by another that was.
            self._waiting[key] = self._waiting.get(key, True) and recovered
        if self._waiting and not self._scheduled:
            self._scheduled = True
            self._calls.call_each(self._hook_calls())

    def _of_key(self, key: str) -> Iterable[str]:
        """Return the key if it is delivered here; for a pattern, what is delivered of it."""
        delivered, prefixes = self._interest.delivered, self._interest.delivered_prefixes
        if key.endswith("*"):
            return [each for each in delivered if matches(key, each)]
        if key in delivered:
            return [key]
        matching = [each for each in prefixes if matches(each, key)]
        # An unlimited number of topics may fit a pattern. When too many wait, the call is for the pattern.
        return [key] if matching and len(self._waiting) < MOST_TOPICS else matching

    def _hook_calls(self) -> Iterator[Call]:
        while self._waiting:
            key, recovered = self._waiting.popitem(last=False)
            yield "gap", (key[len(TOPIC) :], recovered)
        self._scheduled = False
