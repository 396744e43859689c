"""The ring of the newest events: repeats are counted, and crashes stay for an hour."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from reactorhost.master.stats import events
from reactorhost.master.stats.events import NEWEST, EventRing


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(clock: Clock) -> EventRing:
    return EventRing(logging.getLogger("reactorhost.test_events"), clock)


FAILED: dict[str, Any] = {
    "slot": 0,
    "pid": 10,
    "plugin": "chat",
    "hook": "receive",
    "peer": "127.0.0.1:9",
    "where": "chat.py:15",
    "error": "ValueError: no room 7",
}


def test_a_repeat_is_one_entry_with_a_count_and_the_newest_fields(ring: EventRing, clock: Clock) -> None:
    ring.remember("error", "hook_failed", **FAILED)
    clock.now += 60
    ring.remember("error", "hook_failed", **{**FAILED, "slot": 3, "pid": 13, "error": "ValueError: no room 9"})
    [entry] = ring.events()
    assert (entry["count"], entry["slots"], entry["first_time"], entry["time"]) == (2, [0, 3], 1_000_000, 1_000_060)
    assert (entry["fields"]["error"], entry["fields"]["pid"]) == ("ValueError: no room 9", 13)


@pytest.mark.parametrize(
    "other",
    [{"plugin": "echo"}, {"hook": "close"}, {"where": "chat.py:16"}, {"error": "KeyError: 7"}, {"generation": 8}],
    ids=str,
)
def test_an_event_with_another_cause_is_an_entry_of_its_own(ring: EventRing, other: dict[str, Any]) -> None:
    ring.remember("error", "hook_failed", **FAILED)
    ring.remember("error", "hook_failed", **{**FAILED, **other})
    assert [entry["count"] for entry in ring.events()] == [1, 1]


def test_without_a_place_the_whole_error_is_compared(ring: EventRing) -> None:
    for error in ("cannot bind: in use", "cannot bind: denied"):
        ring.remember("error", "file_lost", path="/run/x", error=error)
    assert [entry["count"] for entry in ring.events()] == [1, 1]


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("worker_blocked", {"seconds": 1.5}, {"seconds": 30.25}),
        ("worker_crashed", {"how": "signal 9", "restarts": 1}, {"how": "signal 9", "restarts": 2}),
        (
            "worker_crashed",
            {"reason": "its loop did not turn for 30.2 s (stall_timeout), in made.receive at made.py:3 for [::1]:5"},
            {"reason": "its loop did not turn for 30.4 s (stall_timeout)"},
        ),
        (
            "worker_not_booted",
            {"error": "worker 1 (pid 7) did not become ready: no"},
            {"error": "worker 2 (pid 8) did not become ready: no"},
        ),
    ],
)
def test_measures_and_named_workers_do_not_tell_repeats_apart(
    ring: EventRing, name: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    ring.remember("error", name, slot=1, pid=7, **first)
    ring.remember("error", name, slot=2, pid=8, **second)
    [entry] = ring.events()
    assert (entry["count"], entry["slots"]) == (2, [1, 2])


def test_a_signal_of_the_master_is_no_repeat_of_one_from_outside(ring: EventRing) -> None:
    for reason in ({}, {"reason": "its loop did not turn for 30.2 s (stall_timeout)"}):
        ring.remember("error", "worker_crashed", slot=1, how="signal 9 (SIGKILL)", **reason)
    assert [entry["count"] for entry in ring.events()] == [1, 1]


def test_a_repeat_moves_its_entry_to_the_end(ring: EventRing) -> None:
    for name in ("first", "second", "first"):
        ring.remember("info", name)
    assert [entry["event"] for entry in ring.events()] == ["second", "first"]


def test_after_ten_minutes_the_same_event_is_a_new_entry(ring: EventRing, clock: Clock) -> None:
    ring.remember("info", "worker_ready", slot=1)
    clock.now += 599
    ring.remember("info", "worker_ready", slot=1)
    clock.now += 601
    ring.remember("info", "worker_ready", slot=1)
    assert [entry["count"] for entry in ring.events()] == [2, 1]


@pytest.mark.parametrize("seconds", [(25.1, 0.2, 0.3), (0.2, 25.1, 0.3), (0.2, 0.3, 25.1)])
def test_repeats_of_a_slow_hook_keep_the_longest_duration(ring: EventRing, seconds: tuple[float, ...]) -> None:
    for each in seconds:
        ring.remember("warning", "slow_hook_ended", slot=1, plugin="slow", hook="receive", seconds=each)
    [entry] = ring.events()
    assert (entry["count"], entry["fields"]["longest_seconds"]) == (3, 25.1)
    assert entry["fields"]["seconds"] == seconds[-1]


def starts(ring: EventRing) -> list[tuple[list[int], int]]:
    return [(entry["slots"], entry["count"]) for entry in ring.events()]


def test_what_happens_to_each_worker_in_turn_is_one_entry_and_of_one_worker_again_another(
    ring: EventRing, clock: Clock
) -> None:
    for slot in range(4):
        ring.remember("info", "worker_starting", slot=slot, pid=10 + slot, generation=1)
        clock.now += 1
    assert starts(ring) == [([0, 1, 2, 3], 4)]
    for pid in (20, 21):
        ring.remember("info", "worker_starting", slot=3, pid=pid, generation=1)
    assert starts(ring) == [([0, 1, 2, 3], 4), ([3], 2)]
    ring.remember("info", "worker_starting", slot=2, pid=22, generation=1)
    assert starts(ring)[2:] == [([2], 1)]


def test_workers_that_are_added_later_are_not_part_of_the_start(ring: EventRing, clock: Clock) -> None:
    ring.remember("info", "worker_ready", slot=0, pid=10, generation=1)
    clock.now += 61
    ring.remember("info", "worker_ready", slot=1, pid=11, generation=1)
    assert starts(ring) == [([0], 1), ([1], 1)]


def test_the_lines_that_a_limited_log_left_out_are_counted(ring: EventRing) -> None:
    ring.remember("warning", "worker_blocked", seconds=2.0, suppressed=4)
    assert ring.events()[0]["count"] == 5


def test_only_what_changed_since_an_id_is_returned(ring: EventRing) -> None:
    for name in ("first", "second", "third"):
        ring.remember("info", name)
    first, _, third = ring.events()
    assert ring.events(third["id"]) == []
    ring.remember("info", "first")
    [changed] = ring.events(third["id"])
    assert (changed["entry"], changed["count"]) == (first["entry"], 2)
    assert changed["id"] > third["id"]


def test_an_id_of_a_host_that_was_restarted_selects_everything(ring: EventRing) -> None:
    ring.remember("error", "worker_crashed", how="signal 9")
    assert ring.events(1000) == ring.events()
    assert ring.crashes(1000) == ring.crashes() != []


def test_without_an_id_the_newest_are_returned_and_with_one_all(ring: EventRing) -> None:
    for number in range(events._MOST + 10):
        ring.remember("info", f"event {number}")
    assert len(ring.events()) == NEWEST
    assert ring.events()[-1]["event"] == f"event {events._MOST + 9}"
    assert len(ring.events(0)) == events._MOST


def test_other_events_do_not_displace_a_crash(ring: EventRing, clock: Clock) -> None:
    ring.remember("error", "worker_crashed", slot=2, how="signal 11")
    for number in range(events._MOST):
        ring.remember("info", f"event {number}")
    assert "worker_crashed" not in {entry["event"] for entry in ring.events(0)}
    ring.remember("error", "worker_crashed", slot=4, how="signal 11")
    [crash] = ring.crashes()
    assert (crash["count"], crash["slots"]) == (2, [2, 4])
    assert ring.crashes(crash["id"]) == []
    clock.now += 3601
    assert ring.crashes() == []


def test_crashes_are_bounded(ring: EventRing) -> None:
    for number in range(events._MOST_CRASHES + 5):
        ring.remember("error", "reload_failed", error=f"cause {number}")
    assert len(ring.crashes()) == events._MOST_CRASHES
    assert ring.crashes()[-1]["fields"]["error"] == f"cause {events._MOST_CRASHES + 4}"


def test_a_long_text_is_cut_and_none_stays_none(ring: EventRing) -> None:
    ring.remember("error", "hook_failed", error="x" * 5000, peer=None)
    assert ring.events()[0]["fields"] == {"error": "x" * 1000, "peer": None}


def test_a_logged_event_is_kept_from_level_info_up(ring: EventRing) -> None:
    ring.debug("detail")
    ring.warning("trouble", slot=2)
    [entry] = ring.events()
    assert (entry["level"], entry["event"], entry["slots"]) == ("warning", "trouble", [2])
