"""The bus of one worker: what plugins call, and what arrives from other workers.

A message is delivered in this worker first, then passed to the `Outbound`. That is made by the first call that concerns
other workers, or by `begin` when another worker has made one. So the workers of a host that does not use the bus have
no links.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reactorhost.api.connection import Connection
from reactorhost.api.history_request import HistoryRequest
from reactorhost.bus import refs
from reactorhost.bus.member import Member
from reactorhost.bus.names import GROUP, TOPIC, checked_name, checked_pattern
from reactorhost.bus.refs import ID_BYTES, Origin
from reactorhost.ipc.counters import Counters
from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.worker.bus.contract import THE_WORKER, Inbound, KeptHistory, Outbound, Repeats
from reactorhost.worker.bus.local.gaps import Gaps
from reactorhost.worker.bus.local.groups import Groups
from reactorhost.worker.bus.local.history import History
from reactorhost.worker.bus.local.interest import Interest
from reactorhost.worker.bus.local.presence import Presence
from reactorhost.worker.bus.local.subscriptions import PluginSubscription, Subscriptions
from reactorhost.worker.bus.no_peers import NoPeers
from reactorhost.worker.hooks.hook_errors import HookFailure
from reactorhost.worker.hooks.worker_calls import WorkerCalls

if TYPE_CHECKING:
    from reactorhost.worker.stream.transport import StreamTransport


def _own_origin() -> Origin:
    return Origin(os.urandom(ID_BYTES), os.urandom(ID_BYTES))


def _no_peers(inbound: Inbound, repeats: Repeats) -> Outbound:
    inbound.introduced()
    return NoPeers()


def _do_nothing() -> None:
    """Stand in for a callback."""


@dataclass(frozen=True, slots=True)
class BusSetup:
    """What a worker's bus needs of its host.

    Attributes:
        origin: this worker.
        max_message: bytes of the longest message.
        new_outbound: connects to the other workers; called at most once.
        leave: called before the worker closes its connections to other hosts, though its clients are still connected.
    """

    origin: Origin = field(default_factory=_own_origin)
    max_message: int = 1 << 20
    new_outbound: Callable[[Inbound, KeptHistory], Outbound] = _no_peers
    leave: Callable[[], object] = _do_nothing


class Bus:
    """The bus of one worker.

    Attributes:
        groups: the groups of its connections.
        on_introduced: called once, when `awaits_members` ends.
    """

    def __init__(
        self,
        setup: BusSetup,
        reactor: Reactor,
        counters: Counters,
        calls: WorkerCalls,
        hook_failed: HookFailure,
        log: EventLog,
    ) -> None:
        self._setup = setup
        self._counters = counters
        self._outbound: Outbound | None = None
        self._introduced = False
        self.on_introduced: Callable[[], object] = _do_nothing
        self._interest = interest = Interest(self._reach)
        self._presence = Presence(setup.origin, calls)
        self._gaps = Gaps(calls, interest)
        self._history = History(setup.origin, reactor, interest, hook_failed)
        self._subscriptions = Subscriptions(reactor, interest, self._gaps, counters, hook_failed, log)
        self.groups = Groups(setup.origin, reactor, interest, self._presence, counters, hook_failed, self._reach)
        if calls.has("joined") or calls.has("left"):
            # For members of other workers, also if nothing of this one ever joins a group.
            reactor.call_soon(self._reach)

    # The start of the worker.

    def begin(self) -> None:
        """Connect to the other workers; does nothing if a plugin has used the bus already."""
        self._reach()

    @property
    def awaits_members(self) -> bool:
        """Whether the bus is used, and not all members of the workers that used it before are known yet."""
        return self._outbound is not None and not self._introduced

    # What a `Worker` calls.

    def publish(self, topic: str, data: bytes) -> None:
        """Call the functions that subscribe to a topic, in all workers.

        Raises:
            TypeError, ValueError: see `Worker.publish`.
        """
        key = TOPIC + checked_name("topic", topic)
        self._check_size("publish", data)
        self._counters.bus_out += 1
        self._subscriptions.deliver(topic, data)
        self._reach().publish(key, 0, data)

    def subscribe(self, plugin: str, pattern: str, function: Callable[[str, bytes], object]) -> PluginSubscription:
        """Call a plugin's function with the messages of topics.

        Raises:
            TypeError, ValueError: see `Worker.subscribe`.
        """
        return self._subscriptions.add(plugin, pattern, function)

    def send_to(self, group: str, data: bytes, exclude: Connection | None, local: bool) -> None:
        """Send a message to the members of a group.

        Raises:
            TypeError, ValueError: see `Worker.send_to`.
        """
        key = GROUP + checked_name("group", group)
        self._check_size("send_to", data)
        if not isinstance(exclude, Connection | None):
            raise TypeError(f"send_to excludes a connection, not {exclude!r}")
        if local:
            self.groups.deliver(group, data, exclude)
            return
        self._counters.bus_out += 1
        number = self._history.published(key, data)
        self.groups.deliver(group, data, exclude)
        self._reach().publish(key, number, data)

    def send_to_ref(self, ref: str, data: bytes) -> bool:
        """Send a message to one connection.

        Raises:
            TypeError, ValueError: see `Worker.send_to_ref`.
        """
        found = refs.parse(ref)
        self._check_size("send_to_ref", data)
        self._counters.bus_out += 1
        return self._to_ref(found, data)

    def close_ref(self, ref: str) -> bool:
        """Close one connection.

        Raises:
            TypeError, ValueError: see `Worker.close_ref`.
        """
        return self._to_ref(refs.parse(ref), None)

    def presence(self, group: str) -> list[Member]:
        """Return the members of a group that have an `info`.

        Raises:
            TypeError, ValueError: see `Worker.presence`.
        """
        checked_name("group", group)
        self._reach()
        return self._presence.members(group)

    def keep_history(self, pattern: str, messages: int, seconds: float | None) -> None:
        """Keep the messages of groups.

        Raises:
            TypeError, ValueError: see `Worker.keep_history`.
        """
        checked_pattern("group", pattern)
        self._history.keep(GROUP + pattern, messages, seconds)

    def history(
        self, plugin: str, group: str, most: int, on_result: Callable[[list[bytes]], object] | None
    ) -> HistoryRequest:
        """Read the newest messages of a group.

        Raises:
            TypeError, ValueError: see `Worker.history`.
        """
        return self._history.read(plugin, GROUP + checked_name("group", group), most, on_result)

    # What arrives from other workers: `Inbound`.

    def message(self, origin: Origin, key: str, number: int, data: bytes) -> None:
        """Deliver a message in this worker."""
        if number and not self._history.received(origin, key, number, data):
            return
        name = key[len(GROUP) :]
        delivered = (
            self.groups.deliver(name, data) if key.startswith(GROUP) else self._subscriptions.deliver(name, data)
        )
        self._counters.bus_in += delivered

    def missed(self, origin: Origin | None, keys: Sequence[str] | None, recovered: bool) -> None:
        """Call the hook `gap` for those of the keys that are wanted here."""
        self._gaps.missed(keys, recovered=recovered)

    def to_connection(self, number: int, data: bytes | None) -> None:
        """Send a message to a connection of this worker, or close it."""
        if number == THE_WORKER:
            if data is not None:
                self._history.transfer.received(data)
            return
        transport = self.groups.transport(number)
        if transport is not None:
            self._counters.bus_in += 1
            self._to_transport(transport, data)

    def replica_changed(
        self, origin: Origin, removed: Mapping[str, bytes], added: Mapping[str, bytes], *, first: bool
    ) -> None:
        """Note which members another worker has."""
        self._presence.changed(origin, removed, added, first=first)
        if first:
            self._history.transfer.peer_known(origin)

    def introduced(self) -> None:
        """Note that the workers that used the bus before are known."""
        self._introduced = True
        self._history.transfer.introduced()
        self.on_introduced()

    def gone(self, origin: Origin, members: Mapping[str, bytes]) -> None:
        """Remove the members of a worker that is gone."""
        self._presence.gone(origin, members)
        self._history.transfer.peer_gone(origin)

    # The end of the worker.

    def end_subscriptions(self) -> None:
        """Cancel what plugins have subscribed; they may go on to publish."""
        self._subscriptions.stop()

    def leave(self) -> None:
        """Notify other hosts that the members of this worker leave, because its connections to them will be closed."""
        self._setup.leave()

    def stop(self) -> None:
        """Disconnect from the other workers, after the last call of a plugin."""
        if self._outbound is not None:
            self._history.transfer.leave()
            self._outbound.stop()

    def abandon(self) -> None:
        """Send nothing to other workers any more, in a forked child."""
        self._send_by(NoPeers())

    def _reach(self) -> Outbound:
        """Return the way to the other workers; the first call makes it."""
        if self._outbound is None:
            self._send_by(self._setup.new_outbound(self, self._history))
        assert self._outbound is not None
        return self._outbound

    def _send_by(self, outbound: Outbound) -> None:
        self._outbound = self._presence.outbound = self._history.transfer.outbound = outbound

    def _check_size(self, method: str, data: bytes) -> None:
        if len(data) > self._setup.max_message:
            raise ValueError(
                f"worker.{method} got a message of {len(data)} bytes, more than the setting max_message of [bus] "
                f"allows, which is {self._setup.max_message}"
            )

    def _to_ref(self, ref: refs.Ref, data: bytes | None) -> bool:
        origin = Origin(ref.host, ref.worker)
        if origin != self._setup.origin:
            return self._reach().to_connection(origin, ref.connection, data)
        transport = self.groups.transport(ref.connection)
        return transport is not None and self._to_transport(transport, data)

    def _to_transport(self, transport: StreamTransport, data: bytes | None) -> bool:
        if data is not None:
            return self.groups.framed_once(data).send(transport)
        is_open = transport.is_open
        transport.close()
        return is_open
