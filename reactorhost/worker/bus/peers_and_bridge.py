"""The workers of this host and those of others as one `Outbound`."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from reactorhost.bus.refs import Origin
from reactorhost.worker.bus.contract import Outbound


@dataclass(frozen=True, slots=True)
class PeersAndBridge:
    """Passes everything to two; `host` is the id of this host."""

    host: bytes
    peers: Outbound
    bridge: Outbound

    def want(self, pattern: str) -> None:
        """See `Outbound`."""
        self.peers.want(pattern)
        self.bridge.want(pattern)

    def drop(self, pattern: str) -> None:
        """See `Outbound`."""
        self.peers.drop(pattern)
        self.bridge.drop(pattern)

    def publish(self, key: str, number: int, data: bytes) -> None:
        """See `Outbound`."""
        self.peers.publish(key, number, data)
        self.bridge.publish(key, number, data)

    def set_member(self, member: str, info: bytes | None) -> None:
        """See `Outbound`."""
        self.peers.set_member(member, info)
        self.bridge.set_member(member, info)

    def to_connection(self, origin: Origin, number: int, data: bytes | None) -> bool:
        """See `Outbound`."""
        outbound = self.peers if origin.host == self.host else self.bridge
        return outbound.to_connection(origin, number, data)

    def presence(self) -> Iterable[tuple[Origin, Mapping[str, bytes]]]:
        """See `Outbound`."""
        return itertools.chain(self.peers.presence(), self.bridge.presence())

    def push(self, messages: Iterable[bytes], unless: Container[Origin]) -> None:
        """See `Outbound`."""
        self.peers.push(messages, unless)

    def stop(self) -> None:
        """See `Outbound`."""
        self.peers.stop()
        self.bridge.stop()
