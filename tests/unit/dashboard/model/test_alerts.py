"""Alerts: a sentence for what is wrong, the worst first, and none while nothing is."""

from __future__ import annotations

from typing import Any, cast

import pytest

from documents import (
    NOON,
    document,
    event,
    last_error,
    listener,
    on_bus,
    plugin,
    rates,
    repeated,
    slot,
    troubled,
    worker,
)
from reactorhost.dashboard.model.alerts import Alert, AlertLevel, alerts
from reactorhost.dashboard.model.view import Page, ProcessKey
from reactorhost.ipc.status import StatusDocument

STALL = {"plugin": "slow", "hook": "receive", "where": "slow.py:15", "peer": "10.0.0.7:4711", "seconds": 18.2}


def texts(made: StatusDocument) -> list[str]:
    return [alert.text for alert in alerts(made)]


def with_workers(*fields: dict[str, Any], **others: object) -> StatusDocument:
    workers = [worker(number, 10 + number, **cast("Any", each)) for number, each in enumerate(fields)]
    return document(len(fields), workers=workers, **others)


@pytest.mark.parametrize(
    "made",
    [
        document(8),
        document(8, state="starting", not_ready=["no worker is ready"], workers=[]),
        document(1, workers=[worker(0, 1, "starting", state_seconds=3.0)]),
        document(1, slots=[slot(0, "leaving", adopted_by=7)]),
        on_bus(document(2), "up"),
        document(2, listeners=[listener(2, depth=100, fullest_depth=100)]),
        # What was reported long ago.
        document(2, events=[event(40.0, "slow_hook_ended", "warning", slot=1, plugin="made", hook="?", seconds=2.0)]),
        document(2, crashes=[event(400.0, "worker_crashed", "error", slot=1, how="signal 9 (SIGKILL)")]),
        document(2, crashes=[event(4000.0, "reload_failed", "error", slot=1, error="no")]),
    ],
    ids=map(str, range(9)),
)
def test_a_host_that_is_well_has_no_alerts(made: StatusDocument) -> None:
    assert texts(made) == []


@pytest.mark.parametrize(
    ("workers", "text"),
    [
        (
            [{}, {"silent_seconds": 18.2, "stall": STALL}],
            "worker 1 has been silent for 18 s: in slow.receive at slow.py:15 for 10.0.0.7:4711",
        ),
        (
            [{"silent_seconds": 2.0}, {"silent_seconds": 18.2, "stall": STALL}, *[{"silent_seconds": 3.0}] * 2, {}],
            "workers 0-3 have been silent for 18 s: worker 1 in slow.receive at slow.py:15 for 10.0.0.7:4711",
        ),
        ([{"silent_seconds": 2.0, "state": "draining"}], "worker 0 has been silent for 2 s"),
        (
            [{"silent_seconds": 2.0, "process_state": "stopped"}],
            "worker 0 has been silent for 2 s: the process is stopped by a signal",
        ),
        (
            [{"silent_seconds": 31.0, "state": "stuck", "stall": STALL}],
            "worker 0 has been silent for too long and will be ended: in slow.receive at slow.py:15 for 10.0.0.7:4711",
        ),
        ([{}, {"state": "starting", "state_seconds": 42.0}], "worker 1 has not become ready for 42s"),
        ([{}, {"full": True}], "worker 1 has no room for another client"),
    ],
)
def test_workers_that_do_not_serve_are_named_with_their_place(workers: list[dict[str, Any]], text: str) -> None:
    assert texts(with_workers(*workers)) == [text]


def test_a_few_silent_workers_have_an_alert_each() -> None:
    made = with_workers({"silent_seconds": 2.0}, {"silent_seconds": 18.2, "stall": STALL})
    assert texts(made) == [
        "worker 1 has been silent for 18 s: in slow.receive at slow.py:15 for 10.0.0.7:4711",
        "worker 0 has been silent for 2 s",
    ]


def test_an_alert_leads_to_the_row_of_its_worker() -> None:
    (alert,) = alerts(with_workers({}, {"silent_seconds": 18.2}))
    assert (alert.page, alert.key, alert.target) == (Page.WORKERS, "1", ProcessKey(1, 11))
    (alert,) = alerts(document(1, workers=[], slots=[slot(0, "backoff", reason="no room")]))
    assert (alert.text, alert.target) == ("slot 0 has no worker: no room", ProcessKey(0, None))


def test_full_workers_are_an_error_when_no_other_one_has_room() -> None:
    (some,) = alerts(with_workers({}, {"full": True}))
    (every,) = alerts(with_workers({"full": True}, {"full": True}, {"state": "draining"}))
    assert (some.level, every.level) == (AlertLevel.WARNING, AlertLevel.ERROR)


@pytest.mark.parametrize(
    ("fields", "alert"),
    [
        (
            {"slots": [slot(0, "backoff", last_exit="exit status 1"), slot(1, "backoff"), slot(2)]},
            Alert(AlertLevel.ERROR, "slots 0-1 have no worker: exit status 1", Page.WORKERS, ProcessKey(0, None)),
        ),
        (
            {"not_ready": ["no worker serves b"], "ready": False},
            Alert(AlertLevel.ERROR, "not ready for new clients: no worker serves b", Page.LOG),
        ),
        ({"problems": ["the pid file was removed"]}, Alert(AlertLevel.ERROR, "the pid file was removed", Page.LOG)),
        (
            {"plugins": [plugin("made", None, errors_per_second=3.0, last_error=last_error("ValueError: no"))]},
            Alert(
                AlertLevel.ERROR,
                "plugin made failed 3 times/s: ValueError: no (receive at echo.py:15)",
                Page.PLUGINS,
                "made",
            ),
        ),
        (
            {"plugins": [plugin("made", None, last_error=last_error("ValueError: no", age_seconds=40.0))]},
            Alert(
                AlertLevel.WARNING,
                "plugin made failed 40s ago: ValueError: no (receive at echo.py:15)",
                Page.PLUGINS,
                "made",
            ),
        ),
        (
            {"max_connections": 3_100},
            Alert(AlertLevel.WARNING, "3,101 of 3,100 connections are open", Page.SERVICES),
        ),
        (
            {"listeners": [listener(2), listener(2, fullest_depth=900, fullest_slot=1)]},
            Alert(
                AlertLevel.WARNING,
                "900 of at most 1,024 clients of default wait to be accepted for worker 1",
                Page.SERVICES,
                "default",
            ),
        ),
        (
            {"listeners": [listener(1, fullest_depth=1024, fullest_slot=None)]},
            Alert(
                AlertLevel.ERROR,
                "1,024 of at most 1,024 clients of default wait to be accepted",
                Page.SERVICES,
                "default",
            ),
        ),
        (
            {"rates": {**rates(), "refused": 12.0}},
            Alert(AlertLevel.WARNING, "12 clients/s are refused", Page.SERVICES),
        ),
        (
            {"crashes": [event(40.0, "worker_crashed", "error", slot=1, pid=7, how="signal 9 (SIGKILL)")]},
            Alert(AlertLevel.WARNING, "worker 1 (pid 7) crashed: signal 9 (SIGKILL), 40s ago", Page.LOG),
        ),
        (
            {"crashes": [event(80.0, "reload_failed", "error", slot=1, error="no name 'x'")]},
            Alert(AlertLevel.WARNING, "reload failed at slot 1: no name 'x', 1m20s ago", Page.LOG),
        ),
        (
            {
                "events": [
                    repeated(event(2.0, "clients_refused", "warning", slot=1, reason="max_connections"), 47, [1], 20.0)
                ]
            },
            Alert(AlertLevel.WARNING, "worker 1 refuses clients: max_connections, 47 times, 2.0s ago", Page.LOG),
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(fields: dict[str, Any], alert: Alert) -> None:
    assert alerts(document(2, **fields)) == [alert]


def test_a_failed_reload_is_over_when_one_has_succeeded() -> None:
    failed = event(600.0, "reload_failed", "error", slot=1, error="no")
    assert texts(document(2, crashes=[failed], events=[event(590.0, "reload_finished", generation=8)])) == []
    assert len(texts(document(2, crashes=[failed], events=[event(610.0, "reload_finished", generation=8)]))) == 1


def test_repeated_crashes_are_one_alert() -> None:
    crashes = [event(ago, "worker_crashed", "error", slot=1, pid=7, how="exit status 1") for ago in (90.0, 9.0)]
    assert texts(document(2, crashes=crashes)) == ["worker 1 (pid 7) crashed: exit status 1, 9.0s ago"]


def test_the_crashes_of_a_slot_in_back_off_are_no_further_alerts() -> None:
    crashes = [
        repeated(event(9.0, name, "error", slot=1), 2, [1], 20.0) for name in ("worker_crashed", "worker_not_booted")
    ]
    slots = [slot(0), slot(1, "backoff", reason="signal 11 (SIGSEGV)")]
    assert texts(document(2, slots=slots, crashes=crashes)) == ["slot 1 has no worker: signal 11 (SIGSEGV)"]


def test_a_worker_that_did_not_start_is_no_alert_once_its_slot_has_become_ready() -> None:
    failed = repeated(event(60.0, "worker_not_booted", "error", slot=1, error="no"), 2, [0, 1], 90.0)
    made = document(2, crashes=[failed])
    assert texts(made) == ["workers 0-1 did not start: no, 2 times, 1m00s ago"]
    made["workers"][0]["state_seconds"] = made["workers"][1]["state_seconds"] = 30.0
    assert texts(made) == []
    made["workers"][1]["state"] = "draining"
    assert len(texts(made)) == 1


def test_a_reload_that_failed_at_a_slot_in_back_off_is_an_alert_of_its_own() -> None:
    failed = event(9.0, "reload_failed", "error", slot=1, error="no")
    slots = [slot(0), slot(1, "backoff", reason="no name x")]
    assert texts(document(2, slots=slots, crashes=[failed])) == [
        "slot 1 has no worker: no name x",
        "reload failed at slot 1: no, 9.0s ago",
    ]


def test_a_bus_that_loses_messages_or_its_server_is_an_error() -> None:
    made = on_bus(document(2), "down", "no route")
    assert made["bus"] is not None
    made["bus"]["dropped_per_second"] = 3.0
    found = alerts(made)
    assert [alert.text for alert in found] == [
        "the bus does not reach redis://cache:6379: no route",
        "the bus loses 3 messages/s",
    ]
    assert {alert.level for alert in found} == {AlertLevel.ERROR}


def test_a_blocked_master_is_a_warning() -> None:
    made = document(2)
    made["master"]["lag_max_seconds"] = 2.0
    assert texts(made) == ["the master was blocked for 2.0s"]


def test_the_worst_is_first_and_the_order_is_stable() -> None:
    made = troubled()
    made["workers"][0]["silent_seconds"] = 2.0
    levels = [alert.level for alert in alerts(made)]
    assert levels == sorted(levels, reverse=True)
    assert texts(made)[:2] == [
        "worker 0 has been silent for 2 s",
        "worker 2 has been silent for too long and will be ended",
    ]
    assert made["time"] == NOON
