"""The line of tabs: the pages with the digits that show them, and the trail of the pages gone into."""

from __future__ import annotations

from collections.abc import Sequence

from reactorhost.dashboard.model.view import TABS, Page, View
from reactorhost.dashboard.text.line import Line, Piece, cut, line, width_of

_GAP = 4
_INTO = " › "

_Label = tuple[Page, str]


def tabs_line(view: View, width: int) -> Line:
    """Return the tabs, and the trail behind them; where there is no room for both, the trail only."""
    labels, trail = _arranged(view, width)
    # In reverse, which is there without colours, too.
    tabs: list[Piece] = [(label, "bold reverse" if page is _shown(view) else "") for page, label in labels]
    gap = [(" " * _GAP, "")] if tabs and trail else []
    return cut((*tabs, *gap, *trail), width)


def tab_at(view: View, width: int, column: int) -> Page | None:
    """Return the tab at a column of the line, or None."""
    end = 0
    for page, label in _arranged(view, width)[0]:
        end += len(label)
        if column < end:
            return page
    return None


def _arranged(view: View, width: int) -> tuple[Sequence[_Label], Line]:
    trail = _trail(view, width)
    room = width - (width_of(trail) + _GAP if trail else 0)
    full = [(page, f" {page:d} {title} ") for page, title in TABS.items()]
    # On a narrow screen, the digits and the title of the page that is shown.
    short = [(page, label if page is _shown(view) else f" {page:d} ") for page, label in full]
    fitting = (labels for labels in (full, short) if sum(len(label) for _, label in labels) <= room)
    return next(fitting, [] if trail else short), trail


def _trail(view: View, width: int) -> Line:
    if not view.trail:
        return ()
    names = [TABS[view.trail[0].page], *(place.label for place in view.trail)]
    # The end is what the page shows: on a narrow screen the beginning is left out.
    while len(names) > 1 and width_of(line(_INTO.join(names))) > width:
        names.pop(0)
    return line("".join(name + _INTO for name in names[:-1]), (names[-1], "bold"))


def _shown(view: View) -> Page:
    return view.page if view.page in TABS else view.trail[0].page if view.trail else Page.WORKERS
