"""The help: the keys of the page, the general keys, and what the marks and colours mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

from reactorhost.dashboard.live.legend import COLUMNS, MARKS, STATES
from reactorhost.dashboard.live.screen_rows import screen_rows
from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import TABS, View
from reactorhost.dashboard.pages.host_keys import EVERYWHERE
from reactorhost.dashboard.pages.page import Binding, scrolled
from reactorhost.dashboard.pages.registry import PAGES
from reactorhost.dashboard.text.line import EMPTY, Line, cut, line, padded
from reactorhost.dashboard.text.wrapping import wrapped

_GENERAL: Sequence[tuple[str, str]] = (
    ("q  Ctrl-C", "quit"),
    ("?  h", "this help"),
    ("1 to 5", f"pages: {', '.join(TABS.values())}"),
    ("↑ ↓  k j", "select a row, or scroll; also Home, End, PgUp, PgDn"),
    ("enter", "go into the selected row"),
    ("esc", "remove the filter, then go back"),
    ("!", "show what the worst alert is about, then the next one"),
    ("<  >", "sort by the previous or next column"),
    ("I", "reverse the order"),
    ("/", "filter by a text"),
    ("space", "pause or continue everything below the header"),
    ("H", "switch to another running host"),
    ("f", "switch five updates a second on or off"),
    ("d", "set the seconds between updates"),
    ("z", "reset the peak rate"),
    ("Ctrl-L", "draw the screen again"),
    ("Ctrl-Z", "suspend"),
)


_Section = tuple[str, Sequence[tuple[str, str]]]
_TWO_COLUMNS_FROM = 170
_GAP = 2
_LEAST_NAME = 11


def help_page(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return the lines of the help that are shown."""
    return scrolled(_lines(snapshot, view, width), view.help_scroll, height)


def scroll(view: View, snapshot: Snapshot, steps: int) -> View:
    """Return the view with the help moved on by a number of lines, not beyond its end."""
    last = len(_lines(snapshot, view, view.size.columns)) - screen_rows(snapshot, view, view.size).body
    return replace(view, help_scroll=max(0, min(view.help_scroll + steps, last)))


def _lines(snapshot: Snapshot, view: View, width: int) -> list[Line]:
    """Return the whole help; on a wide screen, the keys and the legend are beside each other."""
    keys, legend = _key_sections(snapshot, view), _legend(view)
    if width < _TWO_COLUMNS_FROM:
        return [*_section_lines(keys, width), EMPTY, *_section_lines(legend, width)]
    left = width * 45 // 100
    beside = zip_longest(_section_lines(keys, left - _GAP), _section_lines(legend, width - left), fillvalue=EMPTY)
    return [(*padded(one, left), *other) for one, other in beside]


def _key_sections(snapshot: Snapshot, view: View) -> Sequence[_Section]:
    parts = PAGES[view.page]
    columns = [(each.key, f"sort by {each.heading}") for each in parts.all_columns(snapshot, view) if each.key]
    return [
        (f"KEYS OF THIS PAGE: {_title(view)}", [*_keys(parts.bindings, view), *columns]),
        ("KEYS", [*_GENERAL, *_keys(EVERYWHERE, view)]),
    ]


def _legend(view: View) -> Sequence[_Section]:
    columns = COLUMNS.get(view.page, ())
    return [("STATES OF A WORKER", STATES), ("MARKS AND COLOURS", MARKS), ("COLUMNS OF THIS PAGE", columns)]


def _section_lines(sections: Sequence[_Section], width: int) -> list[Line]:
    lines: list[Line] = []
    for title, rows in sections:
        if rows:
            lines += [*([EMPTY] if lines else []), cut(line((title, "dim")), width)]
            names = max(_LEAST_NAME, *(len(name) + 1 for name, _ in rows))
            for name, text in rows:
                lines += wrapped(line((f"  {name:<{names}}", "bold"), text), width, indent=2 + names)
    return lines


def _title(view: View) -> str:
    return TABS[view.page] if view.page in TABS else view.page.name.capitalize()


def _keys(bindings: Sequence[Binding], view: View) -> list[tuple[str, str]]:
    return [(each.key, each.help) for each in bindings if each.help and not (each.changes and view.read_only)]
