"""Which messages this worker wants of the others."""

from __future__ import annotations

from collections.abc import Callable, Collection

from reactorhost.worker.bus.contract import Outbound


class Interest:
    """The patterns of keys that parts of this worker want; other workers are notified of the first and last of each.

    `outbound` returns the way to the other workers, which is made when it is called first.
    """

    def __init__(self, outbound: Callable[[], Outbound]) -> None:
        self._outbound = outbound
        self._delivered: dict[str, int] = {}
        # Those that end with `*`: there are few of them, and each is compared with a key.
        self._delivered_prefixes: dict[str, None] = {}
        self._kept: set[str] = set()

    @property
    def delivered(self) -> Collection[str]:
        """The patterns of keys whose messages are for connections or functions of this worker."""
        return self._delivered

    @property
    def delivered_prefixes(self) -> Collection[str]:
        """Those of `delivered` that end with a `*`."""
        return self._delivered_prefixes

    def add(self, pattern: str) -> None:
        """Deliver the messages of a key, or of a pattern of keys; as many calls of `remove` revoke it."""
        times = self._delivered.get(pattern, 0)
        self._delivered[pattern] = times + 1
        if pattern.endswith("*"):
            self._delivered_prefixes[pattern] = None
        if not times and pattern not in self._kept:
            self._outbound().want(pattern)

    def remove(self, pattern: str) -> None:
        """Revoke one call of `add`."""
        self._delivered[pattern] -= 1
        if not self._delivered[pattern]:
            del self._delivered[pattern]
            self._delivered_prefixes.pop(pattern, None)
            if pattern not in self._kept:
                self._outbound().drop(pattern)

    def keep(self, pattern: str) -> None:
        """Receive the messages of a pattern for the history, from now on."""
        if pattern not in self._kept:
            self._kept.add(pattern)
            if pattern not in self._delivered:
                self._outbound().want(pattern)
