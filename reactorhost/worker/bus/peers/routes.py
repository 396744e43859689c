"""To which peers a message goes: those that want its key, and those of which it is not known yet."""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, TypeVar

from reactorhost.bus.patterns import PatternMap

P = TypeVar("P")


class Routes(Generic[P]):
    """The patterns that each peer wants; a new peer gets everything until its first patterns are known."""

    def __init__(self) -> None:
        # Dictionaries without values: sets that keep the order.
        self._unknown: dict[P, None] = {}
        self._wanted: PatternMap[dict[P, None]] = PatternMap()

    def add_peer(self, peer: P) -> None:
        """Add a peer of which no pattern is known."""
        self._unknown[peer] = None

    def known(self, peer: P) -> None:
        """Send to a peer only what it wants from now on."""
        self._unknown.pop(peer, None)

    def add(self, pattern: str, peer: P) -> None:
        """Send the messages of a pattern to a peer."""
        if pattern not in self._wanted:
            self._wanted[pattern] = {}
        self._wanted[pattern][peer] = None

    def remove(self, pattern: str, peer: P) -> None:
        """Revoke `add`; does nothing if the peer does not want the pattern."""
        peers = self._wanted.get(pattern)
        if peers is not None:
            peers.pop(peer, None)
            if not peers:
                del self._wanted[pattern]

    def remove_peer(self, peer: P) -> None:
        """Send nothing to a peer any more."""
        self._unknown.pop(peer, None)
        for pattern in list(self._wanted):
            self.remove(pattern, peer)

    def targets(self, key: str) -> Collection[P]:
        """Return the peers that a message of this key goes to, each once."""
        wanting = self._wanted.matching(key)
        if len(wanting) == 1 and not self._unknown:
            return wanting[0]
        targets: dict[P, None] = {}
        for peers in wanting:
            targets.update(peers)
        targets.update(self._unknown)
        return targets
