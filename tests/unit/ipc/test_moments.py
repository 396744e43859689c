"""Moments move with the monotonic clock, and with the wall clock unless that is set back a little."""

from __future__ import annotations

import pytest

from reactorhost.ipc.moments import Moment


@pytest.mark.parametrize(
    ("unix", "moved"),
    [(1_001.0, 1_001.0), (1_000_000.0, 1_000_000.0), (999.0, 1_000.0), (-9_800.0, 1_000.0), (-9_801.0, -9_801.0)],
    ids=["on", "far on", "back", "3 hours back", "corrected"],
)
def test_a_wall_clock_that_is_set_back_a_little_stands_still(unix: float, moved: float) -> None:
    assert Moment(5.0, 1_000.0).moved_to(Moment(6.0, unix)) == Moment(6.0, moved)
