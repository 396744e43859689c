"""Help: sections, examples, and a width that follows the terminal."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from reactorhost.cli.app import _run, reactorhost
from reactorhost.cli.command_table import COMMANDS
from reactorhost.cli.manual.examples import EXAMPLES
from reactorhost.cli.manual.help_pages import HostCommand
from reactorhost.config.setting_help import SECTIONS
from reactorhost.config.settings import BY_NAME


def commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(reactorhost)
    for name in COMMANDS:
        command = reactorhost.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{name} {each}", found) for each, found in command.commands.items())
        else:
            yield name, command


NAMED = dict(commands())


def page(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert _run(list(words)) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", NAMED)
def test_every_command_has_sections_and_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(NAMED[name], HostCommand)
    text = page(capsys, *name.split(), "--help")
    assert text.startswith(f"Usage: reactorhost {name} ")
    common = text.partition("\nCommon options:\n")[2].partition("\n\n")[0]
    assert "--traceback" in common
    assert "-h, --help" in common
    for words, _ in EXAMPLES[name]:
        # Whole, so that it can be copied.
        assert f"\n  {words}\n" in text


def test_every_group_of_examples_is_that_of_a_command() -> None:
    assert EXAMPLES.keys() == NAMED.keys()


@pytest.mark.parametrize(
    "words", [words for examples in EXAMPLES.values() for words, _ in examples], ids=lambda words: words[:60]
)
def test_every_example_can_be_entered(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # A recording has to exist.
    (tmp_path / "night.jsonl").touch()
    arguments = shlex.split(words)
    arguments = arguments[next(at for at, word in enumerate(arguments) if word.endswith("reactorhost")) + 1 :]
    arguments = list(itertools.takewhile(lambda word: word not in ("|", ">", "&&"), arguments))
    name = next(name for name in NAMED if arguments[: len(name.split())] == name.split())
    assert NAMED[name].make_context(name, arguments[len(name.split()) :]) is not None


def test_every_setting_is_in_one_section() -> None:
    listed = list(itertools.chain(*SECTIONS.values()))
    assert sorted(listed) == sorted(BY_NAME)


def test_the_sections_of_start_are_those_of_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    text = page(capsys, "start", "--help")
    headings = [line.removesuffix(":") for line in text.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == ["Options", *SECTIONS, "Common options", "Examples"]
    listening = text.partition("\nListening:\n")[2].partition("\n\n")[0]
    assert "--listen" in listening
    assert "--certificate" not in listening


@pytest.mark.parametrize(("columns", "most"), [("60", 60), ("90", 90), ("300", 100)])
def test_the_width_follows_the_terminal_up_to_100_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str, most: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    text = page(capsys, "start", "--help").partition("\nExamples:\n")[0]
    widest = max(map(len, text.splitlines()))
    assert most - 12 < widest <= most


@pytest.mark.parametrize("words", [["stop"], ["scale"], ["config"], []])
def test_a_narrow_terminal_has_no_line_that_wraps(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = page(capsys, *words, "--help").partition("\nExamples:\n")[0]
    assert [line for line in text.splitlines() if len(line) > 40] == []


def test_the_first_page_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    text = page(capsys, "--help")
    assert [name for name in COMMANDS if not re.search(rf"^  {name} +[A-Z]", text, re.MULTILINE)] == []
    assert page(capsys) == text


# help


@pytest.mark.parametrize("words", [[], ["stop"], ["config"], ["config", "show"]])
def test_help_prints_what_the_option_prints(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert page(capsys, "help", *words) == page(capsys, *words, "--help")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("help stpo", "there is no command 'stpo'\n  hint: did you mean 'stop'?"),
        ("help stop now", "stop has no commands\n  hint: see `reactorhost stop --help`"),
        ("help config shwo", "there is no command 'shwo'"),
    ],
)
def test_help_of_an_unknown_command_suggests_another(
    capsys: pytest.CaptureFixture[str], words: str, expected: str
) -> None:
    assert _run(words.split()) == 2
    assert expected in capsys.readouterr().err
