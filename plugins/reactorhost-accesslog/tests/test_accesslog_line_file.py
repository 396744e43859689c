"""A `LineFile` follows rotation and handles partial writes, on a fake clock."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from reactorhost_accesslog.line_file import LineFile


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lines.log"


def test_a_moved_file_is_replaced_within_a_second(path: Path, clock: Clock) -> None:
    lines = LineFile(str(path), clock)
    lines.open()
    moved = path.rename(path.with_suffix(".1"))
    clock.now += 0.9
    lines.write(b"late\n")
    clock.now += 0.1
    lines.write(b"new\n")
    lines.close()
    assert (moved.read_bytes(), path.read_bytes()) == (b"late\n", b"new\n")


def test_a_file_that_was_replaced_by_another_one_is_left(path: Path, clock: Clock) -> None:
    lines = LineFile(str(path), clock)
    lines.open()
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"theirs\n")
    clock.now += 1
    lines.write(b"ours\n")
    lines.close()
    assert path.read_bytes() == b"theirs\nours\n"


def test_following_a_moved_file_leaks_no_descriptor(path: Path, clock: Clock) -> None:
    lines = LineFile(str(path), clock)
    lines.open()
    before = len(os.listdir("/proc/self/fd"))
    for turn in range(5):
        path.rename(path.with_suffix(f".{turn}"))
        clock.now += 1
        lines.write(b"line\n")
    assert len(os.listdir("/proc/self/fd")) == before
    lines.close()


def test_lines_go_to_the_moved_file_while_the_new_one_cannot_be_opened(path: Path, clock: Clock) -> None:
    folder = path.parent / "logs"
    folder.mkdir()
    lines = LineFile(str(folder / "lines.log"), clock)
    lines.open()
    moved = folder.rename(path.parent / "moved")
    clock.now += 1
    lines.write(b"late\n")
    lines.close()
    assert (moved / "lines.log").read_bytes() == b"late\n"


def test_a_partial_write_is_an_error_and_the_next_line_starts_a_new_line(path: Path, clock: Clock) -> None:
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    lines = LineFile(str(path), clock)
    lines.open()
    room = fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ)
    with pytest.raises(OSError, match="only in part"):
        lines.write(b"x" * (room + 1) + b"\n")
    assert len(os.read(reader, room)) == room
    lines.write(b"whole\n")
    assert os.read(reader, 100) == b"\nwhole\n"
    lines.write(b"next\n")
    assert os.read(reader, 100) == b"next\n"
    lines.close()
    os.close(reader)


def test_closing_twice_does_not_close_a_reused_descriptor(path: Path, clock: Clock) -> None:
    lines = LineFile(str(path), clock)
    lines.open()
    lines.close()
    theirs = os.open(path, os.O_RDONLY)
    lines.close()
    os.fstat(theirs)
    os.close(theirs)


def test_a_closed_file_refuses_lines(path: Path, clock: Clock) -> None:
    with pytest.raises(OSError, match="closed"):
        LineFile(str(path), clock).write(b"line\n")


def test_a_full_standard_output_is_an_error_and_does_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    try:
        file = LineFile("-")
        file.open()
        monkeypatch.setattr(file, "_descriptor", writer)
        os.write(writer, bytes(fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)))
        with pytest.raises(OSError, match="is full"):
            file.write(b"lost\n")
        os.read(reader, 1 << 20)
        file.write(b"again\n")
        assert os.read(reader, 100) == b"again\n"
    finally:
        os.close(reader)
        os.close(writer)
