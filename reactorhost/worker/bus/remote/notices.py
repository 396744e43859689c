"""The notices that a worker owes for messages that it has dropped on their way to other hosts.

A notice is sent before the next message of its key, or as soon as the backend accepts it. It says how long ago the last
message was dropped. A worker whose connection was made after that has reported the outage already, and does not report
it a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

MOST_KEYS = 1000

SendNotice = Callable[[str | None, float], bool]
"""Sends the notice for a key, or with None for all keys, with the seconds since the drop; False: it is not accepted."""


class Notices:
    """The keys of which messages were dropped since their last notice; too many of them become one notice for all."""

    def __init__(self, now: Callable[[], float], send: SendNotice) -> None:
        self._now = now
        self._send_notice = send
        self._dropped_at: dict[str | None, float] = {}

    def __bool__(self) -> bool:
        return bool(self._dropped_at)

    def owe(self, keys: Iterable[str] | None) -> None:
        """Note that messages of these keys are dropped now, of unknown keys with None."""
        if keys is not None and None not in self._dropped_at:
            self._dropped_at.update(dict.fromkeys(keys, self._now()))
            if len(self._dropped_at) <= MOST_KEYS:
                return
        self._dropped_at = {None: self._now()}

    def send(self) -> None:
        """Send what is owed, as far as it is accepted."""
        while self._dropped_at and self._send_for(next(iter(self._dropped_at))):
            pass

    def send_before(self, key: str) -> bool:
        """Send what is owed for a key; returns False if it is not accepted, and the next message has to wait for it."""
        return self._send_for(None) and self._send_for(key)

    def _send_for(self, key: str | None) -> bool:
        dropped_at = self._dropped_at.get(key)
        if dropped_at is None:
            return True
        if not self._send_notice(key, self._now() - dropped_at):
            return False
        del self._dropped_at[key]
        return True
