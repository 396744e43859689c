"""A worker joins the bus when it uses it first, and links itself with the workers whose sockets it receives."""

from __future__ import annotations

import logging
import socket
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest

from reactorhost.ipc.counters import Counters
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report
from reactorhost.ipc.scoreboard import Scoreboard
from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.system.fork import ForkRegistry
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.bus.peers.introductions import Introductions


class Line:
    """The line to the master."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.descriptors: list[int] = []

    def send(self, message: Message) -> None:
        self.sent.append(message)

    def receive_within(self, seconds: float) -> bool:
        raise AssertionError("the worker does not stop")

    def take_descriptors(self, count: int) -> list[int]:
        return [self.descriptors.pop() for _ in range(min(count, len(self.descriptors)))]


class Started:
    def __init__(self) -> None:
        clock = FakeClock()
        self.line = Line()
        self.scoreboard = Scoreboard(1)
        self.inbound = Mock()
        spec = SimpleNamespace(
            settings=SimpleNamespace(bus_max_queue=1 << 20, bus_down_period=30.0),
            host_id=b"hhhhhhhh",
            slot=3,
            scoreboard=self.scoreboard,
            page=self.scoreboard.take_page(),
        )
        self.introductions = Introductions(
            cast("Any", spec),
            Reactor(FakePoller(clock), clock),
            ForkRegistry(),
            EventLog(logging.getLogger("reactorhost")),
            Counters(),
            cast("Any", self.line),
        )


@pytest.fixture
def started() -> Started:
    return Started()


def test_the_first_use_is_reported(started: Started) -> None:
    assert started.line.sent == []
    assert not started.scoreboard.has_bus_id(started.introductions.origin.worker)
    started.introductions.new_outbound(started.inbound, started.inbound)
    assert started.line.sent == [{"report": Report.USES_BUS}]
    assert started.scoreboard.has_bus_id(started.introductions.origin.worker)
    started.introductions.all_introduced()
    started.inbound.introduced.assert_called_once_with()


def test_the_ids_of_two_workers_of_a_host_differ() -> None:
    first, second = Started().introductions.origin, Started().introductions.origin
    assert first.host == second.host == b"hhhhhhhh"
    assert first.worker != second.worker
    assert len(first.worker) == 8


def test_a_socket_of_the_master_is_a_link(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    peers = Mock()
    opened = Mock(side_effect=lambda fileno: ("socket", fileno))
    monkeypatch.setattr(socket, "socket", opened)
    started.introductions.new_outbound(started.inbound, started.inbound)
    started.introductions._peers = peers
    started.line.descriptors = [9]
    started.introductions.introduce(71, late=True)
    peers.introduce.assert_called_once_with(("socket", 9), 71, late=True)


def test_a_socket_that_the_kernel_has_dropped_is_reported(started: Started, caplog: pytest.LogCaptureFixture) -> None:
    started.introductions.new_outbound(started.inbound, started.inbound)
    started.introductions.introduce(71, late=False)
    assert started.line.sent[1:] == [{"report": Report.NOT_INTRODUCED, "pid": 71}]
    assert [record.getMessage() for record in caplog.records] == ["introduction_failed"]
