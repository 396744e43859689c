"""Versions: one word, lines, or a document."""

from __future__ import annotations

import json
import platform

import pytest

from reactorhost import __version__
from reactorhost.cli.app import _run


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert _run(["version", *words]) == 0
    return capsys.readouterr().out


def test_quiet_prints_the_number_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "-q") == f"{__version__}\n"


def test_python_and_plugins_are_listed_and_packages_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys).splitlines()
    assert lines[0] == f"reactorhost {__version__}"
    assert lines[1].startswith(f"Python {platform.python_version()} (")
    assert any(line.startswith("plugin echo ") for line in lines)
    assert not any(line.startswith("package ") for line in lines)
    assert any(line.startswith("package click ") for line in shown(capsys, "-v").splitlines())


def test_the_document_has_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(shown(capsys, "--json", "-q"))
    assert (document["version"], document["python"]) == (__version__, platform.python_version())
    assert document["packages"]["pluggy"]
    assert "echo" in [plugin["name"] for plugin in document["plugins"]]
