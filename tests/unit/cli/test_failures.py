"""Every failure is printed in one form: what, where, and a hint; in colour on a terminal."""

from __future__ import annotations

import io
import os
from pathlib import Path

import click
import pytest

from reactorhost.cli.app import _run
from reactorhost.cli.command_table import COMMANDS
from reactorhost.cli.failures import from_click, show_failure
from reactorhost.cli.output import fail, has_color, warn
from reactorhost.errors import BootError, ConfigError, Problem

_COMMANDS = sorted({*COMMANDS, "config show"} - {"config"})


def shown(capsys: pytest.CaptureFixture[str], words: str) -> list[str]:
    assert _run(words.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.splitlines()


@pytest.mark.parametrize("command", _COMMANDS)
def test_an_unknown_option_is_named_with_the_page_that_lists_the_others(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert shown(capsys, f"{command} --zzz") == [
        "reactorhost: there is no option '--zzz'",
        f"  hint: see `reactorhost {command} --help`",
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("strat", ["there is no command 'strat'", "did you mean 'start'?"]),
        ("zzz", ["there is no command 'zzz'", "see `reactorhost --help`"]),
        ("config shwo", ["there is no command 'shwo'", "did you mean 'show'? see `reactorhost config --help`"]),
        (
            "start --plugn echo",
            ["there is no option '--plugn'", "did you mean '--plugin'? see `reactorhost start --help`"],
        ),
        (
            "--json status",
            ["there is no option '--json'", "options of a command stand behind it; see `reactorhost --help`"],
        ),
        (
            "--verison",
            [
                "there is no option '--verison'",
                "did you mean '--version'? options of a command stand behind it; see `reactorhost --help`",
            ],
        ),
        (
            "start -plugin echo",
            ["there is no option '-plugin'", "did you mean '--plugin'? see `reactorhost start --help`"],
        ),
        (
            "scale 5-2",
            [
                "invalid value for 'WORKERS': it must be a range of numbers from 1 to 256, not 5-2",
                "write the smaller number first; see `reactorhost scale --help`",
            ],
        ),
        ("check -qdz", ["there is no option '-z'", "see `reactorhost check --help`"]),
        (
            "start -listen=tcp://:1 echo",
            ["there is no option '-listen'", "did you mean '--listen'? see `reactorhost start --help`"],
        ),
        (
            "-version",
            [
                "there is no option '-version'",
                "did you mean '--version'? options of a command stand behind it; see `reactorhost --help`",
            ],
        ),
        ("stop -help", ["there is no option '-help'", "did you mean '--help'? see `reactorhost stop --help`"]),
        ("start -x echo", ["there is no option '-x'", "see `reactorhost start --help`"]),
        ("help nope", ["there is no command 'nope'", "see `reactorhost --help`"]),
        ("scale", ["missing argument 'WORKERS'", "see `reactorhost scale --help`"]),
        (
            "stop now",
            ["got unexpected extra argument (now)", "a host is named with --name; see `reactorhost stop --help`"],
        ),
        ("scale 2 3", ["got unexpected extra argument (3)", "see `reactorhost scale --help`"]),
        ("version now", ["got unexpected extra argument (now)", "see `reactorhost version --help`"]),
        (
            "completion bahs",
            [
                "invalid value for 'SHELL': 'bahs' is not one of 'bash', 'zsh', 'fish'",
                "see `reactorhost completion --help`",
            ],
        ),
        ("stop --name", ["option '--name' requires an argument", "see `reactorhost stop --help`"]),
        ("--name", ["option '--name' requires an argument", "see `reactorhost --help`"]),
        (
            "completion",
            ["missing argument 'SHELL'. Choose from: bash, zsh, fish", "see `reactorhost completion --help`"],
        ),
    ],
)
def test_what_click_finds_is_reported_as_the_host_reports(
    capsys: pytest.CaptureFixture[str], words: str, expected: list[str]
) -> None:
    what, hint = expected
    assert shown(capsys, words) == [f"reactorhost: {what}", f"  hint: {hint}"]


def test_what_a_plugin_raises_keeps_its_text_and_its_status() -> None:
    class Refused(click.ClickException):
        exit_code = 9

    found = from_click(Refused("Not today."))
    assert (found.what, found.hint, found.exit_status) == ("Not today.", None, 9)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return _Terminal()


def test_labels_are_coloured_on_a_terminal_and_what_they_quote_is_escaped(
    terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In the test: pytest sets it anew after the fixtures.
    monkeypatch.setattr("sys.stderr", terminal)
    fail(["cannot read \x1b[2J", "  where: /a: b", "  hint: look", "another: one"])
    warn(["old"])
    red, magenta, bold, off = "\x1b[31m\x1b[1m", "\x1b[35m\x1b[1m", "\x1b[1m", "\x1b[0m"
    assert terminal.getvalue().splitlines() == [
        f"{red}reactorhost:{off} cannot read \\u001b[2J",
        f"{bold}  where:{off} /a: b",
        f"{bold}  hint:{off} look",
        f"{red}reactorhost:{off} another: one",
        f"{magenta}reactorhost: warning:{off} old",
    ]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": ""}, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colours_follow_the_terminal_and_its_variables(
    terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert has_color(terminal) is expected


def test_a_file_has_no_colours_unless_they_are_forced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with open(tmp_path / "file", "w") as file:
        assert not has_color(file)
        monkeypatch.setenv("FORCE_COLOR", "1")
        assert has_color(file)


def test_in_the_journal_a_failure_and_its_details_are_errors_and_a_warning_is_one(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    warn(["no user"])
    show_failure(BootError("plugin chat failed", details="Traceback\nno database", where="chat.py:3"), False)
    assert capfd.readouterr().err.splitlines() == [
        "<4>reactorhost: warning: no user",
        "<3>Traceback",
        "<3>no database",
        "<3>reactorhost: plugin chat failed",
        "<3>  where: chat.py:3",
    ]


def test_each_of_several_problems_begins_with_the_name_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    show_failure(ConfigError([Problem("a is wrong", "--a", "b"), Problem("c: no", "--c")]), traceback=False)
    assert capsys.readouterr().err.splitlines() == [
        "reactorhost: a is wrong",
        "  where: --a",
        "  hint: b",
        "reactorhost: c: no",
        "  where: --c",
    ]
