"""Run commands as another user."""

from __future__ import annotations

import functools
import io
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec

import reactorhost.cli.commands.ls
import reactorhost.cli.commands.restart
import reactorhost.cli.commands.running
import reactorhost.master.host_survey
import reactorhost.master.startup
from reactorhost.cli import main
from reactorhost.errors import ReactorhostError

NOBODY = 65534
# Another user may have no permission to read the interpreter's files: import beforehand what commands import late.
_IMPORTED = (
    reactorhost.cli.commands.ls,
    reactorhost.cli.commands.restart,
    reactorhost.cli.commands.running,
    reactorhost.master.host_survey,
    reactorhost.master.startup,
)


@functools.cache
def workers_can_be_nobody() -> bool:
    """Return whether workers can run as user nobody: this process is root, and nobody can read the plugin echo."""
    plugin = find_spec("reactorhost_echo")
    if os.geteuid() != 0 or plugin is None or plugin.origin is None:
        return False
    return subprocess.run(["test", "-r", plugin.origin], check=False, user="nobody").returncode == 0


@contextmanager
def another_user() -> Iterator[None]:
    """Act as user nobody in this process, which needs root."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def run_unprivileged(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `reactorhost ARGUMENTS` without privileges: as user nobody if this process is root, else unchanged."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _become_nobody_and_run(arguments, writer)
    os.close(writer)
    with os.fdopen(reader) as output:
        text = output.read()
    _, status = os.waitpid(child, 0)
    return subprocess.CompletedProcess(arguments, os.waitstatus_to_exitcode(status), text, text)


def run_as_nobody(act: Callable[[], object]) -> tuple[int, list[str]]:
    """Call `act` as user nobody, which needs root; return exit status and the lines of the error."""
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
    with os.fdopen(reader) as output:
        lines = output.read().splitlines()
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
        output = io.StringIO()
        with redirect_stdout(output), redirect_stderr(output):
            try:
                main(list(arguments))
            except SystemExit as ended:
                status = int(ended.code or 0)
        os.write(writer, output.getvalue().encode())
    except BaseException:
        os.write(writer, traceback.format_exc().encode())
        raise
    finally:
        # In any case this process must not continue as a second pytest.
        sys.stdout.flush()
        os._exit(status)
