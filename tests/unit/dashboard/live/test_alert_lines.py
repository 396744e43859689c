"""The alerts below the header."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reactorhost.dashboard.live.alert_lines import alert_lines, alert_rows
from reactorhost.dashboard.model.alerts import Alert, AlertLevel
from reactorhost.dashboard.model.view import Page, ProcessKey

ALERTS = [
    Alert(AlertLevel.ERROR, "worker 2 is silent for 18 s", Page.WORKERS),
    Alert(AlertLevel.WARNING, "worker 3 is full", Page.WORKERS),
    Alert(AlertLevel.WARNING, "the accept queue of tcp://127.0.0.1:9000 is full", Page.SERVICES),
]


def drawn(count: int, width: int, height: int, chosen: int = -1) -> list[str]:
    return ["".join(text for text, _ in line) for line in alert_lines(ALERTS[:count], width, height, chosen)]


@pytest.mark.parametrize(
    ("count", "rows", "taken"), [(0, 50, 0), (2, 50, 2), (30, 24, 4), (2, 10, 2), (9, 10, 2), (3, 5, 1), (3, 4, 0)]
)
def test_alerts_take_at_most_a_fifth_of_the_screen(count: int, rows: int, taken: int) -> None:
    assert alert_rows(count, rows) == taken


def test_every_alert_is_marked_and_names_its_key() -> None:
    assert drawn(2, 80, 2) == ["! worker 2 is silent for 18 s  → 1", "! worker 3 is full  → 1"]


def test_an_alert_about_the_page_that_is_shown_has_its_key_only_if_it_is_about_a_row() -> None:
    found = [replace(ALERTS[0], target=ProcessKey(2, 4245)), *ALERTS[1:]]
    lines = ["".join(text for text, _ in line) for line in alert_lines(found, 80, 3, page=Page.WORKERS)]
    assert [line.partition("  ")[2] for line in lines] == ["→ 1", "", "→ 2"]


def test_the_key_stays_when_the_text_is_cut() -> None:
    assert drawn(1, 16, 1) == ["! worker 2…  → 1"]


def test_alerts_without_room_are_counted() -> None:
    assert drawn(3, 80, 2) == ["! worker 2 is silent for 18 s  → 1", "! … 2 more  → !"]
    assert drawn(3, 80, 1) == ["! worker 2 is silent for 18 s  → 1  +2"]
    assert drawn(3, 80, 0) == []


def test_errors_and_warnings_have_different_colours() -> None:
    styles = [line[0][1] for line in alert_lines(ALERTS, 80, 3)]
    assert styles == ["bold red", "magenta", "magenta"]


@pytest.mark.parametrize(
    ("height", "shown"),
    [
        (1, ["! the accept queue of tcp://127.0.0.1:9000 is full  → 2  +2"]),
        (2, ["! the accept queue of tcp://127.0.0.1:9000 is full  → 2", "! … 2 more  → !"]),
    ],
)
def test_the_alert_that_was_chosen_is_among_those_shown(height: int, shown: list[str]) -> None:
    assert drawn(3, 80, height, 2) == shown
    chosen = alert_lines(ALERTS, 80, height, 2)[0]
    assert all("reverse" in style for _, style in chosen)
