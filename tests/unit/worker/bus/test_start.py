"""A worker that starts is ready when it knows the members of the other workers, or after a second."""

from __future__ import annotations

import logging
from unittest.mock import Mock

import pytest

from bus_network import Network, SimWorker
from reactorhost.logs import EventLog
from reactorhost.worker.bus.start import BusStart

LOG = EventLog(logging.getLogger("reactorhost"))


class Starting:
    """The start of a worker of a network; `members` are those that it knows each time that it is ready."""

    def __init__(self, worker: SimWorker, boot_timeout: float = 30.0) -> None:
        self.members: list[set[bytes]] = []
        self.worker = worker
        BusStart(worker.parts.bus, worker.reactor, LOG, boot_timeout, used=True, on_ready=self._ready).begin()

    def _ready(self) -> None:
        self.members.append(set(self.worker.presence().values()))


@pytest.fixture
def network() -> Network:
    return Network()


def test_a_worker_of_a_host_that_does_not_use_the_bus_is_ready_at_once() -> None:
    bus, reactor, ready = Mock(awaits_members=False), Mock(), Mock()
    BusStart(bus, reactor, LOG, 30.0, used=False, on_ready=ready).begin()
    ready.assert_called_once_with()
    assert bus.mock_calls == reactor.mock_calls == []


def test_a_worker_whose_plugins_have_used_the_bus_waits_too(network: Network) -> None:
    worker, ready = network.start(), Mock()
    BusStart(worker.parts.bus, worker.reactor, LOG, 30.0, used=False, on_ready=ready).begin()
    ready.assert_not_called()
    network.run()
    ready.assert_called_once_with()


def test_a_worker_is_ready_when_it_knows_the_members_of_all_others(network: Network) -> None:
    first, second = network.start(), network.start()
    for number in range(100):
        first.join("plain", b"%d" % number)
    second.join("kept", b"last")
    network.run()
    start = Starting(network.start())
    second.stopped = True
    network.run()
    assert start.members == []
    second.stopped = False
    network.run()
    assert start.members == [{b"last", *(b"%d" % number for number in range(100))}]


def test_a_worker_that_ends_is_not_waited_for(network: Network) -> None:
    first, second = network.start(), network.start()
    first.join("plain", b"a")
    network.run()
    start = Starting(network.start())
    second.kill()
    network.run()
    assert start.members == [{b"a"}]


@pytest.mark.parametrize(("boot_timeout", "seconds"), [(30.0, 1.0), (2.0, 0.2)])
def test_a_stopped_worker_is_waited_for_in_vain_for_a_second_at_most(
    network: Network, caplog: pytest.LogCaptureFixture, boot_timeout: float, seconds: float
) -> None:
    caplog.set_level(logging.INFO)
    first, second = network.start(), network.start()
    first.join("plain", b"a")
    second.join("plain", b"b")
    network.run()
    second.stopped = True
    start = Starting(network.start(), boot_timeout)
    network.run()
    network.clock.now += 0.9 * seconds
    network.run()
    assert start.members == []
    network.clock.now += 0.2 * seconds
    network.run()
    assert start.members == [{b"a"}]
    assert [record.getMessage() for record in caplog.records] == ["bus_members_missing"]
    second.stopped = False
    network.run()
    # Ready once; the members come later.
    assert start.members == [{b"a"}]
    assert set(start.worker.presence().values()) == {b"a", b"b"}


def test_a_worker_does_not_wait_for_those_that_begin_later(network: Network) -> None:
    first = network.start()
    network.run()
    first.stopped = True
    start = Starting(network.start())
    network.run()
    # Stopped in the middle of its boot.
    network.start().stopped = True
    network.run()
    first.stopped = False
    network.run()
    assert start.members == [set()]
