"""Colours follow the variables that describe a terminal."""

from __future__ import annotations

import pytest

from reactorhost.system.terminal_color import wants_color


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": ""}, False),
        ({}, False),
    ],
)
def test_colours_follow_the_environment(environment: dict[str, str], wanted: bool) -> None:
    assert wants_color(environment) is wanted
