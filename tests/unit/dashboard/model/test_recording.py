"""Recordings: what is read back, and which files are rejected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from documents import document
from reactorhost.dashboard.model.recording import recorder, records
from reactorhost.errors import ReactorhostError


def test_a_recording_returns_documents_and_times(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    with recorder(path) as record:
        for moment in (100.0, 101.5, 101.0, 99.0):
            record(document(1, time=moment))
    assert [at for at, _ in records(path)] == [0.0, 1.5, 1.0, 0.0]
    assert [made["time"] for _, made in records(path)] == [100.0, 101.5, 101.0, 99.0]


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
