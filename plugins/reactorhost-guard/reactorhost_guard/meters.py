"""Token buckets, kept as one time each: when the bucket will be full again.

A bucket of `burst` tokens that is refilled at `rate` is full at `full_at`, and until then lacks the tokens that `rate`
adds in that time (the generic cell rate algorithm). So a bucket at rest needs no update, and tokens that other workers
have taken are added to the time as those of this worker are. It may lack more than a burst then: what was too much is
waited for.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

# In tokens. The sums of floats: a bucket that is refilled at its rate must not miss a token for the last bit.
_ROUNDING = 1e-6


class Limit(NamedTuple):
    """A rate with a burst.

    Attributes:
        seconds: how long one token takes.
        slack: how far `full_at` may be ahead while a token is left, in seconds.
        slow_seconds: how long a token that is missing may be waited for; None to refuse instead.
    """

    seconds: float
    slack: float
    slow_seconds: float | None = None

    @property
    def burst(self) -> float:
        """The tokens of a full bucket."""
        return self.slack / self.seconds + 1.0

    @property
    def slow_tokens(self) -> int:
        """The tokens that are refilled in `slow_seconds`; a very large number if the limit refuses instead."""
        return sys.maxsize if self.slow_seconds is None else int(self.slow_seconds / self.seconds)


def limit(rate: float, burst: float, slow_seconds: float | None = None) -> Limit:
    """Return the limit of a rate per second and a burst of at least 1."""
    return Limit(1.0 / rate, (burst - 1.0) / rate, slow_seconds)


class Meter:
    """The bucket of one client for one limit.

    Attributes:
        unshared: tokens taken that were not sent to the other workers.
    """

    __slots__ = ("_full_at", "limit", "unshared")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.unshared = 0
        self._full_at = 0.0

    def take(self, tokens: int, now: float) -> bool:
        """Take tokens if one is left; more than are left may be taken, and are missing later."""
        full_at = self._full_at
        seconds, slack, _ = self.limit
        if full_at < now:
            full_at = now
        elif full_at - now > slack + _ROUNDING * seconds:
            return False
        self._full_at = full_at + tokens * seconds
        self.unshared += tokens
        return True

    def take_late(self, tokens: int, now: float) -> float | None:
        """Take tokens although none is left, and return the seconds until one is.

        Returns None, and takes nothing, if that is longer than `slow_seconds` without them already.
        """
        if self.limit.slow_seconds is None or self.late(now):
            return None
        self.take_elsewhere(tokens, now)
        self.unshared += tokens
        return self.wait(now)

    def late(self, now: float) -> float:
        """Return the seconds until a token is left, if they are more than `slow_seconds`; otherwise 0."""
        wait, most = self.wait(now), self.limit.slow_seconds
        return wait if most is not None and wait > most + _ROUNDING * self.limit.seconds else 0.0

    def take_elsewhere(self, tokens: float, now: float) -> None:
        """Take tokens that another worker has granted."""
        self._full_at = max(self._full_at, now) + tokens * self.limit.seconds

    def wait(self, now: float) -> float:
        """Return the seconds until a token is left, at least 0."""
        return max(0.0, self._full_at - now - self.limit.slack)

    def refill(self) -> None:
        """Fill the bucket."""
        self._full_at = 0.0
