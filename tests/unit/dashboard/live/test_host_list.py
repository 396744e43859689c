"""The list of the running hosts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from documents import document
from reactorhost.dashboard.live.frame import render, waiting
from reactorhost.dashboard.live.keymap import press
from reactorhost.dashboard.model.hosts import RunningHost
from reactorhost.dashboard.model.requests import Request, SwitchHost, ViewAction
from reactorhost.dashboard.model.snapshot import following
from reactorhost.dashboard.model.view import Focus, Overlay, Page, ProcessKey, View
from reactorhost.dashboard.text.line import Frame, Size

HOSTS = (RunningHost("chat", 17, Path("/run/chat")), RunningHost("web", 0, Path("/run/web")))
LISTED = View(overlay=Overlay.HOSTS, hosts=HOSTS)


def after(*names: str) -> tuple[View, Request | None]:
    view, request = LISTED, None
    for name in names:
        view, request = press(view, name, None)
    return view, request


def plain(frame: Frame) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in frame]


def test_the_list_is_requested_even_before_a_host_has_answered() -> None:
    assert press(View(), "H", None)[1] is ViewAction.LIST_HOSTS


@pytest.mark.parametrize(("names", "chosen"), [(("up",), 0), (("down",), 1), (("j", "j"), 1), (("down", "k"), 0)])
def test_the_choice_moves_within_the_list(names: tuple[str, ...], chosen: int) -> None:
    assert after(*names)[0].chosen_host == chosen


def test_enter_switches_to_the_chosen_host_and_any_other_key_does_not() -> None:
    assert after("down", "enter") == (replace(LISTED, overlay=Overlay.NONE, chosen_host=1), SwitchHost(HOSTS[1]))
    assert after("down", "esc")[1] is None
    assert after("x")[0].overlay is Overlay.NONE


def test_the_list_is_drawn_with_and_without_a_document() -> None:
    for frame in (
        render(following(None, document(1)), LISTED, Size(60, 12)),
        waiting("waiting for the host to answer", LISTED, Size(60, 12)),
    ):
        lines = plain(frame)
        assert {"  chat  pid 17", "  web"} <= set(lines)
        assert "enter: switch to it" in lines[-1]


def test_another_host_is_shown_on_the_same_page_without_the_rows_of_the_old_one() -> None:
    view = View.of(Page.WORKERS, sort="cpu", filter="9", selected=ProcessKey(0, 7)).enter(Page.WORKER, "worker 0")
    other = view.of_another_host()
    assert (other.page, other.focus, other.trail) == (Page.WORKERS, Focus(), ())
    assert (other.table.sort, other.table.filter, other.table.selected) == ("cpu", "", None)
