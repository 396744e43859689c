"""The groups of one worker: which connections have joined which, and messages to all of them.

Only connections that have joined a group, or whose `ref` was read, are known here: the others cost nothing. They are
forgotten when their `close` hooks have run, which still see `connection.groups`.

A connection to another server may join too, and gets what is sent to the group as any other member does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from reactorhost.api.connection import Connection, transport_of
from reactorhost.bus.names import GROUP, checked_name
from reactorhost.bus.refs import Origin, Ref
from reactorhost.ipc.counters import Counters
from reactorhost.plugins.guard import as_error
from reactorhost.reactor import Reactor
from reactorhost.worker.bus.local.corks import Corks
from reactorhost.worker.bus.local.framed_once import FramedOnce
from reactorhost.worker.bus.local.interest import Interest
from reactorhost.worker.bus.local.presence import Presence
from reactorhost.worker.hooks.hook_errors import HookFailure
from reactorhost.worker.stream.transport import StreamTransport
from reactorhost.worker.udp.connected import ConnectedTransport
from reactorhost.worker.udp.transport import DatagramTransport

MOST_INFO_BYTES = 1024


@dataclass(slots=True, eq=False)
class _Group:
    """The members of a group in this worker, and the turn of the reactor in which they got the last message."""

    members: dict[StreamTransport, None] = field(default_factory=dict)
    turn: int = -1


@dataclass(slots=True, eq=False)
class _Known:
    """A connection that has joined groups, or whose `ref` was read."""

    transport: StreamTransport
    # A dict for its order; the values are not used.
    groups: dict[str, None] = field(default_factory=dict)


class Groups:
    """The groups of the connections of one worker; `reach` is called when others may want to send to one of them."""

    def __init__(
        self,
        origin: Origin,
        reactor: Reactor,
        interest: Interest,
        presence: Presence,
        counters: Counters,
        hook_failed: HookFailure,
        reach: Callable[[], object],
    ) -> None:
        self._origin = origin
        self._interest = interest
        self._presence = presence
        self._counters = counters
        self._hook_failed = hook_failed
        self._reach = reach
        self._reactor = reactor
        self._corks = Corks(reactor)
        self._groups: dict[str, _Group] = {}
        self._known: dict[int, _Known] = {}

    # What a connection calls.

    def join(self, connection: Connection, group: str, info: bytes | None) -> None:
        """Add a connection to a group; does nothing for one that is closing.

        Raises:
            TypeError: the group is not a text, or `info` is not bytes.
            ValueError: the group is malformed, `info` is too long, or the connection is that of a datagram.
        """
        checked_name("group", group)
        _check_info(info)
        transport = _stream_of(connection, "join a group")
        if transport is None or not transport.is_open:
            return
        known = self._know(connection.id, transport)
        if group not in known.groups:
            known.groups[group] = None
            self._add(group, transport)
        self._presence.set_info(group, connection.id, info)

    def leave(self, connection: Connection, group: str) -> None:
        """Remove a connection from a group.

        Raises:
            TypeError: the group is not a text.
            ValueError: the group is malformed.
        """
        checked_name("group", group)
        known = self._known.get(connection.id)
        if known is not None and group in known.groups:
            del known.groups[group]
            self._remove(group, known.transport)

    def of(self, connection: Connection) -> tuple[str, ...]:
        """Return the groups of a connection, in the order in which it has joined them."""
        known = self._known.get(connection.id)
        return () if known is None else tuple(known.groups)

    def ref(self, connection: Connection) -> str:
        """Return a text that refers to a connection.

        Raises:
            ValueError: the connection is that of a datagram.
        """
        transport = _stream_of(connection, "have a ref")
        if transport is not None and transport.is_open:
            self._know(connection.id, transport)
            self._reach()
        return str(Ref(self._origin.host, self._origin.worker, connection.id))

    # What the host calls.

    def ended(self, connection: Connection) -> None:
        """Remove a connection that has ended from all its groups."""
        known = self._known.pop(connection.id, None)
        if known is not None:
            for group in known.groups:
                self._remove(group, known.transport)

    def transport(self, number: int) -> StreamTransport | None:
        """Return the transport of a connection that has joined a group or whose `ref` was read, by its number."""
        known = self._known.get(number)
        return None if known is None else known.transport

    def deliver(self, group: str, data: bytes, exclude: Connection | None = None) -> bool:
        """Send a message to the members in this worker; returns whether there are any."""
        found = self._groups.get(group)
        if found is None:
            return False
        turn = self._reactor.turns
        corks = self._corks if found.turn == turn else None
        found.turn = turn
        if corks is not None:
            corks.begin()
        excluded = None if exclude is None else transport_of(exclude)
        message = self.framed_once(data)
        # A copy: the code of a plugin's framing may let connections join and leave.
        for transport in tuple(found.members):
            if transport is not excluded:
                if corks is not None:
                    corks.add(transport)
                message.send(transport)
        return True

    def framed_once(self, data: bytes) -> FramedOnce:
        """Return a message that is encoded once for each kind of framing."""
        return FramedOnce(data, self._frame_failed)

    def _frame_failed(self, transport: StreamTransport, raised: BaseException) -> None:
        # Not by the context of the service, which would close the connection: it did not cause the message.
        plugin = transport.context.chain.plugin_of(raised)
        self._hook_failed(plugin, "send_to", transport.connection, as_error(raised))

    def _know(self, number: int, transport: StreamTransport) -> _Known:
        known = self._known.get(number)
        if known is None:
            known = self._known[number] = _Known(transport)
        return known

    def _add(self, group: str, transport: StreamTransport) -> None:
        found = self._groups.get(group)
        if found is None:
            found = self._groups[group] = _Group()
            self._counters.bus_groups += 1
            self._interest.add(GROUP + group)
        found.members[transport] = None
        self._counters.bus_members += 1
        transport.context.counters.bus_members += 1

    def _remove(self, group: str, transport: StreamTransport) -> None:
        members = self._groups[group].members
        del members[transport]
        self._counters.bus_members -= 1
        transport.context.counters.bus_members -= 1
        self._presence.set_info(group, transport.connection.id, None)
        if not members:
            del self._groups[group]
            self._counters.bus_groups -= 1
            self._interest.remove(GROUP + group)


def _check_info(info: object) -> None:
    if info is None:
        return
    if not isinstance(info, bytes):
        hint = ": encode the text, as in info.encode()" if isinstance(info, str) else ""
        raise TypeError(f"the info of a member is bytes, not {type(info).__name__}{hint}")
    if len(info) > MOST_INFO_BYTES:
        raise ValueError(f"the info of a member has {len(info)} bytes, more than {MOST_INFO_BYTES}")


def _stream_of(connection: Connection, what: str) -> StreamTransport | None:
    """Return the transport of a connection, or None once it has ended.

    Raises:
        ValueError: the connection is that of a datagram; `what` is what it cannot do.
    """
    transport = transport_of(connection)
    if isinstance(transport, DatagramTransport):
        reason = f"a datagram cannot {what}: its connection ends when its hooks have returned"
        raise ValueError(reason)  # noqa: TRY004  the type is that of any connection
    if isinstance(transport, ConnectedTransport):
        raise ValueError(f"an outbound UDP connection cannot {what}")  # noqa: TRY004  likewise
    return transport if isinstance(transport, StreamTransport) else None
