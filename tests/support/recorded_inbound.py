"""An `Inbound` that notes what it is called with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reactorhost.bus.refs import Origin


class RecordedInbound:
    """What has arrived.

    Attributes:
        events: messages and gaps in order: `(key, data)`, and `(key, recovered)` for each key of a gap.
        numbers: the number of each message.
        connections: what was sent to connections.
        members: the members of each worker, as they were reported.
        firsts: the workers whose members were reported for the first time.
    """

    def __init__(self) -> None:
        self.events: list[tuple[str | None, bytes | bool]] = []
        self.numbers: list[int] = []
        self.connections: list[tuple[int, bytes | None]] = []
        self.members: dict[Origin, dict[str, bytes]] = {}
        self.firsts: list[Origin] = []

    @property
    def messages(self) -> list[bytes]:
        """The data of the messages."""
        return [data for _, data in self.events if isinstance(data, bytes)]

    @property
    def gaps(self) -> list[tuple[str | None, bool]]:
        """The keys of gaps, and whether they were recovered."""
        return [(key, recovered) for key, recovered in self.events if isinstance(recovered, bool)]

    def message(self, origin: Origin, key: str, number: int, data: bytes) -> None:
        self.events.append((key, data))
        self.numbers.append(number)

    def missed(self, origin: Origin | None, keys: Sequence[str] | None, recovered: bool) -> None:
        self.events += [(key, recovered) for key in ((None,) if keys is None else keys)]

    def to_connection(self, number: int, data: bytes | None) -> None:
        self.connections.append((number, data))

    def replica_changed(
        self, origin: Origin, removed: Mapping[str, bytes], added: Mapping[str, bytes], *, first: bool
    ) -> None:
        if first:
            self.firsts.append(origin)
        members = self.members.setdefault(origin, {})
        for member, info in removed.items():
            assert members.pop(member) == info
        members.update(added)

    def introduced(self) -> None:
        raise AssertionError("the workers of other hosts are not introduced")

    def gone(self, origin: Origin, members: Mapping[str, bytes]) -> None:
        assert self.members.pop(origin, {}) == members
