"""How the rows of the screen are divided: title, trends, alerts, tabs, the page, and the last line."""

from __future__ import annotations

from dataclasses import dataclass

from reactorhost.dashboard.live.alert_lines import alert_rows
from reactorhost.dashboard.live.footer import notice
from reactorhost.dashboard.model.alerts import alerts
from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Overlay, View
from reactorhost.dashboard.text.line import Size

# The least number of rows for the trends below the title, for the tabs and for the keys.
_TRENDS_FROM = 14
_TABS_FROM = 6
_KEYS_FROM = 7
_PROMPTS = (Overlay.CONFIRM, Overlay.FILTER, Overlay.INTERVAL)


@dataclass(frozen=True, slots=True)
class ScreenRows:
    """The number of rows of each part, from the top."""

    header: int
    alerts: int
    tabs: int
    body: int
    footer: int


def screen_rows(snapshot: Snapshot, view: View, size: Size) -> ScreenRows:
    """Return the parts of a screen, which fill it exactly."""
    rows = size.rows
    # On a small screen the last line is shown only while it says more than the keys.
    footer = 1 if rows >= _KEYS_FROM or view.overlay in _PROMPTS or (rows >= 3 and notice(snapshot, view)) else 0
    header = min(rows - footer, 3 if rows >= _TRENDS_FROM else 1)
    tabs = 1 if rows >= _TABS_FROM else 0
    shown = alert_rows(len(alerts(snapshot.document)), rows)
    return ScreenRows(header, shown, tabs, rows - header - shown - tabs - footer, footer)
