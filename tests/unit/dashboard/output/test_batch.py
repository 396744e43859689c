"""Batch lines and recordings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from documents import document, listener, troubled
from reactorhost.dashboard.model.recording import Recorder, records
from reactorhost.dashboard.model.source import RecordedSource
from reactorhost.dashboard.output.batch import JsonLines, Lines
from reactorhost.errors import ReactorhostError, UsageError


def test_a_heading_comes_over_every_twentieth_line() -> None:
    written: list[str] = []
    show = Lines((), written.append)
    for _ in range(21):
        show(troubled())
    assert [at for at, text in enumerate(written) if text.startswith("TIME")] == [0, 21]
    assert len({len(text) for text in written}) == 1
    assert written[1].split()[:4] == ["12:04:37", "6/8", "12,428", "238"]
    assert written[1].split()[-1] == "400"


def test_columns_can_be_chosen_but_only_those_of_all_workers() -> None:
    written: list[str] = []
    Lines(["cpu", "p999"], written.append)(document(1, listeners=[listener(0, depth=None)]))
    assert written[0].split() == ["TIME", "READY", "CPU%", "P99.9", "QUEUE"]
    assert written[1].split() == ["12:04:37", "1/1", "73", "1.2ms", "-"]
    with pytest.raises(UsageError, match="about all workers"):
        Lines(["pid"], written.append)


def test_json_lines_are_the_documents_themselves() -> None:
    written: list[str] = []
    JsonLines(written.append)(document(1))
    assert json.loads(written[0]) == document(1)


def test_a_recording_gives_back_what_was_written_with_its_times(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    with Recorder(path) as recorder:
        for moment in (100.0, 101.5, 101.0, 99.0):
            recorder.write(document(1, time=moment))
    assert [at for at, _ in records(path)] == [0.0, 1.5, 1.0, 0.0]
    assert [made["time"] for _, made in records(path)] == [100.0, 101.5, 101.0, 99.0]


def test_a_last_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    whole = json.dumps({"at": 0, "document": document(1)})
    path.write_text(f"{whole}\n{whole[:100]}")
    assert len(list(records(path))) == 1


def test_what_is_no_recording_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.write_text("{}\n")
    with pytest.raises(ReactorhostError) as failure:
        list(records(path))
    assert failure.value.where == f"{path}:1"


def test_a_recording_is_played_at_its_pace_times_the_speed() -> None:
    source = RecordedSource([(0.0, document(1)), (2.0, document(2)), (3.0, document(3))], 2.0, now=10.0)
    assert len(source.advance(10.0)) == 1
    assert source.due() == 11.0
    assert source.link(10.0).source == "replay 2x"
    assert source.advance(10.9) == []
    assert len(source.advance(11.6)) == 2
    assert source.ended()
    assert source.link(12.0).source == "end of replay"
