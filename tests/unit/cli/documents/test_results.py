"""What commands print with `--json` has the shape that is published, as far as no host is needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

from reactorhost.cli.app import _run
from reactorhost.cli.documents.results import RESULTS
from schemas import check_printed


@pytest.mark.parametrize(
    "words",
    [
        "check echo",
        "config show echo accesslog",
        "plugins",
        "plugins accesslog",
        "plugins no_such_module:object",
        "ls",
        "health --name nowhere",
        "version",
        "new my-game --framing lines --dir {}",
        "logs --log-file {}/log",
        # Failures.
        "status --name nowhere",
        "reload --name nowhere",
        "scale many",
        "top --once --replay {}/empty",
        "check echo --workers many --threads none",
    ],
)
def test_a_document_has_the_shape_of_its_schema(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "empty").touch()
    (tmp_path / "log").write_text(
        "2026-11-28T04:00:00.000Z warning full master=7 connections=1\n    a stack\nnot an event\n"
    )
    arguments = [word.format(tmp_path) for word in [*words.split(), "--json"]]
    _run(arguments)
    printed = capsys.readouterr().out
    assert printed
    check_printed(printed, *arguments)


def test_another_document_is_noticed() -> None:
    with pytest.raises(ValidationError):
        check_printed('{"schema": 1, "live": true, "ready": true}', "health", "--json")
    with pytest.raises(ValidationError):
        check_printed('{"schema": 1, "log_file": null, "more": 1}', "reopen", "--json")


@pytest.mark.parametrize("command", RESULTS)
def test_the_schema_of_a_command_is_printed(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["help", "--schema", *command.split()]) == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(schema)
    assert schema["title"] == f"reactorhost {command} --json"
    # Any later version may have more fields.
    assert not any("additionalProperties" in shape for shape in schema["$defs"].values())


@pytest.mark.parametrize(
    ("words", "what"), [("", "--schema needs a command"), (" start now", "start now prints no JSON")]
)
def test_a_command_without_json_has_no_schema(words: str, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["help", "--schema", *words.split()]) == 2
    assert capsys.readouterr().err.startswith(f"reactorhost: {what}\n  hint: it is one of check, config show, ")
