"""Requests for the history of a group, as `worker.history` returns them."""

from __future__ import annotations

from reactorhost.api.awaitable import AwaitableTask


class HistoryRequest(AwaitableTask[list[bytes]]):
    """A request for the newest messages of a group; an async hook may await them."""

    __slots__ = ()

    def _on_cancel(self) -> None:
        """Do nothing: an answer that comes later is dropped."""
