"""The last line of the screen, which shows keys, prompts and notices; and the help page."""

from __future__ import annotations

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Overlay, Page, View
from reactorhost.dashboard.text.line import Line, Piece, cut, fitted, line, padded, width_of

_KEYS: tuple[tuple[str, str, bool], ...] = (
    ("q", "quit", False),
    ("?", "help", False),
    ("↑↓", "select", False),
    ("enter", "detail", False),
    ("1-4", "pages", False),
    ("R", "reload", True),
    ("K", "recycle", True),
    ("+/-", "workers", True),
    ("<>", "sort", False),
    ("/", "filter", False),
    ("space", "pause", False),
    ("t", "tree", False),
    ("I", "invert", False),
)

_HELP: tuple[tuple[str, str, bool], ...] = (
    ("q  Ctrl-C", "quit", False),
    ("?  h", "this help", False),
    ("1 2 3 4", "pages: workers, connections, plugins and listeners, events", False),
    ("↑ ↓  k j", "select a worker; on the other pages: scroll", False),
    ("← →", "previous or next worker, without leaving the page", False),
    ("enter", "show or leave the details of the selected worker", False),
    ("<  >", "sort by the previous or next column", False),
    ("I", "reverse the order", False),
    ("t", "tree or flat list", False),
    ("/", "filter by a text; esc removes the filter", False),
    ("space", "pause or continue everything below the header", False),
    ("f", "switch five updates a second on or off", False),
    ("d", "set the seconds between updates", False),
    ("z", "reset the peak rate", False),
    ("R", "reload: replace all workers, one after the other", True),
    ("K", "recycle: replace the selected worker", True),
    ("+  -", "scale: one worker more or less", True),
    ("Ctrl-Z", "suspend", False),
)


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
            return cut(line(("any key closes the help", "dim")), width)
        case Overlay.NONE:
            text = notice(snapshot, view)
            return cut(text, width) if text else _keys(view, width)


def notice(snapshot: Snapshot | None, view: View) -> Line:
    """Return the notice about the last key or request; an empty line if there is none."""
    if view.notice:
        return line((view.notice, "cyan"))
    if snapshot is not None and snapshot.link.notice:
        return line((snapshot.link.notice, "bold red" if snapshot.link.failed else "cyan"))
    if view.filter and view.page is not Page.WORKER:
        return line((f"filter: {view.filter}", "cyan"), ("  esc: show all", "dim"))
    return ()


def help_page(view: View, width: int) -> list[Line]:
    """Return the list of all keys."""
    rows = [(keys, text) for keys, text, changes in _HELP if not (changes and view.read_only)]
    return [cut(line((f"  {keys:<11}", "bold"), text), width) for keys, text in rows]


def _keys(view: View, width: int) -> Line:
    pieces: list[Piece] = []
    for key, text, changes in _KEYS:
        if changes and view.read_only:
            continue
        more = line("  " if pieces else "", (key, "bold"), (f" {text}", "dim"))
        if width_of(pieces) + width_of(more) > width:
            break
        pieces += more
    return tuple(pieces)


def _prompt(label: str, typed: str, hint: str, width: int) -> Line:
    return cut(line((label, "bold"), typed, ("_", "reverse"), (f"  {hint}", "dim")), width)
