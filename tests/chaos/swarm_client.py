"""One client of the swarm, and the courses that clients take once they are connected."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import random
import socket
import ssl
import struct
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

_RESET = struct.pack("ii", 1, 0)
_READ_LIMIT = 1 << 20


class Target(NamedTuple):
    """Where clients connect to: `place` is host and port, or the path of a unix socket."""

    name: str
    place: list[Any] | str
    tls: bool


class Surroundings(Protocol):
    """What the clients of a swarm share.

    Attributes:
        patience: the seconds within which a client must have ended.
        context: for clients of TLS.
        counts: the clients that ended well, by target and kind.
        failed: the number of the others.
        pausing: set when clients that only wait are to end.
    """

    patience: float
    context: ssl.SSLContext
    counts: Counter[str]
    failed: int
    pausing: asyncio.Event


class WrongAnswerError(Exception):
    """The host sent something else than the echo."""


class Client:
    """One connection: its streams, and what is known of it if it fails."""

    def __init__(self, swarm: Surroundings, target: Target, kind: str) -> None:
        self.swarm = swarm
        self._target = target
        self._kind = kind
        self._begun = time.monotonic()
        self._lines = 0
        self._step = "connecting"
        self._port: int | None = None
        self._pid: int | None = None
        self.draining = False
        self.sent = 0
        self.answered = 0

    async def run(self, course: Course) -> None:
        """Connect, take the course of this kind of client, and report a failure."""
        try:
            async with asyncio.timeout(self.swarm.patience):
                await self._connected(course)
        except TimeoutError:
            self._fail("hang")
        except WrongAnswerError as error:
            self._fail(f"wrong {error}")
        except asyncio.IncompleteReadError:
            self._fail("eof")
        except ssl.SSLError as error:
            self._fail(f"tls {error.reason}")
        except OSError as error:
            self._fail(errno.errorcode.get(error.errno or 0, type(error).__name__))
        else:
            self.swarm.counts[f"{self._target.name} {self._kind}"] += 1

    async def _connected(self, course: Course) -> None:
        place = self._target.place
        family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            await asyncio.get_running_loop().sock_connect(sock, place if isinstance(place, str) else tuple(place))
            self._step = "greeting"
            if not isinstance(place, str):
                self._port = sock.getsockname()[1]
            context, name = (self.swarm.context, "localhost") if self._target.tls else (None, None)
            reader, writer = await asyncio.open_connection(
                sock=sock, limit=_READ_LIMIT, ssl=context, server_hostname=name
            )
        except BaseException:
            sock.close()
            raise
        try:
            self._pid = int((await reader.readuntil(b"\n")).removeprefix(b"pid "))
            self._step = "open"
            await course(self, reader, writer)
            self._step = "closing"
        finally:
            writer.close()
            # What is left after the course is no concern of this client: a worker may be killed now.
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def line(self, size: int) -> bytes:
        """Return the next line to send, which no other one equals."""
        self.sent += 1
        return b"%d.%d %s\n" % (id(self), self.sent, b"x" * size)

    async def expect(self, reader: asyncio.StreamReader, line: bytes) -> None:
        """Read the echo of a line; a line `drain` may precede it.

        Raises:
            WrongAnswerError: it is another line.
        """
        answer = await reader.readuntil(b"\n")
        if answer == b"drain\n":
            self.draining = True
            answer = await reader.readuntil(b"\n")
        if answer != line:
            raise WrongAnswerError(f"{answer[:60]!r} for {line[:60]!r}")
        self.answered += 1

    async def expect_end(self, reader: asyncio.StreamReader) -> None:
        """Read the end of the stream; a line `drain` may precede it.

        Raises:
            WrongAnswerError: there is more.
        """
        rest = await reader.read()
        if rest.removeprefix(b"drain\n"):
            raise WrongAnswerError(f"{rest[:60]!r} before the end")

    def _fail(self, error: str) -> None:
        if self._kind == "aborter" and self._step == "closing":
            return
        self.swarm.failed += 1
        report = {
            "target": self._target.name,
            "kind": self._kind,
            "step": self._step,
            "error": error,
            "begun": self._begun,
            "ended": time.monotonic(),
            "port": self._port,
            "pid": self._pid,
            "sent": self.sent,
            "answered": self.answered,
        }
        write({"failure": report})


Course = Callable[[Client, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


# The courses. Random numbers are taken from the module, since their order among tasks has no meaning for a replay.


async def _short(client: Client, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    line = client.line(20)
    writer.write(line)
    await client.expect(reader, line)


async def _chatty(client: Client, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for _ in range(random.randint(2, 60)):
        if client.draining:
            return
        line = client.line(random.randint(0, 3000))
        writer.write(line)
        await client.expect(reader, line)
        await asyncio.sleep(random.random() * 0.05)


async def _pipelined(client: Client, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    lines = [client.line(random.randint(0, 500)) for _ in range(random.randint(2, 100))]
    writer.writelines(lines)
    for line in lines:
        await client.expect(reader, line)


async def _half_closing(client: Client, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    lines = [client.line(random.randint(0, 500)) for _ in range(random.randint(1, 50))]
    writer.writelines(lines)
    if writer.can_write_eof():
        writer.write_eof()
    for line in lines:
        await client.expect(reader, line)
    if writer.can_write_eof():
        await client.expect_end(reader)


async def _slow_reader(client: Client, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    lines = [client.line(30_000) for _ in range(random.randint(5, 20))]
    writer.writelines(lines)
    for line in lines:
        await client.expect(reader, line)
        await asyncio.sleep(random.random() * 0.1)


async def _idle(client: Client, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    line = client.line(10)
    writer.write(line)
    await client.expect(reader, line)
    if client.draining:
        return
    reading = asyncio.ensure_future(reader.readuntil(b"\n"))
    pausing = asyncio.ensure_future(client.swarm.pausing.wait())
    await asyncio.wait((reading, pausing), timeout=random.random() * 8, return_when=asyncio.FIRST_COMPLETED)
    pausing.cancel()
    if reading.done():
        if (answer := reading.result()) != b"drain\n":
            raise WrongAnswerError(f"{answer[:60]!r} for nothing")
        return
    line = client.line(10)
    writer.write(line)
    answer = await reading
    if answer == b"drain\n":
        answer = await reader.readuntil(b"\n")
    if answer != line:
        raise WrongAnswerError(f"{answer[:60]!r} for {line[:60]!r}")


async def _aborter(client: Client, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.writelines([client.line(100) for _ in range(random.randint(0, 20))])
    await asyncio.sleep(random.random() * 0.02)
    sock = writer.get_extra_info("socket")
    if sock is None:
        raise ConnectionResetError(errno.ECONNRESET, "the transport has closed itself")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


COURSES: dict[str, Course] = {
    "short": _short,
    "chatty": _chatty,
    "pipelined": _pipelined,
    "half-closing": _half_closing,
    "slow reader": _slow_reader,
    "idle": _idle,
    "aborter": _aborter,
}


def write(report: dict[str, Any]) -> None:
    """Report a line to the process that started this one."""
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()
