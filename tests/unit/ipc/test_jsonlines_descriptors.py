"""Descriptors over a line, and a peer that ends its half."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from reactorhost.ipc.jsonlines import JsonLine, Message
from reactorhost.reactor import Reactor, new_poller
from reactorhost.system.fork import ForkRegistry
from turning import turn_until


@dataclass(eq=False)
class Receiving:
    """Takes as many descriptors as a message names, and notes the files that they are."""

    got: list[tuple[Message, list[int]]] = field(default_factory=list)
    closed: bool = False

    def message_received(self, line: JsonLine, message: Message) -> None:
        taken = line.take_descriptors(message.get("count", 0))
        self.got.append((message, [os.fstat(each).st_ino for each in taken]))
        for each in taken:
            os.close(each)

    def line_closed(self, line: JsonLine) -> None:
        self.closed = True


@dataclass
class Pair:
    reactor: Reactor
    sending: JsonLine
    receiving: JsonLine
    received: Receiving
    sockets: tuple[socket.socket, socket.socket]

    def turn_until(self, holds: Callable[[], object]) -> None:
        turn_until(self.reactor, holds)


@pytest.fixture
def pair() -> Iterator[Pair]:
    before = os.listdir("/proc/self/fd")
    reactor = Reactor(new_poller("epoll"))
    sockets = socket.socketpair()
    received = Receiving()
    lines = [JsonLine(reactor, sock, received, ForkRegistry()) for sock in sockets]
    yield Pair(reactor, lines[0], lines[1], received, sockets)
    for line in lines:
        line.close()
    reactor.close()
    assert os.listdir("/proc/self/fd") == before


@pytest.fixture
def files() -> Iterator[Callable[[int], list[int]]]:
    opened: list[int] = []

    def make(count: int) -> list[int]:
        made = [os.memfd_create("file") for _ in range(count)]
        opened.extend(made)
        return made

    yield make
    for each in opened:
        os.close(each)


def identities(descriptors: Sequence[int]) -> list[int]:
    return [os.fstat(each).st_ino for each in descriptors]


@pytest.mark.parametrize("count", [1, 64, 65, 300])
def test_any_number_of_descriptors_arrives_with_its_line(
    pair: Pair, files: Callable[[int], list[int]], count: int
) -> None:
    first, second = files(count), files(2)
    pair.sending.send({"count": 0})
    pair.sending.send({"count": count}, first)
    pair.sending.send({"count": 0})
    pair.sending.send({"count": 2}, second)
    pair.turn_until(lambda: len(pair.received.got) == 4)
    assert [taken for _, taken in pair.received.got] == [[], identities(first), [], identities(second)]


def test_descriptors_wait_with_their_line_until_the_peer_reads(pair: Pair, files: Callable[[int], list[int]]) -> None:
    sent = files(130)
    pair.receiving.set_reading(False)
    while not pair.sending.queued:
        pair.sending.send({"filling": "x" * 10_000})
    pair.sending.send({"count": 130}, sent)
    expected = identities(sent)
    for each in sent:
        os.dup2(0, each)
    pair.receiving.set_reading(True)
    pair.turn_until(lambda: pair.received.got and pair.received.got[-1][0].get("count"))
    assert pair.received.got[-1][1] == expected


def test_descriptors_that_a_receiver_leaves_do_not_go_to_the_next_line(
    pair: Pair, files: Callable[[int], list[int]]
) -> None:
    kept = files(1)
    pair.sending.send({"left": 2}, files(2))
    pair.sending.send({"count": 1}, kept)
    pair.turn_until(lambda: len(pair.received.got) == 2)
    assert pair.received.got[1][1] == identities(kept)


@pytest.mark.parametrize("number", [errno.ETOOMANYREFS, errno.EBADF], ids=["for now", "for ever"])
def test_a_line_that_cannot_be_sent_does_not_drop_the_others(
    pair: Pair, files: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real = socket.send_fds
    refused: list[int] = []

    def refuse_once(sock: socket.socket, buffers: Any, descriptors: list[int]) -> int:
        if not refused:
            refused.append(number)
            raise OSError(number, os.strerror(number))
        return real(sock, buffers, descriptors)

    monkeypatch.setattr(socket, "send_fds", refuse_once)
    sent = files(1)
    pair.sending.send({"count": 1}, sent)
    pair.sending.send({"last": True})
    pair.turn_until(lambda: len(pair.received.got) == 2)
    assert refused
    assert pair.received.got[0][1] == (identities(sent) if number == errno.ETOOMANYREFS else [])


def test_a_line_with_descriptors_is_sent_when_no_descriptor_is_free(
    pair: Pair, files: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    sent = files(1)
    monkeypatch.setattr(os, "dup", refuse)
    pair.sending.send({"count": 1}, sent)
    pair.receiving.set_reading(False)
    while not pair.sending.queued:
        pair.sending.send({"filling": "x" * 10_000})
    with pytest.raises(OSError, match="Too many open files"):
        pair.sending.send({"count": 1}, sent)
    pair.sending.send({"last": True})
    pair.receiving.set_reading(True)
    pair.turn_until(lambda: pair.received.got and pair.received.got[-1][0].get("last"))
    assert [taken for message, taken in pair.received.got if message.get("count")] == [identities(sent)]
