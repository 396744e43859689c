"""What waits for workers that are not introduced yet, as far as `test_peers` does not show it."""

from __future__ import annotations

import pytest

from reactorhost.bus.refs import Origin
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.bus import unlinked
from reactorhost.worker.bus.unlinked import UnlinkedWorkers


def origin(number: int) -> Origin:
    return Origin(bytes(8), number.to_bytes(8))


@pytest.fixture
def workers() -> UnlinkedWorkers:
    clock = FakeClock()
    return UnlinkedWorkers(Reactor(FakePoller(clock), clock), 100, 30.0)


def test_messages_for_connections_are_bounded(workers: UnlinkedWorkers) -> None:
    assert workers.keep(origin(1), bytes(60))
    assert not workers.keep(origin(1), bytes(60))
    assert workers.keep(origin(1), bytes(40))
    assert workers.take(origin(1)) == [bytes(60), bytes(40)]
    assert workers.take(origin(1)) == []
    # One that is longer than the bound waits alone.
    assert workers.keep(origin(2), bytes(101))
    assert not workers.keep(origin(1), b"x")


def test_refs_that_are_made_up_do_not_fill_the_memory(workers: UnlinkedWorkers) -> None:
    for each in range(unlinked.MOST_UNKNOWN):
        assert workers.may_come(origin(each))
        workers.keep(origin(each), b"")
    assert not workers.may_come(origin(unlinked.MOST_UNKNOWN))
    assert workers.may_come(origin(0))
    workers.take(origin(1))
    assert workers.may_come(origin(unlinked.MOST_UNKNOWN))


def test_the_last_workers_that_have_ended_are_remembered(workers: UnlinkedWorkers) -> None:
    for each in range(5000):
        workers.ended(origin(each))
    assert not workers.may_come(origin(4999))
    assert not workers.may_come(origin(4500))
    assert len(workers._ended) < 2000
