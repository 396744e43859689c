"""The bus of a worker without others, through what plugins call."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, cast

import pytest

from reactorhost import CloseReason, Connection, Member, Worker, hookimpl
from reactorhost.framing import Lines
from reactorhost.plugins.loading import load_object
from reactorhost.reactor import Reactor
from reactorhost.testing import PluginBench
from reactorhost.testing.fakes import FakeClock, FakePoller, FakeSocket
from reactorhost.worker.builder import WorkerBuilder
from reactorhost.worker.bus.bus import BusSetup
from reactorhost.worker.bus.contract import Inbound, Outbound, Repeats
from reactorhost.worker.bus.no_peers import NoPeers
from reactorhost.worker.context import Limits
from reactorhost.worker.service import LoadedService

StartBench = Callable[..., PluginBench]


class Chat:
    """Rooms, and topics, by commands of its clients."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []

    @hookimpl
    def framing(self, service: str) -> Lines:
        return Lines()

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.worker = worker
        worker.subscribe("news.*", lambda topic, data: self.published.append((topic, data)))
        worker.keep_history("*")

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        command, _, rest = data.partition(b" ")
        match command:
            case b"join":
                connection.join(rest.decode(), b"info")
            case b"say":
                self.worker.send_to("room", rest, exclude=connection)
            case b"publish":
                self.worker.publish("news.x", rest)

    @hookimpl
    def joined(self, worker: Worker, group: str, member: Member) -> None:
        worker.send_to(group, b"+" + member.info, local=True)


def test_a_worker_without_others_has_the_whole_bus(plugin_bench: StartBench) -> None:
    bench = plugin_bench(chat := Chat())
    one, two = bench.connect(), bench.connect()
    one.send(b"join room\n")
    two.send(b"join room\n")
    one.send(b"say hi\npublish 7\n")
    assert two.received == b"+info\nhi\n"
    assert chat.published == [("news.x", b"7")]
    assert bench.worker.send_to_ref(one.connection.ref, b"one")
    assert one.received == b"+info\n+info\none\n"
    assert [member.ref for member in bench.worker.presence("room")] == [one.connection.ref, two.connection.ref]
    kept: list[list[bytes]] = []
    bench.worker.history("room", on_result=kept.append)
    bench.settle()
    assert kept == [[b"hi"]]
    assert bench.worker.close_ref(two.connection.ref)
    bench.settle()
    assert (two.closed, two.connection.groups) == (CloseReason.LOCAL, ())
    assert len(bench.worker.presence("room")) == 1


# References.


class Serving:
    """A plugin whose clients only receive."""

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        pass


UNKNOWN = f"{'0' * 16}-{'1' * 16}-1"


def test_a_reference_that_was_read_reaches_its_connection_until_the_end(plugin_bench: StartBench) -> None:
    bench = plugin_bench(Serving())
    one, two = bench.connect(), bench.connect()
    one.connection.framing = Lines()
    ref = one.connection.ref
    assert ref != two.connection.ref
    assert bench.worker.send_to_ref(ref, b"a")
    assert (one.received, two.received) == (b"a\n", b"")
    one.end()
    assert one.connection.ref == ref
    assert not bench.worker.send_to_ref(ref, b"b")
    assert not bench.worker.close_ref(ref)
    assert not bench.worker.send_to_ref(UNKNOWN, b"b")


def test_closing_by_reference_sends_what_is_queued(plugin_bench: StartBench) -> None:
    bench = plugin_bench(Serving())
    client = bench.connect(ends_too=False)
    ref = client.connection.ref
    client.pause()
    assert bench.worker.send_to_ref(ref, b"a")
    assert bench.worker.close_ref(ref)
    assert not bench.worker.close_ref(ref)
    assert not bench.worker.send_to_ref(ref, b"b")
    client.resume()
    assert (client.received, client.eof) == (b"a", True)


@pytest.mark.parametrize("method", ["send_to_ref", "close_ref"])
@pytest.mark.parametrize("ref", ["", "1", UNKNOWN + "\n", UNKNOWN.upper().replace("0", "A"), UNKNOWN[:-1] + "0", b"2"])
def test_a_malformed_reference_is_refused(plugin_bench: StartBench, method: str, ref: Any) -> None:
    bench = plugin_bench(Serving())
    error, text = (ValueError, "not a reference") if isinstance(ref, str) else (TypeError, "is a text, not bytes")
    with pytest.raises(error, match=text):
        getattr(bench.worker, method)(ref, *[b"data"] * (method == "send_to_ref"))


# What plugins pass.


@pytest.mark.parametrize(("method", "target"), [("publish", "topic"), ("send_to", "group"), ("send_to_ref", UNKNOWN)])
def test_a_message_that_is_too_large_is_refused(plugin_bench: StartBench, method: str, target: str) -> None:
    bench = plugin_bench(Serving())
    send = getattr(bench.worker, method)
    send(target, bytes(1 << 20))
    with pytest.raises(ValueError, match=rf"worker\.{method} got a message of 1048577 bytes, more than the setting"):
        send(target, bytes((1 << 20) + 1))
    with pytest.raises(TypeError, match=rf"worker\.{method} takes bytes-like data, not str: encode the text"):
        send(target, "text")


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", "a*", "*", "\ud800", "x" * 256, 7])
def test_a_malformed_name_is_refused(plugin_bench: StartBench, name: Any) -> None:
    worker = plugin_bench(Serving()).worker
    error = ValueError if isinstance(name, str) else TypeError
    for use in (
        worker.presence,
        worker.history,
        lambda name: worker.send_to(name, b""),
        lambda name: worker.publish(name, b""),
    ):
        with pytest.raises(error, match=r"the name of a (topic|group)"):
            use(name)


def test_only_a_connection_can_be_excluded(plugin_bench: StartBench) -> None:
    bench = plugin_bench(Serving())
    with pytest.raises(TypeError, match="send_to excludes a connection, not 'ann'"):
        bench.worker.send_to("room", b"", exclude=cast("Any", "ann"))


# The way to other workers.


class Recorder(NoPeers):
    """Notes what goes to other workers."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def publish(self, key: str, number: int, data: bytes) -> None:
        self.sent.append(key)

    def set_member(self, member: str, info: bytes | None) -> None:
        self.sent.append(member)


class World:
    """A worker, and the ways to other workers that its bus has made."""

    def __init__(self, **hooks: Callable[..., object]) -> None:
        self.outbound: list[Recorder] = []
        self._poller = FakePoller(FakeClock())
        self.reactor = Reactor(self._poller)
        plugin = types.ModuleType("made")
        hooks.setdefault("receive", lambda connection, data: None)
        vars(plugin).update({name: hookimpl(hook) for name, hook in hooks.items()})
        builder = WorkerBuilder(
            reactor=self.reactor,
            hook_failed=lambda *failure: pytest.fail(f"{failure}"),
            bus=BusSetup(new_outbound=self._connect),
        )
        self.parts = builder.build([LoadedService("a", [load_object(plugin, "made")])], Limits())
        self.worker = self.parts.facades.of("made")

    def _connect(self, inbound: Inbound, repeats: Repeats) -> Outbound:
        inbound.introduced()
        self.outbound.append(Recorder())
        return self.outbound[-1]

    def client(self) -> Connection:
        sock: Any = FakeSocket()
        self._poller.open(sock)
        return self.parts.services["a"].accept(sock, ("127.0.0.1", 5000)).connection


@pytest.mark.parametrize(
    "use",
    [
        lambda worker, client: worker.publish("topic", b""),
        lambda worker, client: worker.subscribe("topic", print),
        lambda worker, client: worker.send_to("group", b""),
        lambda worker, client: worker.send_to_ref(UNKNOWN, b""),
        lambda worker, client: worker.close_ref(UNKNOWN),
        lambda worker, client: worker.presence("group"),
        lambda worker, client: worker.keep_history("group"),
        lambda worker, client: client.join("group"),
        lambda worker, client: client.ref,
    ],
    ids=[
        "publish",
        "subscribe",
        "send_to",
        "send_to_ref",
        "close_ref",
        "presence",
        "keep_history",
        "join",
        "ref",
    ],
)
def test_the_first_use_connects_to_other_workers(use: Callable[[Worker, Connection], object]) -> None:
    world = World()
    client = world.client()
    # These do not concern other workers.
    world.worker.send_to("group", b"", local=True)
    client.leave("group")
    assert client.groups == ()
    world.reactor.turn(0)
    assert world.outbound == []
    use(world.worker, client)
    use(world.worker, client)
    assert len(world.outbound) == 1


@pytest.mark.parametrize("hook", ["joined", "left"])
def test_a_hook_for_members_elsewhere_connects_to_other_workers(hook: str) -> None:
    world = World(**{hook: lambda worker, group, member: None})
    world.reactor.turn(0)
    assert len(world.outbound) == 1


@pytest.mark.parametrize("used", [False, True])
def test_a_forked_child_sends_nothing(used: bool) -> None:
    world = World()
    client = world.client()
    if used:
        world.worker.publish("before", b"")
        client.join("group", b"info")
    world.parts.abandon(lambda: pytest.fail("ends"))
    world.worker.publish("after", b"")
    client.join("group", b"another info")
    assert [each.sent for each in world.outbound] == [["t:before", "group\0001"]] * used


def test_reading_a_reference_is_refused_in_another_thread(plugin_bench: StartBench) -> None:
    bench = plugin_bench(Serving())
    connection = bench.connect().connection
    errors: list[Exception] = []
    bench.worker.run_in_thread(lambda: connection.ref, on_error=errors.append)
    bench.settle()
    assert str(errors[0]).startswith("connection.ref was called in the thread")
