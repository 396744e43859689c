"""The delay before a slot's next worker after failures."""

from __future__ import annotations

import random
from dataclasses import dataclass

_FIRST_SECONDS = 0.1
_LONGEST_SECONDS = 30.0
_SPREAD = 0.25
# Past this the delay has reached its limit by far, and 2**n would only grow.
_MOST_DOUBLINGS = 20


@dataclass(slots=True)
class Backoff:
    """The failures of a slot in a row, and the time (monotonic seconds) before which no worker is started."""

    failures: int = 0
    until: float = 0.0

    def add_failure(self, now: float, jitter: random.Random) -> None:
        """Set the delay: none after the first failure, then 0.1 s doubling to 30 s, spread by a quarter.

        Without the spread, slots that fail for one cause (a database that is down) would retry in step.
        """
        self.failures += 1
        if self.failures == 1:
            self.until = now
            return
        doublings = min(self.failures - 2, _MOST_DOUBLINGS)
        delay = min(_FIRST_SECONDS * 2**doublings, _LONGEST_SECONDS)
        self.until = now + delay * jitter.uniform(1 - _SPREAD, 1 + _SPREAD)

    def reset(self) -> None:
        """Forget all failures and end the delay."""
        self.failures, self.until = 0, 0.0
