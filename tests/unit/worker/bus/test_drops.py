"""The lines about dropped messages."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from reactorhost.ipc.counters import Counters
from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.bus.drops import Drops


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record)["reactorhost_fields"] for record in caplog.records]


def test_drops_are_logged_at_the_end_of_the_turn_and_then_every_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    reactor = Reactor(FakePoller(clock), clock)
    counters = Counters()
    drops = Drops(reactor, counters, EventLog(logging.getLogger("test")))

    def drop(receiver: str, messages: int = 1) -> None:
        drops.add(receiver, {"to": receiver}, messages)

    drop("a")
    drop("a", 2)
    drop("b")
    assert logged(caplog) == []
    reactor.turn(0.0)
    assert logged(caplog) == [{"to": "a", "messages": 3}, {"to": "b", "messages": 1}]
    for _ in range(5):
        drop("a")
        reactor.turn(0.0)
    assert len(caplog.records) == 2
    clock.now += 10.0
    reactor.turn(0.0)
    # Also when nothing more is dropped; and a receiver without drops is forgotten.
    assert logged(caplog)[2:] == [{"to": "a", "messages": 5}]
    drop("b")
    reactor.turn(0.0)
    assert logged(caplog)[3:] == [{"to": "b", "messages": 1}]
    clock.now += 10.0
    reactor.turn(0.0)
    clock.now += 10.0
    reactor.turn(0.0)
    assert not drops._lines
    assert counters.bus_dropped == 10
    drop("c")
    drops.finish()
    drops.finish()
    # The loop has stopped, so nothing else would log it.
    assert logged(caplog)[4:] == [{"to": "c", "messages": 1}]
