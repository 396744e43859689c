"""Rates of connections between two lists of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller, turn
from reactorhost.worker.monitor.connection_rates import ConnectionRates, Rate


class Listed:
    """Lists of one connection on a reactor whose clock the test moves."""

    def __init__(self) -> None:
        self.clock = FakeClock(50.0)
        self.poller = FakePoller(self.clock)
        self.reactor = Reactor(self.poller, self.clock)
        self.rates = ConnectionRates(self.reactor)
        self.connection: Any = SimpleNamespace(id=1, age=30.0, bytes_in=100, bytes_out=0)

    def after(self, seconds: float, received: int = 0) -> Rate:
        self.connection.bytes_in += received
        self.clock.now += seconds
        self.connection.age += seconds
        turn(self.reactor, self.poller)
        found = self.rates.begin()
        found.add([self.connection])
        return found.of(self.connection)


def test_the_first_list_has_no_rates() -> None:
    listed = Listed()
    assert listed.after(0.0) == (None, None)
    assert listed.after(2.0, 50) == (25.0, 0.0)


def test_a_connection_that_is_younger_than_the_list_before_counts_from_zero() -> None:
    listed = Listed()
    listed.rates.begin()
    listed.connection.age = 0.0
    assert listed.after(1.0) == (100.0, 0.0)


def test_an_older_connection_that_was_not_in_the_list_before_has_none() -> None:
    listed = Listed()
    listed.rates.begin()
    assert listed.after(1.0) == (None, None)


def test_a_list_of_another_client_does_not_shorten_the_time_that_rates_cover() -> None:
    listed = Listed()
    listed.after(0.0)
    assert listed.after(1.0, 100) == (100.0, 0.0)
    assert listed.after(0.25, 25) == (100.0, 0.0)
    # Since the list of a second ago, and not since the one in between.
    assert listed.after(0.75, 0) == (25.0, 0.0)


def test_what_was_counted_is_forgotten_when_no_list_is_requested() -> None:
    listed = Listed()
    listed.after(0.0)
    listed.after(1.0)
    assert listed.after(11.0, 50) == (None, None)
