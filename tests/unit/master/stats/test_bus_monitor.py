"""The bus in the status document: sums and rates over workers that come and go, and the state of backends."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from reactorhost.ipc.counters import Counters
from reactorhost.ipc.status import BusStatus
from reactorhost.master.stats.bus_monitor import BusMonitor, BusReading, shown_url

URL = "redis://cache:6379/0"


class Host:
    """A monitor, and the counters of the workers as the test sets them."""

    def __init__(self) -> None:
        self.workers: dict[int, Counters] = {}
        self.past = Counters()
        self.log = Mock()
        self.reactor = Mock(now=100.0)
        pool: Any = Mock(reactor=self.reactor, pids=lambda: list(self.workers), counters=lambda pid: self.workers[pid])
        self.monitor = BusMonitor(pool, self.past, self.log)

    def second(self) -> None:
        self.reactor.now += 1.0
        self.monitor.sample()

    def backend(self, pid: int, state: str, reason: str = "") -> None:
        self.monitor.backend_changed(pid, {"report": "bus_backend", "state": state, "reason": reason})

    def shown(self, url: str | None = None) -> BusStatus:
        return self.read(url).host

    def read(self, url: str | None = None) -> BusReading:
        reading = self.monitor.read(url, self.workers)
        assert reading is not None
        return reading

    def logged(self) -> list[str]:
        return [call[1][0] for call in self.log.method_calls]


def test_a_bus_that_was_never_used_is_null_and_one_that_was_used_stays() -> None:
    host = Host()
    host.workers = {7: Counters(messages=5)}
    host.second()
    assert host.monitor.read(URL, host.workers) is None
    host.workers[7].bus_groups = 1
    # Before the next sample, of the worker too.
    reading = host.read()
    assert reading.host["groups"] == reading.workers[7]["groups"] == 1
    host.workers[7].bus_groups = 0
    assert host.shown()["groups"] == 0
    worker = host.read(None).workers[7]
    assert worker["members"] == 0


def test_figures_are_sums_and_rates_over_the_last_second() -> None:
    host = Host()
    host.workers = {
        7: Counters(bus_groups=2, bus_members=5, bus_in=10, bus_out=20, bus_dropped=1),
        8: Counters(bus_groups=1, bus_members=1, bus_in=100),
    }
    host.second()
    assert host.shown()["in_per_second"] == 0.0
    host.workers[7].bus_in, host.workers[7].bus_out, host.workers[7].bus_dropped = 40, 25, 3
    host.workers[8].bus_in = 150
    host.second()
    assert host.shown() == {
        "groups": 3,
        "members": 6,
        "messages_in": 190,
        "messages_out": 25,
        "dropped": 3,
        "in_per_second": 80.0,
        "out_per_second": 5.0,
        "dropped_per_second": 2.0,
        "backend": None,
    }
    worker = host.read(None).workers[8]
    assert (worker["messages_in"], worker["in_per_second"], worker["out_per_second"]) == (150, 50.0, 0.0)


def test_totals_include_ended_workers_and_rates_do_not_fall_with_them() -> None:
    host = Host()
    host.workers = {7: Counters(bus_members=5, bus_out=20), 8: Counters(bus_out=1)}
    host.second()
    host.past.bus_out += host.workers.pop(7).bus_out
    host.workers[8].bus_out += 3
    host.second()
    shown = host.shown()
    assert (shown["members"], shown["messages_out"], shown["out_per_second"]) == (0, 24, 3.0)


def test_drops_are_an_event_at_most_every_ten_seconds_with_all_that_were_lost() -> None:
    host = Host()
    host.workers = {7: Counters(bus_in=1)}
    for _ in range(25):
        host.second()
        host.workers[7].bus_dropped += 4
    host.workers[7].bus_dropped -= 4
    events = [call[1:] for call in host.log.method_calls]
    assert [(args, fields["count"]) for args, fields in events] == [
        (("warning", "bus_messages_dropped"), 4),
        (("warning", "bus_messages_dropped"), 40),
        (("warning", "bus_messages_dropped"), 40),
    ]


@pytest.mark.parametrize(
    ("states", "worst"),
    [(("up", "up"), "up"), (("up", "connecting"), "connecting"), (("connecting", "down"), "down")],
)
def test_the_backend_of_the_host_is_that_of_the_worker_that_fares_worst(states: tuple[str, str], worst: str) -> None:
    host = Host()
    host.workers = {7: Counters(), 8: Counters(), 9: Counters(bus_in=1)}
    assert host.shown(URL)["backend"] is None
    for pid, state in zip((7, 8), states, strict=True):
        host.backend(pid, state, f"{state} it is")
    assert host.shown(URL)["backend"] == {"url": URL, "state": worst, "reason": f"{worst} it is"}
    assert host.shown(None)["backend"] is None
    worker = host.read(URL).workers[7]
    assert worker["backend"] == {"url": URL, "state": states[0], "reason": f"{states[0]} it is"}
    other = host.read(URL).workers[9]
    assert other["backend"] is None


def test_a_worker_that_ended_leaves_no_state() -> None:
    host = Host()
    host.workers = {7: Counters(), 8: Counters()}
    host.backend(7, "down", "refused")
    host.backend(8, "up")
    del host.workers[7]
    backend = host.shown(URL)["backend"]
    assert backend == {"url": URL, "state": "up", "reason": None}
    host.second()
    assert list(host.monitor._backends) == [8]


def test_an_outage_is_logged_once_for_all_workers_and_so_is_its_end() -> None:
    host = Host()
    host.workers = {7: Counters(), 8: Counters()}
    for state in ("connecting", "up"):
        host.backend(7, state)
        host.backend(8, state)
    assert host.logged() == []
    host.backend(7, "down", "connection refused")
    host.backend(8, "down", "connection refused")
    # Workers that reconnect report all three states again and again.
    host.backend(7, "connecting")
    host.backend(7, "down", "connection refused")
    host.backend(8, "connecting")
    host.backend(8, "up")
    host.backend(7, "connecting")
    assert host.logged() == ["bus_backend_down"]
    host.log.warning.assert_called_once_with("bus_backend_down", reason="connection refused")
    host.backend(7, "up")
    assert host.logged() == ["bus_backend_down", "bus_backend_up"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://cache:6379/0", "redis://cache:6379/0"),
        ("redis://user:secret@cache", "redis://cache"),
        ("redis://:p@ss/w@[::1]:6379/1?password=secret", "redis://[::1]:6379/1"),
        ("nats://secret@a,b#secret", "nats://a,b"),
    ],
)
def test_a_url_is_shown_without_credentials(url: str, shown: str) -> None:
    assert shown_url(url) == shown
