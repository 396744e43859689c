"""The modes of the terminal."""

from __future__ import annotations

import errno
import os
import pty
import termios
from collections.abc import Iterator
from typing import Any

import pytest

from reactorhost.dashboard.terminal.terminal import Terminal


@pytest.fixture
def keyboard() -> Iterator[int]:
    master, slave = pty.openpty()
    yield slave
    os.close(master)
    os.close(slave)


def test_the_modes_are_set_again_after_an_interruption(keyboard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    set_modes = termios.tcsetattr
    failures = [termios.error(errno.EINTR, "Interrupted system call")]

    def interrupted_once(*arguments: Any) -> None:
        if failures:
            raise failures.pop()
        set_modes(*arguments)

    before = termios.tcgetattr(keyboard)
    monkeypatch.setattr(termios, "tcsetattr", interrupted_once)
    terminal = Terminal(keyboard, keyboard)
    terminal.enter()
    assert not failures
    assert not termios.tcgetattr(keyboard)[3] & termios.ICANON
    terminal.leave()
    assert termios.tcgetattr(keyboard) == before
