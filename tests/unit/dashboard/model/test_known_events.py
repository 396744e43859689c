"""A screen requests only new events, and shows all."""

from __future__ import annotations

from documents import NOON, document, event, repeated
from reactorhost.dashboard.model.known_events import KnownEvents
from reactorhost.ipc.status import CRASH_SECONDS


def test_new_events_are_added_and_a_repeat_replaces_its_entry() -> None:
    known = KnownEvents()
    assert [known.newest_id] == [None]
    first, second = event(9.0, "first"), event(8.0, "second")
    known.complete(document(1, events=[first, second]))
    assert known.newest_id == second["id"]
    again = repeated({**event(1.0, "first"), "entry": first["entry"]}, 2, [], 9.0)
    shown = known.complete(document(1, events=[again]))
    assert shown["events"] == [second, again]
    assert known.newest_id == again["id"]
    assert known.complete(document(1, events=[]))["events"] == [second, again]


def test_another_master_starts_anew() -> None:
    known = KnownEvents()
    known.complete(document(1, pid=1, events=[event(9.0, "old")], crashes=[event(9.0, "worker_crashed")]))
    fresh = event(1.0, "fresh")
    shown = known.complete(document(1, pid=2, events=[fresh]))
    assert (shown["events"], shown["crashes"]) == ([fresh], [])


def test_a_crash_is_shown_for_an_hour() -> None:
    known = KnownEvents()
    crash = event(0.0, "worker_crashed", "error")
    assert known.complete(document(1, crashes=[crash]))["crashes"] == [crash]
    assert known.complete(document(1, time=NOON + CRASH_SECONDS))["crashes"] == [crash]
    assert known.complete(document(1, time=NOON + CRASH_SECONDS + 1))["crashes"] == []


def test_the_oldest_events_are_forgotten() -> None:
    known = KnownEvents()
    for number in range(5):
        made = [event(1.0, f"event {number} {each}") for each in range(50)]
        shown = known.complete(document(1, events=made))
    assert len(shown["events"]) == 200
    assert shown["events"][-1]["event"] == "event 4 49"
