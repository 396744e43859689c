"""The keys while a question, a prompt or the help is shown."""

from __future__ import annotations

from dataclasses import replace

from reactorhost.dashboard.live import help_page, host_list
from reactorhost.dashboard.live.screen_rows import screen_rows
from reactorhost.dashboard.live.steps import steps_of
from reactorhost.dashboard.model.requests import ViewAction
from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import FASTEST_SECONDS, SLOWEST_SECONDS, Overlay, View
from reactorhost.dashboard.pages.page import Result

_LONGEST_TYPED = 60


def press(view: View, key: str, snapshot: Snapshot | None) -> Result:
    """Return the view after a key, and what the key requests; `snapshot` is None before the first document."""
    match view.overlay:
        case Overlay.CONFIRM:
            return _confirm(view, key)
        case Overlay.FILTER | Overlay.INTERVAL:
            return _type(view, key), None
        case Overlay.HOSTS:
            return host_list.press(view, key)
        case _:
            return _help(view, key, snapshot)


def _help(view: View, key: str, snapshot: Snapshot | None) -> Result:
    if key == "q":
        return view, ViewAction.QUIT
    if snapshot is not None and (steps := steps_of(key, screen_rows(snapshot, view, view.size).body)):
        return help_page.scroll(view, snapshot, steps), None
    return replace(view, overlay=Overlay.NONE), None


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
        return replace(view, overlay=Overlay.NONE, typed="").with_table(filter=view.typed, scroll=0)
    character = " " if key == "space" else key
    if key == "backspace":
        typed = view.typed[:-1]
    elif key == "ctrl-u":
        typed = ""
    elif len(character) == 1 and len(view.typed) < _LONGEST_TYPED:
        typed = view.typed + character
    else:
        return view
    view = replace(view, typed=typed)
    # The filter takes effect while it is typed.
    return view.with_table(filter=typed) if view.overlay is Overlay.FILTER else view


def _with_interval(view: View) -> View:
    typed, view = view.typed, replace(view, overlay=Overlay.NONE, typed="")
    try:
        seconds = float(typed)
    except ValueError:
        return replace(view, notice=f"{typed!r} is not a number of seconds")
    if not FASTEST_SECONDS <= seconds <= SLOWEST_SECONDS:
        return replace(view, notice=f"the interval is {FASTEST_SECONDS:g} to {SLOWEST_SECONDS:g} seconds")
    return replace(view, interval_seconds=seconds, before_fast=None)
