"""The workers that have ended last: a link may end before the host has noted the end of its worker."""

from __future__ import annotations

from reactorhost.bus.refs import Origin

_MOST_ENDED = 1000


class RecentlyEnded:
    """Some of the workers that have ended."""

    def __init__(self) -> None:
        self._origins: dict[Origin, None] = {}

    def add(self, origin: Origin) -> None:
        """Note that a worker has ended."""
        self._origins[origin] = None
        if len(self._origins) > _MOST_ENDED:
            del self._origins[next(iter(self._origins))]

    def __contains__(self, origin: Origin) -> bool:
        return origin in self._origins
