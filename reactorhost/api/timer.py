"""Timers, as plugins hold them."""

from __future__ import annotations

from typing import Protocol


class Timer(Protocol):
    """A scheduled call of a plugin's function, as `call_later` and `call_every` return it."""

    def cancel(self) -> None:
        """Cancel the call; does nothing once it was made."""
