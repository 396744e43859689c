"""`reactorhost top` restores the terminal, however it ends."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kernel import is_stopped
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from screens import ENTER, KEY_LINE, LEAVE, ScreenProgram, reactorhost, top
from waiting import until

Hosts = Callable[..., LiveHost]


@pytest.mark.parametrize(
    ("keys", "number", "status"),
    [
        (b"q", None, 0),
        (b"\x03", None, 0),
        (None, signal.SIGTERM, -signal.SIGTERM),
        (None, signal.SIGHUP, -signal.SIGHUP),
        (None, signal.SIGINT, 0),
    ],
)
def test_the_terminal_is_restored_after_keys_and_signals(
    echo_host: LiveHost, keys: bytes | None, number: signal.Signals | None, status: int
) -> None:
    with top(echo_host) as screen:
        screen.until_text(KEY_LINE)
        assert not screen.is_restored()
        if keys is not None:
            screen.type(keys)
        if number is not None:
            screen.signal(number)
        assert screen.wait() == status
        assert screen.is_restored()


def test_the_terminal_is_restored_after_an_exception(echo_host: LiveHost) -> None:
    program = (
        "import sys\nfrom reactorhost.dashboard.live import live_view\nrender, calls = live_view.render, []\n"
        "def broken(*arguments):\n    calls.append(1)\n"
        "    if len(calls) > 2: raise ZeroDivisionError('cannot draw')\n    return render(*arguments)\n"
        "live_view.render = broken\nfrom reactorhost.cli import main\n"
        f"main(['top', '-d', '0.1', '--run-dir', {str(echo_host.run_dir)!r}])"
    )
    with ScreenProgram([sys.executable, "-c", program]) as screen:
        assert screen.wait() == 1
        assert screen.is_restored()
        assert screen.written.rfind(b"cannot draw") > screen.written.rfind(LEAVE)


# The kernel sends HUP, then CONT. A process that was stopped gets both at once.
@pytest.mark.parametrize("stopped", [False, True])
def test_top_ends_when_the_terminal_hangs_up(echo_host: LiveHost, stopped: bool) -> None:
    with top(echo_host) as screen:
        screen.until_text(KEY_LINE)
        if stopped:
            screen.process.send_signal(signal.SIGSTOP)
            until(lambda: is_stopped(screen.process.pid), "its stop")
        screen.hang_up()
        assert screen.process.wait(DEADLINE_SECONDS) in (0, -signal.SIGHUP)


@pytest.mark.parametrize("suspend", [b"\x1a", None])
def test_the_terminal_is_restored_while_top_is_suspended(
    echo_host: LiveHost, suspend: bytes | None, tmp_path: Path
) -> None:
    # The kernel ignores SIGTSTP in an orphaned process group, so the group needs a parent in another group of the same
    # session, as under a shell.
    arguments = reactorhost("top", "--run-dir", str(echo_host.run_dir))
    pid_file = tmp_path / "pid"
    program = (
        "import os, sys, signal\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os.setpgid(0, 0); signal.signal(signal.SIGTTOU, signal.SIG_IGN); os.tcsetpgrp(0, os.getpid())\n"
        "    signal.signal(signal.SIGTTOU, signal.SIG_DFL)\n"
        f"    os.execv(sys.executable, {arguments!r})\n"
        f"open({str(pid_file)!r}, 'w').write(f'{{pid}}\\n')\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    with ScreenProgram([sys.executable, "-c", program]) as screen:
        screen.until_text(KEY_LINE)
        until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"), "the process id")
        pid = int(pid_file.read_text())
        if suspend is None:
            os.kill(pid, signal.SIGTSTP)
        else:
            screen.type(suspend)
        until(lambda: is_stopped(pid), "the stop")
        screen.until_written(LEAVE)
        assert screen.is_restored()
        os.kill(pid, signal.SIGCONT)
        screen.until_written(ENTER, 2)
        screen.until_text(KEY_LINE)
        screen.type("q")
        assert screen.wait() == 0
        assert screen.is_restored()
