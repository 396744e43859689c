"""Changes of files are found by what the files are, whatever an editor does on the way."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reactorhost.system.changed_files import ChangedFiles, signature


def appended(path: Path) -> None:
    with path.open("a") as file:
        file.write("# more\n")


def renamed_over(path: Path) -> None:
    # Of the same size and time: a file that was moved into place.
    fresh = path.with_name("4913")
    fresh.write_bytes(path.read_bytes())
    os.utime(fresh, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    fresh.rename(path)


def rewritten_within_the_second(path: Path) -> None:
    status = path.stat()
    path.write_text("x = 2\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "plugin.py"
    path.write_text("x = 1\n")
    return path


def watched(source: Path) -> ChangedFiles:
    found = signature(str(source))
    assert found is not None
    return ChangedFiles({str(source): found}, [str(source.parent)])


@pytest.mark.parametrize("change", [appended, renamed_over, rewritten_within_the_second])
def test_a_change_is_found_once(source: Path, change: Callable[[Path], None]) -> None:
    files = watched(source)
    assert files.take() == []
    change(source)
    assert files.take() == [str(source)]
    assert files.take() == []


def test_a_change_before_the_watch_began_is_found(source: Path) -> None:
    files = ChangedFiles({str(source): (1, 2, 3)}, [])
    assert files.take() == [str(source)]


def test_a_file_that_is_missing_has_not_changed(source: Path) -> None:
    files = watched(source)
    source.rename(source.with_suffix(".bak"))
    assert files.take() == []
    source.write_text("x = 3\n")
    assert files.take() == [str(source)]


def test_a_new_source_file_beside_the_others_has_changed(source: Path) -> None:
    (source.parent / "old.py").touch()
    files = watched(source)
    (source.parent / "helper.py").touch()
    for name in (".#plugin.py", "plugin.py~", "notes.txt", "4913"):
        (source.parent / name).touch()
    assert files.take() == [str(source.parent / "helper.py")]
    # One that no worker had imported at the start.
    appended(source.parent / "old.py")
    assert files.take() == [str(source.parent / "old.py")]


def test_a_folder_that_is_gone_is_not_an_error(source: Path) -> None:
    files = watched(source)
    source.unlink()
    source.parent.rmdir()
    assert files.take() == []
