"""How far a key moves, in rows of a list or lines of a text."""

from __future__ import annotations

from collections.abc import Mapping

_ALL_ROWS = 1_000_000
_WHEEL_ROWS = 3
_STEPS: Mapping[str, int] = {
    "up": -1,
    "k": -1,
    "down": 1,
    "j": 1,
    "home": -_ALL_ROWS,
    "end": _ALL_ROWS,
    "wheel up": -_WHEEL_ROWS,
    "wheel down": _WHEEL_ROWS,
}
_TURNS: Mapping[str, int] = {"page up": -1, "page down": 1}


def steps_of(key: str, rows: int) -> int:
    """Return the steps downwards of a key where so many rows are shown; 0 if it does not move."""
    if key in _TURNS:
        # One row less, so that a row of before remains in sight.
        return _TURNS[key] * max(1, rows - 1)
    return _STEPS.get(key, 0)
