"""UDP sockets on a fake socket and a fake reactor: what is read, sent and dropped, and when the socket is closed."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from hypothesis import given, settings, strategies

from reactorhost.api.connection import Connection
from reactorhost.api.hookspecs import hookimpl
from reactorhost.framing import Lines
from reactorhost.plugins.loading import load_object
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakeDatagramSocket, FakePoller, turn
from reactorhost.worker.builder import WorkerBuilder
from reactorhost.worker.context import Limits
from reactorhost.worker.service import LoadedService
from reactorhost.worker.udp import socket as udp_socket
from reactorhost.worker.udp.socket import UdpSocket, UdpSocketState

PEER = ("192.0.2.7", 40000)


class Host:
    """A service with one plugin and one UDP socket."""

    def __init__(
        self,
        receive: Callable[[Connection, bytes], object],
        *,
        max_datagram: int = 65535,
        sock: FakeDatagramSocket | None = None,
        hook_cancel_ignored: Callable[[Connection], object] = id,
    ) -> None:
        self.clock = FakeClock()
        self.poller = FakePoller(self.clock)
        self.reactor = Reactor(self.poller, self.clock)
        self.failures: list[Exception] = []
        self.closed = 0
        self.socket = sock or FakeDatagramSocket()
        self.poller.open(self.socket)
        plugin = type("Plugin", (), {"receive": staticmethod(hookimpl(receive))})
        loaded = LoadedService("a", [load_object(plugin, "plugin")], Limits(max_datagram=max_datagram))
        parts = WorkerBuilder(
            reactor=self.reactor,
            hook_failed=lambda plugin, hook, connection, error: self.failures.append(error),
            hook_cancel_ignored=hook_cancel_ignored,
            # The test's own loop runs the hooks, and the test the reactor.
            new_bridge=lambda reactor: cast("Any", None),
        ).build([loaded], Limits())
        self.counters = parts.services["a"].context.counters
        self.udp_socket: UdpSocket = parts.services["a"].udp_socket(self.socket, self._note_closed)
        self.udp_socket.open()

    def _note_closed(self) -> None:
        self.closed += 1

    def arrive(self, *data: bytes) -> None:
        self.socket.incoming += [(each, PEER) for each in data]

    def settle(self) -> None:
        while turn(self.reactor, self.poller):
            pass


def echo(connection: Connection, data: bytes) -> None:
    connection.send(data)


# Receiving.


@settings(max_examples=30)
@given(strategies.lists(strategies.binary(max_size=50), max_size=150))
def test_every_datagram_is_passed_and_counted_on_its_own(sent: list[bytes]) -> None:
    seen: list[tuple[int, bytes]] = []
    host = Host(lambda connection, data: seen.append((connection.id, data)))
    host.arrive(*sent)
    host.settle()
    assert [data for _, data in seen] == sent
    assert len({number for number, _ in seen}) == len(sent)
    assert (host.counters.messages, host.counters.bytes_in) == (len(sent), sum(map(len, sent)))
    assert (host.counters.connections, host.counters.accepted) == (0, 0)


def test_a_turn_reads_at_most_one_batch() -> None:
    host = Host(echo)
    host.arrive(*[b"x"] * 100)
    host.reactor.turn(0)
    assert len(host.socket.answers) == 64
    host.settle()
    assert len(host.socket.answers) == 100


def test_too_long_datagrams_are_dropped_whole_and_logged_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    host = Host(echo, max_datagram=3)
    with caplog.at_level("WARNING", "reactorhost"):
        host.arrive(b"1234", b"123", b"12345")
        host.settle()
        assert [record.message.split()[0] for record in caplog.records] == ["datagram_too_long"]
        host.clock.now += 1.0
        host.arrive(b"123456")
        host.settle()
    assert host.socket.answers == [b"123"]
    assert host.counters.messages == 1
    assert len(caplog.records) == 2
    assert vars(caplog.records[1])["reactorhost_fields"]["dropped"] == 3


def test_an_exception_affects_no_other_datagram() -> None:
    def receive(connection: Connection, data: bytes) -> None:
        if data == b"bad":
            raise ValueError("bad")
        connection.send(data)

    host = Host(receive)
    host.arrive(b"a", b"bad", b"b")
    host.settle()
    assert host.socket.answers == [b"a", b"b"]
    assert [str(failure) for failure in host.failures] == ["bad"]


# Sending.


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENETUNREACH, errno.EPERM, errno.EINVAL])
def test_send_returns_false_when_the_kernel_does_not_accept_an_answer(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(data: bytes, address: object) -> int:
        raise OSError(number, "no")

    returned: list[bool] = []
    host = Host(lambda connection, data: returned.append(connection.send(data)))
    monkeypatch.setattr(host.socket, "sendto", refuse)
    host.arrive(b"?")
    host.settle()
    assert returned == [False]
    assert host.counters.bytes_out == 0


def test_bytes_like_answers_are_sent_and_anything_else_raises_type_error() -> None:
    def receive(connection: Connection, data: bytes) -> None:
        assert connection.send(bytearray(data))
        assert connection.send(memoryview(data)[::-1])
        assert connection.bytes_out == 2 * len(data)
        connection.send("text")  # type: ignore[arg-type]  # the wrong type is what is tested

    host = Host(receive)
    host.arrive(b"abc")
    host.settle()
    assert host.socket.answers == [b"abc", b"cba"]
    (failure,) = host.failures
    expected = "send takes bytes-like data, not str: encode the text, as in send(text.encode())"
    assert (type(failure), str(failure)) == (TypeError, expected)


def test_an_answer_larger_than_a_datagram_raises_value_error() -> None:
    host = Host(lambda connection, data: connection.send(bytes(65508)))
    host.arrive(b"?")
    host.settle()
    assert [str(failure) for failure in host.failures] == [
        "a datagram has room for 65507 bytes over IPv4, 65527 over IPv6, not for 65508"
    ]


class WildcardSocket(FakeDatagramSocket):
    """A socket that is bound to every address of a family and reports the destination of each datagram."""

    def __init__(self, family: int, control: list[tuple[int, int, bytes]]) -> None:
        super().__init__()
        self.family = family  # type: ignore[assignment]  # one of two
        self.sent: list[tuple[list[bytes], object, object]] = []
        self._control = control

    def getsockopt(self, level: int, option: int) -> int:
        return 1

    def recvmsg_into(
        self, buffers: list[bytearray], control_size: int, flags: int
    ) -> tuple[int, list[tuple[int, int, bytes]], int, Any]:
        size, address = self.recvfrom_into(buffers[0], 0, flags)
        return size, self._control, 0, address

    def sendmsg(self, data: list[bytes], control: list[tuple[int, int, bytes]], flags: int, address: Any) -> int:
        self.sent.append((data, control, address))
        return len(data[0])


IP_PKTINFO = 8
SIX = socket.inet_pton(socket.AF_INET6, "2001:db8::1")


@pytest.mark.parametrize(
    ("family", "control", "local", "back"),
    [
        (
            socket.AF_INET,
            (socket.IPPROTO_IP, IP_PKTINFO, b"\7\0\0\0" + bytes([10, 0, 0, 1]) + bytes([10, 0, 0, 255])),
            "10.0.0.255:9000",
            (socket.IPPROTO_IP, IP_PKTINFO, bytes(4) + bytes([10, 0, 0, 1]) + bytes(4)),
        ),
        (
            socket.AF_INET6,
            (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, SIX + b"\7\0\0\0"),
            "[2001:db8::1]:9000",
            (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, SIX + bytes(4)),
        ),
    ],
    ids=["a broadcast of IPv4", "IPv6"],
)
def test_an_answer_comes_from_the_local_address_that_the_datagram_was_sent_to(
    family: int, control: tuple[int, int, bytes], local: str, back: tuple[int, int, bytes]
) -> None:
    seen: list[str] = []
    sock = WildcardSocket(family, [control])

    def receive(connection: Connection, data: bytes) -> None:
        seen.append(str(connection.local))
        connection.send(data)

    host = Host(receive, sock=sock)
    host.arrive(b"?")
    host.settle()
    assert seen == [local]
    assert sock.sent == [([b"?"], [back], PEER)]


def test_an_answer_to_a_multicast_comes_from_the_address_of_the_route() -> None:
    group = socket.inet_pton(socket.AF_INET6, "ff02::1")
    sock = WildcardSocket(socket.AF_INET6, [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, group + b"\7\0\0\0")])
    host = Host(echo, sock=sock)
    host.arrive(b"?")
    host.settle()
    assert sock.answers == [b"?"]


def test_requests_for_streams_do_nothing() -> None:
    def receive(connection: Connection, data: bytes) -> None:
        for act in (connection.close, connection.abort, connection.send_eof, connection.pause, connection.resume):
            act()
        connection.idle_timeout = 1.0
        assert [connection.idle_timeout, connection.framing, connection.tls] == [None] * 3
        assert connection.queued == 0
        connection.framing = None
        with pytest.raises(TypeError, match="a datagram is a message already"):
            connection.framing = Lines()
        with pytest.raises(TypeError, match="no framing"):
            connection.send_message(data)
        connection.send(data)

    host = Host(receive)
    host.arrive(b"?")
    host.settle()
    assert host.failures == []
    assert host.socket.answers == [b"?"]


# Ending.


def test_a_released_socket_that_owes_nothing_is_closed_without_reading() -> None:
    host = Host(echo)
    host.arrive(b"?")
    host.udp_socket.release()
    assert host.closed == 1
    host.settle()
    assert host.socket.answers == []


def test_a_released_socket_is_closed_when_the_last_timer_has_run() -> None:
    def receive(connection: Connection, data: bytes) -> None:
        connection.call_later(1.0, first, connection, data)

    def first(connection: Connection, data: bytes) -> None:
        connection.send(data)
        connection.call_later(1.0, connection.send, data + b" again")

    host = Host(receive)
    host.arrive(b"?")
    host.settle()
    host.udp_socket.release()
    for closed in (0, 1):
        assert host.closed == 0
        host.clock.now += 1.0
        host.settle()
        assert host.closed == closed
    assert host.socket.answers == [b"?", b"? again"]


def test_a_released_socket_does_not_wait_for_a_cancelled_timer() -> None:
    timers: list[Any] = []
    host = Host(lambda connection, data: timers.append(connection.call_later(1.0, connection.send, data)))
    host.arrive(b"?")
    host.settle()
    host.udp_socket.release()
    timers[0].cancel()
    host.settle()
    assert host.closed == 1


def test_an_abandoned_socket_cancels_its_timers_and_accepts_no_others() -> None:
    kept: list[Connection] = []

    def receive(connection: Connection, data: bytes) -> None:
        kept.append(connection)
        connection.call_later(1.0, connection.send, data)

    host = Host(receive)
    host.arrive(b"?")
    host.settle()
    host.udp_socket.abandon()
    assert host.closed == 1
    kept[0].call_later(1.0, kept[0].send, b"late")
    host.clock.now += 2.0
    host.settle()
    assert host.socket.answers == []


@pytest.mark.parametrize("queued", [0, 1, 200])
def test_emptying_the_queue_reads_what_is_queued_and_closes(queued: int) -> None:
    host = Host(echo)
    host.arrive(*[b"x"] * queued)
    host.udp_socket.empty_queue()
    host.settle()
    assert len(host.socket.answers) == queued
    assert host.closed == 1
    assert host.udp_socket._state is UdpSocketState.CLOSED


# Async hooks.


def on_a_loop(test: Callable[[], Any]) -> None:
    async def run() -> None:
        await test()

    asyncio.run(run())


async def ready(*answers: asyncio.Future[None]) -> None:
    """Resume some hooks, and let the loop run every ready task."""
    for answer in answers:
        answer.set_result(None)
    for _ in range(5):
        await asyncio.sleep(0)


def held_host(held: dict[bytes, asyncio.Future[None]], unfinished: Sequence[Connection] = ()) -> Host:
    async def receive(connection: Connection, data: bytes) -> None:
        held[data] = asyncio.get_running_loop().create_future()
        await held[data]
        connection.send(data)

    return Host(receive, hook_cancel_ignored=list(unfinished).append)


def test_async_hooks_of_many_datagrams_run_concurrently_and_are_forgotten_when_they_finish() -> None:
    async def test() -> None:
        held: dict[bytes, asyncio.Future[None]] = {}
        host = held_host(held)
        host.arrive(b"a", b"b")
        host.settle()
        await ready()
        assert host.socket.answers == []
        await ready(held[b"b"])
        assert host.socket.answers == [b"b"]
        host.udp_socket.release()
        assert host.closed == 0
        await ready(held[b"a"])
        assert host.socket.answers == [b"b", b"a"]
        assert host.closed == 1

    on_a_loop(test)


def test_a_socket_with_too_many_running_hooks_is_not_read_until_few_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp_socket, "_MOST_UNFINISHED", 3)
    monkeypatch.setattr(udp_socket, "_FEW_UNFINISHED", 1)

    async def test() -> None:
        held: dict[bytes, asyncio.Future[None]] = {}
        host = held_host(held)
        host.arrive(b"a", b"b", b"c", b"d")
        host.settle()
        await ready()
        assert sorted(held) == [b"a", b"b", b"c"]
        await ready(held[b"a"])
        host.settle()
        await ready()
        assert b"d" not in held
        await ready(held[b"b"])
        host.settle()
        await ready()
        await ready(held[b"c"], held[b"d"])
        assert sorted(host.socket.answers) == [b"a", b"b", b"c", b"d"]

    on_a_loop(test)


def test_hooks_of_an_abandoned_socket_are_cancelled_and_waited_for() -> None:
    async def test() -> None:
        held: dict[bytes, asyncio.Future[None]] = {}
        host = held_host(held)
        host.arrive(b"a")
        host.settle()
        await ready()
        host.udp_socket.abandon()
        host.udp_socket.abandon()
        assert host.closed == 0
        # The hook queue cancels from a timer of the loop.
        await ready()
        assert host.closed == 1
        assert held[b"a"].cancelled()
        assert host.socket.answers == []
        assert host.failures == []

    on_a_loop(test)


def test_a_released_socket_is_closed_when_the_last_async_timer_has_ended() -> None:
    async def test() -> None:
        held: list[asyncio.Future[None]] = []

        async def later(connection: Connection) -> None:
            held.append(asyncio.get_running_loop().create_future())
            await held[0]
            connection.send(b"late")

        host = Host(lambda connection, data: connection.call_later(1.0, later, connection))
        host.arrive(b"a")
        host.settle()
        host.udp_socket.release()
        host.clock.now += 1.0
        host.settle()
        await ready()
        assert host.closed == 0
        await ready(*held)
        host.settle()
        assert host.socket.answers == [b"late"]
        assert host.closed == 1

    on_a_loop(test)


def test_a_released_socket_is_closed_when_the_last_task_has_ended() -> None:
    async def test() -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def work(connection: Connection, data: bytes) -> None:
            await answer
            connection.send(data)

        host = Host(lambda connection, data: connection.create_task(work(connection, data)))
        host.arrive(b"?")
        host.settle()
        host.udp_socket.release()
        await asyncio.sleep(0)
        host.settle()
        assert host.closed == 0
        await ready(answer)
        host.settle()
        assert (host.closed, host.socket.answers) == (1, [b"?"])

    on_a_loop(test)


def test_an_abandoned_socket_cancels_its_tasks_and_starts_no_others() -> None:
    async def test() -> None:
        kept: list[Connection] = []
        tasks: list[asyncio.Task[Any]] = []

        async def work(connection: Connection) -> None:
            connection.send(b"begun")
            await asyncio.get_running_loop().create_future()

        def receive(connection: Connection, data: bytes) -> None:
            kept.append(connection)
            tasks.append(connection.create_task(work(connection)))

        host = Host(receive)
        host.arrive(b"?")
        host.settle()
        await asyncio.sleep(0)
        host.udp_socket.abandon()
        assert host.closed == 1
        tasks.append(kept[0].create_task(work(kept[0])))
        await asyncio.wait(tasks)
        assert [task.cancelled() for task in tasks] == [True, True]
        assert host.socket.answers == [b"begun"]

    on_a_loop(test)


def test_an_exception_of_a_task_is_reported() -> None:
    async def test() -> None:
        async def fail() -> None:
            raise ValueError("spoiled")

        host = Host(lambda connection, data: connection.create_task(fail()))
        host.arrive(b"?")
        host.settle()
        await ready()
        assert [str(error) for error in host.failures] == ["spoiled"]

    on_a_loop(test)
