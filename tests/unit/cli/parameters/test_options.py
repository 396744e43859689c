"""Options and arguments of a start, and the working directory: the name that the shell gives it, if it leads there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reactorhost.cli.commands.start import start
from reactorhost.cli.parameters.options import settings_from, working_directory
from reactorhost.errors import ConfigError, ReactorhostError, UsageError


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enter the directory `release`, to which the link `current` leads."""
    path = tmp_path / "release"
    path.mkdir()
    (tmp_path / "current").symlink_to(path)
    monkeypatch.chdir(path)
    return path


@pytest.mark.parametrize(
    ("pwd", "expected"),
    [
        ("{}/current", "current"),
        ("{}/release", "release"),
        ("{}", "release"),
        ("{}/missing", "release"),
        ("../current", "release"),
        ("", "release"),
    ],
)
def test_the_name_of_the_shell_is_kept_if_it_leads_here(
    release: Path, monkeypatch: pytest.MonkeyPatch, pwd: str, expected: str
) -> None:
    monkeypatch.setenv("PWD", pwd.format(release.parent))
    assert working_directory() == release.parent / expected


def test_a_deleted_directory_is_an_error(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PWD", str(release))
    release.rmdir()
    with pytest.raises(ReactorhostError, match="the working directory was deleted"):
        working_directory()


def parsed(*words: str) -> dict[str, Any]:
    return start.make_context("start", list(words)).params


def test_arguments_are_plugins_as_the_option_is() -> None:
    words = ("echo", "chat:plugin", "./greet.py")
    options = [text for word in words for text in ("--plugin", word)]
    assert parsed("-d", *words) == parsed("-d", *options)
    assert parsed("echo", "--workers", "2", "accesslog")["plugins"] == ("echo", "accesslog")


@pytest.mark.parametrize(("words", "where"), [((" x",), "argument PLUGIN"), (("--plugin", " x"), "--plugin")])
def test_a_wrong_plugin_is_reported_where_it_stands(words: tuple[str, ...], where: str) -> None:
    with pytest.raises(ConfigError) as refused:
        settings_from(parsed(*words))
    assert [problem.where for problem in refused.value.problems] == [where]


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        ("echo --plugin accesslog", "plugins are named by arguments and by --plugin", "name all of them in one way"),
        ("echo tcp://:9000", "tcp://:9000 is an address and not a plugin", "--listen tcp://:9000"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(words: str, what: str, hint: str) -> None:
    with pytest.raises(UsageError, match=what) as refused:
        parsed(*words.split())
    assert refused.value.hint is not None
    assert refused.value.hint.startswith(hint)
