"""The page of the log: it follows the end, and shows the selected line as a whole."""

from __future__ import annotations

from dataclasses import replace

from documents import document, event
from reactorhost.dashboard.live.frame import uncut
from reactorhost.dashboard.live.keymap import press
from reactorhost.dashboard.live.mouse import click
from reactorhost.dashboard.model.log_reader import LogLines
from reactorhost.dashboard.model.log_records import records
from reactorhost.dashboard.model.snapshot import Snapshot, following
from reactorhost.dashboard.model.view import Page, View
from reactorhost.dashboard.pages.log import log_page
from reactorhost.dashboard.tables.row_window import RowLine
from reactorhost.dashboard.terminal.keys import Click
from reactorhost.dashboard.text.line import Size, width_of

FAILED = (
    '2026-11-23T12:00:01.000Z error hook_failed worker=9 slot=2 plugin=chat error="ValueError: no such room anywhere"\n'
    "    Traceback\n    ValueError: no such room anywhere"
)
LOG = [f"2026-11-23T12:00:00.000Z info event{number} master=1" for number in range(30)]
VIEW = View(page=Page.LOG, size=Size(60, 12))


def snapshot(*lines: str) -> Snapshot:
    found = records("\n".join(lines).split("\n"))
    made = following(None, document(1, log_file="/var/log/x"))
    return replace(made, log=LogLines(tuple(enumerate(found, 1))))


def shown(seen: Snapshot, view: View, width: int = 60, height: int = 6) -> list[str]:
    lines = log_page(seen, view, width, height)
    assert len(lines) <= height
    assert all(width_of(each) <= width for each in lines)
    return ["".join(text for text, _ in each).rstrip() for each in lines]


def pressed(seen: Snapshot, view: View, *keys: str) -> View:
    for key in keys:
        view, _ = press(view, key, seen)
    return view


def test_the_end_of_the_file_is_shown_with_tracebacks_folded() -> None:
    lines = shown(snapshot(*LOG, FAILED), VIEW, width=120, height=3)
    assert lines == [
        "/var/log/x  UTC",
        "12:00:00   master    event29",
        "12:00:01 E worker 2  hook_failed plugin=chat error=ValueError: no such room anywhere  (+2 lines)",
    ]


def test_a_selected_line_is_wrapped_and_enter_opens_its_traceback() -> None:
    seen = snapshot(*LOG, FAILED)
    view = pressed(seen, VIEW, "down")
    assert shown(seen, view)[-3:] == [
        "12:00:01 E worker 2  hook_failed plugin=chat",
        "           error=ValueError: no such room anywhere  (+2",
        "           lines)",
    ]
    opened = shown(seen, pressed(seen, view, "enter"), height=10)
    assert "    Traceback" in opened
    assert "    Traceback" not in shown(seen, pressed(seen, view, "enter", "enter"), height=10)


def test_a_selected_line_stays_while_the_log_grows_until_follow() -> None:
    view = pressed(snapshot(*LOG), VIEW, "up", "up")
    grown = snapshot(*LOG, *LOG)
    assert any("event28" in each for each in shown(grown, view))
    assert shown(grown, view)[0].endswith("F follows")
    assert shown(grown, pressed(grown, view, "F"))[-1].endswith("event29")
    assert pressed(grown, view, "end").table.selected is None


def test_the_page_is_full_wherever_the_selected_line_is() -> None:
    seen = snapshot(*LOG)
    for keys in (("home",), ("home", "down", "down"), ("up",) * 9, ("up",)):
        lines = log_page(seen, pressed(seen, VIEW, *keys), 60, 6)
        assert all(isinstance(each, RowLine) for each in lines[1:])
        assert len(lines) == 6


def test_a_click_on_the_selected_line_opens_it() -> None:
    seen = snapshot(*LOG, FAILED)
    view = pressed(seen, VIEW, "down")
    lines = uncut(seen, view, view.size)
    at = next(at for at, each in enumerate(lines) if any("hook_failed" in text for text, _ in each))
    assert all("reverse" in style for _, style in lines[at])
    opened, _ = click(view, Click(3, at), seen)
    assert opened.table.opened == view.table.selected


def test_lines_are_selected_by_level_and_text() -> None:
    seen = snapshot(*LOG, FAILED)
    assert len(shown(seen, pressed(seen, VIEW, "l", "l"))) == 2
    assert shown(seen, VIEW.with_table(filter="EVENT17"))[1:] == ["12:00:00   master    event17"]
    assert shown(seen, VIEW.with_table(filter="comet"))[1:] == ["no line matches the filter"]


def test_without_a_file_the_events_are_shown_and_the_reason() -> None:
    seen = following(None, document(1, events=[event(1.0, "host_stopped")]))
    assert shown(replace(seen, log=LogLines(instead="no file")), VIEW) == [
        "events of the master (no file)  UTC",
        "12:04:36   host stopped",
    ]


def failed(second: int, peer: str, error: str = "ValueError: no such room") -> str:
    return (
        f"2026-11-23T12:00:{second:02}.000Z error hook_failed worker=9 slot=2 plugin=chat hook=receive peer={peer}"
        f' error="{error}" where=chat.py:3\n    Traceback of {peer}'
    )


def test_lines_that_repeat_the_one_before_are_one_row_with_their_number() -> None:
    seen = snapshot(LOG[0], *(failed(second, f"10.0.0.{second}:4711") for second in range(1, 48)), LOG[1])
    assert shown(seen, VIEW, width=70)[1:] == [
        "12:00:00   master    event0",
        "12:00:47 E worker 2  hook_failed plugin=chat hook…  ×47 since 12:00:01",
        "12:00:00   master    event1",
    ]
    assert shown(seen, VIEW, width=20)[2] == "12:00:47 E wor…  ×47"


def test_what_differs_in_more_than_the_client_is_a_row_of_its_own() -> None:
    seen = snapshot(failed(1, "a:1"), failed(2, "b:1"), failed(3, "c:1", "KeyError: 'x'"), failed(4, "d:1"))
    rows = [line.partition("error=")[2].partition(":")[0] for line in shown(seen, VIEW, width=120)[1:]]
    assert rows == ["ValueError", "KeyError", "ValueError"]
    later = f"2026-11-23T12:11:00.000Z{LOG[0][24:]}"
    assert len(shown(snapshot(LOG[0], later), VIEW)) == 3
    assert len(shown(snapshot(LOG[0], LOG[0].replace("event0 ", "event1 ")), VIEW)) == 3


def test_the_rows_of_a_filter_are_collapsed_behind_it() -> None:
    seen = snapshot(failed(1, "a:1"), LOG[0], failed(2, "b:1"))
    assert len(shown(seen, VIEW)) == 4
    assert len(shown(seen, View.of(Page.LOG, level="error"))) == 2


def test_printed_lines_are_collapsed_if_they_are_the_same() -> None:
    assert shown(snapshot("a", "a", "b"), VIEW)[1:] == ["a  ×2", "b"]


def test_a_row_of_repeats_stays_selected_while_it_grows_and_opens_to_its_lines() -> None:
    few, more = (snapshot(LOG[0], *(failed(at, f"10.0.0.{at}:4711") for at in range(count))) for count in (3, 5))
    view = pressed(few, VIEW, "down", "enter")
    text = " ".join(" ".join(shown(more, view, width=200, height=20)).split())
    assert "×5 since 12:00:00" in text
    assert [f"peer=10.0.0.{at}:4711" in text for at in range(6)] == [True] * 5 + [False]
    assert text.endswith("Traceback of 10.0.0.4:4711")
