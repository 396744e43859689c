"""One queue has one colour, wherever it is shown."""

from __future__ import annotations

import pytest

from documents import document, listener, service
from reactorhost.dashboard.live.header import header
from reactorhost.dashboard.model.alerts import AlertLevel, alerts
from reactorhost.dashboard.model.snapshot import following
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.tables.listener_table import listener_table
from reactorhost.dashboard.tables.service_table import service_table
from reactorhost.dashboard.text.line import Line
from reactorhost.dashboard.text.styles import ALARM, WARN


def style_of(text: str, lines: list[Line]) -> str:
    [style] = {style for line in lines for piece, style in line if piece.strip() == text}
    return style


@pytest.mark.parametrize(
    ("depth", "style", "level"),
    [(249, "", None), (250, WARN, AlertLevel.WARNING), (899, WARN, AlertLevel.WARNING), (900, ALARM, AlertLevel.ERROR)],
)
def test_a_queue_has_the_same_limits_in_header_tables_and_alerts(
    depth: int, style: str, level: AlertLevel | None
) -> None:
    queue = listener(depth, fullest_slot=2, fullest_depth=depth, fullest_limit=1000)
    made = document(4, listeners=[queue])
    assert style_of(f"{depth}/1000", header(following(None, made), View(), 120, 3)) == style
    assert style_of(f"{depth} (slot 2)", listener_table([queue], 120)) == style
    shown = service("chat", queue={"depth": depth, "limit": 1000, "dropped": 0})
    assert style_of(str(depth), service_table([shown], made, 120)) == style
    assert [alert.level for alert in alerts(made)] == ([] if level is None else [level])
