"""The `Outbound` of a worker that has no others: on a bench, or in a child that a plugin has forked."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from reactorhost.bus.refs import Origin


class NoPeers:
    """Sends nothing."""

    def want(self, pattern: str) -> None:
        """Do nothing."""

    drop = want

    def publish(self, key: str, number: int, data: bytes) -> None:
        """Do nothing."""

    def set_member(self, member: str, info: bytes | None) -> None:
        """Do nothing."""

    def to_connection(self, origin: Origin, number: int, data: bytes | None) -> bool:
        """Return False: there is no other worker."""
        return False

    def presence(self) -> Iterable[tuple[Origin, Mapping[str, bytes]]]:
        """Return nothing."""
        return ()

    def push(self, messages: Iterable[bytes], unless: Container[Origin]) -> None:
        """Do nothing: there are none."""

    def stop(self) -> None:
        """Do nothing."""
