"""The tables of plugins and settings."""

from __future__ import annotations

from typing import Any

from rich.console import Console, RenderableType

from reactorhost.dashboard.output.rich_tables import bus_table, plugin_table, setting_table


def text_of(renderable: RenderableType, width: int = 200) -> str:
    console = Console(width=width, highlight=False, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_values_cannot_control_the_terminal() -> None:
    assert "x\\u001b[2J\\n" in text_of(setting_table([("log_file", "x\x1b[2J\n", "default")]))


def test_markup_in_values_is_shown_literally() -> None:
    assert "[red]x" in text_of(setting_table([("log_file", "[red]x", "default")]))
    row: dict[str, Any] = {
        "name": "[b]n",
        "version": None,
        "distribution": None,
        "active": True,
        "hooks": [],
        "error": "[x] broke\nmore",
    }
    shown = text_of(plugin_table([row]))
    assert "[b]n" in shown
    assert "[x] broke" in shown
    assert "more" not in shown


def test_a_bus_is_named_by_the_scheme_of_its_urls() -> None:
    rows: list[dict[str, Any]] = [
        {"scheme": "nats", "distribution": "reactorhost-nats", "version": "2.0", "error": "broke\nmore"},
        {"scheme": "made", "distribution": None, "version": None, "error": None},
    ]
    _, first, second = text_of(bus_table(rows)).splitlines()
    assert first.split() == ["nats://", "2.0", "reactorhost-nats", "broke"]
    assert second.split() == ["made://", "-", "-"]
