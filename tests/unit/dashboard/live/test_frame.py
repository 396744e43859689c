"""Frames: recorded text for several sizes and states, and properties that hold for any size."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents import NOON, document, event, history, listener, on_bus, plugin, scaling, troubled, worker
from reactorhost.dashboard.live.frame import render, waiting
from reactorhost.dashboard.model.snapshot import Connections, Link, Snapshot, following
from reactorhost.dashboard.model.view import HostRequest, Overlay, Page, View
from reactorhost.dashboard.text.line import Frame, Size, width_of
from reactorhost.ipc.status import StatusDocument

LARGE = Size(120, 40)
RECORDED = Path(__file__).parent / "frames"
CONNECTION = {
    "id": 17,
    "pid": 4243,
    "slot": 0,
    "service": "default",
    "peer": "127.0.0.1:53422",
    "age_seconds": 65.0,
    "idle_seconds": 0.5,
    "bytes_in": 10,
    "bytes_out": 2048,
    "queued_bytes": 900,
    "state": "open",
}


def calm() -> Snapshot:
    return following(None, document(8, history=history()))


def trouble() -> Snapshot:
    return following(None, troubled(history=history()))


def listed() -> Snapshot:
    rows = (CONNECTION, {**CONNECTION, "id": 18, "peer": "[2001:db8::7]:53424", "queued_bytes": 0, "state": "closing"})
    return replace(calm(), connections=Connections(4243, rows))


def many() -> Snapshot:
    return following(None, document(64, history=history()))


def with_metrics() -> Snapshot:
    made = document(2, history=history())
    made["plugins"][1]["stats"] = {
        "cache.hits": 1_234_567,
        "cache.misses": 89,
        "cache.size": 1000,
        "queue.longest_seconds": 0.25,
        "rooms": 12,
    }
    return following(None, made)


def on_bus_of_many() -> Snapshot:
    return following(None, on_bus(document(8, history=history()), "up"))


def on_broken_bus() -> Snapshot:
    made = on_bus(troubled(history=history()), "down", "connection refused")
    assert made["bus"] is not None
    made["bus"].update({"dropped": 1204, "dropped_per_second": 3.0})
    bus = made["workers"][5]["bus"]
    assert bus is not None
    bus.update({"dropped": 1204, "dropped_per_second": 3.0})
    return following(None, made)


def scaled() -> Snapshot:
    busy = scaling(lag_seconds=0.12, reason="use 91%", changed_seconds=12.0)
    return following(None, document(8, history=history(), scaling=busy))


def recycled() -> Snapshot:
    return following(None, document(8, history=history(), recycled={"max_age": 3, "max_rss": 1_204}))


def limited() -> Snapshot:
    counts = {"denied": 3, "over_address_limit": 0, "late_messages": 1, "rate_pauses": 1_204}
    return following(None, document(8, history=history(), limited=counts))


def lost() -> Snapshot:
    return replace(calm(), link=Link(lost_seconds=3))


SCENES: dict[str, tuple[Snapshot, View, Size]] = {
    "calm-120x40": (calm(), View(), Size(120, 40)),
    "trouble-120x40": (trouble(), View(selected=4246), Size(120, 40)),
    "trouble-80x24": (trouble(), View(), Size(80, 24)),
    "trouble-60x16": (trouble(), View(), Size(60, 16)),
    "trouble-40x10": (trouble(), View(), Size(40, 10)),
    "trouble-ascii-80x24": (trouble(), View(ascii=True, sort="conns"), Size(80, 24)),
    "many-120x40": (many(), View(), Size(120, 40)),
    "many-selected-80x24": (many(), View(selected=4280), Size(80, 24)),
    "flat-sorted-100x20": (trouble(), View(tree=False, sort="msg", inverted=True), Size(100, 20)),
    "filtered-80x24": (trouble(), View(filter="drain"), Size(80, 24)),
    "connections-100x20": (listed(), View(page=Page.CONNECTIONS, selected=4243), Size(100, 20)),
    "plugins-100x24": (trouble(), View(page=Page.PLUGINS), Size(100, 24)),
    "metrics-100x16": (with_metrics(), View(page=Page.PLUGINS), Size(100, 16)),
    "metrics-44x20": (with_metrics(), View(page=Page.PLUGINS), Size(44, 20)),
    "events-80x12": (trouble(), View(page=Page.EVENTS), Size(80, 12)),
    "worker-80x24": (trouble(), View(page=Page.WORKER, selected=4248), Size(80, 24)),
    "master-80x24": (trouble(), View(page=Page.WORKER, selected=4242), Size(80, 24)),
    "scaled-120x40": (scaled(), View(), Size(120, 40)),
    "scaled-80x24": (scaled(), View(), Size(80, 24)),
    "recycled-master-80x24": (recycled(), View(page=Page.WORKER, selected=4242), Size(80, 24)),
    "limited-master-80x24": (limited(), View(page=Page.WORKER, selected=4242), Size(80, 24)),
    "bus-120x40": (on_bus_of_many(), View(), Size(120, 40)),
    "bus-80x24": (on_broken_bus(), View(), Size(80, 24)),
    "bus-40x10": (on_broken_bus(), View(), Size(40, 10)),
    "bus-columns-100x16": (on_broken_bus(), View(columns=("bus", "dropped", "cpu"), sort="dropped"), Size(100, 16)),
    "bus-worker-80x24": (on_broken_bus(), View(page=Page.WORKER, selected=4248), Size(80, 24)),
    "bus-master-80x24": (on_broken_bus(), View(page=Page.WORKER, selected=4242), Size(80, 24)),
    "help-80x24": (calm(), View(overlay=Overlay.HELP), Size(80, 24)),
    "lost-80x24": (lost(), View(), Size(80, 24)),
    "columns-80x12": (calm(), View(columns=("cpu", "p999", "max", "errors"), sort="cpu"), Size(80, 12)),
}


def as_plain(frame: Frame) -> str:
    return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in frame)


@pytest.mark.parametrize("name", SCENES)
def test_a_frame_matches_its_recording(name: str) -> None:
    """RECORD_FRAMES=1 in the environment records the frames instead: review the difference."""
    snapshot, view, size = SCENES[name]
    shown = as_plain(render(snapshot, view, size))
    path = RECORDED / f"{name}.txt"
    if os.environ.get("RECORD_FRAMES"):
        RECORDED.mkdir(exist_ok=True)
        path.write_text(shown)
    assert shown == path.read_text()


# Any size, any view, any document.

NUMBERS = st.none() | st.floats(0, 1e15)
TEXTS = st.text(max_size=30)
PIDS = st.integers(1, 4_194_304)


@st.composite
def documents(draw: st.DrawFn) -> StatusDocument:
    count = draw(st.integers(0, 12))
    made = draw(st.sampled_from([document(count), troubled(), on_bus(troubled(), "down", "no route")]))
    made["name"] = draw(TEXTS)
    made["generation"] = draw(st.integers(0, 10**6))
    made["reloading"] = draw(st.booleans())
    made["state"] = draw(st.sampled_from(["starting", "running", "leaving", "stopping"]))
    made["ready"] = draw(st.booleans())
    made["rates"]["messages"] = draw(st.floats(0, 1e15))
    made["max_connections"] = draw(st.integers(0, 10**9))
    made["history"] = draw(st.sampled_from([None, history(), history(1), history(0)]))
    made["listeners"] += [listener(None, depth=draw(st.none() | st.just(9)), limit=draw(st.sampled_from([None, 0, 9])))]
    made["plugins"] += [plugin(draw(TEXTS), draw(st.none() | TEXTS), last_error=draw(st.none() | TEXTS), errors=1)]
    made["plugins"][-1]["stats"] = draw(st.dictionaries(TEXTS, st.integers() | st.floats(), max_size=5))
    made["events"] += [event(1.0, draw(TEXTS), draw(TEXTS), pid=draw(PIDS), words=draw(TEXTS))]
    if made["workers"]:
        made["workers"][0] = worker(
            draw(st.integers(0, 999)),
            draw(PIDS),
            draw(TEXTS),
            cpu_percent=draw(NUMBERS),
            rss_bytes=draw(NUMBERS),
            lag_max_seconds=draw(st.none() | st.floats(0, 1e6)),
            connections=draw(st.integers(0, 10**9)),
            uptime_seconds=draw(st.floats(0, 1e9)),
            deadline_seconds=draw(st.none() | st.floats(0, 1e6)),
            last_exit=draw(st.none() | TEXTS),
            adopted_slots=draw(st.lists(st.integers(0, 99), max_size=4)),
        )
    return made


VIEWS = st.builds(
    View,
    page=st.sampled_from(Page),
    sort=st.sampled_from(["slot", "state", "cpu", "conns", "pid", "restarts", "p999"]),
    inverted=st.booleans(),
    filter=st.sampled_from(["", "", "r", "漢"]),
    tree=st.booleans(),
    paused=st.booleans(),
    selected=st.sampled_from([None, 4242, 4243, 4244, 99]),
    slot=st.sampled_from([None, 0, 3]),
    scroll=st.integers(0, 500),
    overlay=st.sampled_from(Overlay),
    typed=TEXTS,
    pending=st.none() | st.builds(HostRequest, st.just("reload"), TEXTS),
    notice=TEXTS,
    read_only=st.booleans(),
    columns=st.sampled_from([(), ("cpu",), ("p50", "pss", "errors")]),
    ascii=st.booleans(),
)
LINKS = st.builds(Link, st.none() | st.integers(0, 10**6), st.integers(0, 10**6), TEXTS, TEXTS, st.booleans())
SIZES = st.builds(Size, st.integers(1, 300), st.integers(1, 100))
CONNECTIONS = st.sampled_from(
    [Connections(), Connections(4243, (CONNECTION,) * 30), Connections(4243, (), unanswered=True)]
)


@settings(max_examples=300, deadline=None)
@given(documents(), VIEWS, LINKS, CONNECTIONS, SIZES)
def test_a_frame_fills_any_screen_exactly(
    made: StatusDocument, view: View, link: Link, connections: Connections, size: Size
) -> None:
    snapshot = replace(following(None, made), link=link, connections=connections)
    frame = render(snapshot, view, size)
    assert len(frame) == size.rows
    for line in frame:
        assert width_of(line) <= size.columns
        assert all(text.isprintable() for text, _ in line)
        assert not view.ascii or all(text.isascii() for text, _ in line)


@given(VIEWS, SIZES)
def test_the_frame_before_the_first_document_fills_any_screen(view: View, size: Size) -> None:
    frame = waiting("waiting for the host to answer", view, size)
    assert len(frame) == size.rows
    assert all(width_of(line) <= size.columns for line in frame)


# Single facts.


def rows_of(snapshot: Snapshot, view: View | None = None, size: Size = LARGE) -> list[str]:
    return as_plain(render(snapshot, view or View(), size)).splitlines()


def styles_of(snapshot: Snapshot, needle: str, view: View | None = None) -> set[str]:
    frame = render(snapshot, view or View(), Size(120, 40))
    return {style for line in frame for text, style in line if needle in text}


def test_a_question_is_visible_on_a_small_screen() -> None:
    view = View(overlay=Overlay.CONFIRM, pending=HostRequest("reload", "replace all"))
    assert rows_of(calm(), view, Size(20, 1)) == ["replace all? y/n"]
    assert rows_of(calm(), view, Size(8, 1)) == ["r…? y/n"]


def test_only_unusual_values_are_coloured() -> None:
    frame = render(calm(), View(), Size(120, 40))
    colours = {word for line in frame for _, style in line for word in style.split()} - {"bold", "dim", "reverse"}
    assert colours == {"green"}
    assert styles_of(trouble(), "stuck") == {"bold red"}
    assert styles_of(trouble(), "400/1024") == {"yellow"}
    assert styles_of(trouble(), "2/s") == {"bold red"}
    assert styles_of(trouble(), "6/8 ready") == {"yellow"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"state": "leaving", "ready": False}, "leaving"),
        ({"state": "starting", "ready": False}, "starting"),
        ({"ready": False}, "not ready"),
    ],
)
def test_the_title_names_a_state_in_which_clients_should_go_elsewhere(fields: dict[str, object], words: str) -> None:
    assert styles_of(replace(calm(), document=document(8, **fields)), words) == {"bold yellow"}


def test_the_last_frame_of_a_lost_host_is_dimmed() -> None:
    frame = render(lost(), View(), Size(120, 40))
    assert "disconnected 3 s, retrying" in as_plain(frame)
    assert {style for line in frame[1:] for _, style in line} <= {"dim", ""} | {"dim"}


def test_a_silent_host_is_shown_after_three_seconds() -> None:
    assert "no answer for 5 s" in rows_of(replace(calm(), link=Link(silent_seconds=5)))[0]
    assert "no answer" not in rows_of(replace(calm(), link=Link(silent_seconds=2)))[0]


def test_pause_keeps_the_body_and_updates_the_header() -> None:
    before = calm()
    moved = document(8, time=NOON + 5, generation=9)
    moved["workers"][0]["connections"] = 99_999
    rows = rows_of(following(before, moved, paused=True), View(paused=True))
    assert "PAUSED 12:04:42" in rows[0]
    assert "gen 9" in rows[0]
    assert "99,999" not in "".join(rows)


def test_a_worker_without_an_answer_is_not_shown_as_having_no_connections() -> None:
    view = View(page=Page.CONNECTIONS, selected=4243)
    silent = replace(calm(), connections=Connections(4243, (), unanswered=True))
    assert "did not answer in time" in "".join(rows_of(silent, view))
    assert "waiting for its connections" in "".join(rows_of(calm(), view))


def test_an_unknown_value_is_a_dash() -> None:
    made = document(1, listeners=[listener(0, depth=None)])
    made["workers"][0].update({"cpu_percent": None, "rss_bytes": None})
    rows = rows_of(following(None, made))
    assert "accept queue -" in rows[1]
    line = next(row for row in rows if "└─" in row)
    assert line.split()[-3:] == ["-", "-", "0"]
