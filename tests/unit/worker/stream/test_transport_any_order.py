"""One connection through any sequence of what a client, a plugin and time can do to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies

from reactorhost import CloseReason, Connection, FileSend, Lines, hookimpl
from reactorhost.api.awaitable import TaskState
from reactorhost.reactor import READ, WRITE
from reactorhost.testing import BenchClient, PluginBench
from reactorhost.worker.stream import ending
from reactorhost.worker.stream.protocol import HANG_UP
from reactorhost.worker.stream.socket import HangUp

STEPS = (
    *("line", "line", "half a line", "fin", "reset", "broken send", "stop reading", "read again"),
    *(
        "send",
        "send much",
        "pause",
        "resume",
        "send_eof",
        "close",
        "abort",
        "wait",
        "file",
        "task",
        "full duplex",
        "throttle",
    ),
)
FILE_BYTES = 100_000


class Plain:
    """Notes what it receives and how the connection ends."""

    def __init__(self, framed: bool) -> None:
        self.framed = framed
        self.received = b""
        self.closed: list[CloseReason] = []
        self.is_throttled: Callable[[], bool] = lambda: False

    @hookimpl
    def framing(self) -> object:
        return Lines() if self.framed else None

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.note(data)
        connection.send(data)

    @hookimpl
    def close(self, reason: CloseReason) -> None:
        self.closed.append(reason)

    def note(self, data: bytes) -> None:
        assert not self.closed, "nothing is received after the end"
        assert not self.is_throttled()
        self.received += data + b"\n" * self.framed


class Keeping(Plain):
    """The same, and keeps a client that has ended its side."""

    ends = 0

    @hookimpl
    def eof(self) -> bool:
        assert not self.closed
        self.ends += 1
        return True


class Async(Plain):
    """The same, after a wait."""

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:  # type: ignore[override]  # as hooks may be
        await asyncio.sleep(0.1)
        self.note(data)
        connection.send(data)


class Run:
    """A connection, what its client has sent, and whether some of it may be lost by now."""

    def __init__(self, bench: PluginBench, plugin: Plain, path: Path) -> None:
        self.bench = bench
        self.path = path
        self.plugin = plugin
        self.client: BenchClient = bench.connect()
        self.sent = b""
        self.lossy = False
        self.gone = False
        self.paused = False
        self.files: list[FileSend] = []
        self.counts: list[int] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.throttled_until = 0.0
        if not isinstance(plugin, Async):
            # An async hook that runs already continues.
            plugin.is_throttled = lambda: bench.worker.now() < self.throttled_until

    def do(self, step: str) -> None:
        client, connection = self.client, self.client.connection
        if step in ("line", "half a line", "fin", "reset"):
            if client.closed is None and not client._socket.ended:
                self.say(step)
        elif step == "broken send":
            setattr(client._socket, "send", broken)  # noqa: B010  the type checker holds it for a method
            self.gone = True
        elif step in ("stop reading", "read again"):
            (client.pause if step == "stop reading" else client.resume)()
        elif step == "wait":
            self.bench.advance(3)
        elif step == "file":
            with self.path.open("rb") as file:
                self.files.append(connection.send_file(file, on_result=self.counts.append))
            self.bench.settle()
        elif step == "full duplex":
            connection.full_duplex = not connection.full_duplex
            self.bench.settle()
        elif step == "task":
            if isinstance(self.plugin, Async):
                task = self.bench._time.within(lambda: connection.create_task(answer_later(connection)))
                self.tasks.append(task)
        else:
            self.paused = step == "pause" or (self.paused and step != "resume")
            self.lossy |= step in ("close", "abort")
            self.throttled_until = self.bench.worker.now() + 2 if step == "throttle" else self.throttled_until
            data = {"send": (b"x",), "send much": (bytes(100_000),), "throttle": (2,)}.get(step, ())
            getattr(connection, step.split(maxsplit=1)[0])(*data)
            self.bench.settle()
        self.lossy |= self.gone and self.paused
        self.hang_up()
        assert len(self.plugin.closed) <= 1
        assert self.sent.startswith(self.plugin.received.rstrip(b"\n")), "in order, each byte once"

    def say(self, step: str) -> None:
        if step == "fin":
            self.client.end()
        elif step == "reset":
            self.gone = True
            # A hook that waits is cancelled.
            self.lossy |= isinstance(self.plugin, Async)
            self.client.reset()
        else:
            data = b"%d" % len(self.sent) + b"\n" * (step == "line")
            self.sent += data
            self.client.send(data)

    def hang_up(self) -> None:
        """Report what epoll reports of a connection that is reset while nothing is read."""
        transport = self.client._transport
        if self.gone and transport.interest & HANG_UP:
            transport.ready(READ | WRITE)
            self.bench.settle()

    def finish(self) -> None:
        self.do("resume")
        self.do("read again")
        self.do("fin")
        for _ in range(20):
            self.do("wait")
        if isinstance(self.plugin, Keeping):
            assert self.plugin.ends <= 1
            self.client.connection.close()
            for _ in range(5):
                self.do("wait")


async def answer_later(connection: Connection) -> None:
    await asyncio.sleep(5)
    connection.send(b"later")


def broken(data: bytes) -> int:
    raise BrokenPipeError


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "file"
    path.write_bytes(bytes(FILE_BYTES))
    return path


@pytest.mark.parametrize("kind", [Plain, Keeping, Async])
@pytest.mark.parametrize("framed", [True, False], ids=["lines", "bytes"])
@given(strategies.lists(strategies.sampled_from(STEPS), max_size=25))
@settings(deadline=None)
def test_any_sequence_ends_once_and_loses_nothing_of_an_open_connection(
    path: Path, kind: Any, framed: bool, steps: list[str]
) -> None:
    plugin = kind(framed)
    with pytest.MonkeyPatch.context() as patch, PluginBench(plugin, close_timeout=10) as bench:
        run = Run(bench, plugin, path)
        patch.setattr(ending, "hang_up", lambda *_: HangUp.BROKEN)
        for step in steps:
            run.do(step)
        run.finish()
        assert len(plugin.closed) == 1
        assert {file.state for file in run.files} <= {TaskState.DONE, TaskState.FAILED}
        assert run.counts == [FILE_BYTES for file in run.files if file.state is TaskState.DONE]
        assert all(task.done() for task in run.tasks)
        if not run.lossy and plugin.closed != [CloseReason.OVERFLOW]:
            expected = run.sent[: run.sent.rfind(b"\n") + 1] if framed else run.sent
            assert plugin.received == expected
