"""The keys: how each changes the view, and what it requests. Pure: the loop carries requests out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from reactorhost.dashboard.live import moving, prompts
from reactorhost.dashboard.model.requests import ViewAction
from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import TABS, Overlay, Page, View
from reactorhost.dashboard.pages.host_keys import EVERYWHERE
from reactorhost.dashboard.pages.page import Binding, Result
from reactorhost.dashboard.pages.registry import PAGES

_FAST_SECONDS = 0.2
_ALWAYS: Mapping[str, ViewAction] = {
    "ctrl-c": ViewAction.QUIT,
    "ctrl-z": ViewAction.SUSPEND,
    "ctrl-l": ViewAction.REDRAW,
}
_ACTIONS: Mapping[str, tuple[str, ViewAction]] = {
    "q": ("", ViewAction.QUIT),
    "z": ("peak reset", ViewAction.RESET_PEAKS),
    "H": ("", ViewAction.LIST_HOSTS),
}


def press(view: View, key: str, snapshot: Snapshot | None) -> Result:
    """Return the view after a key, and what the key requests; `snapshot` is None before the first document."""
    # Before the overlays: a prompt must not swallow the keys that leave the program.
    if key in _ALWAYS:
        return view, _ALWAYS[key]
    # The key of the page that is shown stands at the end of the alerts about it, and shows their rows.
    is_here = key == str(int(view.page)) and not view.trail
    # A key goes on to the next alert only if it is pressed again at once.
    view = replace(view, notice="", alert=view.alert if key == "!" or is_here else -1)
    if view.overlay is not Overlay.NONE:
        return prompts.press(view, key, snapshot)
    if key in _ACTIONS:
        notice, action = _ACTIONS[key]
        return replace(view, notice=notice), action
    # The keys of the page come before the general ones: it may use one for something of its own.
    binding = _binding(view, key)
    if binding is None and key in _CHANGES:
        of_alert = moving.show_alert_here(view, snapshot) if is_here and snapshot is not None else None
        return of_alert or _CHANGES[key](view), None
    return (view, None) if snapshot is None else _press_on_page(view, key, snapshot, binding)


def _press_on_page(view: View, key: str, snapshot: Snapshot, binding: Binding | None) -> Result:
    if any(each.key == key and each.changes for each in _bindings(view)) and (reason := _unchangeable(view, snapshot)):
        return replace(view, notice=reason), None
    return (moving.press(view, key, snapshot), None) if binding is None else binding.act(view, snapshot)


def _unchangeable(view: View, snapshot: Snapshot) -> str:
    """Return why the host cannot be changed; empty if it can."""
    if snapshot.link.source:
        return "a recording cannot be changed"
    if view.read_only:
        return "--read-only disables this key"
    return "" if snapshot.link.lost_seconds is None else "the host does not run"


def _binding(view: View, key: str) -> Binding | None:
    return next((each for each in _bindings(view) if each.key == key and not (each.changes and view.read_only)), None)


def _bindings(view: View) -> Sequence[Binding]:
    return (*PAGES[view.page].bindings, *EVERYWHERE)


def _show(page: Page) -> Callable[[View], View]:
    return lambda view: view.show(page)


def _back(view: View) -> View:
    if view.table.filter:
        return view.with_table(filter="", scroll=0)
    return view.back() if view.trail else view.show(Page.WORKERS)


def _fast(view: View) -> View:
    if view.before_fast is not None:
        return replace(view, interval_seconds=view.before_fast, before_fast=None)
    return replace(view, interval_seconds=_FAST_SECONDS, before_fast=view.interval_seconds)


def _prompt(overlay: Overlay) -> Callable[[View], View]:
    return lambda view: replace(view, overlay=overlay, typed=view.table.filter if overlay is Overlay.FILTER else "")


_CHANGES: Mapping[str, Callable[[View], View]] = {
    **{str(int(page)): _show(page) for page in TABS},
    "?": lambda view: replace(view, overlay=Overlay.HELP, help_scroll=0),
    "h": lambda view: replace(view, overlay=Overlay.HELP, help_scroll=0),
    "/": _prompt(Overlay.FILTER),
    "d": _prompt(Overlay.INTERVAL),
    "esc": _back,
    "backspace": _back,
    "space": lambda view: replace(view, paused=not view.paused),
    "f": _fast,
}
