"""Events on a screen: aligned, with a letter for the level, and with their repeats."""

from __future__ import annotations

import pytest

from documents import NOON, event, repeated
from reactorhost.dashboard.text.event_lines import event_lines, event_section, wrapped_event
from reactorhost.dashboard.text.line import Line, in_ascii, width_of
from reactorhost.ipc.status import EventStatus


def texts(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in each) for each in lines]


def shown(*events: EventStatus, width: int = 100) -> list[str]:
    return texts(event_lines(events, width, NOON))


FAILED = event(2.0, "hook_failed", "error", slot=0, pid=7, plugin="chat", hook="receive", error="ValueError: no room")


def test_the_level_is_a_letter() -> None:
    levels = ("debug", "info", "warning", "error", "critical")
    assert shown(*(event(0.0, "x", level) for level in levels)) == [
        "12:04:37 D x",
        "12:04:37   x",
        "12:04:37 W x",
        "12:04:37 E x",
        "12:04:37 C x",
    ]


def test_with_an_event_of_another_day_all_are_aligned() -> None:
    assert shown(event(86_400.0, "old"), event(0.0, "new", "error")) == [
        "22 Nov 12:04:37   old",
        "       12:04:37 E new",
    ]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (repeated(FAILED, 47, [0, 1, 2, 3], 60.0), "workers 0-3: plugin chat, receive: ValueError: no room  ×47"),
        (repeated(FAILED, 2, [0], 60.0), "worker 0 (pid 7): plugin chat, receive: ValueError: no room  ×2"),
        (repeated(event(2.0, "comet", size=3), 1200, [0, 2], 60.0), "comet size=3  ×1,200, workers 0, 2"),
        (repeated(event(2.0, "slot_retired", slot=3), 4, [1, 2, 3], 60.0), "slots 1-3 retired  ×4"),
    ],
)
def test_repeats_are_counted_and_their_workers_named_once(entry: EventStatus, text: str) -> None:
    [line] = shown(entry)
    assert line[11:] == f"{text}, last 2 s ago"


def test_what_is_known_of_one_worker_is_not_said_of_several() -> None:
    crash = event(2.0, "worker_crashed", "error", slot=1, pid=9, how="signal 9", connections=7, restarts=2)
    assert shown(crash)[0].endswith("worker 1 (pid 9) crashed: signal 9, 7 connections open; restart 2")
    assert "workers 1-2 crashed: signal 9  ×3" in shown(repeated(crash, 3, [1, 2], 9.0))[0]
    draining = event(2.0, "worker_draining", slot=1, pid=9, generation=7, connections=7, seconds=60.0)
    assert "workers 1-2 draining, generation 7, at most 1m00s  ×3" in shown(repeated(draining, 3, [1, 2], 9.0))[0]


@pytest.mark.parametrize(
    ("width", "end"),
    [(72, "receive: V…  ×47, last 2 s ago"), (50, "chat, re…  ×47"), (14, "12:04:35…  ×47"), (3, "  …")],
)
def test_the_sentence_is_cut_before_the_count(width: int, end: str) -> None:
    [line] = event_lines([repeated(FAILED, 47, [0], 60.0)], width, NOON)
    assert texts([line])[0].endswith(end)
    assert width_of(line) <= width


def test_a_wrapped_event_has_its_whole_sentence_and_its_first_time() -> None:
    lines = wrapped_event(repeated(FAILED, 3, [0, 1], 60.0), 40, NOON)
    assert [text.rstrip() for text in texts(lines)] == [
        "12:04:35 E workers 0-1: plugin chat,",
        "           receive: ValueError: no room",
        "           ×3, last 2 s ago, first",
        "           12:03:37",
    ]


def test_once_for_each_worker_has_no_count() -> None:
    assert shown(repeated(FAILED, 2, [0, 1], 60.0)) == [
        "12:04:35 E workers 0-1: plugin chat, receive: ValueError: no room"
    ]


def test_a_section_names_the_zone() -> None:
    assert texts(event_section([FAILED], 80, NOON))[:2] == ["", "EVENTS  UTC"]
    assert event_section([], 80, NOON) == []


def test_in_ascii_a_count_has_an_x() -> None:
    [line] = event_lines([repeated(FAILED, 2, [0], 60.0)], 80, NOON)
    assert texts([in_ascii(line)])[0].endswith("  x2, last 2 s ago")
