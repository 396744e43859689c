"""The worker table: its width is used, what is wrong is in sight, and notes are not lost at the edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from documents import NOON, document, rates, slot, troubled
from reactorhost.dashboard.model.snapshot import Snapshot, following
from reactorhost.dashboard.model.view import Page, ProcessKey, View
from reactorhost.dashboard.pages.workers import workers_page
from reactorhost.dashboard.tables import worker_table as module
from reactorhost.dashboard.tables.row_window import RowLine
from reactorhost.dashboard.tables.rows import Row, RowKind
from reactorhost.dashboard.tables.worker_table import needed_height, worker_table
from reactorhost.dashboard.text.line import Line, width_of

REASON = "retry in 27s, served by 31108, last: plugin faulty failed in worker_start: cannot reach the database"


def text(line: Line) -> str:
    return "".join(piece for piece, _ in line).rstrip()


def texts(snapshot: Snapshot, width: int, height: int = 40, view: View | None = None) -> list[str]:
    return [text(each) for each in worker_table(snapshot, view or View(), width, height)]


def in_backoff(count: int = 2) -> Snapshot:
    made = document(count)
    made["slots"].append(
        slot(count, "backoff", retry_seconds=27.0, adopted_by=31108, last_exit=REASON.partition("last: ")[2])
    )
    return following(None, made)


def test_a_wide_screen_has_more_columns_and_a_trend() -> None:
    before = following(None, document(2))
    moved = document(2, time=NOON + 1)
    moved["workers"][0]["rates"] = rates(8.0)
    snapshot = following(before, moved)
    added = {
        width: set(texts(snapshot, width)[0].split()) - set(texts(snapshot, 119)[0].split())
        for width in (120, 150, 200)
    }
    assert added[120] == set()
    assert {"ERR/s", "LAST"} <= added[150]
    assert {"ERR/s", "P99.9", "MAX", "BUSY%", "PSS", "REF/s", "MINUTE"} <= added[200]
    first, second = texts(snapshot, 200)[3:5]
    # On one scale: the rate of the second worker is an eighth of that of the first.
    assert (first[-2:], second[-2:]) == ("▂█", "▂▂")
    assert all(width_of(each) <= 200 for each in worker_table(snapshot, View(), 200, 40))


def test_columns_that_were_chosen_are_not_added_to() -> None:
    headings = texts(following(None, document(2)), 200, view=View(columns=("cpu",)))[0]
    assert headings.split()[:2] == ["PID", "CPU%"]
    assert "ERR/s" not in headings


def test_a_state_of_any_length_is_shown_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Row(RowKind.WORKER, 4243, "silent 3m05s", {"slot": 0, "clients": 7}, "in slow.receive at slow.py:15")
    monkeypatch.setattr(module, "worker_rows", lambda _document, _view: [silent])
    rows = texts(following(None, document(1)), 40)
    assert rows[3].startswith("└─ 4243 silent 3m05s")
    assert rows[4] == "        in slow.receive at slow.py:15"


@pytest.mark.parametrize("sort", ["", "slot"])
def test_ill_workers_are_in_sight_where_not_all_fit(sort: str) -> None:
    shown = texts(following(None, troubled()), 80, 6, View.of(Page.WORKERS, sort=sort))
    assert [each.split()[2] for each in shown[3:5]] == ["stuck", "backoff"]
    assert shown[5] == "   … 7 more: 1 draining, 1 starting, 5 ready"


@pytest.mark.parametrize(
    ("view", "stuck", "words"),
    [
        (View(), [63], "   … 58 more, all ready"),
        (View(), range(50, 64), "   … 58 more: 8 stuck, 50 ready"),
        (View.of(Page.WORKERS, selected=ProcessKey(30, 4273)), [], "   … 27 above, 31 more, all ready"),
        (View.of(Page.WORKERS, selected=ProcessKey(30, 4273)), [63], "   … 58 more, all ready"),
    ],
)
def test_the_last_line_says_how_the_hidden_workers_are(view: View, stuck: Sequence[int], words: str) -> None:
    made = document(64)
    made["workers"][9]["leader"] = True
    for number in stuck:
        made["workers"][number]["state"] = "stuck"
    lines = worker_table(following(None, made), view, 80, 10)
    assert text(lines[-1]) == words
    assert ("8 stuck" in words) == (("8 stuck", "bold red") in lines[-1])


def test_a_note_wraps_below_its_row_where_there_is_room() -> None:
    shown = texts(in_backoff(), 80, view=View.of(Page.WORKERS, inverted=True))
    at = next(number for number, each in enumerate(shown) if "backoff" in each)
    together = " ".join(each.removeprefix("│").strip() for each in shown[at : at + 2])
    assert together.endswith(REASON)
    assert shown[at + 1].startswith("│" + " " * 17)
    assert needed_height(in_backoff(), View(), 80) == len(shown) == 7


def test_a_note_is_cut_where_there_is_no_room_unless_its_row_is_selected() -> None:
    shown = texts(in_backoff(8), 60, 8)
    assert "├─ 4243" in shown[3]
    assert shown[-2].startswith("└─ -")
    assert shown[-2].endswith("…")
    selected = View.of(Page.WORKERS, selected=ProcessKey(8, None))
    lines = worker_table(in_backoff(8), selected, 60, 8)
    block = [each for each in lines if isinstance(each, RowLine) and each.key == ProcessKey(8, None)]
    assert len(block) > 1
    assert "cannot reach the database" in " ".join(text(each).strip("│ ") for each in block)
    assert {style for each in block for _, style in each if "reverse" not in style} == set()


@pytest.mark.parametrize("height", range(9))
@pytest.mark.parametrize("width", [1, 5, 12, 20, 40, 80, 200])
def test_the_table_never_exceeds_its_height(width: int, height: int) -> None:
    for view in (View(), View.of(Page.WORKERS, selected=ProcessKey(8, None)), View(columns=("cpu",))):
        assert len(worker_table(in_backoff(8), view, width, height)) <= height


def test_a_printed_table_has_no_trend() -> None:
    once = replace(following(None, document(2)), worker_trends=type(in_backoff().worker_trends)())
    assert "MINUTE" not in texts(once, 200)[0]


def silent(count: int = 8) -> Snapshot:
    made = document(count)
    made["workers"][5].update({"silent_seconds": 185.0, "process_state": "stopped"})
    return following(None, made)


@pytest.mark.parametrize(
    ("width", "height", "shown"),
    [
        (19, 3, ["PID    STATE", "4248   silent 3m05s", "   … 7 more, all r…"]),
        (19, 2, ["PID    STATE", "4248   silent 3m05s"]),
        (13, 2, ["PID    STATE", "4248   silen…"]),
        (40, 4, ["PID     STATE", "├─ 4243 ready", "├─ 4248 silent 3m05s"]),
    ],
)
def test_a_small_screen_shows_what_is_ill(width: int, height: int, shown: list[str]) -> None:
    found = texts(silent(), width, height)
    assert [each[: len(line)] for each, line in zip(found, shown, strict=False)] == shown


def test_ill_workers_come_before_the_last_events() -> None:
    made = document(8)
    for number in (1, 4, 6):
        made["workers"][number].update({"silent_seconds": 185.0, "process_state": "stopped"})
    shown = [text(each) for each in workers_page(following(None, made), View(), 80, 12)]
    assert sum("silent 3m05s" in each for each in shown) == 3
