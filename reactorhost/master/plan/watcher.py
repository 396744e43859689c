"""The interface through which an operation reports to the client that requested it."""

from __future__ import annotations

from typing import Protocol

from reactorhost.errors import ReactorhostError


class Watcher(Protocol):
    """Receives the progress and the end of one operation."""

    def progress(self, text: str, **fields: object) -> None:
        """Report how far the operation is."""

    def done(self, **result: object) -> None:
        """Report success."""

    def failed(self, error: ReactorhostError) -> None:
        """Report failure."""
