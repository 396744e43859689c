"""A host on its own pseudo-terminal, which a test types into and closes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import termios
import time
from pathlib import Path

from daemons import COMMAND
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

CTRL_C = b"\x03"


class TerminalHost(LiveHost):
    """A host with a controlling terminal; it logs to a file.

    Attributes:
        screen: everything printed so far.
    """

    def __init__(self, directory: Path, *arguments: str) -> None:
        super().__init__(directory, *arguments)
        self.screen = b""
        self._terminal: int | None = None

    def start(self) -> None:
        """Start the host and return when its workers are ready."""
        command = [*COMMAND, "start", "--run-dir", str(self.run_dir), "--log-file", str(self.log_path)]
        self._terminal, theirs = os.openpty()
        self._process = subprocess.Popen(
            [*command, "--listen", "tcp://127.0.0.1:0", *self._arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=take_terminal,  # noqa: PLW1509  no test has a thread
            env=self._environment,
        )
        os.close(theirs)
        self.wait_for_screen(b"  stop ")

    def type(self, keys: bytes) -> None:
        """Write to the terminal as a keyboard would."""
        assert self._terminal is not None
        os.write(self._terminal, keys)

    def wait_for_screen(self, text: bytes) -> None:
        """Wait until `text` was printed."""
        assert self._terminal is not None
        deadline = time.monotonic() + DEADLINE_SECONDS
        while text not in self.screen:
            if not select.select([self._terminal], (), (), max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError(f"{text!r} is not on the screen\n{self.screen!r}")
            self.screen += os.read(self._terminal, 65536)

    def hang_up(self) -> None:
        """Close the terminal."""
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None

    def end(self) -> None:
        """Kill the host if it still runs, and close the terminal."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(DEADLINE_SECONDS)
        self.hang_up()


def on_a_terminal(directory: Path, *arguments: str) -> contextlib.AbstractContextManager[TerminalHost]:
    """Run a host on its own terminal while the context lasts."""
    return TerminalHost(directory / "terminal", *arguments)


def take_terminal() -> None:
    """Make standard input the controlling terminal; for a new session."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
