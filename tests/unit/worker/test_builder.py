"""The builder makes a worker's parts from loaded services, with fakes in place of what the machine provides."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, cast

import pytest

from reactorhost import Connection, Worker, hookimpl
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.loading import load_object
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller, FakeSocket
from reactorhost.worker.builder import WorkerBuilder
from reactorhost.worker.context import Limits
from reactorhost.worker.service import LoadedService


class World:
    """A reactor without a kernel, and what a worker on it reports."""

    def __init__(self) -> None:
        clock = FakeClock()
        self.poller = FakePoller(clock)
        self.reactor = Reactor(self.poller, clock)
        self.failures: list[str] = []
        self.ended = 0

    def builder(self, **given: Any) -> WorkerBuilder:
        return WorkerBuilder(reactor=self.reactor, hook_failed=self._failed, on_ended=self._end, **given)

    def _failed(self, plugin: str, hook: str, connection: Connection | None, error: Exception) -> None:
        self.failures.append(f"{plugin} {hook}: {error}")

    def _end(self) -> None:
        self.ended += 1


def plugin(**hooks: Callable[..., object]) -> LoadedPlugin:
    module = types.ModuleType("made")
    vars(module).update({name: hookimpl(hook) for name, hook in hooks.items()})
    return load_object(module, "made")


def test_what_services_share_and_what_is_their_own() -> None:
    started: list[Worker] = []

    def worker_start(worker: Worker) -> None:
        started.append(worker)

    world, shared = World(), plugin(worker_start=worker_start, receive=lambda connection, data: None)
    services = [LoadedService(name, [shared], Limits(idle_timeout=seconds)) for name, seconds in (("a", 1), ("b", 2))]
    parts = world.builder(slot=3, generation=7).build(services, Limits())
    parts.call(parts.hooks.worker_start)
    assert parts.plugins == (shared,)
    assert [(worker.slot, worker.generation) for worker in started] == [(3, 7)]
    assert [service.context.limits.idle_timeout for service in parts.services.values()] == [1, 2]
    counters = [service.context.counters for service in parts.services.values()]
    assert [id(each) for each in counters] == [id(each.counters) for each in parts.service_stats]
    assert len({id(each) for each in (*counters, parts.context.counters)}) == 3
    assert (parts.bridge, parts.context.hook_queues, parts.occupied) == (None, None, False)


def test_a_client_is_served_and_its_end_reported() -> None:
    def receive(connection: Connection, data: bytes) -> None:
        if data == b"bad":
            raise ValueError("no")
        connection.send(data)

    world = World()
    parts = world.builder().build([LoadedService("a", [plugin(receive=receive)])], Limits())
    sock = FakeSocket()
    world.poller.open(sock)
    parts.services["a"].acceptor("tcp")(cast("Any", sock), ("127.0.0.1", 5000))
    sock.incoming += [b"hello", b"bad", b""]
    assert len(parts.transports()) == 1
    while parts.transports():
        world.reactor.turn(0)
    assert bytes(sock.taken) == b"hello"
    assert (world.failures, world.ended) == (["made receive: no"], 1)
    assert not parts.occupied


class Closing:
    """A plugin that refuses every client."""

    @staticmethod
    @hookimpl
    def connect(connection: Connection) -> None:
        connection.close()


class SilentSocket(FakeSocket):
    """A client whose PROXY header does not come."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        if flags:
            raise BlockingIOError
        return super().recv(size)


def test_each_service_counts_its_own_clients_and_the_worker_all_of_them() -> None:
    def receive(connection: Connection, data: bytes) -> None:
        if data == b"bad":
            raise ValueError("no")
        connection.send(data + data)

    world = World()
    named = LoadedService("a", [plugin(receive=receive)])
    proxied = LoadedService("b", named.plugins, proxy_from=("127.0.0.1",))
    closing = LoadedService("c", [load_object(Closing, "closing")])
    parts = world.builder().build([named, proxied, closing], Limits())
    clients = [SilentSocket() for _ in range(4)]
    for service, sock in zip("aabc", clients, strict=True):
        world.poller.open(sock)
        parts.services[service].acceptor("tcp")(cast("Any", sock), ("127.0.0.1", 5000))
    clients[0].incoming += [b"hello"]
    clients[1].incoming += [b"bad", b""]
    for _ in range(3):
        world.reactor.turn(0)
    a, b, c = (each.counters for each in parts.service_stats)
    assert (a.accepted, a.connections, a.messages, a.bytes_in, a.bytes_out, a.hook_errors) == (2, 1, 2, 8, 10, 1)
    # The client of "b" is in its handshake.
    assert (b.accepted, b.connections, b.messages, b.refused) == (1, 1, 0, 0)
    assert (c.accepted, c.refused, c.hook_errors) == (1, 1, 0)
    worker = parts.context.counters
    assert (worker.accepted, worker.refused) == (4, 1)
    assert worker.connections == a.connections + b.connections + c.connections


def test_a_bridge_is_made_only_for_async_hooks() -> None:
    class Bridge:
        def __init__(self, reactor: Reactor) -> None:
            self.completed: list[object] = []

        def complete(self, coroutine: Any, variables: object) -> None:
            self.completed.append(coroutine)
            coroutine.close()

    async def worker_start() -> None: ...

    world = World()
    parts = world.builder(new_bridge=Bridge).build([LoadedService("a", [plugin(worker_start=worker_start)])], Limits())
    parts.call(parts.hooks.worker_start)
    bridge = cast("Bridge", parts.bridge)
    assert len(bridge.completed) == 1
    assert parts.context.hook_queues is not None
    plain = plugin(worker_start=lambda: None)
    with pytest.raises(AssertionError):
        world.builder().build([LoadedService("a", [plugin(worker_start=worker_start)])], Limits())
    assert world.builder(new_bridge=Bridge).build([LoadedService("a", [plain])], Limits()).bridge is None
