"""The help: nothing that is on the screen is missing in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from documents import document, plugin
from reactorhost.dashboard.live.help_page import help_page
from reactorhost.dashboard.live.legend import COLUMNS, STATES
from reactorhost.dashboard.model.snapshot import following
from reactorhost.dashboard.model.view import Page, View
from reactorhost.dashboard.pages.registry import PAGES
from reactorhost.dashboard.tables.client_table import columns_of
from reactorhost.dashboard.tables.columns import ALL
from reactorhost.dashboard.tables.listener_table import listener_table
from reactorhost.dashboard.tables.plugin_table import hook_chain
from reactorhost.dashboard.tables.service_table import service_table
from reactorhost.dashboard.tables.worker_row import STATE_STYLES
from reactorhost.dashboard.text.grid import grid
from reactorhost.dashboard.text.line import Line
from reactorhost.ipc.connection_query import Grouping

SNAPSHOT = following(None, document(2))


def shown(view: View, width: int = 100, height: int = 200) -> list[str]:
    return ["".join(text for text, _ in line) for line in help_page(SNAPSHOT, view, width, height)]


@pytest.mark.parametrize("page", Page)
def test_every_key_of_a_page_is_explained_there(page: Page) -> None:
    lines = shown(View.of(page))
    for binding in PAGES[page].bindings:
        if binding.help:
            assert any(line.split() == [binding.key, *binding.help.split()] for line in lines)
    for column in PAGES[page].columns(SNAPSHOT, View.of(page)):
        if column.key:
            assert any(line.split() == [column.key, "sort", "by", *column.heading.split()] for line in lines)


def headings_of(page: Page) -> str:
    made = document(2, plugins=[plugin("echo", None, waiting_share=0.5)])
    rows: dict[Page, list[Line]] = {
        Page.WORKERS: [tuple((column.heading, "") for column in ALL if column.name != "state")],
        Page.SERVICES: [service_table([], made, 250)[0]],
        Page.CLIENTS: [grid(columns_of(group), [], 250)[0] for group in (None, *Grouping)],
        Page.PLUGINS: [hook_chain(made, 250)[0], listener_table([], 250)[0]],
    }
    return " ".join(text for row in rows[page] for text, _ in row)


@pytest.mark.parametrize("page", COLUMNS)
def test_every_column_of_a_page_is_explained_there(page: Page) -> None:
    lines = shown(View.of(page))
    legend = lines[lines.index("COLUMNS OF THIS PAGE") :]
    explained = {word.strip(",;") for line in legend for word in line.split()}
    assert not set(headings_of(page).split()) - explained


@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_in_the_help_is_cut(width: int) -> None:
    for page in Page:
        lines = shown(View.of(page), width=width)
        assert not any("…" in line and "more than there is room for" not in line for line in lines)
        assert max(map(len, lines)) <= width
    # A long name has a gap behind it.
    assert "P99.9" in "".join(shown(View(), width=width)).split()


def test_every_state_of_the_workers_is_explained() -> None:
    assert set(STATE_STYLES) <= {state for state, _ in STATES}


def test_no_two_keys_of_a_page_are_the_same() -> None:
    for page, parts in PAGES.items():
        keys = [binding.key for binding in parts.bindings]
        keys += [column.key for column in parts.columns(SNAPSHOT, View.of(page)) if column.key]
        assert len(keys) == len(set(keys)), page
        assert not {"R", "+", "-", "=", "H", "I", "q"} & set(keys), page


def test_a_wide_screen_shows_keys_and_legend_beside_each_other() -> None:
    lines = shown(View(), width=200)
    assert "STATES OF A WORKER" in lines[0]
    assert len(lines) < len(shown(View()))


def test_read_only_hides_the_keys_that_change_the_host() -> None:
    assert "  R          reload: replace all workers, one after the other" in shown(View())
    assert not any("reload" in line for line in shown(replace(View(), read_only=True)) if line.startswith("  R"))


def test_a_small_screen_shows_a_part_and_scrolls_to_the_end() -> None:
    whole = shown(View())
    assert shown(View(), height=5) == whole[:5]
    assert shown(replace(View(), help_scroll=1000), height=5) == whole[-5:]
