"""Every key: what it changes, and what it asks for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents import document, event, troubled
from reactorhost.dashboard.live.keymap import press
from reactorhost.dashboard.tables.rows import current
from reactorhost.dashboard.model.snapshot import Connections, Snapshot, following
from reactorhost.dashboard.model.view import Act, Ask, Overlay, Page, Request, View

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
    assert after(name)[1] is Act.QUIT
    assert after(name, snapshot=None)[1] is Act.QUIT


@pytest.mark.parametrize("names", [("/", "ctrl-c"), ("R", "ctrl-c"), ("?", "q"), ("d", "ctrl-c")])
def test_one_can_quit_from_everywhere(names: tuple[str, ...]) -> None:
    assert after(*names)[1] is Act.QUIT


def test_control_z_suspends_and_control_l_paints_anew() -> None:
    assert after("ctrl-z")[1] is Act.SUSPEND
    assert after("ctrl-l")[1] is Act.REDRAW


def test_help_comes_and_any_key_takes_it_away() -> None:
    assert seen("?").overlay is Overlay.HELP
    assert seen("h").overlay is Overlay.HELP
    assert after("?", "R") == (View(), None)


def test_arrows_select_and_stop_at_both_ends() -> None:
    assert seen("down").selected == 4242
    assert seen("down", "down").selected == seen("j", "j").selected == 4243
    assert seen("end").selected == 4245
    assert seen("down", "down", "up", "k", "up").selected == 4242
    assert seen("up").selected == 4245


def test_the_selection_follows_the_process_whatever_its_row() -> None:
    view = seen("down", "down")
    assert current(SNAPSHOT, replace(view, inverted=True)) == 4243
    # Turned round, the first worker stands at the end.
    assert seen("up", view=replace(view, inverted=True)).selected == 4244


def test_the_selection_passes_to_the_successor_of_a_worker_that_is_gone() -> None:
    view = seen("down", "down")
    replaced = document(3)
    replaced["workers"][0]["pid"] = 5000
    assert current(following(None, replaced), view) == 5000
    replaced["workers"].pop(0)
    assert current(following(None, replaced), view) is None


def test_sorting_goes_through_the_columns_and_round() -> None:
    assert seen(">").sort == "gen"
    assert seen("<").sort == "pid"
    assert seen("<", "<").sort == "restarts"
    view = seen(">", ">", ">", ">")
    assert (view.sort, view.notice) == ("conns", "sorted by CONNS, largest first")
    assert seen("I", view=view).notice == "sorted by CONNS, smallest first"
    assert seen(">", view=View(columns=("cpu", "rss"), sort="cpu")).sort == "rss"


def test_the_filter_works_while_it_is_typed_and_escape_ends_it() -> None:
    view = seen("/", "4", "2", "4")
    assert (view.overlay, view.filter) == (Overlay.FILTER, "424")
    assert seen("backspace", view=view).filter == "42"
    kept = seen("space", "x", "enter", view=view)
    assert (kept.overlay, kept.filter) == (Overlay.NONE, "424 x")
    assert seen("/", view=kept).typed == "424 x"
    assert seen("/", "ctrl-u", "enter", view=kept).filter == ""
    assert seen("esc", view=kept).filter == ""


def test_letters_at_a_prompt_are_no_commands() -> None:
    view, request = after("/", "q", "R", "K")
    assert (view.filter, request) == ("qRK", None)


@pytest.mark.parametrize(
    ("typed", "seconds", "notice"),
    [
        ("5", 5.0, ""),
        ("0.5", 0.5, ""),
        ("0.01", 1.0, "an interval is 0.1 to 60 seconds"),
        ("61", 1.0, "an interval is 0.1 to 60 seconds"),
        ("nan", 1.0, "an interval is 0.1 to 60 seconds"),
        ("x", 1.0, "'x' is no number of seconds"),
    ],
)
def test_the_interval_is_typed(typed: str, seconds: float, notice: str) -> None:
    view = seen("d", *typed, "enter")
    assert (view.interval_seconds, view.notice, view.overlay) == (seconds, notice, Overlay.NONE)


def test_escape_leaves_the_interval_as_it_was() -> None:
    assert seen("d", "5", "esc") == View()


def test_f_is_fast_and_back() -> None:
    slow = View(interval_seconds=3.0)
    assert seen("f", view=slow).interval_seconds == 0.2
    assert seen("f", "f", view=slow).interval_seconds == 3.0


def test_pages_and_the_way_back() -> None:
    assert [seen(name).page for name in "1234"] == [Page.WORKERS, Page.CONNECTIONS, Page.PLUGINS, Page.EVENTS]
    assert seen("3", "esc").page is Page.WORKERS
    assert seen("down", "down", "enter").page is Page.WORKER
    assert seen("down", "down", "enter", "enter").page is Page.WORKERS
    assert seen("enter").selected == 4242


def test_the_page_of_connections_begins_with_a_worker_and_goes_on_sideways() -> None:
    assert seen("2").selected == 4243
    assert seen("2", "right").selected == 4244
    assert seen("down", "down", "down", "2").selected == 4244
    assert seen("2", "2", view=View(selected=4242)).selected == 4243


def test_other_pages_scroll_within_what_they_have() -> None:
    events = [event(float(ago), "host_stopped") for ago in range(30)]
    snapshot = following(None, document(3, events=events))
    assert seen("4", "up", "up", "down", snapshot=snapshot).scroll == 1
    assert seen("4", "down", snapshot=snapshot).scroll == 0
    assert seen("4", "home", snapshot=snapshot).scroll == 29
    assert seen("4", "page up", snapshot=snapshot).scroll == 10
    listed = replace(snapshot, connections=Connections(4243, tuple({"id": at} for at in range(5))))
    assert seen("2", "end", snapshot=listed).scroll == 4
    assert seen("2", "end", "up", snapshot=listed).scroll == 3


def test_pause_tree_and_peaks() -> None:
    assert seen("space").paused
    assert not seen("space", "space").paused
    assert not seen("t").tree
    assert after("z")[1] is Act.RESET_PEAKS


def test_what_changes_the_host_is_asked_first_naming_pid_and_connections() -> None:
    view, request = after("R")
    assert (view.overlay, request) == (Overlay.CONFIRM, None)
    assert view.pending == Ask("reload", "replace all 3 workers of pid 4242, 4,653 connections open")
    assert after("R", "y") == (View(), view.pending)


@pytest.mark.parametrize("answer", ["n", "q", "esc", "enter", "R"])
def test_anything_but_yes_is_no(answer: str) -> None:
    view, request = after("R", answer)
    assert request is None
    assert (view.overlay, view.pending, view.notice) == (Overlay.NONE, None, "nothing was done")


def test_a_worker_is_recycled_by_its_pid() -> None:
    assert after("down", "down", "down", "K", "y")[1] == Ask(
        "recycle", "replace worker 1 (pid 4244), 1,551 connections open", (("pid", 4244),)
    )
    assert seen("K").notice == seen("down", "K").notice == "select a worker first"


def test_what_leaves_already_is_not_recycled() -> None:
    view = seen("K", view=View(selected=4248), snapshot=following(None, troubled()))
    assert (view.overlay, view.notice) == (Overlay.NONE, "worker 5 (pid 4248) is draining: nothing to replace")


def test_plus_and_minus_change_the_number_of_workers() -> None:
    assert after("+", "y")[1] == Ask(
        "scale", "3 workers, make it 4 (pid 4242, 4,653 connections open)", (("workers", 4),)
    )
    assert after("-", "y")[1] == Ask(
        "scale",
        "3 workers, make it 2; the last one drains: worker 2 (pid 4245), 1,552 connections open",
        (("workers", 2),),
    )
    assert seen("-", snapshot=following(None, document(1))).notice == "one worker is the least"


@pytest.mark.parametrize("name", ["R", "K", "+", "-", "="])
def test_read_only_takes_these_keys_away(name: str) -> None:
    view = View(read_only=True, selected=4243)
    assert after(name, view=view) == (view, None)


@given(st.lists(st.sampled_from(KEYS), max_size=30), st.sampled_from([None, SNAPSHOT, following(None, troubled())]))
def test_no_row_of_keys_breaks_anything_or_acts_unasked(names: list[str], snapshot: Snapshot | None) -> None:
    view = View()
    for name in names:
        before = view
        view, request = press(view, name, snapshot)
        if isinstance(request, Ask):
            assert before.overlay is Overlay.CONFIRM
            assert name in ("y", "Y")
        assert (view.pending is not None) == (view.overlay is Overlay.CONFIRM)


@given(st.lists(st.sampled_from(KEYS), max_size=30))
def test_read_only_never_asks_the_host_for_anything(names: list[str]) -> None:
    view = View(read_only=True)
    for name in names:
        view, request = press(view, name, SNAPSHOT)
        assert not isinstance(request, Ask)
