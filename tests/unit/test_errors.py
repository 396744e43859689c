"""An error has a sentence, a place and a hint, and can be sent to another process."""

from __future__ import annotations

import errno
import json
import os

import pytest

from reactorhost import errors
from reactorhost.config.problems import Problems
from reactorhost.config.settings import Layer, Origin
from reactorhost.errors import (
    BootError,
    ConfigError,
    PluginError,
    Problem,
    ReactorhostError,
    boot_error,
    did_you_mean,
    error_from_fields,
    failure_of,
    numbers,
)


def test_an_error_has_up_to_three_lines() -> None:
    assert ReactorhostError("it broke").lines() == ["it broke"]
    reported = PluginError("it broke", where="file.py:3", hint="mend it").lines()
    assert reported == ["it broke", "  where: file.py:3", "  hint: mend it"]


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in ReactorhostError.__subclasses__()
        if kind.__module__ == errors.__name__ and kind is not ConfigError
    ],
)
def test_an_error_survives_json(kind: type[ReactorhostError]) -> None:
    error = kind("what", where="where", hint="hint", details="trace")
    again = error_from_fields(json.loads(json.dumps(error.as_fields())))
    assert type(again) is kind
    assert (again.lines(), again.details, again.exit_status) == (error.lines(), error.details, error.exit_status)


def test_all_problems_of_a_configuration_are_in_the_error_and_its_fields() -> None:
    error = ConfigError([Problem("a is wrong", "f:1"), Problem("b is wrong", "f:2", "use c")])
    assert error.lines() == ["a is wrong", "  where: f:1", "b is wrong", "  where: f:2", "  hint: use c"]
    again = error_from_fields(json.loads(json.dumps(error.as_fields())))
    assert again.what == "\n".join(error.lines())
    assert again.problems == error.problems


def test_the_exit_status_of_a_configuration_is_the_one_that_was_sent() -> None:
    problems = Problems()
    problems.add("a is wrong", Origin(Layer.FLAG, "--a"))
    assert error_from_fields(problems.error().as_fields()).exit_status == 2


@pytest.mark.parametrize(
    ("values", "text"),
    [([], ""), ([3], "3"), ([0, 1, 2, 3], "0-3"), ([0, 2], "0, 2"), ([0, 1, 4, 7, 8], "0-1, 4, 7-8")],
)
def test_numbers_in_a_row_are_a_range(values: list[int], text: str) -> None:
    assert numbers(values) == text


@pytest.mark.parametrize(
    "error",
    [
        BootError("no module x", where="chat.py:3", hint="install x", details="trace"),
        ConfigError([Problem("no module x", "chat.py:3", "install x"), Problem("no module y")], details="trace"),
    ],
    ids=["boot", "configuration"],
)
def test_the_failure_of_an_operation_names_it_first_and_keeps_the_rest(error: ReactorhostError) -> None:
    failure = failure_of("reload failed", error)
    assert failure.lines() == ["reload failed: no module x", *error.lines()[1:]]
    assert (type(failure), failure.exit_status, failure.details) == (type(error), error.exit_status, "trace")


def test_exit_statuses_are_the_documented_ones() -> None:
    documented = {
        ReactorhostError: 1,
        errors.UsageError: 2,
        errors.BootError: 3,
        PluginError: 4,
        errors.NotRunningError: 5,
        errors.AlreadyRunningError: 6,
        errors.NotPermittedError: 7,
    }
    assert {kind: kind.exit_status for kind in documented} == documented


def test_a_similar_word_is_suggested_and_a_different_one_is_not() -> None:
    assert did_you_mean("ecko", ["accesslog", "echo"]) == "did you mean 'echo'?"
    assert did_you_mean("zzz", ["accesslog", "echo"]) is None
    assert did_you_mean("x", []) is None


COMMANDS = "start stop restart reload scale status top logs check config plugins new health version reopen connections"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("strat", "start"),
        ("tpo", "top"),
        ("lgos", "logs"),
        ("reolad", "reload"),
        ("ver", "version"),
        ("conn", "connections"),
        ("nope", None),
        ("list", None),
        ("echo", None),
        ("co", None),
    ],
)
def test_only_a_word_that_is_near_is_suggested(word: str, expected: str | None) -> None:
    assert errors.most_similar(word, COMMANDS.split()) == expected


def test_a_worker_that_reaches_a_limit_fails_to_boot_and_other_errors_are_bugs() -> None:
    error = boot_error(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
    assert (error.exit_status, error.what) == (3, "a worker cannot boot: Too many open files")
    assert "ulimit -n" in str(error.hint)
    with pytest.raises(FileNotFoundError):
        boot_error(FileNotFoundError(errno.ENOENT, "no such file"))
