"""Results and failures of commands as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from reactorhost.cli.app import _run, reactorhost
from reactorhost.cli.command_table import COMMANDS
from reactorhost.cli.documents.json_output import wants_json
from reactorhost.cli.documents.results import RESULTS
from reactorhost.ipc.status import StatusDocument

# They print a program, a file for systemd, and a page to read.
_WITHOUT = {"completion", "systemd-unit", "help"}

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "json.md"


def commands(name: str) -> Iterator[tuple[str, click.Command]]:
    command = reactorhost.get_command(click.Context(reactorhost), name)
    assert command is not None
    if isinstance(command, click.Group):
        yield from ((f"{name} {each}", found) for each, found in command.commands.items())
    else:
        yield name, command


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - _WITHOUT))
def test_every_command_that_prints_a_result_has_the_option(name: str) -> None:
    for called, command in commands(name):
        assert any("--json" in parameter.opts for parameter in command.params), called
        assert called in RESULTS


@pytest.mark.parametrize("command", RESULTS)
def test_the_documents_of_every_command_are_described_with_their_fields(command: str) -> None:
    table = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    [row] = [line for line in table if f"`{command}`" in line.split(" | ")[0]]
    shapes = row.split(" | ")[1]
    assert re.findall(r"`(\w+)`", shapes) == [shape.__name__ for shape in RESULTS[command]]
    if StatusDocument not in RESULTS[command]:
        own = {name for shape in RESULTS[command] for name in shape.__annotations__}
        assert own <= {"schema", *re.findall(r"`(\w+)`", row)}


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    status = _run(list(arguments))
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document.keys() == {"schema", "error"}
    assert document["error"]["problems"][0]["what"] in printed.err
    return status, document["error"]


def test_a_failure_is_a_document_and_a_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, error = failure(capsys, "status", "--json", "--run-dir", str(tmp_path))
    assert status == 5
    [problem] = error.pop("problems")
    assert error == {"status": 5, "details": None}
    assert problem["what"] == f"the host in {tmp_path} is not running"
    assert problem["hint"]


def test_each_problem_of_a_configuration_has_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--plugin", "echo", "--backlog", "many", "--threads", "-1")
    status, error = failure(capsys, "config", "show", "--json", *words)
    assert (status, error["status"]) == (2, 2)
    assert [problem["where"] for problem in error["problems"]] == ["--backlog", "--threads"]


def test_a_usage_error_is_a_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    status, error = failure(capsys, "scale", "--json", "many")
    assert (status, error["status"]) == (2, 2)


def test_without_the_option_nothing_is_printed_to_standard_output(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert _run(["status", "--run-dir", str(tmp_path)]) == 5
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("status --json", True),
        ("--traceback status --json", True),
        ("--name chat status --json", True),
        ("--run-dir=/x -q status --json", True),
        ("status", False),
        ("--json", False),
        # Of a plugin: its option may mean something else.
        ("chat status --json", False),
        ("", False),
    ],
)
def test_the_option_is_found_among_the_words(words: str, expected: bool) -> None:
    assert wants_json(words.split()) is expected
