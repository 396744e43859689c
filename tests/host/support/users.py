"""Commands as another user runs them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout

import reactorhost.cli.running
import reactorhost.cli.start
import reactorhost.cli.stop
import reactorhost.master.startup
from reactorhost.cli import main
from reactorhost.errors import ReactorhostError

NOBODY = 65534
# Another user may not be able to read the interpreter's files: what a command imports late has to be there before.
_IMPORTED = (reactorhost.cli.running, reactorhost.cli.start, reactorhost.cli.stop, reactorhost.master.startup)


def run_unprivileged(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `reactorhost ARGUMENTS` as a user without privileges: as nobody if we are root, else as ourselves."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _become_nobody_and_run(arguments, writer)
    os.close(writer)
    with os.fdopen(reader) as said:
        text = said.read()
    _, status = os.waitpid(child, 0)
    return subprocess.CompletedProcess(arguments, os.waitstatus_to_exitcode(status), text, text)


def told_to_nobody(act: Callable[[], object]) -> tuple[int, list[str]]:
    """Do something as nobody, for which we have to be root; returns exit status and lines of how it is refused."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        status = 0
        try:
            _become_nobody()
            act()
        except ReactorhostError as error:
            status = error.exit_status
            os.write(writer, "\n".join(error.lines()).encode())
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as said:
        lines = said.read().splitlines()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), lines


def _become_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def _become_nobody_and_run(arguments: tuple[str, ...], writer: int) -> None:
    status = 70
    try:
        if os.geteuid() == 0:
            _become_nobody()
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            try:
                main(list(arguments))
            except SystemExit as ended:
                status = int(ended.code or 0)
        os.write(writer, said.getvalue().encode())
    except BaseException:
        os.write(writer, traceback.format_exc().encode())
        raise
    finally:
        # Whatever happened, this process must not go on as a second pytest.
        sys.stdout.flush()
        os._exit(status)
