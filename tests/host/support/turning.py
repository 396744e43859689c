"""Let a reactor turn until a condition holds."""

from __future__ import annotations

import time
from collections.abc import Callable

from reactorhost.reactor import Reactor
from reactorhost.testing import DEADLINE_SECONDS

# Conditions may hold without an event of this reactor.
_LONGEST_WAIT_SECONDS = 0.01


def turn_until(reactor: Reactor, holds: Callable[[], object]) -> None:
    """Let the reactor turn until `holds()` is true.

    Raises:
        TimeoutError: it was not in time.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("the condition did not hold in time")
        reactor.turn(min(_LONGEST_WAIT_SECONDS, reactor.wait_seconds(reactor.clock())))
