"""What waits for workers that are not known yet, as far as `test_peers` does not show it."""

from __future__ import annotations

import pytest

from reactorhost.bus.refs import Origin
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller, turn
from reactorhost.worker.bus import unlinked
from reactorhost.worker.bus.unlinked import UnlinkedWorkers


def origin(number: int) -> Origin:
    return Origin(bytes(8), number.to_bytes(8))


class Started:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.poller = FakePoller(self.clock)
        self.reactor = Reactor(self.poller, self.clock)
        self.expired: list[tuple[Origin, int]] = []
        self.workers = UnlinkedWorkers(
            self.reactor, 100, 30.0, lambda origin, count: self.expired.append((origin, count))
        )


@pytest.fixture
def started() -> Started:
    return Started()


def test_messages_for_connections_are_bounded(started: Started) -> None:
    workers = started.workers
    assert workers.keep(origin(1), bytes(60))
    assert not workers.keep(origin(1), bytes(60))
    assert workers.keep(origin(1), bytes(40))
    assert workers.take(origin(1)) == [bytes(60), bytes(40)]
    assert workers.take(origin(1)) == []
    # One that is longer than the bound waits alone.
    assert workers.keep(origin(2), bytes(101))
    assert not workers.keep(origin(1), b"x")


def test_what_waits_for_too_long_is_dropped_once(started: Started) -> None:
    workers = started.workers
    workers.keep(origin(1), b"1")
    started.clock.now += 10
    workers.keep(origin(1), b"2")
    workers.keep(origin(2), b"3")
    workers.keep(origin(3), b"4")
    assert workers.take(origin(3)) == [b"4"]
    started.clock.now += 20
    turn(started.reactor, started.poller)
    assert started.expired == [(origin(1), 2)]
    assert workers.take(origin(1)) == []
    workers.stop()
    started.clock.now += 20
    turn(started.reactor, started.poller)
    assert started.expired == [(origin(1), 2)]


def test_refs_that_are_made_up_do_not_fill_the_memory(started: Started) -> None:
    for each in range(unlinked.MOST_WAITING):
        assert started.workers.keep(origin(each), b"")
    assert not started.workers.keep(origin(unlinked.MOST_WAITING), b"")
    assert started.workers.keep(origin(0), b"")
    started.workers.take(origin(1))
    assert started.workers.keep(origin(unlinked.MOST_WAITING), b"")
