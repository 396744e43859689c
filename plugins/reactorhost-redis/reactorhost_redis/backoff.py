"""How long to wait before the next attempt to connect."""

from __future__ import annotations

import random

_FIRST_SECONDS = 0.1
_STABLE_SECONDS = 5.0
_LEAST_SHARE = 0.5


class Backoff:
    """Doubles the time with each attempt, up to `longest_seconds`; each is shortened at random, by up to a half.

    At random, because all workers of all hosts lose a server at the same moment.
    """

    def __init__(self, longest_seconds: float) -> None:
        self._longest_seconds = longest_seconds
        self._next_seconds = _FIRST_SECONDS

    def next(self) -> float:
        """Return the seconds before the next attempt."""
        seconds = min(self._next_seconds, self._longest_seconds)
        self._next_seconds = seconds * 2
        return seconds * _random_share()

    def longest(self) -> float:
        """Return the seconds before the next attempt, if there is no hurry."""
        return self._longest_seconds * _random_share()

    def served(self, seconds: float) -> None:
        """Begin again with a short time, if a connection has served for so long that the server can be relied on.

        A server that accepts connections and cuts each of them at once would be asked to subscribe everything, again
        and again.
        """
        if seconds >= _STABLE_SECONDS:
            self._next_seconds = _FIRST_SECONDS


def _random_share() -> float:
    return random.uniform(_LEAST_SHARE, 1.0)  # noqa: S311  not for a secret
