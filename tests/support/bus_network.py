"""Workers of one host in one process, each a real one on a fake poller, joined by sockets in memory.

What may happen to workers and links happens here on request: a worker that is stopped by a signal, is killed, leaves,
or starts late; a socket whose buffer is full. Bytes of a link stay in order, as in a socket.

Each worker has a client that is a member of every group. What is delivered to this client, and what the worker notices
of losses, is one sequence: `SimWorker.events`.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from reactorhost import Connection, Member, Worker, hookimpl
from reactorhost.api.close_reason import CloseReason
from reactorhost.bus.frames import Hello
from reactorhost.bus.refs import Origin
from reactorhost.framing import Lines
from reactorhost.ipc.counters import Counters
from reactorhost.logs import EventLog
from reactorhost.plugins import loading
from reactorhost.reactor import ERROR, HANG_UP, READ, WRITE, Reactor
from reactorhost.system.fork import ForkRegistry
from reactorhost.testing.fakes import FakeClock, FakePoller, FakeSocket, turn
from reactorhost.worker.builder import WorkerBuilder
from reactorhost.worker.bus.bus import BusSetup
from reactorhost.worker.bus.contract import Inbound, Outbound, Repeats
from reactorhost.worker.bus.peers.peers import PeerLimits, Peers
from reactorhost.worker.context import Limits
from reactorhost.worker.service import LoadedService

DOWN_PERIOD = 30.0
MAX_QUEUE = 2000
"""Bytes that may wait for a peer, unless a network has another bound."""
SOCKET_BYTES = 1000
"""Bytes in the buffer of a socket."""
MOST_TURNS = 3000
GROUPS = ("kept", "plain")
"""Of the first one a history is kept."""

HOST = b"the host"

Event = tuple[object, ...]


class PairedSocket:
    """One end of a pair of connected sockets."""

    number = -1

    def __init__(self, size: int) -> None:
        self.peer: PairedSocket
        self._size = size
        self._incoming = bytearray()
        self._closed = False

    def ready(self) -> int:
        """See `FakeDescriptor`."""
        if self.peer._closed:
            return READ | WRITE | ERROR | HANG_UP
        return (READ if self._incoming else 0) | (WRITE if self.peer._room else 0)

    @property
    def _room(self) -> int:
        return self._size - len(self._incoming)

    def fileno(self) -> int:
        return self.number

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def settimeout(self, seconds: float) -> None:
        """Ignore it: without room `send` raises at once."""

    def send(self, data: bytes | memoryview) -> int:
        if self.peer._closed:
            raise BrokenPipeError
        if not self.peer._room:
            raise BlockingIOError
        accepted = bytes(data[: self.peer._room])
        self.peer._incoming += accepted
        return len(accepted)

    def recv(self, size: int) -> bytes:
        if not self._incoming and not self.peer._closed:
            raise BlockingIOError
        data = bytes(self._incoming[:size])
        del self._incoming[:size]
        return data

    def close(self) -> None:
        self._closed = True


def socket_pair(size: int) -> tuple[PairedSocket, PairedSocket]:
    """Return two connected sockets with buffers of this size."""
    one, other = PairedSocket(size), PairedSocket(size)
    one.peer, other.peer = other, one
    return one, other


class Plugin:
    """Notes the calls of hooks in the events of its worker."""

    def __init__(self, sim: SimWorker) -> None:
        self.sim = sim

    @hookimpl
    def framing(self, service: str) -> Lines:
        return Lines()

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        worker.keep_history("kept*", messages=1000)

    @hookimpl
    def joined(self, worker: Worker, group: str, member: Member) -> None:
        key = group, member.ref
        assert key not in self.sim.known, f"joined twice: {key}"
        self.sim.known[key] = member.info

    @hookimpl
    def left(self, worker: Worker, group: str, member: Member) -> None:
        assert self.sim.known.pop((group, member.ref)) == member.info

    @hookimpl
    def gap(self, worker: Worker, group: str, recovered: bool) -> None:
        self.sim.events.append(("gap", group, recovered))


class Recorder:
    """Passes to a bus what arrives from other workers, and notes some of it in the events of its worker."""

    def __init__(self, sim: SimWorker, inbound: Inbound) -> None:
        self._sim = sim
        self._inbound = inbound

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inbound, name)

    def missed(self, origin: Origin | None, keys: Sequence[str] | None, recovered: bool) -> None:
        groups = GROUPS if keys is None else tuple(key[2:] for key in keys)
        self._sim.events += [("missed", origin, group, recovered) for group in groups]
        self._inbound.missed(origin, keys, recovered)

    def gone(self, origin: Origin, members: Mapping[str, bytes]) -> None:
        self._sim.has_known.add(origin)
        self._inbound.gone(origin, members)

    def replica_changed(
        self, origin: Origin, removed: Mapping[str, bytes], added: Mapping[str, bytes], *, first: bool
    ) -> None:
        if first:
            # The hook is not called for these.
            for entry, info in added.items():
                group, _, number = entry.partition("\0")
                self._sim.known[group, f"{origin.host.hex()}-{origin.worker.hex()}-{number}"] = info
        self._inbound.replica_changed(origin, removed, added, first=first)


def parsed(message: bytes) -> Event:
    """Return the event of a message."""
    publisher, group, number = message.split()[:3]
    return "message", publisher.decode(), group.decode(), int(number)


class SimWorker:
    """One worker.

    Attributes:
        events: in their order: `("message", publisher, group, number)` for each message that is delivered, `("missed",
            origin, group, recovered)` for each report of a loss, and `("gap", group, recovered)` for each call of the
            hook.
        has_known: the workers that have ended, or were silent, after they were introduced to it.
        known: the members, as far as the hooks have reported them.
        members: the `info` of its members, by group and connection.
        published: by group, how many messages it has published.
        first_for: by another worker, how many of these it had published when that one was introduced to it.
        stopped: whether it makes no turns, as after a SIGSTOP.
    """

    def __init__(self, network: Network, number: int) -> None:
        self.name = f"worker{number}"
        self.origin = Origin(HOST, b"%8d" % number)
        self.events: list[Event] = []
        self.has_known: set[Origin] = set()
        self.known: dict[tuple[str, str], bytes] = {}
        self.members: dict[tuple[str, str], bytes] = {}
        self.published = dict.fromkeys(GROUPS, 0)
        self.first_for: dict[SimWorker, dict[str, int]] = {}
        self.stopped = False
        self.orders: deque[Callable[[], object]] = deque()
        self.poller = FakePoller(network.clock)
        self.reactor = Reactor(self.poller, network.clock)
        self.sockets: list[PairedSocket] = []
        self.peers: Peers
        self._network = network
        self._number = number
        self._counters = Counters()
        self._loaded = LoadedService(
            "default", [loading.load_object(Plugin(self), "plugin")], Limits(), new_framing=Lines
        )
        self.parts = WorkerBuilder(
            reactor=self.reactor,
            hook_failed=self._hook_failed,
            counters=self._counters,
            bus=BusSetup(self.origin, new_outbound=self._new_outbound),
        ).build([self._loaded], Limits())
        self.worker = self.parts.facades.of("plugin")
        self.parts.call(self.parts.hooks.worker_start)
        self._member = FakeSocket()
        member = self.connect(self._member)
        for group in GROUPS:
            member.join(group)
        # Not at the client: what is sent to it waits for the end of the turn.
        self._deliver = self.parts.bus.groups.deliver
        self.parts.bus.groups.deliver = self._note_delivery  # type: ignore[method-assign]

    def __repr__(self) -> str:
        return self.name

    def _hook_failed(self, plugin: str, hook: str, connection: object, error: Exception) -> None:
        raise error

    def _new_outbound(self, inbound: Inbound, repeats: Repeats) -> Outbound:
        log = logging.getLogger("bus_network")
        log.propagate = False
        log.setLevel(logging.CRITICAL)
        self.peers = Peers(
            Hello(self.origin.host, self.origin.worker, self._number, self._number),
            PeerLimits(self._network.max_queue, DOWN_PERIOD),
            cast("Inbound", Recorder(self, inbound)),
            repeats,
            reactor=self.reactor,
            registry=ForkRegistry(),
            log=EventLog(log),
            counters=self._counters,
            exists=lambda worker: False,
            receive_orders=lambda seconds: False,
            on_ended=lambda worker, in_order: None,
        )
        self._network.introduce(self)
        return self.peers

    def _note_delivery(self, group: str, data: bytes, exclude: Connection | None = None) -> bool:
        self.events.append(parsed(data))
        return self._deliver(group, data, exclude)

    @property
    def dropped(self) -> int:
        """How many messages it has dropped."""
        return self._counters.bus_dropped

    @property
    def received(self) -> list[Event]:
        """What the member of all groups has received."""
        return [parsed(line) for line in bytes(self._member.taken).splitlines()]

    def connect(self, sock: FakeSocket) -> Connection:
        """Return the connection of a new client."""
        self.poller.open(sock)
        return self.parts.services["default"].accept(cast("Any", sock), ("127.0.0.1", 1), None).connection

    def publish(self, group: str, size: int = 0) -> None:
        """Send a message to a group."""
        self.published[group] += 1
        self.worker.send_to(group, f"{self.name} {group} {self.published[group]} {'x' * size}".encode())

    def join(self, group: str, info: bytes) -> Connection:
        """Let a new client join a group; returns its connection."""
        connection = self.connect(FakeSocket())
        self.rejoin(connection, group, info)
        return connection

    def rejoin(self, connection: Connection, group: str, info: bytes) -> None:
        """Let a client join a group, again with another info."""
        connection.join(group, info)
        self.members[group, connection.ref] = info

    def leave(self, connection: Connection, group: str) -> None:
        """Let a client leave a group."""
        connection.leave(group)
        self.members.pop((group, connection.ref), None)

    def presence(self) -> dict[tuple[str, str], bytes]:
        """Return the members of all groups that this worker knows of."""
        found = {}
        for group in GROUPS:
            for member in self.worker.presence(group):
                found[group, member.ref] = member.info
        return found

    def history(self) -> list[tuple[str, int]]:
        """Return the publishers and numbers of the history."""
        answers: list[list[bytes]] = []
        self.worker.history("kept", 1000, on_result=answers.append)
        while not answers and self.turn():
            pass
        assert answers, f"the history of {self} is not answered"
        return [(line.split()[0].decode(), int(line.split()[2])) for line in answers[0]]

    def turn(self) -> bool:
        """Make a turn, unless it is stopped; returns whether there was anything to do."""
        if self.stopped:
            return False
        had_orders = bool(self.orders)
        while self.orders:
            self.orders.popleft()()
        return turn(self.reactor, self.poller) or had_orders

    def introduced_to(self, other: SimWorker, sock: PairedSocket, *, before: bool, late: bool) -> None:
        """Handle the order of the master; `before`: the other one has used the bus before this one."""
        self.first_for[other] = dict.fromkeys(GROUPS, 0) if before and not late else dict(self.published)
        self.poller.open(sock)
        self.peers.introduce(cast("Any", sock), other._number, late=late)

    def leave_host(self) -> None:
        """End in an orderly way."""
        for transport in self.parts.transports():
            transport.close_for(CloseReason.SHUTDOWN, 0.0)
        self.parts.bus.stop()
        self._network.remove(self)

    def kill(self) -> None:
        """End at once."""
        for sock in self.sockets:
            sock.close()
        self._network.remove(self)


class Network:
    """The workers of a host, and its master, which introduces them to each other.

    Attributes:
        workers: those that run.
        ended: those that have ended.
        lacks_descriptors: whether no worker can be introduced now.
    """

    def __init__(self, socket_bytes: int = SOCKET_BYTES, max_queue: int = MAX_QUEUE) -> None:
        self.clock = FakeClock(1000.0)
        self.workers: list[SimWorker] = []
        self.ended: list[SimWorker] = []
        self.max_queue = max_queue
        self.lacks_descriptors = False
        self._socket_bytes = socket_bytes
        self._missing: list[tuple[SimWorker, SimWorker]] = []
        self._numbers = itertools.count(1)

    def start(self) -> SimWorker:
        """Return a new worker."""
        worker = SimWorker(self, next(self._numbers))
        self.workers.append(worker)
        return worker

    def introduce(self, new: SimWorker) -> None:
        """Introduce a worker that begins to use the bus."""
        for other in self.workers:
            if self.lacks_descriptors:
                self._missing.append((new, other))
            else:
                self._order(new, other, late=False)
        new.orders.append(lambda: new.peers.all_introduced())  # noqa: PLW0108  `peers` is set when this returns

    def introduce_missing(self) -> None:
        """Introduce those for which descriptors were lacking."""
        self.lacks_descriptors = False
        missing, self._missing = self._missing, []
        for new, other in missing:
            if new in self.workers and other in self.workers:
                self._order(new, other, late=True)

    def _order(self, new: SimWorker, other: SimWorker, *, late: bool) -> None:
        mine, theirs = socket_pair(self._socket_bytes)
        new.sockets.append(mine)
        other.sockets.append(theirs)
        new.orders.append(lambda: new.introduced_to(other, mine, before=True, late=late))
        other.orders.append(lambda: other.introduced_to(new, theirs, before=False, late=late))

    def remove(self, worker: SimWorker) -> None:
        """Make no more turns of a worker that has ended."""
        self.workers.remove(worker)
        self.ended.append(worker)

    def tick(self) -> None:
        """Let a third of the time pass after which a silent worker counts as gone."""
        self.clock.now += DOWN_PERIOD / 3 + 0.1
        self.run()

    def run(self) -> None:
        """Let all workers make turns until there is nothing left to do."""
        for _ in range(MOST_TURNS):
            # A list, so that each makes a turn.
            if not any([worker.turn() for worker in self.workers]):  # noqa: C419
                return
        raise AssertionError(f"there is something to do after {MOST_TURNS} turns")

    def settle(self) -> None:
        """Continue stopped workers, and run long enough for every loss to be noticed and repaired."""
        self.introduce_missing()
        for worker in self.workers:
            worker.stopped = False
        self.run()
        for _ in range(8):
            self.tick()
