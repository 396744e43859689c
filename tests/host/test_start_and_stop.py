"""A host starts, says what it is, and stops."""

from __future__ import annotations

import signal
from collections.abc import Callable

from reactorhost.testing import LiveHost
from waiting import all_end


def test_interrupt_stops(live_host: Callable[..., LiveHost], expected_errors: list[str]) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    pids = [w["pid"] for w in host.workers()]
    assert host.stop() == 0
    assert all_end(pids, 5)
