"""The check of another installation, in the process that executes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reactorhost.master.upgrade import document, preflight
from reactorhost.system.handover import Program


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
