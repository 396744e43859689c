"""Options that stand before a command or behind it, with the same meaning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from reactorhost.cli.app import _run, reactorhost
from reactorhost.cli.command_table import COMMANDS
from reactorhost.cli.output import confirm, is_quiet, is_verbose
from reactorhost.cli.parameters.common_options import SELECTING, split
from reactorhost.config.settings import BY_NAME


def commands() -> Iterator[click.Command]:
    context = click.Context(reactorhost)
    for name in COMMANDS:
        command = reactorhost.get_command(context, name)
        assert command is not None
        yield from command.commands.values() if isinstance(command, click.Group) else (command,)


@pytest.mark.parametrize("command", tuple(commands()), ids=lambda command: command.name)
def test_every_command_has_the_options(command: click.Command) -> None:
    flags = {flag for parameter in command.params for flag in parameter.opts}
    assert {"-q", "--quiet", "-v", "--verbose", "--traceback"} <= flags


_OF_NO_HOST = {"ls", "new", "help", "version", "completion"}


@pytest.mark.parametrize(
    "command", [each for each in commands() if each.name not in _OF_NO_HOST], ids=lambda command: command.name
)
def test_every_command_that_is_about_one_host_selects_it(command: click.Command) -> None:
    assert {parameter.name for parameter in command.params} >= SELECTING.keys()


@pytest.mark.parametrize("name", tuple(SELECTING))
def test_what_selects_a_host_is_spelled_as_behind_the_command(name: str) -> None:
    [before] = [parameter for parameter in reactorhost.params if parameter.name == name]
    assert isinstance(before, click.Option)
    assert (tuple(before.opts), before.metavar) == (BY_NAME[name].flags, BY_NAME[name].kind.metavar)


@pytest.mark.parametrize(
    ("words", "subject"),
    [
        ("--name chat status", "host 'chat'"),
        ("--name=chat status", "host 'chat'"),
        ("status --name chat", "host 'chat'"),
        ("--name chat status --name blue", "host 'blue'"),
        ("--run-dir /nowhere/run status", "the host in /nowhere/run"),
        ("--run-dir /nowhere/run -q status --name chat", "the host in /nowhere/run"),
    ],
)
def test_a_host_is_selected_before_or_behind_the_command(
    capsys: pytest.CaptureFixture[str], words: str, subject: str
) -> None:
    assert _run(words.split()) == 5
    assert capsys.readouterr().err.startswith(f"reactorhost: {subject} is not running")


def test_a_host_is_selected_before_a_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["--name", "chat", "config", "show", "--plugin", "echo", "--json"]) == 0
    assert '"setting": "name",\n      "value": "chat",\n      "origin": "flag --name"' in capsys.readouterr().out


@pytest.mark.parametrize("command", ["ls", "completion"])
def test_a_command_that_is_not_about_one_host_refuses_the_selection(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert _run(["--name", "chat", command]) == 2
    expected = f"reactorhost: {command} is not about one host, so --name has no meaning\n"
    assert capsys.readouterr().err.startswith(expected)


@pytest.mark.parametrize(
    ("words", "quiet", "verbose"),
    [
        ("probe", False, False),
        ("-q probe", True, False),
        ("probe -q", True, False),
        ("--quiet probe --verbose", True, True),
        ("-v probe", False, True),
        ("probe -qv", True, True),
    ],
)
def test_quiet_and_verbose_count_in_both_places(
    monkeypatch: pytest.MonkeyPatch, words: str, quiet: bool, verbose: bool
) -> None:
    found = []
    ls = reactorhost.get_command(click.Context(reactorhost), "ls")
    assert ls is not None
    monkeypatch.setattr(ls, "callback", lambda **values: found.append((is_quiet(), is_verbose())))
    assert _run(words.replace("probe", "ls").split()) == 0
    assert found == [(quiet, verbose)]
    # Nothing of it is left for the next command.
    assert not is_quiet()


def test_quiet_drops_confirmations(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ls = reactorhost.get_command(click.Context(reactorhost), "ls")
    assert ls is not None
    monkeypatch.setattr(ls, "callback", lambda **values: confirm("done"))
    _run(["ls", "-q"])
    _run(["ls"])
    assert capsys.readouterr().out == "done\n"


@pytest.mark.parametrize(
    ("words", "before"),
    [
        ("start -d", 0),
        ("--traceback start", 1),
        ("--name start start --name stop", 2),
        ("--name=start -qv --run-dir /x start", 4),
        ("-q", 1),
        ("", 0),
    ],
)
def test_the_command_is_found_behind_the_options(words: str, before: int) -> None:
    arguments = words.split()
    assert split(arguments) == (arguments[:before], arguments[before:])


def test_behind_an_unknown_option_is_no_command() -> None:
    assert split(["-c", "start"])[1] == []


@pytest.mark.parametrize("words", ["health", "ls"])
def test_quiet_drops_what_is_no_result(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("reactorhost.master.host_survey.survey", lambda environ: ([], []))
    monkeypatch.setenv("REACTORHOST_RUN_DIR", str(tmp_path))
    status = _run([words])
    assert "".join(capsys.readouterr())
    assert _run([words, "-q"]) == status
    assert capsys.readouterr() == ("", "")
