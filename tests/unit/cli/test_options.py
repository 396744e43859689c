"""The working directory has the name that the shell gives it, as long as that name leads to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reactorhost.cli.options import working_directory
from reactorhost.errors import ReactorhostError


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
