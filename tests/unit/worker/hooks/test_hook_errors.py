"""Errors in plugin code: what is counted, logged and reported to the master."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from reactorhost.ipc.scoreboard import Counters
from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.worker.hooks.hook_errors import ErrorReporter
from reactorhost.worker.hooks.hook_timing import HookTiming


def test_every_error_is_logged_and_one_a_second_of_each_plugin_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    clock = SimpleNamespace(now=10.0)
    counters = Counters()
    reports: list[dict[str, Any]] = []
    reactor = cast("Reactor", clock)
    log = EventLog(logging.getLogger("reactorhost"))
    timing = HookTiming(reactor, lambda timed: None)
    reporter = ErrorReporter(reactor, counters, timing, log, reports.append)

    for plugin, now in (("a", 10.0), ("a", 10.9), ("b", 10.9), ("a", 11.0)):
        clock.now = now
        reporter.hook_failed(plugin, "receive", None, ValueError(f"{plugin} at {now}"))

    assert [(report["plugin"], report["error"]) for report in reports] == [
        ("a", "ValueError: a at 10.0"),
        ("b", "ValueError: b at 10.9"),
        ("a", "ValueError: a at 11.0"),
    ]
    assert len(caplog.records) == counters.hook_errors == 4
