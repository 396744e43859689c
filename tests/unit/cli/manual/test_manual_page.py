"""The manual page has what `--help` has, is valid roff, and the one that is installed is this one."""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from reactorhost.cli.app import reactorhost
from reactorhost.cli.command_table import COMMANDS
from reactorhost.cli.manual.examples import EXAMPLES
from reactorhost.cli.manual.manual_page import manual_page
from reactorhost.config.settings import TABLE
from reactorhost.errors import ReactorhostError

INSTALLED = Path(__file__).parents[4] / "man" / "reactorhost.1"
PAGE = manual_page(reactorhost.make_context("reactorhost", [], resilient_parsing=True))
PLAIN = PAGE.replace(r"\-", "-").replace(r"\e", "\\")


def test_the_installed_page_is_the_present_one() -> None:
    assert INSTALLED.read_text(encoding="utf-8") == PAGE, "make it by: nox -s manpage"


def test_every_command_has_its_usage_and_its_examples() -> None:
    for name in COMMANDS:
        assert f"\n.SS reactorhost {name}" in PLAIN
    for words, text in (example for examples in EXAMPLES.values() for example in examples):
        assert f".TP\n\\fB{words}\\fP\n" in PLAIN, words
        assert text.partition("`")[0] in PLAIN


def test_every_setting_is_described_once() -> None:
    text = PLAIN.replace(r"\fB", "").replace(r"\fP", "")
    for setting in TABLE:
        assert text.count(setting.help.replace("`", "")) == 1, setting.name


def test_every_exit_status_is_listed() -> None:
    statuses = PAGE.partition(".SH EXIT STATUS\n")[2].partition("\n.SH ")[0]
    for kind in ReactorhostError.__subclasses__():
        assert f"\\fB{kind.exit_status}\\fP" in statuses


def test_no_line_is_taken_for_a_request() -> None:
    requests = {line.split()[0] for line in PAGE.splitlines() if line.startswith((".", "'"))}
    assert requests == {".TH", ".SH", ".SS", ".TP", ".PP", ".I", ".B", ".nf", ".fi", ".nh", ".ad"}


def test_no_heading_is_followed_by_an_empty_paragraph() -> None:
    lines = PAGE.splitlines()
    assert not [line for line, following in pairwise(lines) if line.startswith((".SH", ".SS")) and following == ".PP"]


def test_the_page_is_valid_roff() -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    # It prints warnings and nothing else.
    words = ["groff", "-man", "-Tutf8", "-ww", "-z"]
    done = subprocess.run(words, input=PAGE, capture_output=True, text=True, check=True)
    assert done.stderr == ""
