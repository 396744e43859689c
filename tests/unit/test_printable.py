"""No text of a client or plugin controls a terminal or ends a line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies

from reactorhost.cli.failures import show_failure
from reactorhost.cli.output import echo
from reactorhost.errors import PluginError
from reactorhost.printable import printable, printable_lines

HOSTILE = "\x1b]0;title\x07\x9b2J\r\x08\x7f\u202e\u2028"


@given(strategies.text())
def test_every_other_character_is_escaped_as_in_json(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    if "\\" not in text and '"' not in text:
        assert json.loads(f'"{shown}"') == text
    assert printable(shown) == shown


@pytest.mark.parametrize("text", ["", "plain", "é 漢 🙂 «10 %»", "\\u001b"])
def test_what_prints_is_not_changed(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\t", "a\\nb\\r\\t"),
        ("\x1b[2J", "\\u001b[2J"),
        ("\x9b\udc80", "\\u009b\\udc80"),
        ("\U000e0001", "\\udb40\\udc01"),
    ],
    ids=ascii,
)
def test_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_lines_stay_lines() -> None:
    assert printable_lines("a\x07\n\nb\r\n") == "a\\u0007\n\nb\\r\n"


def test_output_and_failures_of_commands_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    echo(f"one {HOSTILE}\ntwo")
    error = PluginError(f"raised {HOSTILE}", where=HOSTILE, hint=HOSTILE, details=f"Traceback\n  {HOSTILE}!")
    show_failure(error, traceback=False)
    output = capsys.readouterr()
    assert output.out.splitlines() == [f"one {printable(HOSTILE)}", "two"]
    assert all(line.isprintable() for line in output.err.split("\n"))
    assert output.err.count(printable(HOSTILE)) == 4
