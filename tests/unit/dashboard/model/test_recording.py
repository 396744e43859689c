"""Recordings: what is read back, and which files are rejected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from documents import document, event, worker
from reactorhost.dashboard.model.recording import recorder, records
from reactorhost.errors import ReactorhostError


def test_a_recording_returns_documents_and_times(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    with recorder(path) as record:
        for moment in (100.0, 101.5, 101.0, 99.0):
            record(document(1, time=moment))
    assert [at for at, _ in records(path)] == [0.0, 1.5, 1.0, 0.0]
    assert [made["time"] for _, made in records(path)] == [100.0, 101.5, 101.0, 99.0]


def test_a_record_has_the_newest_events_so_that_a_recording_can_be_cut_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    events = [event(1.0, f"event {number}") for number in range(60)]
    with recorder(path) as record:
        record(document(1, events=events))
    [(_, made)] = records(path)
    assert made["events"] == events[10:]


def test_a_record_of_an_earlier_version_gets_the_members_that_are_new(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    stall = {"plugin": "slow", "hook": "receive", "where": "slow.py:15", "seconds": 2.0}
    made = document(1, workers=[worker(0, 4243, stall=stall)])
    path.write_text(json.dumps({"at": 0, "document": made}) + "\n")
    [(_, found)] = records(path)
    assert found["workers"][0]["stall"] == {**stall, "peer": None}


def test_an_incomplete_last_line_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    whole = json.dumps({"at": 0, "document": document(1)})
    path.write_text(f"{whole}\n{whole[:100]}")
    assert len(list(records(path))) == 1


def test_a_file_that_is_not_a_recording_is_rejected_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.write_text("{}\n")
    with pytest.raises(ReactorhostError) as failure:
        list(records(path))
    assert failure.value.where == f"{path}:1"
