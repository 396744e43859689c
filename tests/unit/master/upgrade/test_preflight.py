"""The verdict about an installation, from what the process of the check has reported, printed, and how it has ended."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from reactorhost import __version__
from reactorhost.errors import BootError, ReactorhostError
from reactorhost.master.upgrade import document, preflight
from reactorhost.master.upgrade.document import Document
from reactorhost.master.upgrade.preflight import Preflight
from reactorhost.system.handover import Program

PROGRAM = Mock(interpreter="/other/bin/python")


class Check:
    """A check whose process the test is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fork(run: partial[int], registry: object) -> int:
            _, self.file, self.output = run.args
            return 77

        monkeypatch.setattr(preflight, "fork", fork)
        monkeypatch.setattr(os, "kill", Mock())
        monkeypatch.setattr(os, "killpg", Mock())
        self.preflight = Preflight(PROGRAM, {"schema": 1}, Mock())

    def report(self, examine: Callable[[Document], Any]) -> None:
        preflight.report(self.file, examine)

    def write(self, content: object) -> None:
        os.ftruncate(self.file, 0)
        os.pwrite(self.file, json.dumps(content).encode(), 0)

    def failure(self, status: int) -> ReactorhostError:
        with pytest.raises(ReactorhostError) as caught:
            self.preflight.verdict(status)
        return caught.value


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Iterator[Check]:
    monkeypatch.setattr(document, "decode", lambda content: Mock(**content))
    made = Check(monkeypatch)
    yield made
    made.preflight.close()


def test_an_installation_that_could_continue_reports_its_versions_and_warnings(check: Check) -> None:
    check.report(lambda document: ["it is old"])
    verdict = check.preflight.verdict(0)
    assert (verdict.version, verdict.warnings) == (__version__, ("it is old",))


def test_the_error_of_the_check_is_the_one_of_the_upgrade(check: Check) -> None:
    def examine(document: Document) -> Any:
        raise BootError("no such plugin", where="plugins", hint="install it")

    check.report(examine)
    error = check.failure(0)
    assert (type(error), error.what, error.where, error.hint) == (BootError, "no such plugin", "plugins", "install it")


@pytest.mark.parametrize(
    ("status", "late", "printed", "what"),
    [
        (256, False, b"Traceback\nImportError: no json\n", "ended with exit status 1: ImportError: no json"),
        (signal.SIGSEGV, False, b"", "ended with signal 11 (SIGSEGV): it printed nothing"),
        (signal.SIGKILL, True, b"", "did not finish in time: it printed nothing"),
    ],
)
def test_without_a_report_its_end_and_its_last_line_are_shown(
    check: Check, status: int, late: bool, printed: bytes, what: str
) -> None:
    if late:
        check.preflight.end(late=True)
    os.write(check.output, printed)
    error = check.failure(status)
    assert error.what == f"the check of /other/bin/python {what}"
    assert error.details == (printed.decode().strip() or None)


def test_a_report_of_another_form_is_refused(check: Check) -> None:
    check.write({"report": ["9", "3.99"]})
    what = f"version {__version__} cannot read the report of /other/bin/python: "
    assert check.failure(0).what.startswith(what)


@pytest.mark.parametrize(
    ("interpreter", "directory", "hint"),
    [
        ("/no/such/python", "/", None),
        ("/bin/true", "/no/such/directory", "the host was started in this directory: create it again"),
    ],
)
def test_a_program_that_cannot_be_executed_is_reported_with_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, interpreter: str, directory: str, hint: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "setsid", lambda: None)
    monkeypatch.setattr(os, "dup2", lambda source, target: target)
    monkeypatch.setattr(os, "open", lambda path, flags: -1)
    report = document.write({})
    try:
        assert preflight._execute(Program(interpreter, ("start",), directory, {}), report, report) == 1
        failed = document.read(report)["failed"]
    finally:
        os.close(report)
    missing = interpreter if hint is None else directory
    assert failed["what"] == f"cannot execute the installation: No such file or directory: {missing!r}"
    assert failed["hint"] == hint
