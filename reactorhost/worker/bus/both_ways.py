"""The two ways to other workers as one: to those of this host, and by a backend to those of others."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reactorhost.bus.refs import Origin
from reactorhost.worker.bus.contract import Outbound


@dataclass(frozen=True, slots=True)
class BothWays:
    """An `Outbound` that passes everything to two; `host` is the id of this host."""

    host: bytes
    peers: Outbound
    others: Outbound

    def want(self, pattern: str) -> None:
        """See `Outbound`."""
        self.peers.want(pattern)
        self.others.want(pattern)

    def drop(self, pattern: str) -> None:
        """See `Outbound`."""
        self.peers.drop(pattern)
        self.others.drop(pattern)

    def publish(self, key: str, number: int, data: bytes) -> None:
        """See `Outbound`."""
        self.peers.publish(key, number, data)
        self.others.publish(key, number, data)

    def set_member(self, member: str, info: bytes | None) -> None:
        """See `Outbound`."""
        self.peers.set_member(member, info)
        self.others.set_member(member, info)

    def to_connection(self, origin: Origin, number: int, data: bytes | None) -> bool:
        """See `Outbound`."""
        way = self.peers if origin.host == self.host else self.others
        return way.to_connection(origin, number, data)

    def presence(self) -> Iterable[tuple[Origin, Mapping[str, bytes]]]:
        """See `Outbound`."""
        return itertools.chain(self.peers.presence(), self.others.presence())

    def stop(self) -> None:
        """See `Outbound`."""
        self.peers.stop()
        self.others.stop()
