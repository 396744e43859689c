"""The other workers of the host: sends to those that want a message, and passes on what they send.

The master introduces this worker to every worker that uses the bus, by one end of a pair of sockets for each. It begins
when this worker reports that it uses the bus, and goes on with each worker that does so later. Until all that used it
before are introduced, messages are kept for those that are missing.

    INTRODUCING -> INTRODUCED -> COMPLETE        each -> STOPPED

A worker that the master introduces after that has begun to use the bus later; it keeps what it publishes itself. Its
peers are complete when the first PRESENCE of each is known: `Inbound.introduced` says so, once.

A peer whose link ends is gone at once. Without a GOODBYE it was killed or has crashed, or did not send everything: then
messages of unknown keys may be missing.

One that sends nothing for a `down_period`, not even heartbeats, is silent: its members leave, and what it is sent waits
in its bounded queue. They are back when something arrives from it.
"""

from __future__ import annotations

import enum
import socket
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass

from reactorhost.bus import frames
from reactorhost.bus.frames import Hello
from reactorhost.bus.refs import Origin
from reactorhost.bus.replica import Difference, Journal, Replicated
from reactorhost.ipc.counters import Counters
from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor, TimerHandle
from reactorhost.system.fork import ForkRegistry
from reactorhost.worker.bus.contract import HEARTBEATS_A_PERIOD, THE_WORKER, Inbound, Repeats
from reactorhost.worker.bus.drops import Drops
from reactorhost.worker.bus.latest_origins import LatestOrigins
from reactorhost.worker.bus.peers.early import EarlyMessages
from reactorhost.worker.bus.peers.outgoing import Outgoing
from reactorhost.worker.bus.peers.peer import Peer
from reactorhost.worker.bus.peers.routes import Routes
from reactorhost.worker.bus.unlinked import UnlinkedWorkers

_STOP_SECONDS = 1.0
_MOST_ENDED = 1000


@dataclass(frozen=True, slots=True)
class PeerLimits:
    """Bytes that may wait for one peer, and seconds after which a silent one counts as gone."""

    max_queue: int
    down_period: float


class PeersState(enum.Enum):
    """How far the introductions are."""

    INTRODUCING = "introducing"
    """What is published is also kept for the workers that the master will introduce next."""
    INTRODUCED = "introduced"
    """All that used the bus before are linked; of some, PRESENCE is not known yet."""
    COMPLETE = "complete"
    STOPPED = "stopped"


class Peers:
    """The `Outbound` to the workers of this host.

    `hello` describes this one; `exists` returns whether a worker of the host uses the bus under an id. `receive_orders`
    handles orders of the master that come within so many seconds; it returns False if none comes. `on_ended` is called
    with a worker that has ended, and whether it did so in order.
    """

    def __init__(
        self,
        hello: Hello,
        limits: PeerLimits,
        inbound: Inbound,
        repeats: Repeats,
        *,
        reactor: Reactor,
        registry: ForkRegistry,
        log: EventLog,
        counters: Counters,
        exists: Callable[[bytes], bool],
        receive_orders: Callable[[float], bool],
        on_ended: Callable[[Origin, bool], object],
    ) -> None:
        self._hello = frames.hello(hello)
        self._host = hello.host
        self._exists = exists
        self._receive_orders = receive_orders
        self._on_ended = on_ended
        self._limits = limits
        self._inbound = inbound
        self._repeats = repeats
        self._reactor = reactor
        self._registry = registry
        self._log = log
        self._drops = Drops(reactor, counters, log)
        self._journals = {table: Journal() for table in Replicated}
        self._peers: dict[Peer, None] = {}
        self._by_origin: dict[Origin, Peer] = {}
        self._routes: Routes[Peer] = Routes()
        self._timer: TimerHandle | None = None
        self._state = PeersState.INTRODUCING
        self._early = EarlyMessages(limits.max_queue)
        self._unlinked = UnlinkedWorkers(reactor, limits.max_queue, limits.down_period, self._expired)
        # A link may end before the host has noted the end of its worker.
        self._ended = LatestOrigins(_MOST_ENDED)
        # Those of which PRESENCE is not known yet, before COMPLETE.
        self._unknown: set[Peer] = set()
        # Introduced after messages for them were lost.
        self._late: set[Peer] = set()
        # Those that have begun to use the bus later.
        self._newer: set[Peer] = set()

    # Outbound.

    def want(self, pattern: str) -> None:
        """Receive the messages of a key, or of a pattern of keys; it does not count how often."""
        self._change(Replicated.INTEREST, pattern, b"")

    def drop(self, pattern: str) -> None:
        """Revoke `want` for the same pattern."""
        self._change(Replicated.INTEREST, pattern, None)

    def set_member(self, member: str, info: bytes | None) -> None:
        """Change the own PRESENCE; None removes the member."""
        self._change(Replicated.PRESENCE, member, info)

    def publish(self, key: str, number: int, data: bytes) -> None:
        """Send a message to the peers that want its key."""
        targets = self._routes.targets(key)
        introducing = self._state is PeersState.INTRODUCING
        if not targets and not introducing:
            return
        # Encoded once for all.
        frame = frames.message(key, number, data)
        for peer in targets:
            if peer.outgoing.message(key, number, frame):
                peer.link.write_soon()
            else:
                self._dropped(peer)
        if introducing and not self._early.message(key, number, frame):
            self._dropped_early()

    def to_connection(self, origin: Origin, number: int, data: bytes | None) -> bool:
        """Send a message for one connection of a worker, or with None close it; False: the worker is gone."""
        peer = self._by_origin.get(origin)
        frame = frames.to_connection(number, data)
        if peer is None:
            if self._state is PeersState.STOPPED or not self._will_be_known(origin):
                return False
            if not self._unlinked.keep(origin, frame):
                self._dropped_early()
        elif peer.outgoing.to_connection(frame):
            peer.link.write_soon()
        else:
            self._dropped(peer)
        return True

    def presence(self) -> Iterable[tuple[Origin, Mapping[str, bytes]]]:
        """Return the PRESENCE of every peer that is not silent."""
        return [(origin, peer.members) for origin, peer in self._by_origin.items() if not peer.silent]

    def push(self, messages: Iterable[bytes], unless: Container[Origin]) -> None:
        """See `Outbound`. A peer whose HELLO has not arrived yet has asked for nothing: it is one of them."""
        newer = [peer for peer in self._newer if peer.origin is None or peer.origin not in unless]
        if not newer:
            return
        for message in messages:
            frame = frames.to_connection(THE_WORKER, message)
            for peer in newer:
                if not peer.outgoing.to_connection(frame):
                    self._dropped(peer)

    def stop(self) -> None:
        """Write what waits, for a second at most, and close the links."""
        deadline = self._reactor.clock() + _STOP_SECONDS
        self._await_introductions(deadline)
        self._state = PeersState.STOPPED
        self._early.clear()
        self._unlinked.stop()
        if self._timer is not None:
            self._timer.cancel()
        peers, self._peers = self._peers, {}
        self._by_origin.clear()
        self._routes = Routes()
        # First those that read: one that stands still would use up the time of all.
        for peer in sorted(peers, key=lambda peer: peer.outgoing.size):
            peer.outgoing.end()
            left = peer.link.finish(deadline)
            if left:
                self._log.warning("bus_messages_dropped", peer_slot=peer.slot, peer_pid=peer.pid, bytes=left)
        self._drops.finish()

    # Orders of the master.

    def introduce(self, sock: socket.socket, pid: int, *, late: bool) -> None:
        """Link this worker with another one; `late`: messages between the two were lost before."""
        if self._state is PeersState.STOPPED:
            sock.close()
            return
        outgoing = Outgoing(self._hello, self._limits.max_queue, self._journals, self._repeats)
        peer = Peer(self._reactor, self._registry, sock, pid, outgoing, self, self._inbound)
        self._peers[peer] = None
        self._routes.add_peer(peer)
        if late:
            self._late.add(peer)
        # A pair that was missing may be an older one.
        if self._state is PeersState.COMPLETE or (self._state is PeersState.INTRODUCED and not late):
            self._newer.add(peer)
        else:
            self._unknown.add(peer)
        if self._state is PeersState.INTRODUCING:
            self._early.queue_messages(outgoing)
        peer.link.write_soon()
        if self._timer is None:
            self._set_timer()

    def all_introduced(self) -> None:
        """Note that every worker that used the bus before this one is introduced."""
        if self._state is PeersState.INTRODUCING:
            self._state = PeersState.INTRODUCED
            self._early.clear()
            self._complete_if_known()

    # What peers report.

    def hello_received(self, peer: Peer) -> None:
        """Send what is for the connections of this worker."""
        assert peer.origin is not None
        self._by_origin[peer.origin] = peer
        for frame in self._unlinked.take(peer.origin):
            if not peer.outgoing.to_connection(frame):
                self._dropped(peer)
        peer.link.write_soon()
        if peer in self._late:
            self._late.discard(peer)
            self._inbound.missed(peer.origin, None, recovered=False)

    def interest_changed(self, peer: Peer, difference: Difference) -> None:
        """Send the peer what it wants from now on."""
        for pattern in difference.removed:
            self._routes.remove(pattern, peer)
        for pattern in difference.added:
            self._routes.add(pattern, peer)
        if difference.first:
            self._routes.known(peer)

    def presence_known(self, peer: Peer) -> None:
        """Note that the peer is known."""
        self._unknown.discard(peer)
        self._complete_if_known()

    def left(self, peer: Peer) -> None:
        """Forget a peer, of which nothing is missing."""
        self._forget(peer)
        if peer.origin is not None:
            self._on_ended(peer.origin, True)

    def ended(self, peer: Peer, error: str | None) -> None:
        """Forget a peer whose last messages may be missing."""
        if error is not None:
            self._log.error("bus_peer_refused", peer_slot=peer.slot, peer_pid=peer.pid, reason=error)
        self._forget(peer)
        # Also if nothing has arrived from it: its first messages may be what is missing.
        if peer.origin is not None:
            self._inbound.missed(peer.origin, None, recovered=False)
            if error is None:
                self._on_ended(peer.origin, False)

    def _forget(self, peer: Peer) -> None:
        del self._peers[peer]
        self._routes.remove_peer(peer)
        self._late.discard(peer)
        self._newer.discard(peer)
        if peer.origin is not None:
            del self._by_origin[peer.origin]
            self._ended.add(peer.origin)
            if not peer.silent:
                self._inbound.gone(peer.origin, peer.members)
        self.presence_known(peer)

    def _complete_if_known(self) -> None:
        if self._state is PeersState.INTRODUCED and not self._unknown:
            self._state = PeersState.COMPLETE
            self._inbound.introduced()

    def _await_introductions(self, deadline: float) -> None:
        """Let the master introduce a worker that has used the bus just now, in `worker_stop` for example."""
        while self._state is PeersState.INTRODUCING and self._early.waiting:
            if not self._receive_orders(deadline - self._reactor.clock()):
                self._dropped_early(self._early.waiting)
                return

    def _change(self, table: Replicated, key: str, value: bytes | None) -> None:
        change = self._journals[table].set(key, value)
        if change is None or not self._peers:
            return
        frame = frames.table_change(table, change)
        for peer in self._peers:
            peer.outgoing.change(table, frame)
            peer.link.write_soon()

    def _set_timer(self) -> None:
        self._timer = self._reactor.call_later(self._limits.down_period / HEARTBEATS_A_PERIOD, self._beat)

    def _beat(self) -> None:
        self._timer = None
        for peer in list(self._peers):
            peer.beat()
        if self._peers:
            self._set_timer()

    def _will_be_known(self, origin: Origin) -> bool:
        return origin.host == self._host and origin not in self._ended and self._exists(origin.worker)

    def _expired(self, origin: Origin, messages: int) -> None:
        # What is for a worker that has ended is not lost.
        if self._will_be_known(origin):
            self._dropped_early(messages)

    def _dropped(self, peer: Peer) -> None:
        self._drops.add(peer, {"peer_slot": peer.slot, "peer_pid": peer.pid})

    def _dropped_early(self, messages: int = 1) -> None:
        self._drops.add(None, {"to": "workers that are not introduced yet"}, messages)
