"""The end of a log file is found without reading all of it, and followed over rotations."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from reactorhost.dashboard.model.log_file import LogTail, last_records, open_log
from reactorhost.dashboard.model.log_records import LogFilter
from reactorhost.errors import ReactorhostError


def line(number: int, level: str = "info") -> str:
    return (
        f"2026-11-28T07:{number // 60000:02}:{number // 1000 % 60:02}.{number % 1000:03}Z {level} e{number} master=1\n"
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write 20,000 events, every 5,000th a warning with a traceback; some 900 KiB."""
    path = tmp_path / "log"
    path.write_text(
        "".join(line(each) if each % 5000 else f"{line(each, 'warning')}    trace\n" for each in range(20_000))
    )
    return path


def shown(path: Path, count: int | None, wanted: LogFilter | None = None) -> list[str]:
    with open_log(path) as file:
        found = [record.event for record in last_records(file, count, wanted or LogFilter())]
        assert file.tell() == path.stat().st_size
        return found


@pytest.mark.parametrize("count", [0, 1, 3, 5000, 20_000, 30_000])
def test_the_last_events_are_shown(path: Path, count: int) -> None:
    assert shown(path, count) == [f"e{each}" for each in range(20_000)][max(0, 20_000 - count) :]


def test_the_window_grows_until_a_filter_has_found_enough(path: Path) -> None:
    assert shown(path, 3, LogFilter(level="warning")) == ["e5000", "e10000", "e15000"]
    assert shown(path, None, LogFilter(level="warning")) == ["e0", "e5000", "e10000", "e15000"]
    assert shown(path, 9, LogFilter(level="error")) == []


def test_a_traceback_is_never_shown_as_an_event(path: Path) -> None:
    with open_log(path) as file:
        [record] = last_records(file, 1, LogFilter(level="warning"))
    assert record.details == ["trace"]


def test_of_old_events_nothing_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    since = LogFilter(since=line(19_990).partition(" ")[0])
    with open_log(path) as file:
        starts: list[int] = []
        seek = file.seek
        monkeypatch.setattr("reactorhost.dashboard.model.log_file._FIRST_WINDOW_BYTES", 4096)

        class Recorded:
            def __getattr__(self, name: str) -> object:
                return getattr(file, name)

            def __iter__(self) -> Iterator[bytes]:
                return iter(file)

            def seek(self, offset: int) -> int:
                starts.append(offset)
                return seek(offset)

        found = [record.event for record in last_records(Recorded(), 50, since)]  # type: ignore[arg-type]
    assert found == [f"e{each}" for each in range(19_990, 20_000)]
    assert min(starts) > path.stat().st_size - 8192


def test_a_log_that_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ReactorhostError, match="not a regular file"):
        open_log(tmp_path / "fifo")
    with pytest.raises(ReactorhostError, match="No such file"):
        open_log(tmp_path / "missing")


@pytest.fixture
def tail(tmp_path: Path) -> Iterator[LogTail]:
    path = tmp_path / "log"
    path.write_text("old\n")
    with open_log(path) as file:
        file.read()
        tail = LogTail(path, file)
    yield tail
    tail.close()


def add(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_added_lines_are_returned_when_they_are_complete(tail: LogTail, tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert tail.lines(0) == []
    add(path, "a\nb")
    assert tail.lines(0) == ["a"]
    add(path, "c\n")
    assert tail.lines(0) == ["bc"]


def test_a_rotated_file_is_followed_until_all_workers_write_to_the_new_one(tail: LogTail, tmp_path: Path) -> None:
    path, old = tmp_path / "log", tmp_path / "log.1"
    path.rename(old)
    add(old, "a\n")
    assert tail.lines(0) == ["a"]
    path.touch()
    add(old, "b\n")
    assert tail.lines(0) == ["b"]
    add(path, "c\n")
    assert tail.lines(1) == ["c"]
    add(old, "d\n")
    add(path, "e\n")
    assert tail.lines(2) == ["d", "e"]
    assert tail.lines(12) == []
    add(old, "nothing writes here any more\n")
    assert tail.lines(13) == []
    # A second rotation.
    path.rename(tmp_path / "log.2")
    add(path, "f\n")
    assert tail.lines(14) == ["f"]


def test_a_truncated_file_is_read_from_its_beginning(tail: LogTail, tmp_path: Path) -> None:
    path = tmp_path / "log"
    add(path, "a long line\n")
    assert tail.lines(0) == ["a long line"]
    path.write_text("new\n")
    assert tail.lines(0) == ["new"]
