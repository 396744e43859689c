"""Frames: recorded text for several sizes and states, and properties that hold for any size."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents import (
    NOON,
    client_row,
    document,
    event,
    history,
    last_error,
    listener,
    on_bus,
    plugin,
    scaling,
    troubled,
    worker,
)
from reactorhost.dashboard.live.frame import render, waiting
from reactorhost.dashboard.model.hosts import RunningHost
from reactorhost.dashboard.model.requests import HostRequest
from reactorhost.dashboard.model.snapshot import Connections, Link, Snapshot, following
from reactorhost.dashboard.model.view import (
    TABS,
    ClientKey,
    Focus,
    Overlay,
    Page,
    Place,
    ProcessKey,
    TableState,
    View,
)
from reactorhost.dashboard.text.line import Frame, Size, width_of
from reactorhost.ipc.connection_query import ConnectionQuery
from reactorhost.ipc.status import StatusDocument

LARGE = Size(120, 40)
RECORDED = Path(__file__).parent / "frames"
LISTED = ConnectionQuery(slot=0)
CONNECTION = client_row(tls=None, in_per_second=None, out_per_second=None)


def calm() -> Snapshot:
    return following(None, document(8, history=history()))


def trouble() -> Snapshot:
    return following(None, troubled(history=history()))


def listed() -> Snapshot:
    rows = (CONNECTION, {**CONNECTION, "id": 18, "peer": "[2001:db8::7]:53424", "queued_bytes": 0, "state": "closing"})
    return replace(calm(), connections=Connections(LISTED, rows, matched=2, total=2))


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


def workers(**state: Any) -> View:
    return View.of(Page.WORKERS, **state)


def bus_columns() -> View:
    return replace(workers(sort="dropped"), columns=("bus", "dropped", "cpu"))


def process(slot: int | None, pid: int | None) -> View:
    return View().enter(Page.WORKER, "master" if slot is None else f"worker {slot}", process=ProcessKey(slot, pid))


def clients(pid: int) -> View:
    return process(0, pid).enter(Page.CLIENTS, "clients")


SCENES: dict[str, tuple[Snapshot, View, Size]] = {
    "calm-120x40": (calm(), View(), Size(120, 40)),
    "trouble-120x40": (trouble(), workers(selected=ProcessKey(3, 4246)), Size(120, 40)),
    "trouble-80x24": (trouble(), View(), Size(80, 24)),
    "trouble-60x16": (trouble(), View(), Size(60, 16)),
    "trouble-40x10": (trouble(), View(), Size(40, 10)),
    "trouble-ascii-80x24": (trouble(), replace(workers(sort="clients"), ascii=True), Size(80, 24)),
    "many-120x40": (many(), View(), Size(120, 40)),
    "many-200x50": (many(), View(), Size(200, 50)),
    "many-selected-80x24": (many(), workers(selected=ProcessKey(37, 4280)), Size(80, 24)),
    "flat-sorted-100x20": (trouble(), replace(workers(sort="msg", inverted=True), tree=False), Size(100, 20)),
    "filtered-80x24": (trouble(), workers(filter="drain"), Size(80, 24)),
    "connections-100x20": (listed(), clients(4243), Size(100, 20)),
    "plugins-100x24": (trouble(), View(page=Page.PLUGINS), Size(100, 24)),
    "metrics-100x16": (with_metrics(), View(page=Page.PLUGINS), Size(100, 16)),
    "metrics-44x20": (with_metrics(), View(page=Page.PLUGINS), Size(44, 20)),
    "events-80x12": (trouble(), View(page=Page.LOG), Size(80, 12)),
    "worker-80x24": (trouble(), process(5, 4248), Size(80, 24)),
    "worker-160x30": (trouble(), process(5, 4248), Size(160, 30)),
    "slot-80x24": (trouble(), process(6, None), Size(80, 24)),
    "client-120x24": (listed(), clients(4243).enter(Page.CLIENT, "client", client=ClientKey(4243, 17)), Size(120, 24)),
    "master-80x24": (trouble(), process(None, 4242), Size(80, 24)),
    "scaled-120x40": (scaled(), View(), Size(120, 40)),
    "scaled-80x24": (scaled(), View(), Size(80, 24)),
    "recycled-master-80x24": (recycled(), process(None, 4242), Size(80, 24)),
    "limited-master-80x24": (limited(), process(None, 4242), Size(80, 24)),
    "bus-120x40": (on_bus_of_many(), View(), Size(120, 40)),
    "bus-80x24": (on_broken_bus(), View(), Size(80, 24)),
    "bus-40x10": (on_broken_bus(), View(), Size(40, 10)),
    "bus-columns-100x16": (
        on_broken_bus(),
        replace(workers(sort="dropped"), columns=("bus", "dropped", "cpu")),
        Size(100, 16),
    ),
    "bus-worker-80x24": (on_broken_bus(), process(5, 4248), Size(80, 24)),
    "bus-master-80x24": (on_broken_bus(), process(None, 4242), Size(80, 24)),
    "help-80x24": (calm(), View(overlay=Overlay.HELP), Size(80, 24)),
    "lost-80x24": (lost(), View(), Size(80, 24)),
    "columns-80x12": (calm(), replace(workers(sort="cpu"), columns=("cpu", "p999", "max", "errors")), Size(80, 12)),
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
    made["problems"] = draw(st.lists(TEXTS, max_size=12))
    depth, limit = draw(st.none() | st.just(9)), draw(st.sampled_from([None, 0, 9]))
    made["listeners"] += [listener(1, depth=depth, fullest_slot=None, fullest_depth=depth, fullest_limit=limit)]
    errors = st.builds(last_error, TEXTS, peer=st.none() | TEXTS, where=TEXTS, age_seconds=st.floats(0, 1e9))
    made["plugins"] += [plugin(draw(TEXTS), draw(st.none() | TEXTS), last_error=draw(st.none() | errors), errors=1)]
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


PROCESSES = st.sampled_from([ProcessKey(None, 4242), ProcessKey(0, 4243), ProcessKey(3, 99), ProcessKey(6, None)])
STATES = st.builds(
    TableState,
    sort=st.sampled_from(["", "slot", "state", "cpu", "clients", "pid", "restarts", "p999"]),
    inverted=st.booleans(),
    selected=st.none() | PROCESSES | st.just(ClientKey(4243, 17)),
    scroll=st.integers(0, 500),
    filter=st.sampled_from(["", "", "r", "漢"]),
)
VIEWS = st.builds(
    View,
    page=st.sampled_from(Page),
    focus=st.builds(
        Focus,
        st.sampled_from([None, "default", "x"]),
        st.none() | PROCESSES,
        st.sampled_from([None, ClientKey(4243, 17)]),
    ),
    trail=st.lists(st.builds(Place, st.sampled_from(list(TABS)), st.just(Focus()), st.just({}), TEXTS), max_size=4),
    tables=st.dictionaries(st.sampled_from(Page), STATES, max_size=5),
    tree=st.booleans(),
    paused=st.booleans(),
    overlay=st.sampled_from(Overlay),
    typed=TEXTS,
    pending=st.none() | st.builds(HostRequest, st.just("reload"), TEXTS),
    notice=TEXTS,
    read_only=st.booleans(),
    columns=st.sampled_from([(), ("cpu",), ("p50", "pss", "errors")]),
    ascii=st.booleans(),
    linux_console=st.booleans(),
    hosts=st.lists(st.builds(RunningHost, TEXTS, PIDS, st.just(Path("/run"))), min_size=1, max_size=50).map(tuple),
    chosen_host=st.just(0),
    alert=st.integers(-1, 5),
    help_scroll=st.integers(0, 500),
)
LINKS = st.builds(Link, st.none() | st.integers(0, 10**6), st.integers(0, 10**6), TEXTS, TEXTS, st.booleans())
SIZES = st.builds(Size, st.integers(1, 300), st.integers(1, 100))
CONNECTIONS = st.sampled_from(
    [Connections(), Connections(LISTED, (CONNECTION,) * 30, 30, 30), Connections(LISTED, unanswered=((0, 4243),))]
)


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
    assert colours == set()
    assert styles_of(trouble(), "stuck") == {"bold red"}
    assert styles_of(trouble(), "400/1024") == {"magenta"}
    assert styles_of(trouble(), "2/s") == {"bold red"}
    assert styles_of(trouble(), "6/8 ready") == {"magenta"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"state": "leaving", "ready": False}, "leaving"),
        ({"state": "starting", "ready": False}, "starting"),
        ({"ready": False}, "not ready"),
    ],
)
def test_the_title_names_a_state_in_which_clients_should_go_elsewhere(fields: dict[str, object], words: str) -> None:
    assert styles_of(replace(calm(), document=document(8, **fields)), words) == {"magenta"}


def test_the_last_frame_of_a_lost_host_is_dimmed() -> None:
    frame = render(lost(), View(), Size(120, 40))
    assert "disconnected 3 s, retrying" in as_plain(frame)
    assert "ready" not in as_plain(frame[:1])
    assert as_plain(render(lost(), View(), Size(40, 10))).startswith("reactorhost   ")
    assert {style for line in frame[1:] for _, style in line} <= {"dim", ""}


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
    view = clients(4243)
    silent = replace(calm(), connections=Connections(LISTED, unanswered=((0, 4243),)))
    assert "did not answer in time" in "".join(rows_of(silent, view))
    assert "waiting for the clients" in "".join(rows_of(calm(), view))


@pytest.mark.parametrize(
    ("columns", "title"),
    [
        (70, "reactorhost · 6/8 ready · gen 7 · up 3d04h                 12:04:37"),
        (40, "reactorhost · 6/8 ready         12:04:37"),
        (20, "default · 6/8 ready"),
        (14, "default · 6/8…"),
    ],
)
def test_a_narrow_title_keeps_the_name_and_the_ready_workers(columns: int, title: str) -> None:
    assert rows_of(trouble(), size=Size(columns, 10))[0].split() == title.split()


@pytest.mark.parametrize(("notice", "shown"), [("", False), ("peak reset", True)])
def test_on_a_very_small_screen_the_last_line_is_for_notices(notice: str, shown: bool) -> None:
    rows = rows_of(calm(), View(notice=notice), Size(40, 5))
    assert (rows[-1] == notice) is shown
    assert not any("quit" in row for row in rows)


@pytest.mark.parametrize(
    ("page", "sorts", "filters"),
    [(Page.WORKERS, True, True), (Page.CLIENTS, True, True), (Page.LOG, False, True), (Page.WORKER, False, False)],
)
def test_the_last_line_shows_only_keys_that_have_an_effect(page: Page, sorts: bool, filters: bool) -> None:
    keys = rows_of(calm(), View(page=page), Size(200, 20))[-1]
    assert ("<> sort" in keys, "/ filter" in keys) == (sorts, filters)


@pytest.mark.parametrize(
    ("found", "view", "heat", "clients", "recycle"),
    [
        (calm(), View(), False, True, True),
        (many(), View(), True, True, True),
        (calm(), workers(selected=ProcessKey(None, 4242)), False, False, False),
        (calm(), process(None, 4242), False, False, False),
        (calm(), process(0, 4243), False, True, True),
    ],
)
def test_the_last_line_shows_no_keys_that_do_not_apply(
    found: Snapshot, view: View, heat: bool, clients: bool, recycle: bool
) -> None:
    keys = rows_of(found, view, Size(200, 20))[-1]
    assert ("m heat map" in keys, " clients" in keys, "K recycle" in keys) == (heat, clients, recycle)


def test_an_unknown_value_is_a_dash() -> None:
    made = document(1, listeners=[listener(1, fullest_depth=None)])
    made["workers"][0].update({"cpu_percent": None, "rss_bytes": None})
    rows = rows_of(following(None, made))
    assert "accept queue -" in rows[1]
    line = next(row for row in rows if "└─" in row)
    assert line.split()[-3:] == ["-", "-", "0"]
