"""The times of throttled connections."""

from __future__ import annotations

import pytest

from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.throttles import Throttles


class Transport:
    def __init__(self) -> None:
        self.ended = 0

    def throttle_ended(self) -> None:
        self.ended += 1


class Scene:
    """The throttles of a worker whose time a test moves."""

    def __init__(self) -> None:
        self.clock = FakeClock(100.0)
        self.reactor = Reactor(FakePoller(self.clock), self.clock)
        self.throttles = Throttles(self.reactor)
        self.one, self.two = Transport(), Transport()

    def at(self, seconds: float) -> tuple[int, int]:
        """Return how often each transport was read again until then."""
        self.clock.now = 100.0 + seconds
        self.reactor.turn(0)
        return self.one.ended, self.two.ended


def test_each_connection_has_its_time() -> None:
    scene = Scene()
    scene.throttles.add(scene.one, 2.0)
    scene.throttles.add(scene.two, 1.0)
    assert (scene.at(0.9), scene.at(1.0), scene.at(1.9), scene.at(2.0)) == ((0, 0), (0, 1), (0, 1), (1, 1))
    assert len(scene.throttles) == 0
    scene.throttles.add(scene.one, 1.0)
    assert scene.at(3.0) == (2, 1)


@pytest.mark.parametrize("seconds", [(1.0, 5.0), (5.0, 1.0), (5.0, 5.0)])
def test_the_latest_time_counts_and_ends_once(seconds: tuple[float, float]) -> None:
    scene = Scene()
    for each in seconds:
        scene.throttles.add(scene.one, each)
    assert (scene.at(4.9), scene.at(5.0), scene.at(20.0)) == ((0, 0), (1, 0), (1, 0))


def test_what_is_removed_does_not_end() -> None:
    scene = Scene()
    scene.throttles.add(scene.one, 1.0)
    scene.throttles.remove(scene.one)
    assert (scene.at(2.0), len(scene.throttles)) == ((0, 0), 0)
