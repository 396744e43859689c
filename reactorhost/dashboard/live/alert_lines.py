"""The alerts below the header: the worst first, at most a fifth of the screen."""

from __future__ import annotations

from collections.abc import Sequence

from reactorhost.dashboard.model.alerts import Alert, AlertLevel
from reactorhost.dashboard.model.view import Page
from reactorhost.dashboard.text.line import Line, fitted, line, width_of, with_style
from reactorhost.dashboard.text.styles import ALARM, WARN

_FROM_ROWS = 5


def alert_rows(count: int, rows: int) -> int:
    """Return how many lines the alerts take on a screen of so many rows."""
    return min(count, rows // 5) if rows >= _FROM_ROWS else 0


def first_shown(count: int, height: int, chosen: int) -> int:
    """Return the index of the first alert on the screen: the one that `!` has chosen is among them."""
    room = height if count <= height else max(height - 1, 1)
    return max(0, min(chosen, count - 1) - room + 1)


def alert_lines(
    alerts: Sequence[Alert], width: int, height: int, chosen: int = -1, page: Page | None = None
) -> list[Line]:
    """Return `height` lines; the last one counts the alerts that have no room. `page` is the tab that is shown."""
    start = first_shown(len(alerts), height, chosen)
    if height == 1 and len(alerts) > 1:
        return [_drawn(alerts[start], page, width, f"  +{len(alerts) - 1}", is_chosen=start == chosen)]
    room = height if len(alerts) <= height else height - 1
    shown = range(start, min(start + max(room, 0), len(alerts)))
    lines = [_drawn(alerts[at], page, width, is_chosen=at == chosen) for at in shown]
    if height > 0 and len(shown) < len(alerts):
        others = [alert for at, alert in enumerate(alerts) if at not in shown]
        lines.append(line((f"! … {len(others)} more", _style(others[0])), ("  → !", "bold")))
    return lines


def _drawn(alert: Alert, page: Page | None, width: int, count: str = "", *, is_chosen: bool = False) -> Line:
    # The key stands at the end and the text is cut before it: the key is what the reader can use. On the page itself it
    # shows the row, if there is one.
    hint = count if alert.page is page and alert.target is None else f"  → {alert.key}{count}"
    text = fitted(f"! {alert.text}", max(width - width_of(line(hint)), 0))
    shown = line((text, _style(alert)), (hint, "bold"))
    return with_style(shown, "reverse") if is_chosen else shown


def _style(alert: Alert) -> str:
    return ALARM if alert.level is AlertLevel.ERROR else WARN
