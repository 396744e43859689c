"""The other workers of a bench, as a test plays them: one worker that publishes, has members, and receives."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Container, Iterable, Mapping

from reactorhost.bus.names import GROUP, TOPIC, checked_name, matches
from reactorhost.bus.refs import ID_BYTES, Origin, Ref
from reactorhost.reactor import Reactor
from reactorhost.worker.bus.contract import Inbound, Repeats


class BenchMember:
    """A connection of the other worker that has joined a group with an `info`.

    Attributes:
        ref: what the plugin reads as `member.ref`.
        received: the messages that the plugin has sent by `worker.send_to_ref`.
        closed: whether the plugin has closed it, by `worker.close_ref`.
    """

    def __init__(self, ref: str, leave: Callable[[], object]) -> None:
        self.ref = ref
        self.received: list[bytes] = []
        self.closed = False
        self._leave = leave

    def leave(self) -> None:
        """Leave the group, as at the end of the connection; the `left` hooks have run when this returns."""
        self._leave()


class OtherWorker:
    """The `Outbound` of a bench.

    Attributes:
        published: what arrived for topics.
        sent: what arrived for groups.
        members: connections that have not left, by number.
        entries: what they are in its PRESENCE, by number.
        bench: what a message to the bench is passed to.
    """

    bench: Inbound

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self.origin = Origin(os.urandom(ID_BYTES), os.urandom(ID_BYTES))
        self.published: list[tuple[str, bytes]] = []
        self.sent: list[tuple[str, bytes]] = []
        self.members: dict[int, BenchMember] = {}
        self.entries: dict[int, dict[str, bytes]] = {}
        self._wanted: set[str] = set()

    def connect(self, bench: Inbound, repeats: Repeats) -> OtherWorker:
        """Return the way to this worker, for the bus of the bench."""
        bench.introduced()
        return self

    def sends(self, key: str) -> bool:
        """Return whether the bench wants messages of a key."""
        return any(matches(pattern, key) for pattern in self._wanted)

    def want(self, pattern: str) -> None:
        """See `Outbound`."""
        self._wanted.add(pattern)

    def drop(self, pattern: str) -> None:
        """See `Outbound`."""
        self._wanted.discard(pattern)

    def publish(self, key: str, number: int, data: bytes) -> None:
        """See `Outbound`."""
        received = self.published if key.startswith(TOPIC) else self.sent
        received.append((key[len(TOPIC) :], data))

    def set_member(self, member: str, info: bytes | None) -> None:
        """Ignore the members of the bench."""

    def to_connection(self, origin: Origin, number: int, data: bytes | None) -> bool:
        """See `Outbound`."""
        member = self.members.get(number) if origin == self.origin else None
        if member is None:
            return False
        if data is None:
            member.closed = True
            # Later, as what another process sends.
            self._reactor.call_soon(self.leave, number)
        else:
            member.received.append(data)
        return True

    def presence(self) -> Iterable[tuple[Origin, Mapping[str, bytes]]]:
        """See `Outbound`."""
        return [(self.origin, {name: info for entry in self.entries.values() for name, info in entry.items()})]

    def push(self, messages: Iterable[bytes], unless: Container[Origin]) -> None:
        """Do nothing: no worker begins later."""

    def stop(self) -> None:
        """Do nothing."""

    def leave(self, number: int) -> None:
        """Let a member leave, if it has not."""
        if self.members.pop(number, None) is not None:
            self.bench.replica_changed(self.origin, self.entries.pop(number), {}, first=False)


class BenchBus:
    """The other worker; what it does has reached the plugins, and their clients, when its methods return.

    `within` calls a function in the event loop, and returns when nothing is left to do.
    """

    def __init__(self, other: OtherWorker, within: Callable[[Callable[[], object]], None]) -> None:
        self._other = other
        self._within = within
        self._numbers = itertools.count(1)

    @property
    def published(self) -> list[tuple[str, bytes]]:
        """What the plugins have published, as it reaches another worker: pairs of topic and data."""
        return self._other.published

    @property
    def sent(self) -> list[tuple[str, bytes]]:
        """What the plugins have sent to groups, as it reaches another worker: pairs of group and data."""
        return self._other.sent

    def publish(self, topic: str, data: bytes) -> None:
        """Publish a message in the other worker."""
        self._send(TOPIC + checked_name("topic", topic), data)

    def send_to(self, group: str, data: bytes) -> None:
        """Send a message to a group in the other worker."""
        self._send(GROUP + checked_name("group", group), data)

    def join(self, group: str, info: bytes) -> BenchMember:
        """Let a connection of the other worker join a group; the `joined` hooks have run when this returns."""
        other, number = self._other, next(self._numbers)
        entry = {f"{checked_name('group', group)}\0{number}": info}
        ref = Ref(other.origin.host, other.origin.worker, number)
        member = BenchMember(str(ref), lambda: self._within(lambda: other.leave(number)))
        other.members[number] = member
        other.entries[number] = entry
        self._within(lambda: other.bench.replica_changed(other.origin, {}, entry, first=False))
        return member

    def gap(self, name: str, *, recovered: bool = False) -> None:
        """Let messages of a group or topic be lost; the `gap` hooks have run when this returns."""
        self._within(lambda: self._other.bench.missed(self._other.origin, [TOPIC + name, GROUP + name], recovered))

    def end(self) -> None:
        """Let the other worker end: its members leave."""
        ((_, members),) = self._other.presence()
        self._other.members.clear()
        self._other.entries.clear()
        self._within(lambda: self._other.bench.gone(self._other.origin, members))

    def _send(self, key: str, data: bytes) -> None:
        if self._other.sends(key):
            self._within(lambda: self._other.bench.message(self._other.origin, key, 0, data))
