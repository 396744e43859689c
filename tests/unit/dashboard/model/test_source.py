"""Sources of status documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from documents import document, event
from reactorhost.dashboard.model.requests import HostRequest
from reactorhost.dashboard.model.source import HostSource, RecordingSource
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.compact_status import compacted


def test_a_recording_is_played_at_its_own_pace_times_the_speed() -> None:
    source = RecordingSource([(0.0, document(1)), (2.0, document(2)), (3.0, document(3))], 2.0, now=10.0)
    assert len(source.advance(10.0)) == 1
    assert source.due() == 11.0
    assert source.link(10.0).source == "replay 2x"
    assert source.advance(10.9) == []
    assert len(source.advance(11.6)) == 2
    assert source.ended()
    assert source.link(12.0).source == "end of replay"


class FakeClient:
    """A connection to a host whose answers the test chooses; `gone` raises as one of a host that has ended."""

    def __init__(self, path: Path, timeout: float) -> None:
        self.socket = None

    def send(self, verb: str, **fields: object) -> None:
        assert fields["compact"] is True
        SENT.append(fields["events_since"])

    def receive(self) -> list[dict[str, Any]]:
        if ANSWERS and ANSWERS[0] is None:
            ANSWERS.pop(0)
            raise ConnectionResetError
        return [{"document": ANSWERS.pop(0)}] if ANSWERS else []

    def close(self) -> None: ...


SENT: list[object] = []
ANSWERS: list[Any] = []


def test_a_host_is_requested_for_new_events_only_until_it_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reactorhost.dashboard.model.source.ControlClient", FakeClient)
    SENT.clear()
    first, second = event(9.0, "first"), event(8.0, "second")
    ANSWERS[:] = [document(1, events=[first]), document(1, events=[second]), None]
    source = HostSource(Path("/run/x"), 1.0, 0.0)
    shown = [document["events"] for now in range(10) for document in source.advance(float(now))]
    assert shown == [[first], [first, second]]
    # After the loss, another host may listen there.
    assert [None, first["id"], second["id"], None] == SENT


def test_a_document_is_compact_on_its_way_and_complete_in_the_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reactorhost.dashboard.model.source.ControlClient", FakeClient)
    SENT.clear()
    made = document(2)
    ANSWERS[:] = [compacted(made)]
    source = HostSource(Path("/run/x"), 1.0, 0.0)
    assert [each for now in range(2) for each in source.advance(float(now))] == [made]


def test_the_document_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reactorhost.dashboard.model.source.ControlClient", FakeClient)
    SENT.clear()
    ANSWERS[:] = [{"schema": 1, "version": "0.1.0", "workers": []}]
    source = HostSource(Path("/run/x"), 1.0, 0.0)
    source.advance(0.0)
    with pytest.raises(ReactorhostError, match="whose status has schema 1"):
        source.advance(1.0)


class FakeRequest:
    """A request whose result has arrived."""

    verb, text, finished, failed, client = "disconnect", "disconnect: done", True, False, None

    def __init__(self, path: Path, request: HostRequest) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize(("pressed_at", "left"), [(None, "disconnect: done"), (0.5, "disconnect: done"), (1.5, "")])
def test_a_result_is_shown_until_a_key_is_pressed_after_it(
    pressed_at: float | None, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reactorhost.dashboard.model.source.ControlClient", FakeClient)
    monkeypatch.setattr("reactorhost.dashboard.model.source.SentRequest", FakeRequest)
    ANSWERS.clear()
    source = HostSource(Path("/run/x"), 1.0, 0.0)
    source.send(HostRequest("disconnect", ""), 0.0)
    source.advance(0.0)
    if pressed_at is not None:
        source.dismiss(pressed_at)
    source.advance(2.0)
    assert source.link(2.0).notice == left
    source.advance(9.0)
    assert source.link(9.0).notice == ""
