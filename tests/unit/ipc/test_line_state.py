"""A line goes on in another program: what was half received, and what was not sent yet."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from reactorhost.ipc.jsonlines import JsonLine, Message
from reactorhost.ipc.line_state import LineState
from reactorhost.ipc.typed_json import from_json, to_json
from reactorhost.reactor import Reactor, new_poller
from reactorhost.system.fork import ForkRegistry
from turning import turn_until


class Receiver:
    def __init__(self) -> None:
        self.got: list[tuple[Message, list[bytes]]] = []
        self.closed = False

    def message_received(self, line: JsonLine, message: Message) -> None:
        read = []
        for descriptor in line.take_descriptors(message.get("count", 0)):
            with open(descriptor, "rb") as file:
                read.append(file.read())
        self.got.append((message, read))

    def line_closed(self, line: JsonLine) -> None:
        self.closed = True


def duplicated(state: LineState) -> LineState:
    """Return the state in another program, whose descriptors are open beside those of the first."""
    read = from_json(LineState, to_json(state))
    unsent = tuple(replace(each, descriptors=tuple(map(os.dup, each.descriptors))) for each in read.unsent)
    arrived = tuple(map(os.dup, read.arrived))
    return replace(read, descriptor=os.dup(read.descriptor), arrived=arrived, unsent=unsent)


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    made = Reactor(new_poller("epoll"))
    yield made
    made.close()


def continued(reactor: Reactor, line: JsonLine, receiver: Receiver) -> JsonLine:
    """End a line as the first program does, and return that of the next one."""
    state = duplicated(line.export())
    line.close()
    return JsonLine(reactor, socket.socket(fileno=state.descriptor), receiver, ForkRegistry(), state=state)


def text_file(text: bytes) -> int:
    descriptor = os.memfd_create("text")
    os.write(descriptor, text)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def test_a_line_that_was_half_received_is_completed_with_its_descriptors(reactor: Reactor) -> None:
    ours, theirs = socket.socketpair()
    received = Receiver()
    line = JsonLine(reactor, ours, received, ForkRegistry())
    descriptor = text_file(b"abc")
    socket.send_fds(theirs, [b'{"count": 1, "text": "\xc3'], [descriptor])
    os.close(descriptor)
    turn_until(reactor, lambda: line.export().arrived)
    assert list(line.export().descriptors()) == [ours.fileno(), *line.export().arrived]
    following = continued(reactor, line, received)
    theirs.sendall(b'\xa9"}\n{}\n')
    turn_until(reactor, lambda: len(received.got) == 2)
    assert received.got == [({"count": 1, "text": "é"}, [b"abc"]), ({}, [])]
    following.close()
    theirs.close()


def test_what_was_not_sent_is_sent_in_order_with_its_descriptors(reactor: Reactor) -> None:
    ours, theirs = socket.socketpair()
    received = Receiver()
    line = JsonLine(reactor, ours, Receiver(), ForkRegistry())
    large = "x" * 1_000_000
    line.send({"text": large})
    descriptor = text_file(b"abc")
    line.send({"count": 1}, [descriptor])
    os.close(descriptor)
    line.close_when_sent()
    state = line.export()
    assert state.closes_when_sent
    assert sum(len(part.data) for part in state.unsent) == line.queued > 0
    following = continued(reactor, line, Receiver())
    assert following.queued == sum(len(part.data) for part in state.unsent)
    peer = JsonLine(reactor, theirs, received, ForkRegistry())
    turn_until(reactor, lambda: received.closed)
    assert received.got == [({"text": large}, []), ({"count": 1}, [b"abc"])]
    assert following.closed
    peer.close()


def test_a_line_that_is_not_read_or_has_ended_stays_so(reactor: Reactor) -> None:
    ours, theirs = socket.socketpair()
    ended: list[JsonLine] = []
    line = JsonLine(reactor, ours, Receiver(), ForkRegistry(), on_end=ended.append)
    line.set_reading(False)
    state = line.export()
    assert not state.reading
    received = Receiver()
    following = continued(reactor, line, received)
    theirs.sendall(b"{}\n")
    for _ in range(3):
        reactor.turn(0)
    assert received.got == []
    following.set_reading(True)
    turn_until(reactor, lambda: received.got)
    following.close()
    theirs.close()
