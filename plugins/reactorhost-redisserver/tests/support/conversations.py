"""Conversations of several clients with a server: with Redis itself, and with the plugin on a bench."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import hiredis

from redis_server import DEADLINE_SECONDS, RedisServer

if TYPE_CHECKING:
    from reactorhost.testing import BenchClient, PluginBench

Step = tuple[int, Sequence[bytes]]
"""A client, and the words of the command that it sends."""
Conversation = Callable[[Sequence[Step]], list[bytes]]
"""What returns the bytes that each client of some steps gets."""

_INCOMPLETE = object()
FLUSH = (0, (b"FLUSHALL",))


def packed(words: Iterable[bytes]) -> bytes:
    """Return a command in RESP."""
    encoded = [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"*%d\r\n%b" % (len(encoded), b"".join(encoded))


def clients_of(steps: Sequence[Step]) -> range:
    """Return the numbers of the clients of some steps."""
    return range(max(client for client, _ in steps) + 1)


def with_redis(server: RedisServer) -> Conversation:
    """Return conversations with Redis. Each step waits for the first reply to its command."""

    def converse(steps: Sequence[Step]) -> list[bytes]:
        clients = [_RedisClient(server.port) for _ in clients_of(steps)]
        for number, words in (FLUSH, *steps):
            clients[number].send(words)
        return [client.quit() for client in clients]

    return converse


class _RedisClient:
    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS)
        self._received = bytearray()

    def send(self, words: Sequence[bytes]) -> None:
        # Messages may have arrived meanwhile. They come before the reply, so what is there is read first.
        self._socket.sendall(packed(words))
        reader = hiredis.Reader(notEnoughData=_INCOMPLETE, replyError=Exception)
        while reader.gets() is _INCOMPLETE:
            data = self._socket.recv(1 << 16)
            if not data:
                return
            self._received += data
            reader.feed(data)

    def quit(self) -> bytes:
        with self._socket:
            try:
                self._socket.sendall(packed([b"QUIT"]))
                while data := self._socket.recv(1 << 16):
                    self._received += data
            except ConnectionError:
                pass
        return bytes(self._received)


def with_bench(bench: PluginBench) -> Conversation:
    """Return conversations with the plugin on a bench."""

    def converse(steps: Sequence[Step]) -> list[bytes]:
        clients: list[BenchClient] = [bench.connect() for _ in clients_of(steps)]
        for number, words in (FLUSH, *steps):
            if clients[number].closed is None:
                clients[number].send(packed(words))
        for client in clients:
            if client.closed is None:
                client.send(packed([b"QUIT"]))
        return [client.received for client in clients]

    return converse


def split_replies(received: bytes) -> list[bytes]:
    """Return each of the encoded replies that follow one another."""
    ends = [0]
    while ends[-1] < len(received):
        ends.append(_end_of_reply(received, ends[-1]))
    return [received[start:end] for start, end in itertools.pairwise(ends)]


def _end_of_reply(received: bytes, at: int) -> int:
    kind, end = received[at : at + 1], received.index(b"\r\n", at) + 2
    if kind in b"+-:_,#":
        return end
    count = int(received[at + 1 : end])
    if kind == b"$":
        return end if count < 0 else end + count + 2
    for _ in range(2 * count if kind == b"%" else count):
        end = _end_of_reply(received, end)
    return end
