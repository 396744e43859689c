"""Whether a server is used: a state machine over the results of checks and of clients' connections.

    up -> `fall` failures one after another -> down -> `rise` checks that succeed one after another -> up

Nothing here connects or reads a clock.
"""

from __future__ import annotations

_LEAST_SHARE = 0.1


class Health:
    """The health of one server, as this worker sees it.

    Attributes:
        is_up: whether clients are sent to the server.
    """

    __slots__ = ("_contrary", "_fall", "_rise", "_slow_start", "_up_at", "is_up")

    def __init__(self, rise: int, fall: int, slow_start: float) -> None:
        self.is_up = True
        self._rise = rise
        self._fall = fall
        self._slow_start = slow_start
        self._contrary = 0
        # When it has become up again; None at first, because a server that was never down is not slow.
        self._up_at: float | None = None

    def failed(self) -> bool:
        """Count a failure of a check or of a client's connection; return whether the server is down from now on."""
        if not self.is_up:
            self._contrary = 0
            return False
        self._contrary += 1
        if self._contrary < self._fall:
            return False
        self.is_up = False
        self._contrary = 0
        return True

    def check_succeeded(self, now: float) -> bool:
        """Count a check that has succeeded; return whether the server is up from now on."""
        if self.is_up:
            self._contrary = 0
            return False
        self._contrary += 1
        if self._contrary < self._rise:
            return False
        self.is_up = True
        self._up_at = now
        self._contrary = 0
        return True

    def client_connected(self) -> None:
        """Count a client's connection: one that was begun before the server went down does not bring it up."""
        if self.is_up:
            self._contrary = 0

    def share(self, now: float) -> float:
        """Return which part of its weight counts: it grows from a tenth to 1 in the time of the slow start."""
        if self._up_at is None:
            return 1.0
        seconds = now - self._up_at
        if seconds >= self._slow_start:
            self._up_at = None
            return 1.0
        return max(_LEAST_SHARE, seconds / self._slow_start)
