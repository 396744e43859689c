"""The last error of a plugin."""

from __future__ import annotations

import pytest

from documents import document, plugin
from documents import last_error as last_error_of
from reactorhost.dashboard.tables.plugin_table import hook_chain, last_error


@pytest.mark.parametrize(
    ("errors", "fields", "expected"),
    [
        (3, {}, ("x3, 5.0s ago: E: no in receive (echo.py:15) for 10.1.2.3:40112, worker 2", "red")),
        (3, {"age_seconds": 4000.0, "peer": None}, ("x3, 1h06m ago: E: no in receive (echo.py:15), worker 2", "")),
        (0, {"hook": "timer", "peer": None}, ("5.0s ago: E: no in timer (echo.py:15), worker 2", "red")),
    ],
)
def test_the_last_error_has_a_count_an_age_and_a_place(
    errors: int, fields: dict[str, object], expected: tuple[str, str]
) -> None:
    error = last_error_of("E: no", **fields)
    assert last_error(plugin("echo", "0.1.0", errors=errors, last_error=error)) == expected


def test_without_an_error_there_is_a_dash() -> None:
    assert last_error(plugin("echo", "0.1.0", last_error=None)) == ("-", "dim")


def test_what_hooks_await_has_a_column_where_a_plugin_waits() -> None:
    made = document(1, plugins=[plugin("echo", "0.1.0", time_share=1.0, waiting_share=0.97)])
    headings, row = ("".join(text for text, _ in each) for each in hook_chain(made, 120))
    at = headings.index("WAIT%")
    assert row[at : at + 5] == "   97"
    made["plugins"][0]["waiting_share"] = 0.0
    assert "WAIT%" not in "".join(text for text, _ in hook_chain(made, 120)[0])
