"""What a service manager passes is used by the process that it is for, and removed from the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from reactorhost.system import manager_variables
from reactorhost.system.manager_variables import ManagerVariables

PID = 4242


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """Return two descriptors that are open and inheritable, and stand for those from 3 on."""
    # 3 and 4 themselves are in use by the program that runs the tests.
    first = os.open(os.devnull, os.O_RDONLY)
    numbers = (200, 201)
    for number in numbers:
        os.dup2(first, number)
    os.close(first)
    monkeypatch.setattr(manager_variables, "_FIRST_DESCRIPTOR", numbers[0])
    yield numbers
    for number in numbers:
        os.close(number)


def test_variables_are_removed_and_all_others_stay() -> None:
    environ = {
        "NOTIFY_SOCKET": "/run/notify",
        "WATCHDOG_USEC": "3000000",
        "WATCHDOG_PID": str(PID),
        "FDSTORE": "64",
        "LISTEN_FDS": "0",
        "LISTEN_PID": str(PID),
        "LISTEN_FDNAMES": "",
        "HOME": "/root",
    }
    variables = ManagerVariables.remove_from(environ, PID)
    assert variables == ManagerVariables("/run/notify", 3.0, most_stored=64)
    assert environ == {"HOME": "/root"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ManagerVariables()),
        ({"NOTIFY_SOCKET": "@abstract"}, ManagerVariables("@abstract")),
        ({"NOTIFY_SOCKET": "vsock:2:9999"}, ManagerVariables()),
        ({"NOTIFY_SOCKET": ""}, ManagerVariables()),
        ({"WATCHDOG_USEC": "500000"}, ManagerVariables(watchdog_seconds=0.5)),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, ManagerVariables()),
        ({"WATCHDOG_USEC": "0"}, ManagerVariables()),
        ({"WATCHDOG_USEC": "often"}, ManagerVariables()),
        ({"WATCHDOG_USEC": "-1"}, ManagerVariables()),
        ({"FDSTORE": "many"}, ManagerVariables()),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "1"}, ManagerVariables()),
        ({"LISTEN_FDS": "2"}, ManagerVariables()),
        ({"LISTEN_FDS": "two", "LISTEN_PID": str(PID)}, ManagerVariables()),
    ],
)
def test_what_is_for_another_process_or_makes_no_sense_is_ignored(
    environ: dict[str, str], expected: ManagerVariables
) -> None:
    assert ManagerVariables.remove_from(environ, PID) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("web:admin", ("web", "admin")),
        ("web", ("web", "unknown")),
        (None, ("unknown", "unknown")),
        (":admin", ("unknown", "admin")),
    ],
)
def test_descriptors_have_their_names_and_are_not_inherited(
    passed: tuple[int, int], names: str | None, expected: tuple[str, str]
) -> None:
    environ = {"LISTEN_FDS": "2", "LISTEN_PID": str(PID)} | ({} if names is None else {"LISTEN_FDNAMES": names})
    variables = ManagerVariables.remove_from(environ, PID)
    assert variables.descriptors == tuple(zip(passed, expected, strict=True))
    assert not any(os.get_inheritable(number) for number in passed)


def test_the_next_program_of_the_process_finds_the_same() -> None:
    variables = ManagerVariables("/run/notify", 1.5, most_stored=8)
    environ = variables.notify_variables(PID)
    assert ManagerVariables.remove_from(environ, PID) == variables
    assert ManagerVariables().notify_variables(PID) == {}
