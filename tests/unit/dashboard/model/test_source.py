"""Sources of status documents."""

from __future__ import annotations

from documents import document
from reactorhost.dashboard.model.source import RecordingSource


def test_a_recording_is_played_at_its_own_pace_times_the_speed() -> None:
    source = RecordingSource([(0.0, document(1)), (2.0, document(2)), (3.0, document(3))], 2.0, now=10.0)
    assert len(source.advance(10.0)) == 1
    assert source.due() == 11.0
    assert source.link(10.0).source == "replay 2x"
    assert source.advance(10.9) == []
    assert len(source.advance(11.6)) == 2
    assert source.ended()
    assert source.link(12.0).source == "end of replay"
