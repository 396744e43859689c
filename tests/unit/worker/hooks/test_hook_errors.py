"""Errors in plugin code: what is counted, logged and reported to the master."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from reactorhost.address import Address, Endpoint
from reactorhost.ipc.counters import Counters
from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.hooks.hook_errors import ErrorReporter
from reactorhost.worker.hooks.hook_timing import HookTiming


class Reporter:
    """An error reporter on a fake clock."""

    def __init__(self) -> None:
        self.clock = FakeClock(10.0)
        self.reactor = Reactor(FakePoller(self.clock), self.clock)
        self.reactor.turn(0)
        self.counters = Counters()
        self.reports: list[dict[str, Any]] = []
        timing = HookTiming(self.reactor, lambda timed: None)
        log = EventLog(logging.getLogger("reactorhost"))
        self.reporter = ErrorReporter(self.reactor, self.counters, timing, log, self.reports.append)

    def at(self, now: float) -> None:
        self.clock.now = now
        self.reactor.turn(0)

    def fail(self, plugin: str, text: str = "") -> None:
        try:
            raise ValueError(text)
        except ValueError as raised:
            self.reporter.hook_failed(plugin, "receive", None, raised)

    def reported(self) -> list[tuple[str, str, int]]:
        return [(report["plugin"], report["error"], report["count"]) for report in self.reports]


@pytest.fixture
def reporter() -> Reporter:
    return Reporter()


def events(caplog: pytest.LogCaptureFixture) -> list[tuple[str, object]]:
    """Return each event with the number that it has in its field `count`."""
    return [(each.getMessage(), vars(each)["reactorhost_fields"].get("count")) for each in caplog.records]


def test_every_error_is_in_a_report_and_each_plugin_reports_once_a_second(
    reporter: Reporter, caplog: pytest.LogCaptureFixture
) -> None:
    for plugin, now in (("a", 10.0), ("a", 10.8), ("a", 10.9), ("b", 10.9), ("a", 11.0), ("a", 11.9)):
        reporter.at(now)
        reporter.fail(plugin, f"{plugin} at {now}")
    reported = [
        ("a", "ValueError: a at 10.0", 1),
        ("b", "ValueError: b at 10.9", 1),
        ("a", "ValueError: a at 10.9", 2),
        ("a", "ValueError: a at 11.9", 2),
    ]
    assert reporter.reported() == reported[:3]
    reporter.at(12.0)
    assert reporter.reported() == reported
    reporter.at(13.0)
    reporter.fail("a")
    assert reporter.reported()[4:] == [("a", "ValueError: ", 1)]
    assert len(caplog.records) == reporter.counters.hook_errors == 7


def test_errors_of_different_causes_are_reported_apart_and_their_kinds_are_limited(reporter: Reporter) -> None:
    for number in range(30):
        reporter.reporter.hook_failed("a", f"hook {number}", None, ValueError("no"))
    reporter.fail("a")
    reporter.at(11.0)
    assert [report["hook"] for report in reporter.reports] == [f"hook {number}" for number in range(21)]


def test_five_errors_a_second_of_each_place_are_logged_and_the_others_counted(
    reporter: Reporter, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(716):
        reporter.fail("a")
    reporter.fail("b")
    reporter.reporter.hook_failed("a", "receive", None, ValueError("of another place"))
    assert events(caplog) == [("hook_failed", None)] * 7
    assert reporter.counters.hook_errors == 718
    caplog.clear()
    reporter.at(11.0)
    assert events(caplog) == [("log_suppressed", 711)]
    fields = vars(caplog.records[0])["reactorhost_fields"]
    assert (fields["lines"], fields["plugin"], fields["hook"]) == ("hook_failed", "a", "receive")
    assert fields["where"].startswith(__file__)
    caplog.clear()
    reporter.at(20.0)
    reporter.fail("a")
    assert events(caplog) == [("hook_failed", None)]


@pytest.mark.parametrize("event", ["hook_cancel_ignored", "outbound_tls_broken"])
def test_warnings_that_clients_cause_are_limited(
    reporter: Reporter, caplog: pytest.LogCaptureFixture, event: str
) -> None:
    causes: dict[str, Callable[[int], object]] = {
        "hook_cancel_ignored": lambda number: reporter.reporter.hook_cancel_ignored(Client(number)),  # type: ignore[arg-type]
        "outbound_tls_broken": lambda number: reporter.reporter.outbound_tls_broken(Address("tls", "x", number), "bad"),
    }
    for number in range(20):
        causes[event](number)
    reporter.at(11.0)
    assert events(caplog) == [(event, None)] * 5 + [("log_suppressed", 15)]


class Client:
    """What the log shows of a connection."""

    service = "default"

    def __init__(self, number: int) -> None:
        self.id = number
        self.peer = Endpoint("127.0.0.1", number)
