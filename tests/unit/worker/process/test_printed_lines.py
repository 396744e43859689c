"""What plugins print under -d is a line of the log as soon as it ends."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reactorhost import log_setup
from reactorhost.worker.process import printed_lines
from reactorhost.worker.process.printed_lines import print_at_once, print_to_log


class Log:
    """A log file, and the standard streams that lead to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
            print_to_log(log_setup.install(path, "text", "error", worker=7))
            self.stdout, self.stderr = sys.stdout, sys.stderr

    def lines(self) -> list[str]:
        return [line.partition("Z ")[2] for line in self._path.read_text().splitlines()]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Log(tmp_path / "log")
    root.handlers[:], root.level = handlers, level


def test_each_line_is_logged_when_it_ends(log: Log) -> None:
    print("one", 1, file=log.stdout)
    assert log.lines() == ["info one 1 worker=7 logger=stdout"]
    print("begun ", end="", file=log.stdout)
    assert len(log.lines()) == 1
    print("ended\nnext\r\n\nlast", end="", file=log.stdout, flush=True)
    assert [line.partition(" worker")[0] for line in log.lines()[1:]] == ["info begun ended", "info next", "info last"]


def test_standard_error_is_a_warning(log: Log) -> None:
    log.stderr.write("oops\n")
    assert log.lines() == ["warning oops worker=7 logger=stderr"]


def test_control_characters_and_bytes_are_escaped(log: Log) -> None:
    print("\x1b[2J\x9b", file=log.stdout)
    log.stdout.buffer.write(b"\xff\n")
    assert [line.split()[1] for line in log.lines()] == ["\\u001b[2J\\u009b", "\\xff"]


def test_a_line_without_end_does_not_collect_in_memory(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printed_lines, "_LONGEST_LINE", 10)
    log.stdout.write("x" * 11)
    assert log.lines() == [f"info {'x' * 11} worker=7 logger=stdout"]


def test_lines_of_threads_lose_nothing(log: Log) -> None:
    def write() -> None:
        for _ in range(200):
            log.stdout.write("whole line\n")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.lines() == ["info whole line worker=7 logger=stdout"] * 800


def test_programs_that_are_started_with_the_stream_get_its_descriptor(log: Log) -> None:
    assert (log.stdout.fileno(), log.stderr.fileno()) == (1, 2)


class Piped:
    """Standard output and standard error as they are behind one pipe."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reader, self._writer = os.pipe()
        # As Python opens it: with a buffer of 8 KiB.
        with open(self._writer, "w", encoding="utf-8", closefd=False) as buffered:
            monkeypatch.setattr(sys, "stdout", buffered)
            monkeypatch.setattr(sys, "stderr", buffered)
            print_at_once()
            self.stdout, self.stderr = sys.stdout, sys.stderr
            monkeypatch.undo()

    def close(self) -> None:
        os.close(self._writer)


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Piped]:
    pipe = Piped(monkeypatch)
    yield pipe
    pipe.close()


def test_what_is_printed_into_a_pipe_is_written_line_by_line(piped: Piped) -> None:
    print("printed", file=piped.stdout)
    print("failed", file=piped.stderr)
    assert os.read(piped.reader, 100) == b"printed\nfailed\n"
    os.close(piped.reader)
    assert (piped.stdout.name, piped.stderr.name) == ("<stdout>", "<stderr>")


def test_a_print_into_a_pipe_without_a_reader_raises_nothing(piped: Piped) -> None:
    os.close(piped.reader)
    for _ in range(2000):
        print("lost", "漢", file=piped.stdout)


def test_a_print_into_a_full_pipe_that_does_not_block_raises_nothing(piped: Piped) -> None:
    os.set_blocking(piped.stdout.fileno(), False)
    for _ in range(2000):
        print("x" * 100, file=piped.stdout)
    os.close(piped.reader)


@pytest.mark.parametrize("stream", [None, io.StringIO()], ids=["none", "replaced"])
def test_another_standard_output_is_left_alone(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None) -> None:
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    print_at_once()
    assert sys.stdout is sys.stderr is stream
