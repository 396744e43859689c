"""When a worker publishes its stats: four times a second, and once a second while it is idle."""

from __future__ import annotations

import pytest

from reactorhost.ipc.scoreboard import Scoreboard
from reactorhost.ipc.service_pages import counters_of, packed_counters, timings_of
from reactorhost.reactor import READ, Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.monitor.service_stats import ServiceStats
from reactorhost.worker.monitor.stats_publisher import StatsPublisher


class Client:
    """A descriptor that is ready when the test says so."""

    number = -1
    events = 0

    def ready(self) -> int:
        return self.events


class Published:
    """A publisher on a fake clock, and what it has done."""

    def __init__(self) -> None:
        self.clock = FakeClock(100.0)
        self.client = Client()
        poller = FakePoller(self.clock)
        self.reactor = Reactor(poller, self.clock)
        poller.open(self.client)
        self.reactor.register(self.client.number, READ, lambda events: None)
        self.scoreboard = Scoreboard(1, services=2)
        self.beats: list[float] = []
        self.services = (ServiceStats(), ServiceStats())
        self.publisher = StatsPublisher(
            self.reactor,
            self.scoreboard,
            self.scoreboard.take_page(),
            lambda timed: None,
            lambda: self.beats.append(self.clock()),
        )
        self.publisher.start([], self.services)

    def turn(self) -> None:
        self.reactor.turn(self.reactor.wait_seconds(self.clock()))

    def active_turns(self, count: int) -> None:
        """Turn with something to read, at the same moment."""
        self.client.events = READ
        for _ in range(count):
            self.turn()
        self.client.events = 0

    def heartbeat_age(self) -> float:
        return self.clock() - self.scoreboard.read(0).heartbeat


@pytest.fixture
def published() -> Published:
    return Published()


def test_an_idle_worker_wakes_up_once_a_second(published: Published) -> None:
    turns = published.reactor.turns
    while published.clock() < 110.0:
        published.turn()
        assert published.heartbeat_age() <= 0.25
    assert published.reactor.turns - turns == 10
    assert published.beats == [float(second) for second in range(100, 111)]


def test_a_busy_worker_publishes_four_times_a_second(published: Published) -> None:
    published.active_turns(10)
    published.beats.clear()
    while published.clock() < 102.0:
        published.turn()
        published.active_turns(10)
    assert published.beats == [100.25 + 0.25 * beat for beat in range(8)]


def test_what_wakes_an_idle_worker_counts_for_its_heartbeat_from_then_on(published: Published) -> None:
    published.turn()
    assert published.heartbeat_age() == -0.75
    published.clock.now += 0.3
    published.active_turns(1)
    assert published.heartbeat_age() == 0.0
    published.turn()
    assert published.beats[-1] == pytest.approx(101.55)


def test_what_services_count_is_published_for_each_and_as_the_worker_s_sum(published: Published) -> None:
    first, second = published.services
    first.counters.messages, first.counters.bytes_in, first.counters.denied = 5, 50, 1
    second.counters.messages, second.counters.late_messages = 7, 2
    second.timings.calls = 3
    published.publisher.timing.calls += 1
    published.publisher.store()
    worker = published.scoreboard.read(0)
    assert (worker.messages, worker.bytes_in, worker.denied, worker.late_messages) == (12, 50, 1, 2)
    stored = published.scoreboard.services.read(0)
    counted = packed_counters(stored.counted, 2)
    assert [counters_of(counted, service) for service in (0, 1)] == [first.counters, second.counters]
    assert [timings_of(each) for each in stored.timed] == [first.timings, second.timings]


def test_the_counts_of_a_worker_are_written_last(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    # The master may read in between: what it finds counted is timed and counted for its service too.
    written: list[str] = []
    scoreboard = published.scoreboard
    for owner in (scoreboard, scoreboard.services):
        for name in {"write", "write_counters", "write_timings"} & set(dir(owner)):
            monkeypatch.setattr(owner, name, lambda *_, name=name: written.append(name))
    published.publisher.timing.calls += 1
    published.publisher.store()
    assert written.count("write_timings") == 1 + len(published.services)
    assert written.index("write") == len(written) - 1 == 2 * len(published.services) + 1
