"""The workers that have ended last."""

from __future__ import annotations

from reactorhost.bus.refs import Origin
from reactorhost.worker.bus.latest_origins import LatestOrigins


def origin(number: int) -> Origin:
    return Origin(bytes(8), number.to_bytes(8))


def test_the_last_workers_that_have_ended_are_remembered() -> None:
    ended = LatestOrigins(1000)
    for each in range(5000):
        ended.add(origin(each))
    assert origin(4999) in ended
    assert origin(4500) in ended
    assert origin(5000) not in ended
    assert len(ended._origins) < 2000
