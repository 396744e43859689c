"""Keys: how each changes the view, and what it requests."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents import client_row, document, event, on_bus, scaling, troubled
from reactorhost.dashboard.live.keymap import press
from reactorhost.dashboard.model.requests import HostRequest, Request, ViewAction
from reactorhost.dashboard.model.snapshot import Connections, Link, Snapshot, following
from reactorhost.dashboard.model.view import ClientKey, Focus, Overlay, Page, ProcessKey, View
from reactorhost.dashboard.pages.clients import connection_query
from reactorhost.dashboard.tables.process_selection import selected_row
from reactorhost.dashboard.text.line import Size
from reactorhost.ipc.connection_query import ConnectionQuery

SNAPSHOT = following(None, document(3))
CLIENT = client_row(pid=4244, slot=1)
KEYS = [
    *"qQ?htIfdz12345RKnyY+-=<>/jkxcCNPM!7. ",
    *("up", "down", "left", "right", "home", "end", "page up", "page down", "enter", "esc", "space", "backspace"),
    *("ctrl-c", "ctrl-z", "ctrl-l", "ctrl-u"),
]


def after(*names: str, view: View | None = None, snapshot: Snapshot | None = SNAPSHOT) -> tuple[View, Request | None]:
    view, request = view or View(), None
    for name in names:
        view, request = press(view, name, snapshot)
    return view, request


def seen(*names: str, view: View | None = None, snapshot: Snapshot | None = SNAPSHOT) -> View:
    return after(*names, view=view, snapshot=snapshot)[0]


@pytest.mark.parametrize("name", ["q", "ctrl-c"])
def test_q_and_control_c_quit(name: str) -> None:
    assert after(name)[1] is ViewAction.QUIT
    assert after(name, snapshot=None)[1] is ViewAction.QUIT


@pytest.mark.parametrize("names", [("/", "ctrl-c"), ("R", "ctrl-c"), ("?", "q"), ("d", "ctrl-c")])
def test_quit_works_in_every_overlay(names: tuple[str, ...]) -> None:
    assert after(*names)[1] is ViewAction.QUIT


def test_control_z_suspends_and_control_l_redraws() -> None:
    assert after("ctrl-z")[1] is ViewAction.SUSPEND
    assert after("ctrl-l")[1] is ViewAction.REDRAW


def test_any_key_closes_the_help() -> None:
    assert seen("?").overlay is Overlay.HELP
    assert seen("h").overlay is Overlay.HELP
    assert after("?", "R") == (View(), None)


def selected(*names: str, view: View | None = None, snapshot: Snapshot = SNAPSHOT) -> int | None:
    """Return the process id of the selected worker."""
    key = selected_row(snapshot, seen(*names, view=view, snapshot=snapshot))
    return key and key.pid


def test_arrows_select_and_stop_at_both_ends() -> None:
    assert selected("down") == 4242
    assert selected("down", "down") == selected("j", "j") == 4243
    assert selected("end") == 4245
    assert selected("down", "down", "up", "k", "up") == 4242
    assert selected("up") == 4245


def test_the_selection_follows_the_process_to_another_row() -> None:
    view = seen("down", "down", "I")
    assert selected_row(SNAPSHOT, view) == ProcessKey(0, 4243)
    # In reverse order, the first worker is at the end.
    assert selected("up", view=view) == 4244


def test_the_selection_passes_to_the_successor_of_a_worker_that_is_gone() -> None:
    view = seen("down", "down")
    replaced = document(3)
    replaced["workers"][0]["pid"] = 5000
    assert selected_row(following(None, replaced), view) == ProcessKey(0, 5000)
    replaced["workers"].pop(0)
    assert selected_row(following(None, replaced), view) == ProcessKey(0, None)
    replaced["slots"].pop(0)
    assert selected_row(following(None, replaced), view) is None


def test_sorting_cycles_through_the_columns() -> None:
    assert seen(">", view=View.of(Page.WORKERS, sort="slot")).table.sort == "gen"
    assert seen("<", view=View.of(Page.WORKERS, sort="slot")).table.sort == "pid"
    assert seen("<", "<", view=View.of(Page.WORKERS, sort="slot")).table.sort == "restarts"
    view = seen(">", view=View.of(Page.WORKERS, sort="up"))
    assert (view.table.sort, view.notice) == ("clients", "sorted by CLIENTS, largest first")
    assert seen("I", view=view).notice == "sorted by CLIENTS, smallest first"
    assert seen("2", ">", "<").notice == "sorted by SERVICE, a first"
    chosen = replace(View.of(Page.WORKERS, sort="cpu"), columns=("cpu", "rss"))
    assert seen(">", view=chosen).table.sort == "rss"


def test_a_letter_sorts_by_its_column_and_again_in_the_other_direction() -> None:
    view = seen("P")
    assert (view.table.sort, view.table.inverted) == ("cpu", False)
    assert seen("P", view=view).table.inverted
    assert seen("P", "P", view=view).table == view.table
    assert seen("P", "M", view=view).notice == "sorted by RSS, largest first"


def test_sorting_by_the_bus_is_for_hosts_that_use_it() -> None:
    by_messages = View.of(Page.WORKERS, sort="msg")
    assert press(by_messages, ">", SNAPSHOT)[0].table.sort == "p50"
    assert press(by_messages, ">", following(None, on_bus(document(3))))[0].table.sort == "bus"


def test_the_filter_works_while_it_is_typed_and_escape_ends_it() -> None:
    view = seen("/", "4", "2", "4")
    assert (view.overlay, view.table.filter) == (Overlay.FILTER, "424")
    assert seen("backspace", view=view).table.filter == "42"
    kept = seen("space", "x", "enter", view=view)
    assert (kept.overlay, kept.table.filter) == (Overlay.NONE, "424 x")
    assert seen("/", view=kept).typed == "424 x"
    assert seen("/", "ctrl-u", "enter", view=kept).table.filter == ""
    assert seen("esc", view=kept).table.filter == ""


def test_every_page_has_a_state_of_its_own() -> None:
    view = seen("P", "/", "x", "enter", "3", "/", "y", "enter")
    assert view.table.filter == "y"
    assert (seen("1", view=view).table.filter, seen("1", view=view).table.sort) == ("x", "cpu")


def test_keys_at_a_prompt_are_text() -> None:
    view, request = after("/", "q", "R", "K")
    assert (view.table.filter, request) == ("qRK", None)


@pytest.mark.parametrize(
    ("typed", "seconds", "notice"),
    [
        ("5", 5.0, ""),
        ("0.5", 0.5, ""),
        ("0.01", 1.0, "the interval is 0.1 to 60 seconds"),
        ("61", 1.0, "the interval is 0.1 to 60 seconds"),
        ("nan", 1.0, "the interval is 0.1 to 60 seconds"),
        ("x", 1.0, "'x' is not a number of seconds"),
    ],
)
def test_an_interval_is_typed_and_checked(typed: str, seconds: float, notice: str) -> None:
    view = seen("d", *typed, "enter")
    assert (view.interval_seconds, view.notice, view.overlay) == (seconds, notice, Overlay.NONE)


def test_escape_keeps_the_interval() -> None:
    assert seen("d", "5", "esc") == View()


def test_f_toggles_the_fast_mode() -> None:
    slow = View(interval_seconds=3.0)
    assert seen("f", view=slow).interval_seconds == 0.2
    assert seen("f", "f", view=slow).interval_seconds == 3.0


def test_digits_select_tabs_and_escape_goes_back() -> None:
    tabs = [Page.WORKERS, Page.SERVICES, Page.CLIENTS, Page.PLUGINS, Page.LOG]
    assert [seen(name).page for name in "12345"] == tabs
    assert seen("3", "esc").page is Page.WORKERS
    assert seen("down", "down", "enter").page is Page.WORKER
    assert seen("down", "down", "enter", "esc").page is Page.WORKERS
    # Without a selection, Enter goes into the first row.
    assert seen("enter").focus.process == ProcessKey(None, 4242)


LISTED = replace(
    SNAPSHOT,
    connections=Connections(
        ConnectionQuery(service="default", slot=1), (CLIENT, {**CLIENT, "id": 18, "peer": "[::1]:9"})
    ),
)


def test_enter_goes_in_from_a_service_to_a_client_and_escape_back_to_the_same_rows() -> None:
    view = seen("2", "enter")
    assert (view.page, view.focus) == (Page.WORKERS, Focus(service="default"))
    view = seen("down", "down", "enter", view=view)
    assert (view.page, view.focus.process) == (Page.WORKER, ProcessKey(1, 4244))
    view = seen("enter", "down", "down", "enter", view=view, snapshot=LISTED)
    assert (view.page, view.focus) == (Page.CLIENT, Focus("default", ProcessKey(1, 4244), ClientKey(4244, 18)))
    assert [place.label for place in view.trail] == [
        "default",
        "worker 1",
        "clients",
        LISTED.connections.rows[1]["peer"],
    ]
    view = seen("backspace", view=view, snapshot=LISTED)
    assert (view.page, view.table.selected, view.focus.client) == (Page.CLIENTS, ClientKey(4244, 18), None)
    view = seen("esc", "esc", view=view)
    assert (view.page, view.table.selected) == (Page.WORKERS, ProcessKey(1, 4244))
    assert seen("esc", view=view).page is Page.SERVICES
    assert seen("3", view=view).focus == Focus()


def test_a_filter_of_a_tab_does_not_hide_what_is_gone_into() -> None:
    view = seen("/", "x", "enter", "2", "enter")
    assert (view.page, view.table.filter) == (Page.WORKERS, "")
    assert seen("esc", "1", view=view).table.filter == "x"


def test_the_selection_moves_on_from_the_place_of_a_client_that_has_gone() -> None:
    rows = tuple({**CLIENT, "id": at} for at in range(5))
    five = replace(SNAPSHOT, connections=Connections(connection_query(View(page=Page.CLIENTS)), rows))
    view = seen("3", "down", "down", "down", snapshot=five)
    assert view.table.selected == ClientKey(4244, 2)
    gone = replace(five, connections=replace(five.connections, rows=(*rows[:2], *rows[3:])))
    assert seen("down", view=view, snapshot=gone).table.selected == ClientKey(4244, 3)
    assert seen("up", view=view, snapshot=gone).table.selected == ClientKey(4244, 1)


def test_the_clients_of_a_selected_worker_are_one_key_away() -> None:
    assert seen("down", "down", "c").focus.process == ProcessKey(0, 4243)
    assert seen("down", "c").notice == "select a worker first"


def test_left_and_right_show_the_workers_beside_and_the_way_back_leads_to_their_row() -> None:
    view = seen("down", "down", "enter", "right")
    assert (view.focus.process, view.trail[-1].label) == (ProcessKey(1, 4244), "worker 1")
    assert seen("left", "left", view=view).trail[-1].label == "master"
    assert selected("esc", view=view) == 4244


def test_the_log_is_selected_from_its_end() -> None:
    events = [event(float(ago), "host_stopped") for ago in range(30)]
    snapshot = following(None, document(3, events=events))
    small = replace(View(), size=Size(80, 10))
    numbers = [each["entry"] for each in events]
    assert seen("5", "up", "up", "down", view=small, snapshot=snapshot).table.selected == numbers[-2]
    assert seen("5", "down", view=small, snapshot=snapshot).table.selected == numbers[-1]
    assert seen("5", "home", view=small, snapshot=snapshot).table.selected == numbers[0]
    # Of the ten rows, seven are the page's.
    assert seen("5", "page up", view=small, snapshot=snapshot).table.selected == numbers[-7]
    assert seen("5", "up", "end", view=small, snapshot=snapshot).table.selected is None


def test_an_exclamation_mark_shows_the_alerts_one_after_the_other() -> None:
    made = document(3)
    for worker in made["workers"][1:]:
        worker["silent_seconds"] = 18.0
    snapshot = following(None, made)
    assert selected("3", "!", snapshot=snapshot) == 4244
    assert selected("3", "!", "!", snapshot=snapshot) == 4245
    assert selected("3", "!", "!", "!", snapshot=snapshot) == 4244
    assert selected("3", "!", "down", "!", snapshot=snapshot) == 4244
    assert seen("!").notice == "no alerts"
    # The key of the page that is shown does the same for the alerts about it.
    assert selected("1", snapshot=snapshot) == 4244
    assert selected("1", "1", snapshot=snapshot) == 4245
    assert selected("1", "1", "1", snapshot=snapshot) == 4244
    assert selected("3", "1", snapshot=snapshot) is None
    assert seen("3", "3", snapshot=snapshot).table.selected is None
    entered = seen("1", "enter", "1", snapshot=snapshot)
    assert (entered.page, entered.trail) == (Page.WORKERS, ())


def test_the_help_scrolls_and_any_other_key_closes_it() -> None:
    assert seen("?", "down", "down", "up").help_scroll == 1
    assert seen("?", "up").help_scroll == 0
    assert seen("?", "down", "esc").overlay is Overlay.NONE
    assert seen("?", "down", "esc", "?").help_scroll == 0


def test_the_help_is_not_scrolled_beyond_its_end() -> None:
    last = seen("?", "end").help_scroll
    assert last > 20
    assert seen("?", "end", "page down", "down", "up").help_scroll == last - 1
    assert seen("?", "end", "home").help_scroll == 0


def test_pause_tree_and_peak_reset() -> None:
    assert seen("space").paused
    assert not seen("space", "space").paused
    assert not seen("t").tree
    assert after("z")[1] is ViewAction.RESET_PEAKS


def test_a_change_of_the_host_is_confirmed_with_its_pid_and_connections() -> None:
    view, request = after("R")
    assert (view.overlay, request) == (Overlay.CONFIRM, None)
    assert view.pending == HostRequest("reload", "replace all 3 workers of pid 4242, 4,653 connections open")
    assert after("R", "y") == (View(), view.pending)


@pytest.mark.parametrize("answer", ["n", "q", "esc", "enter", "R"])
def test_any_answer_but_yes_cancels(answer: str) -> None:
    view, request = after("R", answer)
    assert request is None
    assert (view.overlay, view.pending, view.notice) == (Overlay.NONE, None, "cancelled")


def test_a_worker_is_recycled_by_its_pid() -> None:
    assert after("down", "down", "down", "K", "y")[1] == HostRequest(
        "recycle", "replace worker 1 (pid 4244), 1,551 connections open", (("pid", 4244),)
    )
    assert seen("K").notice == seen("down", "K").notice == "select a worker first"


def test_a_draining_worker_is_not_recycled() -> None:
    view = seen("K", view=View.of(Page.WORKERS, selected=ProcessKey(5, 4248)), snapshot=following(None, troubled()))
    assert (view.overlay, view.notice) == (Overlay.NONE, "worker 5 (pid 4248) is draining and cannot be replaced")


def test_plus_and_minus_change_the_number_of_workers() -> None:
    assert after("+", "y")[1] == HostRequest(
        "scale", "scale from 3 to 4 workers (pid 4242, 4,653 connections open)", (("workers", 4),)
    )
    assert after("-", "y")[1] == HostRequest(
        "scale",
        "scale from 3 to 2 workers; to be drained: worker 2 (pid 4245), 1,552 connections open",
        (("workers", 2),),
    )
    assert seen("-", snapshot=following(None, document(1))).notice == "at least one worker must stay"


@pytest.mark.parametrize(("automatic", "said"), [(True, True), (False, False)])
def test_a_number_that_ends_scaling_by_load_says_so(automatic: bool, said: bool) -> None:
    following_load = document(3, scaling=scaling(automatic=automatic))
    request = seen("+", snapshot=following(None, following_load)).pending
    assert request is not None
    assert request.question.endswith("; the number then does not follow the load any more") is said


@given(st.lists(st.sampled_from(KEYS), max_size=30), st.sampled_from([None, SNAPSHOT, following(None, troubled())]))
def test_no_sequence_of_keys_sends_a_request_without_confirmation(names: list[str], snapshot: Snapshot | None) -> None:
    view = View()
    for name in names:
        before = view
        view, request = press(view, name, snapshot)
        if isinstance(request, HostRequest):
            assert before.overlay is Overlay.CONFIRM
            assert name in ("y", "Y")
        assert (view.pending is not None) == (view.overlay is Overlay.CONFIRM)


@given(st.lists(st.sampled_from(KEYS), max_size=30))
def test_read_only_never_sends_a_request(names: list[str]) -> None:
    view = View(read_only=True)
    for name in names:
        view, request = press(view, name, SNAPSHOT)
        assert not isinstance(request, HostRequest)


def test_a_letter_sorts_by_a_column_that_has_no_room() -> None:
    view = seen("E", view=View(size=Size(120, 40)))
    assert (view.table.sort, view.notice) == ("errors", "sorted by ERR/s, largest first; the column has no room")
    assert seen("E", view=View(size=Size(200, 40))).notice == "sorted by ERR/s, largest first"
    assert seen("I", view=view).table.inverted
    assert seen("I", view=view).table.sort == "errors"


def test_a_host_that_is_gone_is_not_changed() -> None:
    gone = replace(SNAPSHOT, link=Link(lost_seconds=3))
    for key in "R+-":
        view, request = after(key, snapshot=gone)
        assert (view.overlay, view.notice, request) == (Overlay.NONE, "the host does not run", None)


@pytest.mark.parametrize(("source", "words"), [("", "--read-only disables this key"), ("replay", "a recording cannot")])
def test_a_key_that_is_disabled_says_why(source: str, words: str) -> None:
    of_source = replace(SNAPSHOT, link=Link(source=source))
    before = replace(View.of(Page.WORKERS, selected=ProcessKey(0, 4243)), read_only=True)
    for key in "RK+-=":
        view, request = after(key, view=before, snapshot=of_source)
        assert view.notice.startswith(words)
        assert (replace(view, notice=""), request) == (before, None)
    assert after("x", view=View(read_only=True))[0].notice == ""
