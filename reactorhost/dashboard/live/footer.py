"""The foot of the screen: the keys, or what is asked or said; and the page of help."""

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
    ("1 2 3 4", "workers, connections of the selected one, plugins and listeners, events", False),
    ("↑ ↓  k j", "select a worker; scroll on the other pages", False),
    ("← →", "the worker before or after, on every page that is about one", False),
    ("enter", "the selected worker in detail, and back", False),
    ("<  >", "sort by the column before or after", False),
    ("I", "turn the order round", False),
    ("t", "tree or flat", False),
    ("/", "show only what contains a text; esc shows all again", False),
    ("space", "hold the picture; the header goes on", False),
    ("f", "five times a second, and back", False),
    ("d", "set the seconds between pictures", False),
    ("z", "let peaks start anew", False),
    ("R", "reload: replace every worker, one after the other", True),
    ("K", "recycle: replace the selected worker", True),
    ("+  -", "one worker more, one less", True),
    ("Ctrl-Z", "suspend", False),
)


def foot(snapshot: Snapshot | None, view: View, width: int) -> Line:
    """Return the last line of the screen."""
    match view.overlay:
        case Overlay.CONFIRM:
            question = view.pending.question if view.pending else ""
            # The answer that is waited for must be seen whatever the question's length.
            return padded(line((f"{fitted(question, width - 6)}? y/n", "bold reverse")), width)
        case Overlay.FILTER:
            return _prompt("filter: ", view.typed, "enter keeps it, esc goes back", width)
        case Overlay.INTERVAL:
            return _prompt("seconds between pictures: ", view.typed, "0.1 to 60", width)
        case Overlay.HELP:
            return cut(line(("any key goes back", "dim")), width)
        case Overlay.NONE:
            said = notice(snapshot, view)
            return cut(said, width) if said else _keys(view, width)


def notice(snapshot: Snapshot | None, view: View) -> Line:
    """Return what is to be said of the last key or request, if anything."""
    if view.notice:
        return line((view.notice, "cyan"))
    if snapshot is not None and snapshot.link.notice:
        return line((snapshot.link.notice, "bold red" if snapshot.link.failed else "cyan"))
    if view.filter and view.page is not Page.WORKER:
        return line((f"filter: {view.filter}", "cyan"), ("  esc shows all", "dim"))
    return ()


def help_page(view: View, width: int) -> list[Line]:
    """Return all keys."""
    rows = [(keys, what) for keys, what, changes in _HELP if not (changes and view.read_only)]
    return [cut(line((f"  {keys:<11}", "bold"), what), width) for keys, what in rows]


def _keys(view: View, width: int) -> Line:
    pieces: list[Piece] = []
    for key, what, changes in _KEYS:
        if changes and view.read_only:
            continue
        more = line("  " if pieces else "", (key, "bold"), (f" {what}", "dim"))
        if width_of(pieces) + width_of(more) > width:
            break
        pieces += more
    return tuple(pieces)


def _prompt(label: str, typed: str, hint: str, width: int) -> Line:
    return cut(line((label, "bold"), typed, ("_", "reverse"), (f"  {hint}", "dim")), width)
