"""Clicks: on a tab, a row, a heading and a hint."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents import document
from reactorhost.dashboard.live.frame import render
from reactorhost.dashboard.live.mouse import click
from reactorhost.dashboard.model.requests import HostRequest, Request, ViewAction
from reactorhost.dashboard.model.snapshot import following
from reactorhost.dashboard.model.view import Overlay, Page, ProcessKey, View
from reactorhost.dashboard.tables.process_selection import selected_row
from reactorhost.dashboard.terminal.keys import Click
from reactorhost.dashboard.text.line import Size

SNAPSHOT = following(None, document(3))
VIEW = replace(View(), size=Size(100, 20))


def cell_of(text: str, view: View = VIEW) -> Click:
    """Return the first cell of a text on the screen."""
    rows = ["".join(text for text, _ in line) for line in render(SNAPSHOT, view, view.size)]
    row = next(at for at, shown in enumerate(rows) if text in shown)
    return Click(rows[row].index(text), row)


def clicked(text: str, view: View = VIEW) -> tuple[View, Request | None]:
    return click(view, cell_of(text, view), SNAPSHOT)


@pytest.mark.parametrize(("text", "page"), [("2 Services", Page.SERVICES), ("5 Log", Page.LOG)])
def test_a_click_on_a_tab_shows_its_page(text: str, page: Page) -> None:
    assert clicked(text)[0].page is page


def test_a_click_behind_the_tabs_does_nothing() -> None:
    at = cell_of("5 Log")
    assert click(VIEW, at._replace(column=99), SNAPSHOT) == (VIEW, None)


def test_the_first_click_selects_a_row_and_the_second_goes_in() -> None:
    view, _ = clicked("4244")
    assert selected_row(SNAPSHOT, view) == ProcessKey(1, 4244)
    assert clicked("4244", view)[0].focus.process == ProcessKey(1, 4244)


def test_a_click_on_a_heading_sorts_by_it_and_again_reverses() -> None:
    view, _ = clicked("CPU%")
    assert (view.table.sort, view.table.inverted) == ("cpu", False)
    assert clicked("CPU%▼", replace(view, notice=""))[0].table.inverted


def test_a_click_on_an_alert_shows_what_it_is_about() -> None:
    made = document(3)
    made["workers"][1]["silent_seconds"] = 18.0
    snapshot = following(None, made)
    assert selected_row(snapshot, click(VIEW, Click(2, 3), snapshot)[0]) == ProcessKey(1, 4244)


def test_a_click_on_a_hint_is_its_key() -> None:
    assert clicked("quit")[1] is ViewAction.QUIT
    assert clicked("? help")[0].overlay is Overlay.HELP


def test_a_click_never_answers_a_question() -> None:
    asked = replace(VIEW, overlay=Overlay.CONFIRM, pending=HostRequest("reload", "replace all"))
    assert clicked("y/n", asked) == (asked, None)


@given(st.integers(0, 250), st.integers(0, 250), st.sampled_from(Page), st.integers(1, 120), st.integers(1, 40))
def test_a_click_anywhere_on_any_screen_sends_nothing(column: int, row: int, page: Page, width: int, rows: int) -> None:
    view = replace(View.of(page), size=Size(width, rows))
    request = click(view, Click(column, row), SNAPSHOT)[1]
    assert not isinstance(request, HostRequest)
