"""To which peers a message goes: those that want its key, and those of which it is not known yet."""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, TypeVar

P = TypeVar("P")


class Routes(Generic[P]):
    """The patterns that each peer wants; a new peer gets everything until its first patterns are known."""

    def __init__(self) -> None:
        # Dictionaries without values: sets that keep the order.
        self._unknown: dict[P, None] = {}
        self._exact: dict[str, dict[P, None]] = {}
        self._prefixes: dict[str, dict[P, None]] = {}

    def add_peer(self, peer: P) -> None:
        """Add a peer of which no pattern is known."""
        self._unknown[peer] = None

    def known(self, peer: P) -> None:
        """Send to a peer only what it wants from now on."""
        self._unknown.pop(peer, None)

    def add(self, pattern: str, peer: P) -> None:
        """Send the messages of a pattern to a peer."""
        table, name = self._place(pattern)
        table.setdefault(name, {})[peer] = None

    def remove(self, pattern: str, peer: P) -> None:
        """Revoke `add`."""
        table, name = self._place(pattern)
        peers = table.get(name, {})
        peers.pop(peer, None)
        if not peers:
            table.pop(name, None)

    def remove_peer(self, peer: P) -> None:
        """Send nothing to a peer any more."""
        self._unknown.pop(peer, None)
        for table in (self._exact, self._prefixes):
            for name in [name for name, peers in table.items() if peer in peers]:
                del table[name][peer]
                if not table[name]:
                    del table[name]

    def targets(self, key: str) -> Collection[P]:
        """Return the peers that a message of this key goes to, each once."""
        exact = self._exact.get(key, {})
        if not self._prefixes and not self._unknown:
            return exact
        targets = {**exact, **self._unknown}
        for prefix, peers in self._prefixes.items():
            if key.startswith(prefix):
                targets.update(peers)
        return targets

    def _place(self, pattern: str) -> tuple[dict[str, dict[P, None]], str]:
        return (self._prefixes, pattern[:-1]) if pattern.endswith("*") else (self._exact, pattern)
