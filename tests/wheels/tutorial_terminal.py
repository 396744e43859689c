"""A shell in a terminal of its own, used as a person uses it: lines are typed, and the screen is read."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pexpect
import pyte

ROWS, COLUMNS = 200, 320
# It stands before the prompt, and sets the title of the window: it is not shown, and nothing else prints it.
_MARK = "\x1b]0;ready\x07"
_PROMPT = "$ "
_INTERVAL = 0.05


class TerminalTimeoutError(Exception):
    """The screen does not show what was waited for."""

    def __init__(self, shown: str) -> None:
        self.shown = shown


class Terminal:
    """A terminal with bash."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        variables = {**environment, "TERM": "xterm", "PS1": rf"\[{_MARK}\]{_PROMPT}", "VIRTUAL_ENV_DISABLE_PROMPT": "1"}
        self._shell: pexpect.spawn[str] = pexpect.spawn(
            "bash",
            ["--norc", "--noprofile", "--noediting"],
            cwd=str(folder),
            env=variables,
            dimensions=(ROWS, COLUMNS),
            encoding="utf-8",
            timeout=None,
        )
        self._received = ""
        self._prompts_before = 0
        self.wait(lambda _shown: True, prompt=True, seconds=60)

    def clear(self) -> None:
        """Forget what was shown; a prompt that waits for a command is kept."""
        self._received = _MARK + _PROMPT if self._is_at_prompt() else ""
        self._prompts_before = 0

    def type_line(self, line: str) -> None:
        """Type a line and Enter."""
        self._prompts_before = self._received.count(_MARK)
        self._shell.sendline(line)

    def type_control_c(self) -> None:
        """Type Ctrl-C."""
        self._prompts_before = self._received.count(_MARK)
        self._shell.sendintr()

    def wait(self, holds: Callable[[str], bool], *, prompt: bool, seconds: float) -> None:
        """Wait until the screen is as expected, and with `prompt` until the shell waits for the next command.

        Raises:
            TerminalTimeoutError: it was not within the time, or the prompt returned under a screen that is not.
        """
        deadline = time.monotonic() + seconds
        while not self._is_at_prompt() if prompt else not holds(self.shown()):
            if time.monotonic() > deadline:
                raise TerminalTimeoutError(self.shown())
            self._read()
        if not holds(self.shown()):
            raise TerminalTimeoutError(self.shown())

    def _read(self) -> None:
        try:
            self._received += self._shell.read_nonblocking(65536, _INTERVAL)
        except pexpect.TIMEOUT:
            return
        except pexpect.EOF:
            raise TerminalTimeoutError(self.shown()) from None

    def _is_at_prompt(self) -> bool:
        # The prompt at which the last line was typed does not count.
        return self._received.endswith(_MARK + _PROMPT) and self._received.count(_MARK) > self._prompts_before

    def shown(self) -> str:
        """Return the lines on the screen, without the prompt that waits for a command."""
        screen = pyte.Screen(COLUMNS, ROWS)
        pyte.Stream(screen).feed(self._received)
        text = "\n".join(line.rstrip() for line in screen.display).rstrip("\n")
        if self._is_at_prompt():
            text = text.removesuffix(_PROMPT.rstrip()).rstrip("\n")
        return f"{text}\n" if text else ""

    def folder(self) -> Path:
        """Return the working directory of the shell."""
        return Path(f"/proc/{self._shell.pid}/cwd").resolve()

    def end(self) -> None:
        """Hang up."""
        self._shell.close(force=True)
