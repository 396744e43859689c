"""A Redis server in memory, at the far ends of a bench: as much of it as the bus uses, byte for byte."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import hiredis

if TYPE_CHECKING:
    from reactorhost.testing import BenchClient, PluginBench

_INCOMPLETE = object()


@dataclass(eq=False)
class _Session:
    far_end: BenchClient
    reader: Any = field(default_factory=lambda: hiredis.Reader(notEnoughData=_INCOMPLETE))
    read: int = 0
    waiting: deque[list[bytes]] = field(default_factory=deque)
    channels: dict[bytes, None] = field(default_factory=dict)
    globs: dict[bytes, None] = field(default_factory=dict)
    closed: bool = False


class FakeRedis:
    """Answers on all connections of a bench.

    Attributes:
        commands: every command that arrived, in order, as words.
        errors: by the name of a command, the text of the error that it is answered with.
        answers: whether it answers at all, and how; a server that is stopped does not.
        held: names of commands that it does not handle yet, nor anything behind them on the connection.
        streams: the stored payloads by the name of the stream.
    """

    def __init__(self, bench: PluginBench) -> None:
        self.bench = bench
        self.commands: list[list[bytes]] = []
        self.errors: dict[str, str] = {}
        self.answers = True
        self.held: set[bytes] = set()
        self.streams: dict[bytes, list[tuple[bytes, bytes]]] = {}
        self._sessions: list[_Session] = []
        self._ids = itertools.count(1)

    def verbs(self, *names: str) -> list[list[bytes]]:
        """Return the commands with one of these names."""
        return [words for words in self.commands if words[0].decode() in names]

    def settle(self) -> None:
        """Answer until nothing is left to do now."""
        self.bench.settle()
        while self._serve():
            self.bench.settle()

    def advance(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass, and answer in small steps."""
        for _ in range(round(seconds / step)):
            self.bench.advance(step)
            self.settle()

    def cut(self) -> None:
        """Break every connection."""
        for session in self._open():
            session.closed = True
            session.far_end.reset()

    def say(self, reply: bytes) -> None:
        """Send bytes on every open connection."""
        for session in self._open():
            session.far_end.send(reply)

    def _open(self) -> list[_Session]:
        return [each for each in self._sessions if not each.closed and each.far_end.closed is None]

    def _serve(self) -> bool:
        for far_end in self.bench.outbound[len(self._sessions) :]:
            self._sessions.append(_Session(far_end))
        moved = False
        # What a client has sent before it closed arrives too.
        for session in [each for each in self._sessions if not each.closed] if self.answers else ():
            data = session.far_end.received[session.read :]
            session.read += len(data)
            session.reader.feed(data)
            while (words := session.reader.gets()) is not _INCOMPLETE:
                session.waiting.append(words)
            while session.waiting and session.waiting[0][0] not in self.held and not session.closed:
                words = session.waiting.popleft()
                self.commands.append(words)
                moved = True
                reply = b"".join(self._reply(session, words))
                if reply and session.far_end.closed is None:
                    session.far_end.send(reply)
        return moved

    def _reply(self, session: _Session, words: list[bytes]) -> Iterator[bytes]:
        verb = words[0].decode()
        if verb in self.errors:
            yield b"-%s\r\n" % self.errors[verb].encode()
        else:
            answer: Callable[..., Iterator[bytes]] = getattr(self, f"_{verb.lower()}")
            yield from answer(session, *words[1:])

    def _hello(self, session: _Session, *words: bytes) -> Iterator[bytes]:
        yield b"%2\r\n" + _bulk(b"server") + _bulk(b"redis") + _bulk(b"proto") + b":3\r\n"

    def _select(self, session: _Session, database: bytes) -> Iterator[bytes]:
        yield b"+OK\r\n"

    def _ping(self, session: _Session) -> Iterator[bytes]:
        yield b"+PONG\r\n"

    def _subscribe(self, session: _Session, *names: bytes) -> Iterator[bytes]:
        for name in names:
            session.channels[name] = None
            yield _push(b"subscribe", name, b":1\r\n")

    def _unsubscribe(self, session: _Session, *names: bytes) -> Iterator[bytes]:
        for name in names:
            session.channels.pop(name, None)
            yield _push(b"unsubscribe", name, b":1\r\n")

    def _psubscribe(self, session: _Session, *globs: bytes) -> Iterator[bytes]:
        for glob in globs:
            session.globs[glob] = None
            yield _push(b"psubscribe", glob, b":1\r\n")

    def _punsubscribe(self, session: _Session, *globs: bytes) -> Iterator[bytes]:
        for glob in globs:
            session.globs.pop(glob, None)
            yield _push(b"punsubscribe", glob, b":1\r\n")

    def _publish(self, session: _Session, channel: bytes, payload: bytes) -> Iterator[bytes]:
        for each in self._open():
            if channel in each.channels:
                each.far_end.send(_push(b"message", channel, _bulk(payload)))
            for glob in each.globs:
                if fnmatchcase(channel.decode(), _as_fnmatch(glob)):
                    each.far_end.send(_push(b"pmessage", glob, _bulk(channel) + _bulk(payload), 4))
        yield b":1\r\n"

    def _xadd(self, session: _Session, name: bytes, *words: bytes) -> Iterator[bytes]:
        most, payload = int(words[2]), words[5]
        entry = b"%d-0" % next(self._ids)
        self.streams[name] = [*self.streams.get(name, ()), (entry, payload)][-most:]
        yield _bulk(entry)

    def _pexpire(self, session: _Session, name: bytes, milliseconds: bytes) -> Iterator[bytes]:
        yield b":1\r\n"

    def _xrevrange(self, session: _Session, name: bytes, *words: bytes) -> Iterator[bytes]:
        found = self.streams.get(name, [])[::-1][: int(words[3])]
        yield b"*%d\r\n" % len(found)
        for entry, payload in found:
            yield b"*2\r\n" + _bulk(entry) + b"*2\r\n" + _bulk(b"d") + _bulk(payload)


def _bulk(data: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(data), data)


def _push(kind: bytes, name: bytes, rest: bytes, count: int = 3) -> bytes:
    return b">%d\r\n" % count + _bulk(kind) + _bulk(name) + rest


def _as_fnmatch(glob: bytes) -> str:
    """Return a pattern of Redis, whose special characters are escaped, as one of `fnmatch`."""
    text, pattern = iter(glob.decode()), ""
    for character in text:
        literal = next(text) if character == "\\" else character
        pattern += f"[{literal}]" if character == "\\" and literal in "*?[" else literal
    return pattern
