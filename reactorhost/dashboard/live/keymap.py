"""The keys: how each changes the view, and what it requests. Pure: the loop carries requests out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import (
    FASTEST_SECONDS,
    SLOWEST_SECONDS,
    HostRequest,
    Overlay,
    Page,
    Request,
    View,
    ViewAction,
)
from reactorhost.dashboard.tables.columns import BY_NAME, columns_named
from reactorhost.dashboard.tables.rows import current, selectable, uses_bus
from reactorhost.dashboard.text.quantities import counted

_FAST_SECONDS = 0.2
_PAGE_ROWS = 10
_ALWAYS: Mapping[str, ViewAction] = {
    "ctrl-c": ViewAction.QUIT,
    "ctrl-z": ViewAction.SUSPEND,
    "ctrl-l": ViewAction.REDRAW,
}
_LONGEST_TYPED = 60

Result = tuple[View, Request | None]


def press(view: View, key: str, snapshot: Snapshot | None) -> Result:
    """Return the view after a key, and what the key requests; `snapshot` is None before the first document."""
    # Before the overlays: a prompt must not swallow the keys that leave the program.
    if key in _ALWAYS:
        return view, _ALWAYS[key]
    view = replace(view, notice="")
    match view.overlay:
        case Overlay.CONFIRM:
            return _confirm(view, key)
        case Overlay.FILTER | Overlay.INTERVAL:
            return _type(view, key), None
        case Overlay.HELP:
            return (view, ViewAction.QUIT) if key == "q" else (replace(view, overlay=Overlay.NONE), None)
        case Overlay.NONE:
            return _on_page(view, key, snapshot)


def _on_page(view: View, key: str, snapshot: Snapshot | None) -> Result:
    if key == "q":
        return view, ViewAction.QUIT
    if key == "z":
        return replace(view, notice="peak reset"), ViewAction.RESET_PEAKS
    if key in _CHANGES:
        return _CHANGES[key](view), None
    if snapshot is not None:
        if key in _MOVES:
            return _MOVES[key](view, snapshot), None
        if key in _CONFIRMED and not view.read_only:
            return _CONFIRMED[key](view, snapshot), None
    return view, None


# Prompts.


def _confirm(view: View, key: str) -> Result:
    pending, view = view.pending, replace(view, overlay=Overlay.NONE, pending=None)
    if key in ("y", "Y"):
        return view, pending
    return replace(view, notice="cancelled"), None


def _type(view: View, key: str) -> View:
    if key == "esc":
        return replace(view, overlay=Overlay.NONE, typed="")
    if key == "enter":
        if view.overlay is Overlay.INTERVAL:
            return _with_interval(view)
        return replace(view, overlay=Overlay.NONE, filter=view.typed, typed="", scroll=0)
    character = " " if key == "space" else key
    if key == "backspace":
        typed = view.typed[:-1]
    elif key == "ctrl-u":
        typed = ""
    elif len(character) == 1 and len(view.typed) < _LONGEST_TYPED:
        typed = view.typed + character
    else:
        return view
    # The filter takes effect while it is typed.
    return replace(view, typed=typed, filter=typed if view.overlay is Overlay.FILTER else view.filter)


def _with_interval(view: View) -> View:
    typed, view = view.typed, replace(view, overlay=Overlay.NONE, typed="")
    try:
        seconds = float(typed)
    except ValueError:
        return replace(view, notice=f"{typed!r} is not a number of seconds")
    if not FASTEST_SECONDS <= seconds <= SLOWEST_SECONDS:
        return replace(view, notice=f"the interval is {FASTEST_SECONDS:g} to {SLOWEST_SECONDS:g} seconds")
    return replace(view, interval_seconds=seconds, before_fast=None)


# Keys that need no snapshot.


def _show(page: Page) -> Callable[[View], View]:
    return lambda view: replace(view, page=page, scroll=0)


def _back(view: View) -> View:
    if view.filter:
        return replace(view, filter="", scroll=0)
    return replace(view, page=Page.WORKERS, scroll=0)


def _sorted(view: View) -> View:
    column = BY_NAME[view.sort]
    order = "largest" if column.largest_first is not view.inverted else "smallest"
    order = {"state": "z" if view.inverted else "a"}.get(view.sort, order)
    return replace(view, notice=f"sorted by {column.heading}, {order} first")


def _fast(view: View) -> View:
    if view.before_fast is not None:
        return replace(view, interval_seconds=view.before_fast, before_fast=None)
    return replace(view, interval_seconds=_FAST_SECONDS, before_fast=view.interval_seconds)


def _prompt(overlay: Overlay) -> Callable[[View], View]:
    return lambda view: replace(view, overlay=overlay, typed=view.filter if overlay is Overlay.FILTER else "")


_CHANGES: Mapping[str, Callable[[View], View]] = {
    "?": _prompt(Overlay.HELP),
    "h": _prompt(Overlay.HELP),
    "/": _prompt(Overlay.FILTER),
    "d": _prompt(Overlay.INTERVAL),
    "1": _show(Page.WORKERS),
    "3": _show(Page.PLUGINS),
    "4": _show(Page.EVENTS),
    "esc": _back,
    "I": lambda view: _sorted(replace(view, inverted=not view.inverted)),
    "t": lambda view: replace(view, tree=not view.tree),
    "space": lambda view: replace(view, paused=not view.paused),
    "f": _fast,
}


# Keys that move through the rows and columns of a snapshot.


def _sort_by(step: int) -> Callable[[View, Snapshot], View]:
    def change(view: View, snapshot: Snapshot) -> View:
        names = [column.name for column in columns_named(view.columns, bus=uses_bus(snapshot.body))]
        at = names.index(view.sort) if view.sort in names else 0
        return _sorted(replace(view, sort=names[(at + step) % len(names)], inverted=False))

    return change


def _move(steps: int) -> Callable[[View, Snapshot], View]:
    def change(view: View, snapshot: Snapshot) -> View:
        if view.page is Page.WORKERS:
            return _select(view, snapshot, steps)
        # The page of events shows the newest at the bottom, and scrolls upwards from there.
        scroll = view.scroll - steps if view.page is Page.EVENTS else view.scroll + steps
        return replace(view, scroll=max(0, min(scroll, _last_row(view, snapshot))))

    return change


def _sideways(step: int) -> Callable[[View, Snapshot], View]:
    """Select the previous or next worker without leaving the page."""

    def change(view: View, snapshot: Snapshot) -> View:
        if view.page in (Page.WORKERS, Page.CONNECTIONS, Page.WORKER):
            return replace(_select(view, snapshot, step), scroll=0)
        return view

    return change


def _select(view: View, snapshot: Snapshot, steps: int) -> View:
    pids = selectable(snapshot, view)
    pid = current(snapshot, view)
    # Without a selection, the first step down selects the first row, the first step up the last one.
    at = pids.index(pid) + steps if pid in pids else steps - 1 if steps > 0 else len(pids) + steps
    return _selected(view, snapshot, pids[max(0, min(at, len(pids) - 1))])


def _selected(view: View, snapshot: Snapshot, pid: int) -> View:
    worker = snapshot.process(pid)
    return replace(view, selected=pid, slot=None if worker is None else worker["slot"])


def _last_row(view: View, snapshot: Snapshot) -> int:
    count = {
        Page.CONNECTIONS: len(snapshot.connections.rows),
        Page.PLUGINS: len(snapshot.body["plugins"]) + len(snapshot.body["listeners"]),
        Page.EVENTS: len(snapshot.body["events"]),
    }.get(view.page, 0)
    return max(0, count - 1)


def _detail(view: View, snapshot: Snapshot) -> View:
    if view.page is Page.WORKER:
        return _back(replace(view, filter=""))
    if current(snapshot, view) is None:
        view = _select(view, snapshot, 1)
    return replace(view, page=Page.WORKER, scroll=0)


def _connections_of(view: View, snapshot: Snapshot) -> View:
    """Show the connections of the selected worker, or of the first worker if none is selected."""
    view = replace(view, page=Page.CONNECTIONS, scroll=0)
    if snapshot.process(current(snapshot, view)) is not None or not snapshot.body["workers"]:
        return view
    # The first selectable process is the master, which has no connections.
    pids = selectable(snapshot, view)
    return _selected(view, snapshot, pids[1] if len(pids) > 1 else snapshot.body["workers"][0]["pid"])


_ALL_ROWS = 1_000_000
_MOVES: Mapping[str, Callable[[View, Snapshot], View]] = {
    "<": _sort_by(-1),
    ">": _sort_by(1),
    "up": _move(-1),
    "k": _move(-1),
    "down": _move(1),
    "j": _move(1),
    "page up": _move(-_PAGE_ROWS),
    "page down": _move(_PAGE_ROWS),
    "home": _move(-_ALL_ROWS),
    "end": _move(_ALL_ROWS),
    "left": _sideways(-1),
    "right": _sideways(1),
    "enter": _detail,
    "2": _connections_of,
}


# Keys that change the host: the user confirms a question before the request is sent.


def _ask(view: View, request: HostRequest) -> View:
    return replace(view, overlay=Overlay.CONFIRM, pending=request)


def _reload(view: View, snapshot: Snapshot) -> View:
    document = snapshot.document
    # Of the newest document, not of the paused body: the question names what will happen now.
    workers = document["workers_wanted"]
    which = "the worker" if workers == 1 else f"all {workers} workers"
    return _ask(view, HostRequest("reload", f"replace {which} of pid {document['pid']}, {_open(snapshot)}"))


def _recycle(view: View, snapshot: Snapshot) -> View:
    pid = current(snapshot, view)
    worker = next((each for each in snapshot.document["workers"] if each["pid"] == pid), None)
    if pid is None or worker is None:
        return replace(view, notice="select a worker first")
    if worker["state"] != "ready":
        return replace(view, notice=f"worker {worker['slot']} (pid {pid}) is {worker['state']} and cannot be replaced")
    question = f"replace worker {worker['slot']} (pid {pid}), {counted(worker['connections'], 'connection')} open"
    return _ask(view, HostRequest("recycle", question, (("pid", pid),)))


def _scale(step: int) -> Callable[[View, Snapshot], View]:
    def change(view: View, snapshot: Snapshot) -> View:
        document = snapshot.document
        before = document["workers_wanted"]
        after = before + step
        if after < 1:
            return replace(view, notice="at least one worker must stay")
        question = f"scale from {before} to {after} workers (pid {document['pid']}, {_open(snapshot)})"
        if step < 0:
            question = f"scale from {before} to {after} workers; to be drained: {_leaving(snapshot)}"
        scaling = document.get("scaling")
        if scaling and scaling["automatic"]:
            question += "; the number then stays until `reactorhost scale auto`"
        return _ask(view, HostRequest("scale", question, (("workers", after),)))

    return change


def _leaving(snapshot: Snapshot) -> str:
    """Name the worker that a scale-down drains: that of the highest slot."""
    document = snapshot.document
    wanted = [slot["slot"] for slot in document["slots"] if slot["state"] != "leaving"]
    last = max(wanted, default=0)
    workers = [worker for worker in document["workers"] if worker["slot"] == last and worker["state"] == "ready"]
    if not workers:
        return f"worker {last}, {_open(snapshot)} in all"
    return f"worker {last} (pid {workers[-1]['pid']}), {counted(workers[-1]['connections'], 'connection')} open"


def _open(snapshot: Snapshot) -> str:
    return f"{counted(snapshot.document['totals']['connections'], 'connection')} open"


_CONFIRMED: Mapping[str, Callable[[View, Snapshot], View]] = {
    "R": _reload,
    "K": _recycle,
    "+": _scale(1),
    "=": _scale(1),
    "-": _scale(-1),
}
