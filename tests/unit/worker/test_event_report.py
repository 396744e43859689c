"""What a worker reports of its log, and what it leaves out."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from reactorhost.worker.event_report import ReportedLog


@pytest.fixture
def log() -> ReportedLog:
    return ReportedLog(logging.getLogger("reactorhost"))


def flushed(log: ReportedLog) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    log.flush(sent.append)
    return sent


def test_warnings_and_errors_are_sent_once(log: ReportedLog) -> None:
    log.info("quiet")
    log.warning("slow_hook", plugin="made", seconds=0.5)
    log.error("signal_handler_failed", details="Traceback", error=ValueError("no"), exit=None)
    assert flushed(log) == [
        {"report": "event", "level": "warning", "event": "slow_hook", "fields": {"plugin": "made", "seconds": 0.5}},
        {
            "report": "event",
            "level": "error",
            "event": "signal_handler_failed",
            "fields": {"error": "no", "exit": None},
        },
    ]
    assert flushed(log) == []


def test_a_warning_that_the_log_leaves_out_because_of_its_level_is_sent(log: ReportedLog) -> None:
    log.logger.setLevel(logging.ERROR)
    try:
        log.warning("slow_hook")
    finally:
        log.logger.setLevel(logging.NOTSET)
    assert [each["event"] for each in flushed(log)] == ["slow_hook"]


@pytest.mark.parametrize("event", ["hook_failed", "bus_messages_dropped", "log_suppressed"])
def test_what_the_master_knows_in_another_way_is_not_sent(log: ReportedLog, event: str) -> None:
    log.error(event)
    assert flushed(log) == []


def test_events_that_differ_in_the_client_only_are_sent_as_one(log: ReportedLog) -> None:
    for number in range(3):
        log.warning("framing_broken", service="one", peer=f"10.0.0.{number}", connection=number, suppressed=number)
    log.warning("framing_broken", service="two", peer="10.0.0.9")
    one, two = (each["fields"] for each in flushed(log))
    assert one == {"service": "one", "peer": "10.0.0.2", "connection": 2, "suppressed": 4}
    assert two == {"service": "two", "peer": "10.0.0.9"}


def test_a_report_is_bounded(log: ReportedLog) -> None:
    for number in range(500):
        log.warning("connect_failed", address=f"10.0.0.{number}", reason="x" * 9999)
    sent = flushed(log)
    assert len(sent) == 20
    assert all(len(each["fields"]["reason"]) == 500 for each in sent)
    assert flushed(log) == []
