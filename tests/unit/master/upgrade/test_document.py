"""The return to the program of before, by a program that cannot continue the host."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from reactorhost import __version__
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.typed_json import to_json
from reactorhost.master.upgrade import document
from reactorhost.master.upgrade.document import Resumption
from reactorhost.system.handover import Handover, Program, Purpose

BEFORE = Program("/old/bin/python", ("start",), "/", {"A": "b"})


class ExecutedError(BaseException):
    """In place of the program that would run instead."""


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the contents with which the program of before was executed."""
    contents: list[dict[str, Any]] = []

    def execute(program: Program, handover: Handover) -> NoReturn:
        assert (program, handover.purpose) == (BEFORE, Purpose.RESUME)
        contents.append(document.read(handover.descriptor))
        os.close(handover.descriptor)
        raise ExecutedError

    monkeypatch.setattr(Program, "execute", execute)
    return contents


@pytest.fixture
def descriptor() -> Iterator[int]:
    made = document.write({"schema": document.SCHEMA, "version": "9", "program": to_json(BEFORE), "failure": None})
    yield made
    os.close(made)


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (ReactorhostError("no such plugin"), "no such plugin"),
        (KeyError("slots"), f"version {__version__} failed to continue the host: KeyError('slots')"),
        (KeyboardInterrupt(), f"version {__version__} failed to continue the host: KeyboardInterrupt()"),
    ],
)
def test_whatever_ends_it_the_program_of_before_gets_the_state_and_the_failure(
    executed: list[dict[str, Any]], descriptor: int, error: BaseException, what: str
) -> None:
    with pytest.raises(ExecutedError), Resumption(descriptor).falling_back():
        raise error
    (content,) = executed
    assert (content["version"], content["failure"]["what"]) == ("9", what)


def test_it_does_not_return_once_it_runs_the_host(executed: list[dict[str, Any]], descriptor: int) -> None:
    resumption = Resumption(descriptor)
    resumption.completed = True
    with pytest.raises(ReactorhostError, match="later"), resumption.falling_back():
        raise ReactorhostError("later")
    assert executed == []


def test_the_program_of_before_does_not_return_to_itself(executed: list[dict[str, Any]], descriptor: int) -> None:
    failed = document.write(document.read(descriptor) | {"failure": ReactorhostError("first").as_fields()})
    with pytest.raises(ReactorhostError, match="second"), Resumption(failed).falling_back():
        raise ReactorhostError("second")
    os.close(failed)
    assert executed == []


def test_if_the_program_of_before_was_removed_the_cause_is_raised(
    monkeypatch: pytest.MonkeyPatch, descriptor: int
) -> None:
    def execute(program: Program, handover: Handover) -> NoReturn:
        os.close(handover.descriptor)
        raise OSError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(Program, "execute", execute)
    with pytest.raises(ReactorhostError, match="no such plugin"), Resumption(descriptor).falling_back():
        raise ReactorhostError("no such plugin")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ({"schema": 0, "version": "9"}, f"version {__version__} cannot continue a host of version 9"),
        (
            {"schema": document.SCHEMA, "version": "9"},
            f"version {__version__} cannot read the state of version 9",
        ),
    ],
)
def test_a_state_of_another_form_is_refused(content: dict[str, Any], what: str) -> None:
    with pytest.raises(ReactorhostError) as caught:
        document.decode(content)
    assert caught.value.what.startswith(what)
    assert caught.value.hint == "use `reactorhost restart` for this step"
