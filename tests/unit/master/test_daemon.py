"""The pipe between a daemon that starts and the command that started it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from reactorhost.config.default_paths import Selection
from reactorhost.errors import BootError, StoppedEarlyError
from reactorhost.ipc.messages import Message
from reactorhost.master import daemon
from reactorhost.master.daemon import _PipeToStarter, _Start

HOST = Selection("host 'chat'", " --name chat")


class FakeDisplay:
    """Records what is shown, and raises a KeyboardInterrupt in the waits of these numbers."""

    def __init__(self, *interrupted: int) -> None:
        self.shown: list[tuple[str, float | None]] = []
        self.waits = 0
        self.interrupted = interrupted

    def show(
        self, text: str, done: float | None = None, total: float | None = None, step_seconds: float | None = None
    ) -> None:
        self.shown.append((text, step_seconds))

    def wait(self, readers: Sequence[Any]) -> Sequence[Any]:
        self.waits += 1
        if self.waits in self.interrupted:
            raise KeyboardInterrupt
        return readers


@pytest.fixture
def pipe() -> Iterator[tuple[int, _PipeToStarter]]:
    """Return the end of the command, and what the daemon writes with."""
    reader, writer = os.pipe()
    starter = _PipeToStarter(writer)
    yield reader, starter
    os.close(reader)
    starter._pipe.close()


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Record signals in place of sending them; no process has ended."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    monkeypatch.setattr(daemon, "_await_end", lambda pid: None)
    return sent


def test_the_command_shows_the_progress_until_the_host_is_ready(pipe: tuple[int, _PipeToStarter]) -> None:
    reader, starter = pipe
    display = FakeDisplay()
    starter.send({"pid": 7})
    starter.show("0 of 2 workers ready; worker 0: importing chat", 0, 2, 1.5)
    starter.refresh()
    document: Any = {"pid": 7, "text": "x" * 20_000}
    starter.started(document)
    assert _Start(reader, HOST, Path("/srv/log"), display).wait() == document
    assert display.shown == [("0 of 2 workers ready; worker 0: importing chat", 1.5)]


def test_a_command_that_does_not_read_does_not_block_the_daemon(pipe: tuple[int, _PipeToStarter]) -> None:
    reader, starter = pipe
    for number in range(2000):
        starter.show(f"{number} of 2000 workers ready; " + "x" * 100)
    assert os.get_blocking(starter._pipe.fileno())
    lines = os.read(reader, 1 << 20).splitlines()
    assert 100 < len(lines) < 2000
    texts = [json.loads(line)["progress"] for line in lines]
    assert [text.split()[0] for text in texts] == [str(number) for number in range(len(lines))]


def test_the_first_interrupt_stops_the_daemon_and_waits_for_its_end(
    pipe: tuple[int, _PipeToStarter], killed: list[tuple[int, int]]
) -> None:
    reader, starter = pipe
    display = FakeDisplay(2)
    starter.send({"pid": 7})
    start = _Start(reader, HOST, Path("/srv/log"), display)
    start._receive()
    starter.show("0 of 2 workers ready")
    starter.failed(BootError("the worker was ended"))
    with pytest.raises(StoppedEarlyError, match="interrupted before the host was ready; it has ended"):
        start.wait()
    assert killed == [(7, signal.SIGTERM)]
    assert display.shown == [("interrupted, waiting for the end of pid 7", 0.0)]


@pytest.mark.parametrize(
    ("interrupted", "message", "signals"),
    [
        ((2, 3), None, [signal.SIGTERM, signal.SIGQUIT]),
        # It was ready in the moment in which it was sent TERM.
        ((2,), {"started": {}}, [signal.SIGTERM]),
    ],
)
def test_a_host_that_still_runs_after_an_interrupt_is_named_with_the_command_that_waits_for_it(
    pipe: tuple[int, _PipeToStarter],
    killed: list[tuple[int, int]],
    interrupted: tuple[int, ...],
    message: Message | None,
    signals: list[int],
) -> None:
    reader, starter = pipe
    starter.send({"pid": 7})
    start = _Start(reader, HOST, Path("/srv/log"), FakeDisplay(*interrupted))
    start._receive()
    if message is not None:
        starter.send(message)
    with pytest.raises(StoppedEarlyError) as ended:
        start.wait()
    assert ended.value.lines() == [
        "interrupted: host 'chat' (pid 7) is being stopped",
        "  hint: wait for it with `reactorhost stop --name chat`",
    ]
    assert killed == [(7, number) for number in signals]
