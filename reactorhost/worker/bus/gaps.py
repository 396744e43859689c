"""Calls of the hook `gap`."""

from __future__ import annotations

from collections.abc import Sequence

from reactorhost.bus.names import matches
from reactorhost.worker.bus.contract import Origin
from reactorhost.worker.bus.interest import Interest
from reactorhost.worker.hooks.worker_calls import WorkerCalls


class Gaps:
    """Calls the hook for the groups and topics that are wanted in this worker."""

    def __init__(self, calls: WorkerCalls, interest: Interest) -> None:
        self._calls = calls
        self._interest = interest

    def missed(self, origin: Origin | None, keys: Sequence[str] | None, recovered: bool) -> None:
        """Call the hook for those of the keys that are wanted, or with None for all that are."""
        patterns = self._interest.delivered
        wanted = patterns if keys is None else [key for key in keys if any(matches(each, key) for each in patterns)]
        for key in wanted:
            self._calls.call("gap", key[2:], recovered)
