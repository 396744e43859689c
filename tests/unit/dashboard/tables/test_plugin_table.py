"""The last error of a plugin."""

from __future__ import annotations

import pytest

from documents import plugin
from reactorhost.dashboard.tables.plugin_table import last_error


@pytest.mark.parametrize(
    ("errors", "age", "expected"),
    [
        (3, 5.0, ("x3, 5.0s ago: E: no", "red")),
        (3, 4000.0, ("x3, 1h06m ago: E: no", "")),
        (3, None, ("x3: E: no", "")),
        (0, 5.0, ("5.0s ago: E: no", "red")),
        (0, None, ("E: no", "")),
    ],
)
def test_the_last_error_has_a_count_and_an_age_as_far_as_they_are_known(
    errors: int, age: float | None, expected: tuple[str, str]
) -> None:
    assert (
        last_error(plugin("echo", "0.1.0", errors=errors, last_error="E: no", last_error_age_seconds=age)) == expected
    )


def test_without_an_error_there_is_a_dash() -> None:
    assert last_error(plugin("echo", "0.1.0", last_error=None)) == ("-", "dim")
