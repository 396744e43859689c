"""Keys: how each changes the view, and what it requests."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents import document, event, on_bus, scaling, troubled
from reactorhost.dashboard.live.keymap import press
from reactorhost.dashboard.model.snapshot import Connections, Snapshot, following
from reactorhost.dashboard.model.view import HostRequest, Overlay, Page, Request, View, ViewAction
from reactorhost.dashboard.tables.rows import current

SNAPSHOT = following(None, document(3))
KEYS = [
    *"qQ?htIfdz1234RKnyY+-=<>/jkx7. ",
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


def test_arrows_select_and_stop_at_both_ends() -> None:
    assert seen("down").selected == 4242
    assert seen("down", "down").selected == seen("j", "j").selected == 4243
    assert seen("end").selected == 4245
    assert seen("down", "down", "up", "k", "up").selected == 4242
    assert seen("up").selected == 4245


def test_the_selection_follows_the_process_to_another_row() -> None:
    view = seen("down", "down")
    assert current(SNAPSHOT, replace(view, inverted=True)) == 4243
    # In reverse order, the first worker is at the end.
    assert seen("up", view=replace(view, inverted=True)).selected == 4244


def test_the_selection_passes_to_the_successor_of_a_worker_that_is_gone() -> None:
    view = seen("down", "down")
    replaced = document(3)
    replaced["workers"][0]["pid"] = 5000
    assert current(following(None, replaced), view) == 5000
    replaced["workers"].pop(0)
    assert current(following(None, replaced), view) is None


def test_sorting_cycles_through_the_columns() -> None:
    assert seen(">").sort == "gen"
    assert seen("<").sort == "pid"
    assert seen("<", "<").sort == "restarts"
    view = seen(">", ">", ">", ">")
    assert (view.sort, view.notice) == ("conns", "sorted by CONNS, largest first")
    assert seen("I", view=view).notice == "sorted by CONNS, smallest first"
    assert seen(">", view=View(columns=("cpu", "rss"), sort="cpu")).sort == "rss"


def test_sorting_by_the_bus_is_for_hosts_that_use_it() -> None:
    by_messages = View(sort="msg")
    assert press(by_messages, ">", SNAPSHOT)[0].sort == "p50"
    assert press(by_messages, ">", following(None, on_bus(document(3))))[0].sort == "bus"


def test_the_filter_works_while_it_is_typed_and_escape_ends_it() -> None:
    view = seen("/", "4", "2", "4")
    assert (view.overlay, view.filter) == (Overlay.FILTER, "424")
    assert seen("backspace", view=view).filter == "42"
    kept = seen("space", "x", "enter", view=view)
    assert (kept.overlay, kept.filter) == (Overlay.NONE, "424 x")
    assert seen("/", view=kept).typed == "424 x"
    assert seen("/", "ctrl-u", "enter", view=kept).filter == ""
    assert seen("esc", view=kept).filter == ""


def test_keys_at_a_prompt_are_text() -> None:
    view, request = after("/", "q", "R", "K")
    assert (view.filter, request) == ("qRK", None)


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


def test_digits_select_pages_and_escape_goes_back() -> None:
    assert [seen(name).page for name in "1234"] == [Page.WORKERS, Page.CONNECTIONS, Page.PLUGINS, Page.EVENTS]
    assert seen("3", "esc").page is Page.WORKERS
    assert seen("down", "down", "enter").page is Page.WORKER
    assert seen("down", "down", "enter", "enter").page is Page.WORKERS
    assert seen("enter").selected == 4242


def test_the_connections_page_starts_at_a_worker_and_left_and_right_select_others() -> None:
    assert seen("2").selected == 4243
    assert seen("2", "right").selected == 4244
    assert seen("down", "down", "down", "2").selected == 4244
    assert seen("2", "2", view=View(selected=4242)).selected == 4243


def test_other_pages_scroll_within_their_rows() -> None:
    events = [event(float(ago), "host_stopped") for ago in range(30)]
    snapshot = following(None, document(3, events=events))
    assert seen("4", "up", "up", "down", snapshot=snapshot).scroll == 1
    assert seen("4", "down", snapshot=snapshot).scroll == 0
    assert seen("4", "home", snapshot=snapshot).scroll == 29
    assert seen("4", "page up", snapshot=snapshot).scroll == 10
    listed = replace(snapshot, connections=Connections(4243, tuple({"id": at} for at in range(5))))
    assert seen("2", "end", snapshot=listed).scroll == 4
    assert seen("2", "end", "up", snapshot=listed).scroll == 3


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
    view = seen("K", view=View(selected=4248), snapshot=following(None, troubled()))
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
    assert request.question.endswith("; the number then stays until `reactorhost scale auto`") is said


@pytest.mark.parametrize("name", ["R", "K", "+", "-", "="])
def test_read_only_disables_the_keys_that_change_the_host(name: str) -> None:
    view = View(read_only=True, selected=4243)
    assert after(name, view=view) == (view, None)


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
