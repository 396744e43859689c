"""The last line of the screen, which shows keys, prompts and notices."""

from __future__ import annotations

from collections.abc import Sequence

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Overlay, Page, View
from reactorhost.dashboard.pages.host_keys import EVERYWHERE
from reactorhost.dashboard.pages.registry import PAGES
from reactorhost.dashboard.text.line import Line, Piece, cut, fitted, line, padded, width_of
from reactorhost.dashboard.text.styles import ALARM, NOTE

_GAP = 2
_Hint = tuple[str, str]
# In the order in which they are left out on a narrow screen, the last ones first; the keys of the page come in between.
_FIRST: Sequence[_Hint] = (("q", "quit"), ("?", "help"))
_LAST: Sequence[_Hint] = (("space", "pause"), ("1-5", "pages"))


def footer(snapshot: Snapshot | None, view: View, width: int) -> Line:
    """Return the last line of the screen."""
    match view.overlay:
        case Overlay.CONFIRM:
            question = view.pending.question if view.pending else ""
            # The question is cut so that `y/n` is visible on a screen of any width.
            return padded(line((f"{fitted(question, width - 6)}? y/n", "bold reverse")), width)
        case Overlay.FILTER:
            return _prompt("filter: ", view.typed, "enter: keep, esc: cancel", width)
        case Overlay.INTERVAL:
            return _prompt("seconds between updates: ", view.typed, "0.1 to 60", width)
        case Overlay.HELP:
            return cut(line("↑↓ scroll  any other key closes the help"), width)
        case Overlay.HOSTS:
            return cut(line("↑↓ choose  enter: switch to it  any other key: back"), width)
        case Overlay.NONE:
            text = notice(snapshot, view)
            return cut(text, width) if text else _keys(snapshot, view, width)


def notice(snapshot: Snapshot | None, view: View) -> Line:
    """Return the notice about the last key or request; an empty line if there is none."""
    if view.notice:
        return line((view.notice, NOTE))
    if snapshot is not None and snapshot.link.notice:
        return line((snapshot.link.notice, ALARM if snapshot.link.failed else NOTE))
    if view.table.filter:
        return line((f"filter: {view.table.filter}", NOTE), ("  esc: show all", "dim"))
    return ()


def _hints(snapshot: Snapshot | None, view: View) -> Sequence[_Hint]:
    parts = PAGES[view.page]
    moves = [("↑↓", "scroll" if parts.length is not None else "select")]
    if view.trail:
        moves.append(("esc", "back"))
    if parts.enter is not None:
        moves.append(("enter", "go in"))
    # What changes the host is shown where its workers are; it works on every page.
    bindings = (*parts.bindings, *EVERYWHERE) if view.page is Page.WORKERS else parts.bindings
    offered = (each for each in bindings if each.word and (snapshot is None or each.applies(view, snapshot)))
    own = [(each.key, each.word) for each in offered if not (each.changes and view.read_only)]
    orders = [("<>", "sort")] if parts.is_sorted else []
    filters = [("/", "filter")] if parts.is_filtered else []
    return [*_FIRST, *moves, *own, *orders, *filters, *_LAST]


def hint_at(snapshot: Snapshot, view: View, width: int, column: int) -> str:
    """Return the key whose hint is at a column; empty if there is none."""
    end = 0
    for key, text in _hints(snapshot, view):
        start = end + (_GAP if end else 0)
        end = start + width_of(line(f"{key} {text}"))
        if start <= column < end <= width:
            return key
    return ""


def _keys(snapshot: Snapshot | None, view: View, width: int) -> Line:
    pieces: list[Piece] = []
    for key, text in _hints(snapshot, view):
        more = line(" " * _GAP if pieces else "", (key, "bold"), f" {text}")
        if width_of(pieces) + width_of(more) > width:
            break
        pieces += more
    return tuple(pieces)


def _prompt(label: str, typed: str, hint: str, width: int) -> Line:
    return cut(line((label, "bold"), typed, ("_", "reverse"), (f"  {hint}", "dim")), width)
