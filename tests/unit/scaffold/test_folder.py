"""The folder of a new package is written as a whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reactorhost.errors import NotPermittedError, ReactorhostError, UsageError
from reactorhost.scaffold.folder import write

FILES = {"a.txt": "grüße\n", "deep/er/b.txt": ""}


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}


def make_nothing(path: Path) -> None:
    del path


@pytest.mark.parametrize("prepare", [make_nothing, Path.mkdir], ids=["absent", "empty"])
def test_the_files_are_written_with_the_usual_rights(tmp_path: Path, prepare: Callable[[Path], None]) -> None:
    prepare(tmp_path / "package")
    umask = os.umask(0o022)
    try:
        write(tmp_path / "package", FILES)
    finally:
        os.umask(umask)
    assert contents(tmp_path) == {f"package/{path}": text for path, text in FILES.items()}
    assert (tmp_path / "package").stat().st_mode & 0o777 == 0o755
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


def fill(path: Path) -> None:
    path.mkdir()
    (path / "mine").write_text("kept")


def link_to_a_folder(path: Path) -> None:
    path.with_name("elsewhere").mkdir()
    path.symlink_to("elsewhere")


@pytest.mark.parametrize(
    "prepare",
    [fill, lambda path: path.write_text("kept"), link_to_a_folder, lambda path: path.symlink_to("nowhere")],
    ids=["full", "file", "link", "broken-link"],
)
def test_what_is_there_is_kept(tmp_path: Path, prepare: Callable[[Path], object]) -> None:
    package = tmp_path / "package"
    prepare(package)
    before = contents(tmp_path), sorted(tmp_path.iterdir())
    with pytest.raises(UsageError, match="exists already"):
        write(package, FILES)
    assert (contents(tmp_path), sorted(tmp_path.iterdir())) == before


def test_a_failure_half_way_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ReactorhostError, match=r"cannot make .*: Is a directory"):
        write(tmp_path / "package", {**FILES, "deep": "the name of a folder"})
    assert list(tmp_path.iterdir()) == []


def test_the_parent_must_exist_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ReactorhostError, match="there is no folder") as raised:
        write(tmp_path / "none" / "package", FILES)
    assert raised.value.hint is not None
    assert "mkdir -p" in raised.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_parent_that_exists_is_not_reported_as_missing() -> None:
    with pytest.raises(ReactorhostError, match="cannot make /proc/package: No such file or directory"):
        write(Path("/proc/package"), FILES)


def test_a_folder_without_permission_is_another_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied")

    # root may write everywhere.
    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(NotPermittedError, match="Permission denied"):
        write(tmp_path / "package", FILES)
