"""The log page reads the end of a log file, follows it, and says why if it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from documents import document
from reactorhost.dashboard.model import log_reader
from reactorhost.dashboard.model.log_reader import LogLines, LogReader


def line(number: int) -> str:
    return f"2026-11-28T07:30:00.000Z info event{number} master=1\n"


def events(lines: LogLines) -> list[str]:
    return [record.event for _, record in lines.records]


def test_the_end_is_read_and_followed_over_a_rotation(tmp_path: Path) -> None:
    path, reader = tmp_path / "log", LogReader()
    path.write_text(line(1) + line(2))
    shown = document(1, log_file=str(path))
    first = reader.advance(shown)
    assert events(first) == ["event1", "event2"]
    assert reader.advance(shown) is first
    path.rename(tmp_path / "log.1")
    path.write_text(line(3))
    assert events(reader.advance(shown)) == ["event1", "event2", "event3"]
    assert [number for number, _ in reader.advance(shown).records] == [1, 2, 3]
    reader.close()


def test_only_the_end_of_what_grew_much_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reader, "_MOST_BYTES", 1000)
    path, reader = tmp_path / "log", LogReader()
    path.write_text(line(1))
    shown = document(1, log_file=str(path))
    reader.advance(shown)
    with path.open("a") as file:
        file.writelines(line(number) for number in range(2, 3000))
    found = events(reader.advance(shown))
    assert (len(found), found[-1]) == (1000, "event2999")
    reader.close()


@pytest.mark.parametrize("name", ["none", "."])
def test_a_log_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    found = LogReader().advance(document(1, log_file=str(path)))
    assert found.records == ()
    assert str(path) in found.instead


def test_a_host_without_a_log_file_has_no_lines() -> None:
    assert LogReader().advance(document(1)).instead == "the host logs to its standard error"
