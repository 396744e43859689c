"""A log file is opened by a path that no other user can lead elsewhere, and never by waiting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reactorhost.system.append_file import open_for_append


def written(path: Path) -> None:
    descriptor = open_for_append(path)
    try:
        assert os.get_blocking(descriptor)
        assert not os.get_inheritable(descriptor)
        os.write(descriptor, b"line\n")
    finally:
        os.close(descriptor)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A directory in which every user can put a link."""
    path = tmp_path / "theirs"
    path.mkdir()
    path.chmod(0o1777)
    return path


def test_a_file_is_created_and_appended_to(tmp_path: Path, theirs: Path) -> None:
    for path in (tmp_path / "log", theirs / "log", tmp_path / "theirs" / ".." / "other"):
        written(path)
        written(path)
        assert path.read_text() == "line\nline\n"
        assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["log", "logs/log", "logs/deeper/log"])
@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_a_link_that_others_can_replace_is_refused(tmp_path: Path, theirs: Path, name: str, relative: bool) -> None:
    target = tmp_path / "precious"
    if "/" in name:
        (target / "deeper").mkdir(parents=True)
    link = theirs / name.partition("/")[0]
    link.symlink_to(Path("..") / target.name if relative else target)
    with pytest.raises(PermissionError, match=f"{link} is a symbolic link that other users can replace"):
        open_for_append(theirs / name)
    assert not (target / "log").exists()
    assert target.is_dir() or not target.exists()


def test_a_link_that_leads_to_such_a_link_is_refused(tmp_path: Path, theirs: Path) -> None:
    (theirs / "log").symlink_to(tmp_path / "precious")
    (tmp_path / "link").symlink_to("theirs/log")
    with pytest.raises(PermissionError, match="symbolic link"):
        open_for_append(tmp_path / "link")


@pytest.mark.parametrize("target", ["logs", "./logs/../logs", "{absolute}/logs"])
def test_a_link_that_only_this_user_can_replace_is_followed(tmp_path: Path, target: str) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "current").symlink_to(target.format(absolute=tmp_path))
    written(tmp_path / "current" / "log")
    (tmp_path / "link").symlink_to("current/log")
    written(tmp_path / "link")
    assert (tmp_path / "logs" / "log").read_text() == "line\nline\n"


def test_a_group_of_this_user_may_write_to_the_directory_of_a_link(tmp_path: Path) -> None:
    tmp_path.chmod(0o775)
    os.chown(tmp_path, -1, os.getegid())
    (tmp_path / "link").symlink_to("log")
    written(tmp_path / "link")
    assert (tmp_path / "log").exists()


def test_an_open_file_is_opened_by_its_descriptor() -> None:
    reader, writer = os.pipe()
    try:
        written(Path(f"/proc/self/fd/{writer}"))
        written(Path(f"/dev/fd/{writer}"))
        assert os.read(reader, 100) == b"line\nline\n"
    finally:
        os.close(reader)
        os.close(writer)


def test_what_is_not_a_file_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    for path, error in (
        (tmp_path / "fifo", "no process reads this FIFO"),
        (tmp_path / "loop", "Too many levels of symbolic links"),
        (tmp_path, "Is a directory"),
        (Path("/"), "Is a directory"),
        (tmp_path / "missing" / "log", "No such file or directory"),
        (tmp_path / "fifo" / "log", "Not a directory"),
    ):
        with pytest.raises(OSError, match=error):
            open_for_append(path)
