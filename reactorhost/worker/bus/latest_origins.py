"""Workers to be remembered, of which only the latest are: those that have ended or were silent, for example."""

from __future__ import annotations

from reactorhost.bus.refs import Origin


class LatestOrigins:
    """The workers that were added last, `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._origins: dict[Origin, None] = {}

    def add(self, origin: Origin) -> None:
        """Add a worker, and forget the one that was added first if there are too many."""
        self._origins[origin] = None
        if len(self._origins) > self._most:
            del self._origins[next(iter(self._origins))]

    def discard(self, origin: Origin) -> None:
        """Forget a worker."""
        self._origins.pop(origin, None)

    def __contains__(self, origin: Origin) -> bool:
        return origin in self._origins
