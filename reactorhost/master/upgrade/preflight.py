"""The check of another installation before it is executed in the master, by a child process that executes it.

The child reads the state of the host from a file, and reports in the same file. What it prints to standard error is
kept: an interpreter that cannot import the host reports nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from reactorhost import __version__
from reactorhost.errors import BootError, ReactorhostError, error_from_fields
from reactorhost.ipc.typed_json import from_json, to_json
from reactorhost.master.upgrade import document
from reactorhost.master.upgrade.document import Document
from reactorhost.master.workers.exit_report import decode
from reactorhost.system.fork import ForkRegistry, fork
from reactorhost.system.handover import Handover, Program, Purpose

_MOST_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an installation reports that could continue the host."""

    version: str
    python: str
    warnings: tuple[str, ...] = ()


class Preflight:
    """A check that runs; `pid` is its process, which the caller reaps."""

    def __init__(self, program: Program, content: dict[str, Any], registry: ForkRegistry) -> None:
        """Start the check.

        Raises:
            OSError: the system has no room for it.
        """
        self._program = program
        self._late = False
        self._report = document.write(content)
        self._output = -1
        try:
            self._output = os.memfd_create("upgrade-output")
            self.pid = fork(partial(_execute, program, self._report, self._output), registry)
        except OSError:
            self.close()
            raise

    def end(self, *, late: bool = False) -> None:
        """Kill the process and its group, which were not reaped; `late`: because its time is up."""
        self._late = late
        # Before setsid() it is in no group of its own.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        os.kill(self.pid, signal.SIGKILL)

    def verdict(self, status: int) -> Verdict:
        """Return what the process has reported, which ended with this wait status.

        Raises:
            ReactorhostError: the installation cannot continue the host.
        """
        output = os.pread(self._output, _MOST_BYTES, 0).decode(errors="replace").strip()
        content = document.read(self._report)
        if "failed" in content:
            raise error_from_fields(content["failed"])
        if "report" in content:
            try:
                return from_json(Verdict, content["report"])
            except ValueError as error:
                what = f"version {__version__} cannot read the report of {self._program.interpreter}: {error}"
                raise BootError(what, hint="use `reactorhost restart` for this step") from None
        ended = "did not finish in time" if self._late else f"ended with {decode(status)}"
        last = output.splitlines()[-1].strip() if output else "it printed nothing"
        what = f"the check of {self._program.interpreter} {ended}: {last}"
        raise BootError(what, hint="the installation may be broken or too old", details=output or None)

    def close(self) -> None:
        """Close the files."""
        for descriptor in (self._report, self._output):
            if descriptor >= 0:
                os.close(descriptor)


def report(descriptor: int, examine: Callable[[Document], Iterable[str]]) -> None:
    """In the process of the check, write what `examine` returns, warnings, or the error that it raises."""
    try:
        warnings = tuple(examine(document.decode(document.read(descriptor))))
    except ReactorhostError as error:
        content: dict[str, Any] = {"failed": error.as_fields()}
    else:
        content = {"report": to_json(Verdict(__version__, platform.python_version(), warnings))}
    _write(descriptor, content)


def _write(descriptor: int, content: dict[str, Any]) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(content).encode(), 0)


def _execute(program: Program, report_descriptor: int, output: int) -> int:
    # A group of its own, which `Preflight.end` kills. The program unblocks the signals itself.
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for standard, descriptor in enumerate((null, null, output)):
        os.dup2(descriptor, standard)
    try:
        program.execute(Handover(Purpose.CHECK, report_descriptor))
    except OSError as error:
        _write(report_descriptor, {"failed": _not_executed(program, error).as_fields()})
    return 1


def _not_executed(program: Program, error: OSError) -> BootError:
    what = f"cannot execute the installation: {error.strerror}: {error.filename!r}"
    is_directory = error.filename == program.directory
    return BootError(what, hint="the host was started in this directory: create it again" if is_directory else None)
