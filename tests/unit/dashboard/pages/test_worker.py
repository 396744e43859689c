"""The page of one process: what blocks a silent worker, and why a slot has none."""

from __future__ import annotations

from documents import NOON, document, event, rates, slot
from reactorhost.dashboard.model.snapshot import Snapshot, following
from reactorhost.dashboard.model.view import Focus, Page, ProcessKey, View
from reactorhost.dashboard.pages.worker import worker_page
from reactorhost.dashboard.text.line import Line
from reactorhost.ipc.status import StallStatus


def lines_of(snapshot: Snapshot, key: ProcessKey, width: int = 80) -> list[Line]:
    return worker_page(snapshot, View(page=Page.WORKER, focus=Focus(process=key)), width)


def text(line: Line) -> str:
    return "".join(piece for piece, _ in line).rstrip()


def test_a_silent_worker_shows_what_blocks_it() -> None:
    made = document(2)
    stall: StallStatus = {"plugin": "slow", "hook": "receive", "where": "slow.py:15", "peer": None, "seconds": 17.0}
    made["workers"][0].update({"silent_seconds": 18.0, "stall": stall})
    lines = lines_of(following(None, made), ProcessKey(0, 4243))
    shown = {piece for each in lines for piece in each}
    assert ("its loop has not turned for 18s", "bold red") in shown
    assert ("slow.receive at slow.py:15 for 17s", "bold red") in shown
    assert "silent" not in " ".join(map(text, lines_of(following(None, made), ProcessKey(1, 4244))))


def test_a_worker_that_is_stopped_says_so() -> None:
    made = document(1)
    made["workers"][0].update({"silent_seconds": 18.0, "process_state": "stopped"})
    shown = [text(each) for each in lines_of(following(None, made), ProcessKey(0, 4243))]
    assert "process       the process is stopped by a signal" in shown


def test_a_slot_without_a_worker_shows_why_and_when() -> None:
    made = document(1)
    reason = "plugin faulty failed in worker_start: cannot reach the database"
    made["slots"].append(slot(1, "backoff", retry_seconds=27.0, reason=reason, last_exit="exit status 3", restarts=4))
    made["events"].append({**event(3.0, "worker_starting", slot=1, pid=99, generation=7), "slots": [1]})
    shown = [text(each) for each in lines_of(following(None, made), ProcessKey(1, None))]
    assert shown[:6] == [
        "slot          1",
        "state         backoff",
        "next try      in 27s",
        f"reason        {reason}",
        "last exit     exit status 3",
        "restarts      4",
    ]
    assert any("worker 1" in each for each in shown[6:])
    same = document(1, slots=[slot(0, "backoff", reason="signal 11", last_exit="signal 11")], workers=[])
    assert "last exit" not in " ".join(map(text, lines_of(following(None, same), ProcessKey(0, None))))


def test_a_worker_has_its_trend_from_the_second_sample_on() -> None:
    first = following(None, document(1))
    assert "last minute" not in " ".join(map(text, lines_of(first, ProcessKey(0, 4243))))
    moved = document(1, time=NOON + 1)
    moved["workers"][0]["rates"] = rates(2.0)
    assert "▅█ last minute" in " ".join(map(text, lines_of(following(first, moved), ProcessKey(0, 4243))))


def test_a_worker_that_ended_with_its_slot_is_gone() -> None:
    assert text(lines_of(following(None, document(1)), ProcessKey(7, 99))[0]) == "this worker has ended"
