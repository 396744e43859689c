"""JSON lines over a unix socket: whole objects, attached descriptors, and one call at the end of the line."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from reactorhost.ipc.jsonlines import JsonLine, Message
from reactorhost.reactor import Reactor, new_poller
from reactorhost.system.fork import ForkRegistry


class FakeReceiver:
    """Remembers what the line has received."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.ends = 0

    def message_received(self, line: JsonLine, message: Message) -> None:
        self.messages.append(message)

    def line_closed(self, line: JsonLine) -> None:
        self.ends += 1


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    made = Reactor(new_poller("epoll"))
    yield made
    made.close()


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    for sock in (ours, theirs):
        with contextlib.suppress(OSError):
            sock.close()


def turns(reactor: Reactor, count: int = 20) -> None:
    for _ in range(count):
        reactor.turn(0)


def test_messages_in_any_segments_arrive_whole(reactor: Reactor, ends: tuple[socket.socket, socket.socket]) -> None:
    receiver = FakeReceiver()
    line = JsonLine(reactor, ends[0], receiver, ForkRegistry())
    for byte in b'{"a":1}\n{"b":"\\n"}\n{"c"':
        ends[1].send(bytes([byte]))
        reactor.turn(0)
    assert receiver.messages == [{"a": 1}, {"b": "\n"}]
    line.close()


def test_what_the_kernel_does_not_accept_is_queued_and_arrives(
    reactor: Reactor, ends: tuple[socket.socket, socket.socket]
) -> None:
    here, there = FakeReceiver(), FakeReceiver()
    ours, theirs = JsonLine(reactor, ends[0], here, ForkRegistry()), JsonLine(reactor, ends[1], there, ForkRegistry())
    sent = [{"number": number, "load": "x" * 1000} for number in range(2000)]
    for message in sent:
        ours.send(message)
    assert ours.queued > 0
    while len(there.messages) < len(sent):
        reactor.turn(0)
    assert there.messages == sent
    assert ours.queued == 0
    ours.close()
    theirs.close()


def test_descriptors_arrive_with_their_message_in_order_even_when_queued(
    reactor: Reactor, ends: tuple[socket.socket, socket.socket]
) -> None:
    class Taker(FakeReceiver):
        def message_received(self, line: JsonLine, message: Message) -> None:
            for descriptor in line.take_descriptors(message.get("count", 0)):
                with os.fdopen(descriptor) as file:
                    self.messages.append({"said": file.read()})

    taker = Taker()
    ours, theirs = (
        JsonLine(reactor, ends[0], FakeReceiver(), ForkRegistry()),
        JsonLine(reactor, ends[1], taker, ForkRegistry()),
    )
    for number in range(40):
        ours.send({"filler": "x" * 20_000})
        reader, writer = os.pipe()
        os.write(writer, str(number).encode())
        os.close(writer)
        ours.send({"count": 1}, [reader])
        os.close(reader)
    while len(taker.messages) < 40:
        reactor.turn(0)
    assert taker.messages == [{"said": str(number)} for number in range(40)]
    ours.close()
    theirs.close()


def test_untaken_descriptors_are_closed(reactor: Reactor, ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = (
        JsonLine(reactor, ends[0], FakeReceiver(), ForkRegistry()),
        JsonLine(reactor, ends[1], FakeReceiver(), ForkRegistry()),
    )
    reader, writer = os.pipe()
    ours.send({}, [writer])
    os.close(writer)
    turns(reactor)
    theirs.close()
    assert os.read(reader, 1) == b"", "the last copy of the writing end is gone"
    os.close(reader)
    ours.close()


@pytest.mark.parametrize("garbage", [b"no json\n", b"[1]\n", b"[" * 100_000 + b"\n", b"\xff\n", b"x" * (5 << 20)])
def test_a_line_that_is_not_an_object_ends_the_connection_once(
    reactor: Reactor, ends: tuple[socket.socket, socket.socket], garbage: bytes
) -> None:
    receiver = FakeReceiver()
    JsonLine(reactor, ends[0], receiver, ForkRegistry())
    ends[1].setblocking(False)
    while garbage and not receiver.ends:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            garbage = garbage[ends[1].send(garbage) :]
        reactor.turn(0)
    turns(reactor)
    assert receiver.ends == 1
    assert receiver.messages == []


def test_the_end_of_the_peer_is_handled_once_after_all_its_messages(
    reactor: Reactor, ends: tuple[socket.socket, socket.socket]
) -> None:
    receiver = FakeReceiver()
    line = JsonLine(reactor, ends[0], receiver, ForkRegistry())
    ends[1].send(b'{"last":1}\n')
    ends[1].close()
    line.read_rest()
    assert (receiver.messages, receiver.ends) == ([{"last": 1}], 1)
    line.send({"into": "the void"})
    line.close()
    assert receiver.ends == 1


def test_a_line_is_received_without_the_loop(reactor: Reactor, ends: tuple[socket.socket, socket.socket]) -> None:
    receiver = FakeReceiver()
    line = JsonLine(reactor, ends[0], receiver, ForkRegistry())
    assert not line.receive_within(0.0)
    ends[1].send(b'{"order": 1}\n')
    assert line.receive_within(60.0)
    assert receiver.messages == [{"order": 1}]
    ends[1].close()
    assert not line.receive_within(60.0)
    assert line.closed
    assert not line.receive_within(60.0)


def test_a_peer_that_does_not_read_is_disconnected(reactor: Reactor, ends: tuple[socket.socket, socket.socket]) -> None:
    receiver = FakeReceiver()
    line = JsonLine(reactor, ends[0], receiver, ForkRegistry(), most_queued=100_000)
    for _ in range(1000):
        line.send({"load": "x" * 1000})
    assert receiver.ends == 1
    assert line.closed


def test_a_receiver_may_close_the_line(reactor: Reactor, ends: tuple[socket.socket, socket.socket]) -> None:
    class Closer(FakeReceiver):
        def message_received(self, line: JsonLine, message: Message) -> None:
            super().message_received(line, message)
            line.close()

    receiver: Any = Closer()
    JsonLine(reactor, ends[0], receiver, ForkRegistry())
    ends[1].send(json.dumps({"a": 1}).encode() + b"\n" + b'{"b":2}\n')
    turns(reactor)
    assert receiver.messages == [{"a": 1}]
    assert receiver.ends == 0


def test_a_message_whose_descriptors_cannot_be_duplicated_is_not_sent(
    reactor: Reactor, ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    real_dup = os.dup
    made: list[int] = []

    def dup_once(descriptor: int) -> int:
        if made:
            raise OSError(errno.EMFILE, "Too many open files")
        made.append(real_dup(descriptor))
        return made[0]

    line = JsonLine(reactor, ends[0], FakeReceiver(), ForkRegistry())
    # More than the kernel accepts, so that what comes next has to wait.
    line.send({"full": "x" * 1_000_000})
    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, "dup", dup_once)
    with pytest.raises(OSError, match="Too many open files"):
        line.send({"order": "adopt"}, [ends[1].fileno(), ends[1].fileno()])
    monkeypatch.undo()
    assert os.listdir("/proc/self/fd") == before
    line.send({"order": "serve"})
    received = b""
    while line.queued:
        received += ends[1].recv(1_000_000)
        turns(reactor)
    received += ends[1].recv(1_000_000)
    assert [set(json.loads(each)) for each in received.splitlines()] == [{"full"}, {"order"}]
    assert received.endswith(b'{"order":"serve"}\n')
    line.close()
